"""Judge a document or resources in one call.

``check_resources`` is for a program that has registered resources at hand: make each one with
``Resource.of(type, urn, inputs, references=property_dependencies)``, whose inputs may be wire values or plain
(what is no JSON counts as not known), and get the findings back. ``check_document`` recognises its document.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import ValidationError

from gpuwright.catalog import Model
from gpuwright.errors import Fault, InputError, NothingFitsError
from gpuwright.planning import Plan, plan_document
from gpuwright.spec import Spec
from gpuwright_policies.evaluate import Answer, Finding, evaluate
from gpuwright_policies.readers import plan as plan_reader
from gpuwright_policies.readers import pulumi_documents, pulumi_resources
from gpuwright_policies.readers.pulumi_resources import Resource
from gpuwright_policies.rule import Kind, Severity

NOTHING_FITS = "nothing-fits"
"""Stands for a rule's id where a spec has no plan at all."""

UNDERSTOOD = (
    "Give a spec (YAML), a plan (`gpuwright plan --format json`), a preview (`pulumi preview --json`) or a "
    "state (`pulumi stack export`)."
)


@dataclass(frozen=True)
class Report:
    """What was read of a document, and what the rules say of it.

    Args:
        where: Name of the document.
        kind: ``spec``, ``plan``, ``preview`` or ``state``.
        resources: Resources in the document; 1 for a spec or a plan.
        judged: How many of them the rules judge.
        findings: Violations first, then what cannot be known yet.
    """

    where: str
    kind: str
    resources: int
    judged: int
    findings: tuple[Finding, ...]


def check_resources(resources: Iterable[Resource]) -> list[Finding]:
    """Return the findings of all resources, each once, violations first; linear in their number."""
    return _sorted(evaluate(pulumi_resources.facts(resources)))


def check_plan(plan: Plan, subject: str, today: date | None = None) -> list[Finding]:
    """Return the findings of a plan, which name the subject; prices are judged where today is given."""
    return _sorted(evaluate(plan_reader.facts(plan, subject, today)))


def check_document(
    document: Any, where: str, model: Model | None = None, today: date | None = None
) -> Report:
    """Return what the rules say of a parsed YAML or JSON document.

    Args:
        where: Name of the document, for the findings and errors.
        model: The model of a spec, where it was read from a config.json.
        today: The day on which the age of prices is judged; it is not where left out.

    Raises:
        InputError: The document is of no kind that is understood, has faults, or holds nothing to judge.
    """
    if pulumi_documents.is_preview(document) or pulumi_documents.is_state(document):
        return _check_pulumi(document, where)
    if isinstance(document, Mapping) and document.keys() >= {"schema_version", "instance_type"}:
        return _check_plan_document(document, where, today)
    if is_spec(document):
        return _check_spec(document, where, model, today)
    raise InputError.of(where, "is no document that the rules can judge.", UNDERSTOOD)


def is_spec(document: Any) -> bool:
    """Return whether the document is a spec, right or wrong."""
    if not isinstance(document, Mapping) or pulumi_documents.is_preview(document):
        return False
    return not pulumi_documents.is_state(document) and not document.keys().isdisjoint(Spec.model_fields)


def _check_pulumi(document: Any, where: str) -> Report:
    resources = pulumi_documents.resources(document)
    judged = sum(resource.type in pulumi_resources.JUDGED_TYPES for resource in resources)
    if not judged:
        problem = f"holds {len(resources)} resources, and none of them is of a kind that the rules judge."
        raise InputError.of(where, problem, f"Was it the right one? {UNDERSTOOD}")
    kind = "preview" if pulumi_documents.is_preview(document) else "state"
    return Report(where, kind, len(resources), judged, tuple(check_resources(resources)))


def _check_plan_document(document: Any, where: str, today: date | None) -> Report:
    try:
        plan = Plan.from_json(document)
    except ValidationError as error:
        fix = "Give the output of `gpuwright plan --format json`."
        faults = [
            Fault(
                f"{where}: {'.'.join(map(str, fault['loc']))}", f"is wrong for a plan: {fault['msg']}.", fix
            )
            for fault in error.errors()
        ]
        raise InputError(faults) from None
    return Report(where, "plan", 1, 1, tuple(check_plan(plan, where, today)))


def _check_spec(document: Any, where: str, model: Model | None, today: date | None) -> Report:
    try:
        plan = plan_document(document, where, model)
    except NothingFitsError as error:
        return Report(where, "spec", 1, 1, (_nothing_fits(where, error),))
    return Report(where, "spec", 1, 1, tuple(check_plan(plan, where, today)))


def _nothing_fits(where: str, error: NothingFitsError) -> Finding:
    return Finding(
        rule=NOTHING_FITS,
        answer=Answer.VIOLATES,
        severity=Severity.CRITICAL,
        kind=Kind.HARD,
        subject=where,
        actual=str(error),
        expected="a shape that satisfies every rule and target",
        why="A spec without a plan cannot be deployed.",
        fix="Relax what the nearest misses lack.",
    )


def _sorted(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(dict.fromkeys(findings), key=lambda finding: not finding.mandatory)
