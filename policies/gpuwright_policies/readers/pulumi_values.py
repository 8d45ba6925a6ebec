"""Property values as Pulumi hands them around, made plain: JSON, with UNKNOWN for what is not known."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gpuwright_policies.facts import UNKNOWN

UNKNOWN_TEXTS = frozenset(
    {
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",  # string; the wire uses this one for every type
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # boolean
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "<computed>",
        "[secret]",  # what a preview prints in a secret's place
    }
)
"""Texts that stand for what is not known, from pulumi/pulumi sdk/go/common/resource/plugin/rpc.go."""

SIGNATURE_KEY = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105  a marker, not a password
OUTPUT_SIGNATURE = "d0e6a833031e9bbcd3f4e8bde6ca49a4"


def is_unknown(value: Any) -> bool:
    """Return whether the plain value is not known."""
    return value is UNKNOWN


def plain(value: Any, depth: int = 64) -> Any:
    """Return the value with secrets opened, whole floats as integers, and UNKNOWN for all that is no JSON.

    Args:
        value: From an engine's request, a preview, a state or a recording.
        depth: Levels to go down; what lies deeper is unknown.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, str):
        return UNKNOWN if value in UNKNOWN_TEXTS else value
    if depth == 0:
        return UNKNOWN
    if isinstance(value, Mapping):
        signature = _item(value, SIGNATURE_KEY, depth) if SIGNATURE_KEY in value else None
        return (
            _signed(value, signature, depth)
            if signature
            else {str(key): _item(value, key, depth - 1) for key in value}
        )
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_item(value, index, depth - 1) for index in range(len(value))]
    return UNKNOWN


def _item(container: Any, key: Any, depth: int) -> Any:
    """Return one plain item; the policy SDK raises where an item that is read is not known."""
    try:
        item = container[key]
    except Exception:  # UnknownValueError of the policy SDK, which need not be installed here
        return UNKNOWN
    return plain(item, depth)


def _signed(value: Mapping[str, Any], signature: Any, depth: int) -> Any:
    """Return what an object with a signature stands for; assets, archives and references are opaque."""
    if signature == SECRET_SIGNATURE and "plaintext" in value:
        try:
            return plain(json.loads(value["plaintext"]), depth - 1)
        except (TypeError, ValueError, RecursionError):
            return UNKNOWN
    if signature in (SECRET_SIGNATURE, OUTPUT_SIGNATURE) and "value" in value:
        return plain(value["value"], depth - 1)
    return UNKNOWN
