"""Property values as they travel between a Pulumi program, its engine and its providers.

On the wire everything is JSON; what JSON cannot say is told by a reserved string (a value that
is not known yet) or by an object with a reserved key (secrets, assets, references to resources).

Source: pulumi/pulumi, sdk/python ``runtime/rpc.py`` and sdk/go ``resource/properties.go``, 3.260.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

UNKNOWN_TEXT: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SIGNATURE_KEY: Final = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105  a marker, not a password
OUTPUT_SIGNATURE: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
REFERENCE_SIGNATURE: Final = "5cf8f73096256a8f31e491e813e4eb8e"
ASSET_SIGNATURES: Final = frozenset({"c44067f5952c0a294b673a41bacd8c17", "0def7320c3a5731c473e5ecbe6d01bc7"})


class Unknown:
    """A value that only the cloud can tell, once the resource exists; there is one, ``UNKNOWN``."""

    def __repr__(self) -> str:
        return "known after apply"

    def __bool__(self) -> bool:
        return False

    def __copy__(self) -> Unknown:
        return self

    def __deepcopy__(self, memo: object) -> Unknown:
        return self

    def __reduce__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


@dataclass(frozen=True)
class Secret:
    """A value that the program marked secret; printing it does not tell it."""

    value: Any = field(repr=False)

    def __str__(self) -> str:
        return "[secret]"


def from_wire(value: Any) -> Any:
    """Return a wire value as plain Python data with ``UNKNOWN`` and ``Secret`` inside.

    Whole numbers, which the wire carries as floats, become ``int``; a reference to a resource
    becomes its URN; an asset or archive keeps its content under ``text``, ``path``, ``uri`` or ``assets``.
    """
    if value == UNKNOWN_TEXT:
        return UNKNOWN
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [from_wire(item) for item in value]
    if not isinstance(value, dict):
        return value
    signature = value.get(SIGNATURE_KEY)
    if signature == SECRET_SIGNATURE:
        return Secret(from_wire(value.get("value")))
    if signature == OUTPUT_SIGNATURE:
        known = from_wire(value["value"]) if "value" in value else UNKNOWN
        return Secret(known) if value.get("secret") else known
    if signature == REFERENCE_SIGNATURE:
        return value["urn"]
    # Objects come in no particular order from the wire; the same run is to give the same record.
    return {key: from_wire(item) for key, item in sorted(value.items()) if key != SIGNATURE_KEY}


def to_wire(value: Any) -> Any:
    """Return plain Python data, ``UNKNOWN`` and ``Secret`` included, as a wire value."""
    if isinstance(value, Unknown):
        return UNKNOWN_TEXT
    if isinstance(value, Secret):
        return {SIGNATURE_KEY: SECRET_SIGNATURE, "value": to_wire(value.value)}
    if isinstance(value, Mapping):
        return {str(key): to_wire(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_wire(item) for item in value]
    return value


def reveal(value: Any) -> Any:
    """Return a wire value without its secret marks, so that equal values compare equal."""
    if isinstance(value, list):
        return [reveal(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get(SIGNATURE_KEY) == SECRET_SIGNATURE:
        return reveal(value.get("value"))
    if value.get(SIGNATURE_KEY) in ASSET_SIGNATURES:
        # The engine leaves the content out when it asks for a difference; the hash stands for it.
        return {key: value[key] for key in ("hash",) if key in value} or value
    return {key: reveal(item) for key, item in value.items()}


def plain(value: Any) -> Any:
    """Return recorded data with the secrets in it unwrapped; unknown values stay ``UNKNOWN``."""
    if isinstance(value, Secret):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def contains(value: Any, kind: type) -> bool:
    """Tell whether recorded data holds a value of a kind (``Unknown`` or ``Secret``) at any depth."""
    if isinstance(value, kind):
        return True
    if isinstance(value, Secret):
        return contains(value.value, kind)
    if isinstance(value, Mapping):
        return any(contains(item, kind) for item in cast("Iterable[Any]", value.values()))
    return isinstance(value, list) and any(contains(item, kind) for item in value)
