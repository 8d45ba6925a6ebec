"""The memory accounting of each inference server, one module each, by the server's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from gpuwright.errors import UnknownNameError
from gpuwright.sizing.servers import deepspeed, llama_cpp, sglang, tensorrt_llm, vllm
from gpuwright.sizing.servers.budget import Budget, Shape, prefill_bytes, visible_bytes

__all__ = ["ACCOUNTING", "Budget", "Shape", "budget", "prefill_bytes", "visible_bytes"]

ACCOUNTING: Mapping[str, Callable[[Shape], Budget]] = MappingProxyType(
    {
        "vllm": vllm.budget,
        "sglang": sglang.budget,
        "tensorrt-llm": tensorrt_llm.budget,
        "deepspeed": deepspeed.budget,
        "llama.cpp": llama_cpp.budget,
    }
)
"""Accounting of each server that has one."""


def budget(shape: Shape) -> Budget:
    """Return what the server of the run leaves on one accelerator for the KV cache.

    Raises:
        UnknownNameError: Nothing is known of that server.
    """
    accounting = ACCOUNTING.get(shape.run.server)
    if accounting is None:
        raise UnknownNameError("server", "inference server", shape.run.server, ACCOUNTING)
    return accounting(shape)
