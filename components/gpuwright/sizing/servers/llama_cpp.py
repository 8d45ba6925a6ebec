"""llama.cpp's accounting: weights, the KV cache of the full context, and one compute buffer; no fraction.

Facts from ggml-org/llama.cpp (src/llama-context.cpp, src/llama-model.cpp).
"""

from __future__ import annotations

import re

from gpuwright.sizing.servers.budget import GIB, Budget, Shape

PHYSICAL_BATCH = 512
"""Tokens of one step by default (--ubatch-size)."""

CONTEXT_GIB = 0.1
"""GiB of CUDA context and cuBLAS beyond what the driver keeps. Estimate."""

FLASH_ATTENTION_SINCE = (2025, 8)
"""Year and month from which on flash attention is used by default, so that no matrix of scores is held."""

STEP_WIDTHS = 4
"""Rows as wide as the model, in 32 bits, that the compute buffer holds for each token of a step. With scores and mask
it reproduces the buffers of 560 MiB (Llama 3 8B) and 1,104 MiB (70B) at 8,192 tokens; a log shows 1,108.5
(ggml-org/llama.cpp#8035)."""


def compute_buffer_bytes(shape: Shape) -> float:
    """Return the compute buffer of one accelerator: scores or logits, the mask, and a few rows."""
    model, batch = shape.model, PHYSICAL_BATCH
    scores = 0 if _flash_attention(shape.run.server_version) else shape.max_model_len * model.attention_heads
    mask = shape.max_model_len
    return batch * 4 * (max(scores, model.vocab_size) + mask + STEP_WIDTHS * model.hidden_size)


def _flash_attention(version: str | None) -> bool:
    dated = re.match(r"(\d{4})-(\d{2})", version or "")
    return (int(dated[1]), int(dated[2])) >= FLASH_ATTENTION_SINCE if dated else version is None


def budget(shape: Shape) -> Budget:
    """Return what llama.cpp leaves on one accelerator for the KV cache.

    The input embedding stays in the host's memory; splitting by layers divides the rest.
    """
    model, run = shape.model, shape.run
    whole = model.params_total or 1
    embedding = 0 if model.tied_embeddings else model.vocab_size * model.hidden_size / whole
    host = shape.weights * embedding if run.pipeline_parallel_size == 1 else 0.0
    compute, runtime = compute_buffer_bytes(shape), CONTEXT_GIB * GIB
    return Budget(
        usable=shape.visible,
        activations=compute,
        runtime=runtime,
        outside=0.0,
        left=shape.visible + host - shape.weights - compute - runtime,
        host=host,
    )
