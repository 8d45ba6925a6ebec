"""SGLang's accounting: a static fraction holds weights and KV cache; activations and CUDA graphs share the rest.

Facts from sgl-project/sglang (server_args.py, model_runner.py, docs hyperparameter_tuning.md).
"""

from __future__ import annotations

from gpuwright.sizing.servers.budget import GIB, Budget, Shape, collectives_bytes, prefill_bytes

CONTEXT_GIB = 0.5
"""GiB gone before the fraction is taken: CUDA context and libraries. Estimate."""

COLLECTIVES_GIB = 1.2
"""GiB more when accelerators share a layer. From 367,404 tokens of Qwen3 235B FP8 on four H100
(vllm-project/vllm#21348): 1.7 GiB in all."""

GRAPHS_GIB_PER_SEQUENCE = 0.002
"""GiB of CUDA graphs for each request of the largest graph: 2 MB by the server's own rule for its default fraction."""

CHUNK_TOKENS = 8192
"""Tokens of one prefill chunk by default on accelerators of 60 GiB and more; smaller ones take 2,048 or 4,096."""


def defaults(memory_gib: float, tensor_parallel_size: int = 1) -> tuple[float, int]:
    """Return --mem-fraction-static and --chunked-prefill-size where they are not given.

    The rest holds 1.5 MB for each token of a chunk and 2 MB for each request of the largest CUDA graph.
    """
    chunk = 2048 if memory_gib < 35 else 4096 if memory_gib < 60 else CHUNK_TOKENS
    largest_graph = (
        8 if memory_gib < 25 else 32 if memory_gib < 60 else 160 if tensor_parallel_size < 4 else 256
    )
    reserved_mb = 512 + 1.5 * chunk + 2 * largest_graph + tensor_parallel_size / 8 * 1024
    return round(1 - reserved_mb / (memory_gib * 1024), 3), chunk


def budget(shape: Shape) -> Budget:
    """Return what SGLang leaves on one accelerator for the KV cache."""
    run = shape.run
    before = CONTEXT_GIB * GIB + collectives_bytes(shape, COLLECTIVES_GIB)
    found = shape.visible - before
    static = found * run.gpu_memory_utilization
    graphs = 0.0 if run.enforce_eager else shape.sequences * GRAPHS_GIB_PER_SEQUENCE * GIB
    activations = prefill_bytes(shape.model, run.prefill_tokens, run.tensor_parallel_size)
    activations += shape.sequences * shape.model.vocab_size * 4
    return Budget(
        usable=static + before,
        activations=0.0,
        runtime=before,
        outside=activations + graphs,
        left=static - shape.weights,
    )
