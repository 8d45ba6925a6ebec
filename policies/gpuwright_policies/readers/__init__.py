"""Readers: one a kind of document, each turning what it reads into the same facts."""
