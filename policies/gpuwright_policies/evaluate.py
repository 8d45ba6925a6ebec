"""The one evaluator: facts in, findings out, whichever door the facts came through."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gpuwright_policies import rules as rules_package
from gpuwright_policies.facts import Facts, NotYetKnownError
from gpuwright_policies.rule import Kind, Rule, Severity


class Answer(StrEnum):
    """What a rule says of facts that do not pass."""

    VIOLATES = "violates"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """A rule that is violated, or that cannot be judged yet.

    Args:
        rule: The rule's id.
        subject: The resource or the path in a spec.
        actual: What is.
        expected: What must be.
    """

    rule: str
    answer: Answer
    severity: Severity
    kind: Kind
    subject: str
    actual: str
    expected: str
    why: str
    fix: str

    @property
    def mandatory(self) -> bool:
        """Whether the finding refuses the deployment: broken hard rules and ratios do, advice does not."""
        return self.answer is Answer.VIOLATES and self.kind is not Kind.ADVICE

    @property
    def message(self) -> str:
        """The finding in one line."""
        return f"{self.subject}: {self.actual}; {self.expected} ({self.rule}). {self.why} {self.fix}"


@functools.cache
def rules() -> Mapping[str, Rule[Any]]:
    """Return every rule by id: one a file of the rules folder."""
    found = {}
    for module in pkgutil.iter_modules(rules_package.__path__):
        rule: Rule[Any] = importlib.import_module(f"{rules_package.__name__}.{module.name}").RULE
        found[rule.id] = rule
    return found


@functools.cache
def _rules_by_facts() -> Mapping[type[Facts], tuple[Rule[Any], ...]]:
    by_facts: dict[type[Facts], tuple[Rule[Any], ...]] = defaultdict(tuple)
    for rule in rules().values():
        by_facts[rule.applies_to] += (rule,)
    return by_facts


def evaluate(facts: Iterable[Facts]) -> Iterator[Finding]:
    """Yield a finding for every rule that a fact violates or that cannot be judged yet; linear in facts."""
    for fact in facts:
        for rule in _rules_by_facts().get(type(fact), ()):
            finding = _judge(rule, fact)
            if finding is not None:
                yield finding


def _judge(rule: Rule[Any], fact: Facts) -> Finding | None:
    try:
        violation = rule.check(fact)
    except NotYetKnownError as error:
        answer, actual, expected = Answer.UNKNOWN, f"{error.field} cannot be known yet", rule.title
    else:
        if violation is None:
            return None
        answer, actual, expected = Answer.VIOLATES, violation.actual, violation.expected
    return Finding(
        rule=rule.id,
        answer=answer,
        severity=rule.severity,
        kind=rule.kind,
        subject=fact.subject,
        actual=actual,
        expected=expected,
        why=rule.why,
        fix=rule.fix,
    )
