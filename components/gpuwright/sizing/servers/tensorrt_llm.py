"""TensorRT-LLM's accounting: engine and workspace first, then a fraction of what is free becomes paged KV cache.

Facts from NVIDIA/TensorRT-LLM (docs/source/reference/memory.md, examples/llama/build.py).
"""

from __future__ import annotations

from gpuwright.sizing.servers.budget import GIB, Budget, Shape, collectives_bytes, prefill_bytes

FREE_MEMORY_FRACTION = 0.9
"""Part of the free memory that becomes KV cache by default (kv_cache_free_gpu_mem_fraction)."""

MAX_TOKENS = 8192
"""Tokens of one step by default (max_num_tokens) since 0.10."""

FIRST_INPUT_TOKENS = 2048
"""Longest prompt of an engine by default (max_input_len) before 0.10, when a step held max_batch_size of them."""

CONTEXT_GIB = 0.4
"""GiB of CUDA context and libraries. Estimate."""

COLLECTIVES_GIB = 0.5
"""GiB more when accelerators share a layer. Estimate."""


def defaults(version: str | None, sequences: int) -> tuple[float, int]:
    """Return the fraction of free memory and the tokens of one step where they are not given."""
    old = (version or "").startswith(tuple(f"0.{minor}" for minor in range(5, 10)))
    return FREE_MEMORY_FRACTION, sequences * FIRST_INPUT_TOKENS if old else MAX_TOKENS


def budget(shape: Shape) -> Budget:
    """Return what TensorRT-LLM leaves on one accelerator for the KV cache."""
    run = shape.run
    activations = prefill_bytes(shape.model, run.prefill_tokens, run.tensor_parallel_size)
    activations += shape.sequences * shape.model.vocab_size * 4
    runtime = CONTEXT_GIB * GIB + collectives_bytes(shape, COLLECTIVES_GIB)
    free = shape.visible - shape.weights - activations - runtime
    left = free * run.gpu_memory_utilization if free > 0 else free
    return Budget(
        usable=shape.weights + activations + runtime + left,
        activations=activations,
        runtime=runtime,
        outside=0.0,
        left=left,
    )
