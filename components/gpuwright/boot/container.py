"""The command that runs the inference server in its container, one builder a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gpuwright.errors import UnknownNameError
from gpuwright.planning.plan import Plan

CONTAINER_NAME = "gpuwright-server"
# Where the container sees the model, read-only.
MODEL_MOUNT = "/model"


@dataclass(frozen=True)
class Container:
    """How the server runs in its container.

    Args:
        environment: Variables that the server needs; no secrets.
        cache_mount: Where the server keeps what it compiles, so that a restart need not compile again.
        entrypoint: The program in the image.
        words: What follows it, one argument a word.
    """

    environment: Mapping[str, str]
    cache_mount: str
    entrypoint: str
    words: tuple[str, ...]


def container(plan: Plan) -> Container:
    """Return how the plan's server runs in its container.

    Raises:
        UnknownNameError: No boot payload is known for this server.
    """
    builder = _BUILDERS.get(plan.server.name)
    if builder is None:
        known = sorted(_BUILDERS)
        raise UnknownNameError(
            "server.name", "server with a boot payload", plan.server.name, known, f"Use {' or '.join(known)}."
        )
    return builder(plan)


def _vllm(plan: Plan) -> Container:
    return Container(
        # The weights are on the disk; a look at the hub would need the internet and could swap the revision.
        environment={"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"},
        cache_mount="/root/.cache/vllm",
        # The image's own entry point differs between versions; `vllm` is in all of them.
        entrypoint="vllm",
        words=("serve", MODEL_MOUNT, *plan.server.arguments),
    )


_BUILDERS: Mapping[str, Callable[[Plan], Container]] = MappingProxyType({"vllm": _vllm})
