"""Clouds: a folder each, found by its name; what a folder needs of the SDK is imported when it is used."""
