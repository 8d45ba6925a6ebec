"""Every failure that a user can cause, and how it is told.

GpuwrightError              base; the CLI prints it without a traceback
├── InputError              exit 2: what was given cannot be used; holds every fault found, not the first
│   └── UnknownNameError    exit 2: no such row in the catalog; names the nearest ones
├── NothingFitsError        exit 1: the request is sound, and no instance type satisfies it
├── PolicyViolatedError     exit 1: a rule is violated
└── EnvironmentLackError    exit 2: a program or an extra that the verb needs is not installed
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

EXIT_DONE = 0
EXIT_REFUSED = 1
EXIT_BAD_INPUT = 2


@dataclass(frozen=True)
class Fault:
    """One thing wrong with an input, told in three parts.

    Args:
        where: File and path inside it, such as ``7b.yaml: model.max_model_len``.
        problem: What was given and what is true.
        fix: What to do about it, in the imperative.
    """

    where: str
    problem: str
    fix: str

    def __str__(self) -> str:
        return f"{self.where}: {self.problem} {self.fix}"


class GpuwrightError(Exception):
    """Base of every failure that a user can cause."""

    exit_code = EXIT_BAD_INPUT


class InputError(GpuwrightError):
    """The input cannot be used; ``faults`` holds everything that is wrong with it."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))

    @classmethod
    def of(cls, where: str, problem: str, fix: str) -> InputError:
        """Return the error for a single fault."""
        return cls([Fault(where, problem, fix)])


class UnknownNameError(InputError):
    """A name that stands in no row of the catalog; the message offers the nearest names."""

    def __init__(self, where: str, kind: str, given: str, known: Iterable[str], fix: str = "") -> None:
        self.given = given
        self.suggestions = tuple(near(given, known))
        advice = f"Did you mean {_either(self.suggestions)}?" if self.suggestions else fix
        super().__init__([Fault(where, f"{given!r} is no {kind} that the catalog has.", advice or fix)])


class NothingFitsError(GpuwrightError):
    """The request is sound, but nothing satisfies it."""

    exit_code = EXIT_REFUSED


class PolicyViolatedError(GpuwrightError):
    """A rule is violated at or above the level that was asked for."""

    exit_code = EXIT_REFUSED


class EnvironmentLackError(GpuwrightError):
    """Something that the verb needs is not installed on this machine."""


def near(given: str, known: Iterable[str], most: int = 3) -> list[str]:
    """Return the names most like the one given, the nearest first, without regard to case.

    Where none is spelt alike, those that have it as one of their words count as near.
    """
    by_folded: dict[str, str] = {}
    for name in known:
        by_folded.setdefault(name.casefold(), name)
        by_folded.setdefault(name.casefold().rpartition("/")[2], name)
    matches = difflib.get_close_matches(given.casefold(), by_folded, n=most * 2, cutoff=0.6)
    if not matches and given:
        matches = [name for name in by_folded if given.casefold() in re.split(r"[^a-z0-9]+", name)]
    return list(dict.fromkeys(by_folded[match] for match in matches))[:most]


def _either(names: Sequence[str]) -> str:
    return " or ".join(names)
