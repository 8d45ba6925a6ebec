"""Stands in for journalctl."""

print("Nov 22 04:00:00 ip-10-0-1-23 fetch-model[812]: model fetched")
