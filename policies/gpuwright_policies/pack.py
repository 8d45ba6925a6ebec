"""What the policies of the pack do, without the SDK that runs them.

A policy of the SDK has one enforcement level, and a finding's level depends on its rule. So each evaluation
is run as two policies: a mandatory one that reports what refuses the deployment, and an advisory one that
reports advice and what cannot be known yet, which therefore never passes in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from gpuwright_policies.evaluate import Finding, evaluate
from gpuwright_policies.readers import pulumi_resources
from gpuwright_policies.readers.pulumi_resources import Resource

Report = Callable[[str, str | None], None]
"""How a violation is told: its message, and the URN of its resource."""


class RegisteredResource(Protocol):
    """What the SDK hands to a resource policy."""

    @property
    def resource_type(self) -> str:
        """Its type token."""

    @property
    def urn(self) -> str:
        """Its URN."""

    @property
    def props(self) -> Mapping[str, Any]:
        """Its checked inputs; in a stack policy its outputs."""


class StackResource(RegisteredResource, Protocol):
    """What the SDK hands to a stack policy."""

    @property
    def property_dependencies(self) -> Mapping[str, Sequence[RegisteredResource]]:
        """What each property was computed from."""


def judge_resource(resource: RegisteredResource, report: Report, *, mandatory: bool) -> None:
    """Report the findings of one resource at one of the two levels."""
    if resource.resource_type in pulumi_resources.JUDGED_TYPES:
        read = Resource.of(resource.resource_type, resource.urn, resource.props)
        _tell(evaluate(pulumi_resources.facts_of_one(read)), report, mandatory)


def judge_stack(resources: Iterable[StackResource], report: Report, *, mandatory: bool) -> None:
    """Report, at one of the two levels, the findings that only several resources give."""
    read = [
        Resource.of(
            resource.resource_type,
            resource.urn,
            resource.props,
            references={
                name: [other.urn for other in others]
                for name, others in resource.property_dependencies.items()
            },
        )
        for resource in resources
        if resource.resource_type in pulumi_resources.JUDGED_TOGETHER
    ]
    _tell(evaluate(pulumi_resources.facts_together(read)), report, mandatory)


def _tell(findings: Iterable[Finding], report: Report, mandatory: bool) -> None:
    for finding in dict.fromkeys(findings):
        if finding.mandatory is mandatory:
            report(
                f"[{finding.rule}] {finding.actual}; must be {finding.expected}. {finding.why} {finding.fix}",
                finding.subject,
            )
