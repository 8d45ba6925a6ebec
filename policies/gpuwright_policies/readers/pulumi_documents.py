"""Pulumi's JSON documents → resources: ``pulumi preview --json``, an exported state, a local state file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gpuwright_policies.readers.pulumi_resources import Resource

ENDING_OPERATIONS = frozenset({"delete", "delete-replaced", "discard", "discard-replaced", "read-discard"})


def is_preview(document: Any) -> bool:
    """Return whether the document is a preview."""
    return isinstance(document, Mapping) and isinstance(document.get("steps"), list)


def is_state(document: Any) -> bool:
    """Return whether the document is an exported state, or the state file of a local backend."""
    return _deployment(document) is not None


def resources(document: Any) -> list[Resource]:
    """Return the resources that a preview leaves, or that a state holds, each once."""
    read = _of_preview(document) if is_preview(document) else _of_state(_deployment(document) or {})
    return list({resource.urn: resource for resource in read}.values())


def _of_preview(document: Mapping[str, Any]) -> Iterator[Resource]:
    for step in document["steps"]:
        state = step.get("newState") if isinstance(step, Mapping) else None
        if isinstance(state, Mapping) and step.get("op") not in ENDING_OPERATIONS:
            yield from _resource(state, state.get("inputs") or state.get("outputs"))


def _of_state(deployment: Mapping[str, Any]) -> Iterator[Resource]:
    """Yield what exists: outputs tell what the cloud made of the inputs."""
    for state in _listed(deployment.get("resources")):
        if isinstance(state, Mapping) and state.get("delete") is not True:
            yield from _resource(state, {**_mapping(state.get("inputs")), **_mapping(state.get("outputs"))})


def _resource(state: Mapping[str, Any], props: Any) -> Iterator[Resource]:
    kind, urn = state.get("type"), state.get("urn")
    if isinstance(kind, str) and isinstance(urn, str):
        yield Resource.of(kind, urn, props, id=state.get("id"), references=state.get("propertyDependencies"))


def _deployment(document: Any) -> Mapping[str, Any] | None:
    """Return the part that holds the resources."""
    whole = _mapping(document)
    for found in (whole.get("deployment"), _mapping(whole.get("checkpoint")).get("latest")):
        if isinstance(found, Mapping):
            return found
    return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
