"""Deployments that the tests of components record."""

import json
from collections.abc import Callable
from typing import Any

import pulumi

from gpuwright.planning import Plan, plan_document
from gpuwright.sandbox import Recording, Resource, preview_program

DEV_SPEC = {
    "name": "chat",
    "model": "meta-llama/Llama-2-7b-hf",
    "profile": "7b-online",
    "tags": {"team": "research"},
}
DEV_AWS: dict[str, Any] = {"availability_zones": ["us-east-1a", "us-east-1b"]}
PROD_SPEC = {**DEV_SPEC, "name": "chat-prod", "environment": "prod", "public": True, "region": "us-west-2"}
PROD_AWS: dict[str, Any] = {
    "account_id": "123456789012",
    "availability_zones": ["us-west-2a", "us-west-2b", "us-west-2c"],
    "certificate_arn": "arn:aws:acm:us-west-2:123456789012:certificate/1",
    "host_name": "llm.example.com",
    "alarm_topic_arn": "arn:aws:sns:us-west-2:123456789012:pages",
}


def plan(**fields: Any) -> Plan:
    """Return the plan of the development spec, some fields of it changed."""
    return plan_document({**DEV_SPEC, **fields})


def preview(
    spec: dict[str, Any] | None = None, aws: dict[str, Any] | None = None, *, preview: bool = True
) -> Recording:
    """Record a whole deployment."""

    def program() -> None:
        from gpuwright import GpuInference

        GpuInference("chat", spec=spec or DEV_SPEC, aws=DEV_AWS if aws is None else aws)

    return preview_program(program, preview=preview)


def alone(part: Callable[[], pulumi.Resource | None], *, preview: bool = True) -> Recording:
    """Record one part without the others."""
    return preview_program(part, preview=preview)


def policy(recording: Recording, kind: str, name: str) -> Any:
    """Return the policy document of a resource."""
    return json.loads(recording.one(kind, name).plain_inputs["policy"])


def tree(recording: Recording) -> dict[str, set[tuple[str, str]]]:
    """Return the children of every component, by the component's type."""
    children: dict[str, set[tuple[str, str]]] = {}
    for resource in recording.resources:
        parent = recording.parent(resource)
        if parent is not None:
            children.setdefault(parent.type, set()).add((resource.short_type, resource.name))
    return children


def depends(recording: Recording, resource: Resource, *others: Resource) -> bool:
    """Tell whether a resource waits for the others, directly or through what it waits for."""
    seen: set[str] = set()
    left = [resource.urn]
    while left:
        urn = left.pop()
        if urn in seen:
            continue
        seen.add(urn)
        left.extend(recording.by_urn[urn].dependencies if urn in recording.by_urn else ())
    return {other.urn for other in others} <= seen
