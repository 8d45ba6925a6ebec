"""How far a number can be trusted."""

from __future__ import annotations

from enum import StrEnum


class Basis(StrEnum):
    """Where a number comes from, the best first."""

    MEASURED = "measured"
    """Read from the thing itself: a file's size, a data sheet, a driver's report."""
    DERIVED = "derived"
    """Arithmetic on measured numbers, exact but for rounding."""
    CALIBRATED = "calibrated"
    """A formula whose constants were fitted to measurements."""
    ESTIMATED = "estimated"
    """A rule of thumb; expect it to be off by half."""
