"""A recording as text, as JSON like ``pulumi preview --json``, and as a graph for Graphviz or Mermaid."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

from gpuwright.sandbox.recording import STACK_TYPE, Recording, Resource
from gpuwright.sandbox.wire import UNKNOWN_TEXT, Secret, Unknown

# The properties that tell one resource of a type from another, the most telling first.
TELLING: Final = (
    "instanceType",
    "machineType",
    "imageId",
    "model",
    "bucket",
    "cidrBlock",
    "destinationCidrBlock",
    "availabilityZone",
    "zone",
    "serviceName",
    "internal",
    "port",
    "protocol",
    "ipProtocol",
    "fromPort",
    "toPort",
    "cidrIpv4",
    "minSize",
    "maxSize",
    "minReplicas",
    "maxReplicas",
    "targetValue",
    "metricName",
    "threshold",
    "retentionInDays",
    "policyArn",
    "region",
)
_MOST_TOLD = 4
_LONGEST_VALUE = 48


class Finding(Protocol):
    """What a policy found; the evaluator's findings have this shape."""

    @property
    def rule(self) -> str:
        """Id of the rule."""

    @property
    def severity(self) -> str:
        """How bad it is."""

    @property
    def subject(self) -> str:
        """URN of the resource."""

    @property
    def actual(self) -> str:
        """What is."""

    @property
    def expected(self) -> str:
        """What must be."""

    @property
    def why(self) -> str:
        """Why it matters."""

    @property
    def fix(self) -> str:
        """What to do."""

    @property
    def mandatory(self) -> bool:
        """Whether it refuses the deployment."""


@dataclass(frozen=True)
class Cost:
    """What the program says that it costs."""

    usd_per_hour: float | None = None
    usd_per_1000_inferences: float | None = None
    instance_type: str | None = None
    plan_digest: str | None = None


@dataclass(frozen=True)
class Report:
    """A recording, and what was concluded from it."""

    recording: Recording
    findings: Sequence[Finding] = ()
    cost: Cost | None = None


def as_text(report: Report) -> str:
    """Return the resource tree, the exports, the findings and the cost for a person to read."""
    recording = report.recording
    counts = Counter(_operation(resource) for resource in recording.resources)
    told = ", ".join(f"{count} to {operation}" for operation, count in sorted(counts.items()))
    sections = [
        f"Preview of stack {recording.stack} of project {recording.project}: {told}",
        "\n".join([recording.root.name, *_tree(recording, recording.root, "")]),
        _section("Exports", [(name, shown(value)) for name, value in recording.exports.items()]),
        _section("Cost", _cost_rows(report.cost)),
        _findings(report),
        _section("Messages", [(log.severity, log.text) for log in recording.logs]),
    ]
    return "\n\n".join(section for section in sections if section)


def as_json(report: Report) -> str:
    """Return the steps as ``pulumi preview --json`` gives them, and beside them exports, findings and cost.

    As there, an unknown value is Pulumi's reserved string and a secret is ``[secret]``.
    """
    recording = report.recording
    counts = Counter(_operation(resource) for resource in recording.resources)
    document = {
        "config": _disclosed(recording.config),
        "steps": [_step(resource) for resource in recording.resources],
        "diagnostics": [
            {"urn": log.urn, "message": log.text, "severity": log.severity} for log in recording.logs
        ],
        "changeSummary": dict(sorted(counts.items())),
        "exports": _disclosed(recording.exports),
        "findings": [_finding(finding) for finding in report.findings],
        "cost": asdict(report.cost) if report.cost else None,
    }
    return json.dumps(document, indent=2)


def as_dot(report: Report) -> str:
    """Return a Graphviz graph: solid lines to children, dashed lines to what a resource depends on."""
    nodes = {resource.urn: f"n{index}" for index, resource in enumerate(report.recording.resources)}
    lines = ["digraph preview {", "  rankdir=LR;", "  node [shape=box, fontname=Helvetica];"]
    for resource in report.recording.resources:
        label = json.dumps(f"{resource.short_type}\n{resource.name}")
        style = "" if resource.custom else ", style=rounded"
        lines.append(f"  {nodes[resource.urn]} [label={label}{style}];")
    for above, below, dependency in _edges(report.recording):
        style = " [style=dashed]" if dependency else ""
        lines.append(f"  {nodes[above]} -> {nodes[below]}{style};")
    return "\n".join([*lines, "}"])


def as_mermaid(report: Report) -> str:
    """Return a Mermaid flow chart: solid arrows to children, dotted ones to what a resource depends on."""
    nodes = {resource.urn: f"n{index}" for index, resource in enumerate(report.recording.resources)}
    lines = ["flowchart LR"]
    for resource in report.recording.resources:
        name = resource.name.replace('"', "#quot;")
        opening, closing = ("[", "]") if resource.custom else ("([", "])")
        lines.append(f'  {nodes[resource.urn]}{opening}"{resource.short_type}<br/>{name}"{closing}')
    for above, below, dependency in _edges(report.recording):
        lines.append(f"  {nodes[above]} {'-.->' if dependency else '-->'} {nodes[below]}")
    return "\n".join(lines)


FORMATS: Final = {"text": as_text, "json": as_json, "dot": as_dot, "mermaid": as_mermaid}


def shown(value: Any) -> str:
    """Return a recorded value for a person to read, on one line."""
    if isinstance(value, Unknown | Secret):
        return str(value)
    if isinstance(value, str):
        return value
    return json.dumps(_disclosed(value, unknown="known after apply"))


def _tree(recording: Recording, above: Resource, indent: str) -> Iterator[str]:
    children = recording.children(above)
    for child in children:
        last = child is children[-1]
        words = [child.short_type, child.name, *_told(child)]
        yield f"{indent}{'└─' if last else '├─'} {'  '.join(words)}"
        yield from _tree(recording, child, f"{indent}{'   ' if last else '│  '}")


def _told(resource: Resource) -> Iterator[str]:
    given = {_camel(key): value for key, value in resource.inputs.items()}
    plain = [name for name in TELLING if name in given and not isinstance(given[name], dict | list)]
    for name in plain[:_MOST_TOLD]:
        text = shown(given[name])
        yield f"{name}={text if len(text) <= _LONGEST_VALUE else f'{text[:_LONGEST_VALUE]}…'}"
    if resource.protect:
        yield "protected"


def _camel(name: str) -> str:
    """Components name their inputs in Python's way."""
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)


def _cost_rows(cost: Cost | None) -> list[tuple[str, str]]:
    if cost is None:
        return []
    per_hour, per_thousand = cost.usd_per_hour, cost.usd_per_1000_inferences
    rows = [
        ("instance type", cost.instance_type),
        ("USD per hour", None if per_hour is None else f"{per_hour:,.2f}"),
        ("USD per 1,000 inferences", None if per_thousand is None else f"{per_thousand:,.4f}"),
        ("plan digest", cost.plan_digest),
    ]
    return [(name, value) for name, value in rows if value is not None]


def _findings(report: Report) -> str:
    if not report.findings:
        return "Findings\n  none"
    lines = ["Findings"]
    for finding in report.findings:
        subject = report.recording.by_urn.get(finding.subject)
        where = f"{subject.short_type} {subject.name}" if subject else finding.subject
        level = "mandatory" if finding.mandatory else "advisory"
        lines += [
            f"  {finding.rule} ({finding.severity}, {level})  {where}",
            f"    {finding.actual}; {finding.expected}. {finding.why}",
            f"    {finding.fix}",
        ]
    return "\n".join(lines)


def _section(title: str, rows: Sequence[tuple[str, str]]) -> str:
    if not rows:
        return ""
    width = max(len(name) for name, _ in rows)
    return "\n".join([title, *(f"  {name:<{width}}  {value}" for name, value in rows)])


def _operation(resource: Resource) -> str:
    return "read" if resource.external else "create"


def _step(resource: Resource) -> dict[str, Any]:
    provider = {"provider": resource.provider} if resource.provider else {}
    return {"op": _operation(resource), "urn": resource.urn, **provider, "newState": _state(resource)}


def _state(resource: Resource) -> dict[str, Any]:
    """Return the resource in the form of a deployment's state, without what is empty."""
    always = {"urn": resource.urn, "custom": resource.custom, "type": resource.type}
    path, _, line = resource.source_position.rpartition(":")
    known_id = resource.id if isinstance(resource.id, str) else None
    rest = {
        "id": known_id,
        "inputs": {} if resource.type == STACK_TYPE else _disclosed(resource.inputs),
        "parent": resource.parent,
        "protect": resource.protect,
        "external": resource.external,
        "dependencies": list(resource.dependencies),
        "provider": resource.provider,
        "propertyDependencies": {
            name: list(urns) for name, urns in resource.property_dependencies.items() if urns
        },
        "additionalSecretOutputs": list(resource.additional_secret_outputs),
        "aliases": list(resource.aliases),
        "importID": resource.import_id,
        "retainOnDelete": resource.retain_on_delete,
        "deletedWith": resource.deleted_with,
        "ignoreChanges": list(resource.ignore_changes),
        "replaceOnChanges": list(resource.replace_on_changes),
        "sourcePosition": f"file://{path}#{line}" if path else "",
    }
    return {**always, **{name: value for name, value in rest.items() if value}}


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "severity": str(finding.severity),
        "mandatory": finding.mandatory,
        "urn": finding.subject,
        "actual": finding.actual,
        "expected": finding.expected,
        "why": finding.why,
        "fix": finding.fix,
    }


def _disclosed(value: Any, unknown: str = UNKNOWN_TEXT) -> Any:
    """Return data that JSON can carry, and that tells no secret."""
    if isinstance(value, Unknown):
        return unknown
    if isinstance(value, Secret):
        return "[secret]"
    if isinstance(value, Mapping):
        return {key: _disclosed(item, unknown) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_disclosed(item, unknown) for item in value]
    return value


def _edges(recording: Recording) -> Iterator[tuple[str, str, bool]]:
    """Yield from, to, and whether the line is a dependency rather than a parent's to its child."""
    for resource in recording.resources:
        if resource.parent in recording.by_urn:
            yield str(resource.parent), resource.urn, False
        for urn in resource.dependencies:
            if urn in recording.by_urn and urn != resource.parent:
                yield resource.urn, urn, True
