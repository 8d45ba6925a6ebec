"""``gpuwright check``: judge specs, plans, previews and states by the rules."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gpuwright.documents import STDIN, parse_yaml, read_text, spec_document
from gpuwright.errors import EXIT_DONE, EXIT_REFUSED, Fault, InputError, UnknownNameError

if TYPE_CHECKING:
    from gpuwright_policies.check import Report
    from gpuwright_policies.evaluate import Finding


@click.command(name="check")
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json for programs.",
)
@click.option(
    "--refuse",
    multiple=True,
    metavar="RULE",
    help="Refuse what breaks that rule of advice, such as price-age.",
)
def command(paths: tuple[str, ...], format_: str, refuse: tuple[str, ...]) -> int:
    """Judge specs, plans, Pulumi previews and states by the rules.

    PATH is a spec in YAML, or the JSON of `gpuwright plan`, `pulumi preview --json` or `pulumi stack export`;
    `-` reads standard input. What it is shows in its content.

    Exit codes: 0 no mandatory finding; 1 a rule is violated, or nothing fits a spec; 2 bad input.
    """
    reports: list[Report] = []
    faults: list[Fault] = _unknown_rules(refuse)
    for path in paths:
        try:
            reports.append(_refusing(_check(path), refuse))
        except InputError as error:
            faults += error.faults
    if faults:
        raise InputError(faults)
    click.echo(json.dumps(_as_json(reports), indent=2) if format_ == "json" else "\n".join(_as_text(reports)))
    violated = any(finding.mandatory for report in reports for finding in report.findings)
    return EXIT_REFUSED if violated else EXIT_DONE


def _unknown_rules(names: Sequence[str]) -> list[Fault]:
    if not names:
        return []
    from gpuwright_policies.evaluate import rules

    return [
        fault
        for name in names
        if name not in rules()
        for fault in UnknownNameError("--refuse", "rule", name, list(rules()), "").faults
    ]


def _refusing(report: Report, names: Sequence[str]) -> Report:
    """Return the report with the violations of those rules made mandatory, whatever their kind."""
    if not names:
        return report
    from gpuwright_policies.rule import Kind

    findings = (
        dataclasses.replace(finding, kind=Kind.HARD) if finding.rule in names else finding
        for finding in report.findings
    )
    return dataclasses.replace(
        report, findings=tuple(sorted(findings, key=lambda finding: not finding.mandatory))
    )


def _check(path: str) -> Report:
    """Read a document and judge it; JSON is tried first: a large state takes a YAML parser minutes."""
    from gpuwright_policies.check import check_document, is_spec

    text, where = read_text(path)
    try:
        document = json.loads(text)
    except RecursionError:
        raise InputError.of(where, "is nested too deeply.", "Give a document that a program wrote.") from None
    except ValueError:
        document = parse_yaml(text, where)
    model = None
    if is_spec(document):
        model = spec_document(document, where, Path() if path == STDIN else Path(path).parent).model
    return check_document(document, where, model, datetime.now(tz=UTC).date())


def _as_json(reports: Sequence[Report]) -> dict[str, Any]:
    findings = [(report, finding) for report in reports for finding in report.findings]
    mandatory = sum(finding.mandatory for _, finding in findings)
    return {
        "schema_version": "1",
        "summary": {
            "passed": not mandatory,
            "mandatory": mandatory,
            "advisory": len(findings) - mandatory,
        },
        "scanned": [
            {
                "path": report.where,
                "kind": report.kind,
                "resources": report.resources,
                "judged": report.judged,
            }
            for report in reports
        ],
        "findings": [{"path": report.where, **_finding_as_json(finding)} for report, finding in findings],
    }


def _finding_as_json(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "level": _level(finding),
        "answer": finding.answer.value,
        "resource": finding.subject,
        "message": finding.message,
        "actual": finding.actual,
        "expected": finding.expected,
        "why": finding.why,
        "fix": finding.fix,
        "waived": False,  # No waiver can be given yet; readers may rely on the field.
    }


def _as_text(reports: Sequence[Report]) -> Iterator[str]:
    for report in reports:
        judged = f"{report.judged} of {report.resources} resources judged"
        yield f"{report.where}: {report.kind}" + (
            f", {judged}" if report.kind in ("preview", "state") else ""
        )
        for finding in report.findings:
            yield from _finding_as_text(finding)
    findings = [finding for report in reports for finding in report.findings]
    mandatory = sum(finding.mandatory for finding in findings)
    advisory = len(findings) - mandatory
    yield f"{'FAILED' if mandatory else 'passed'}: {mandatory} mandatory and {advisory} advisory findings"


def _finding_as_text(finding: Finding) -> Iterator[str]:
    yield f"  {_level(finding)}: {finding.rule} ({finding.severity}), {_shown(finding.subject)}"
    actual = finding.actual.replace("\n", "\n" + 13 * " ")
    yield f"    is       {actual}"
    yield f"    must be  {finding.expected}"
    yield f"    why      {finding.why}"
    yield f"    fix      {finding.fix}"


def _level(finding: Finding) -> str:
    return "mandatory" if finding.mandatory else "advisory"


def _shown(subject: str) -> str:
    """Return type and name of a URN, and anything else as it is."""
    if not subject.startswith("urn:pulumi:"):
        return subject
    *_, types, name = subject.split("::", 3)
    return f"{types.rpartition('$')[2]} {name}"
