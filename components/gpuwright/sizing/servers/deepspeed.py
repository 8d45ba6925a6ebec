"""DeepSpeed Inference's accounting (FastGen): weights, a fixed reserve for activations, and the rest is KV cache.

Facts from deepspeedai/DeepSpeed (inference/v2/ragged/manager_configs.py).
"""

from __future__ import annotations

from gpuwright.sizing.servers.budget import GIB, Budget, Shape, collectives_bytes

RESERVE_BYTES = 1_000_000_000
"""Bytes that it keeps free for activations by default (MemoryConfig: mode reserve, size 1e9)."""

CONTEXT_GIB = 0.5
"""GiB of CUDA context and libraries. Estimate."""

COLLECTIVES_GIB = 0.5
"""GiB more when accelerators share a layer. Estimate."""


def budget(shape: Shape) -> Budget:
    """Return what DeepSpeed leaves on one accelerator for the KV cache."""
    runtime = CONTEXT_GIB * GIB + collectives_bytes(shape, COLLECTIVES_GIB)
    return Budget(
        usable=shape.visible,
        activations=RESERVE_BYTES,
        runtime=runtime,
        outside=0.0,
        left=shape.visible - shape.weights - RESERVE_BYTES - runtime,
    )
