"""Stands in for `systemctl is-failed` where the units in FAILED have failed."""

import os
import sys

failed = os.environ.get("FAILED", "").split()
units = sys.argv[2:]
print(*("failed" if unit in failed else "active" for unit in units), sep="\n")
sys.exit(0 if any(unit in failed for unit in units) else 1)
