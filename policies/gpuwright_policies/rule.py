"""The shape of a rule: data and one pure predicate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from gpuwright_policies.facts import Facts

F = TypeVar("F", bound=Facts)


class Severity(StrEnum):
    """How bad a violation is."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Kind(StrEnum):
    """What breaking the rule means."""

    HARD = "hard"
    """The deployment fails or starves."""
    RATIO = "ratio"
    """A sizing ratio is missed."""
    ADVICE = "advice"
    """There is a better way."""


@dataclass(frozen=True)
class Provenance:
    """Where a rule comes from.

    Args:
        document: The document, its section or address.
        quote: Its words, translated where they are not English.
    """

    document: str
    quote: str


@dataclass(frozen=True)
class Violation:
    """What a predicate found.

    Args:
        actual: What is.
        expected: What must be.
    """

    actual: str
    expected: str


@dataclass(frozen=True)
class Rule(Generic[F]):
    """One rule.

    Args:
        id: Its name, kebab-case, the same in every output; also its file's name.
        title: What it demands, in one line.
        applies_to: The facts that it judges.
        check: Pure: the violation, or None where the facts pass.
        why: What happens to who breaks it.
        fix: What to do, in the imperative.
        passes: Facts that pass, as examples and for the tests.
        fails: Facts that fail, likewise.
    """

    id: str
    title: str
    severity: Severity
    kind: Kind
    provenance: Provenance
    applies_to: type[F]
    check: Callable[[F], Violation | None]
    why: str
    fix: str
    passes: tuple[F, ...]
    fails: tuple[F, ...]
