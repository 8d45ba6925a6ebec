"""What a model needs of accelerator memory, and whether a server starts in it.

The server's own accounting is followed: of the memory that the driver shows it may use a fraction; weights, the peak of
the activations and what lives outside the allocator are taken from that, and the rest becomes KV cache.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gpuwright.catalog import Accelerator
from gpuwright.sizing.basis import Basis
from gpuwright.sizing.decoder import Decoder
from gpuwright.sizing.run import Run

GIB = 1024**3
MIB = 1024**2

NON_TORCH_GIB = 0.35
"""GiB that a vLLM process holds outside PyTorch's allocator: CUDA context and libraries. From start-up logs
(vllm-project/vllm#10517, #15815: 0.30 to 0.35)."""

COLLECTIVES_GIB = 0.25
"""GiB more when accelerators share a layer: NCCL and all-reduce buffers. Estimate: the logs do not tell it."""

QUANTIZED_BITS = {"awq": 4 + 20 / 128, "gptq": 4 + 20 / 128, "mxfp4": 4 + 8 / 32, "int8": 8, "fp8": 8}
"""Bits of one quantized weight with its share of the scales: AWQ and GPTQ keep a 16-bit scale and a 4-bit zero
point for 128 weights (their published default), MXFP4 an 8-bit scale for 32 (OCP Microscaling specification 1.0).
"""

FULL_BYTES = {"bf16": 2, "fp16": 2, "fp32": 4}
KV_CACHE_BYTES = {"bf16": 2, "fp16": 2, "fp8": 1}


@dataclass(frozen=True)
class Memory:
    """What one replica needs and what it finds, over all of its accelerators.

    Args:
        weights_gib: The weights as loaded.
        weights_basis: Whether the size is that of the published files or computed.
        kv_cache_bytes_per_token: KV cache of one token, summed over layers; a token beyond the sliding
            window costs less.
        kv_cache_gib: KV cache that the asked-for concurrency needs.
        activations_gib: Peak of the activations in one prefill step.
        runtime_gib: CUDA context, libraries and communication buffers.
        total_gib: The sum.
        usable_gib: Memory fraction × what the driver shows.
        kv_cache_tokens: Tokens that the KV cache will hold: what the server reports at start.
        max_concurrency: Typical requests that fit the KV cache at the same time.
    """

    weights_gib: float
    weights_basis: Basis
    kv_cache_bytes_per_token: int
    kv_cache_gib: float
    activations_gib: float
    runtime_gib: float
    total_gib: float
    usable_gib: float
    kv_cache_tokens: int
    max_concurrency: int

    @property
    def fits(self) -> bool:
        """Whether the replica starts and holds its concurrency."""
        return self.total_gib <= self.usable_gib


@dataclass(frozen=True)
class Load:
    """What one replica serves at the same time.

    Args:
        concurrency: Requests in flight.
        prompt_tokens: Tokens of a typical prompt.
        output_tokens: Tokens of a typical answer.
        max_model_len: Longest prompt plus answer that the server accepts, tokens.
    """

    concurrency: int
    prompt_tokens: int
    output_tokens: int
    max_model_len: int

    @property
    def tokens_per_request(self) -> int:
        """Tokens of a typical request at its end."""
        return self.prompt_tokens + self.output_tokens


def weights_bytes(model: Decoder, precision: str) -> tuple[int, Basis]:
    """Return the bytes of a model's weights in a precision, and how that is known.

    Quantization touches the layers; the embedding and the output head stay in 16 bits.
    """
    if model.weights_bytes and precision in (model.quantization, model.dtype):
        return model.weights_bytes, Basis.MEASURED
    if precision in FULL_BYTES:
        return model.params_total * FULL_BYTES[precision], Basis.DERIVED
    embeddings = model.vocab_size * model.hidden_size * (1 if model.tied_embeddings else 2)
    quantized = (model.params_total - embeddings) * QUANTIZED_BITS[precision] / 8
    return math.ceil(quantized + embeddings * 2), Basis.ESTIMATED


def kv_cache_bytes_per_token(model: Decoder, precision: str) -> int:
    """Return the KV cache that one token occupies, summed over all layers, before any window is full."""
    return model.cached_per_layer * KV_CACHE_BYTES[precision] * model.layers


def kv_cache_bytes(model: Decoder, precision: str, tokens: int) -> int:
    """Return the KV cache of one request of that many tokens; a sliding layer keeps no more than its window."""
    windowed = min(tokens, model.sliding_window) if model.sliding_window else tokens
    positions = (model.layers - model.sliding_layers) * tokens + model.sliding_layers * windowed
    return model.cached_per_layer * KV_CACHE_BYTES[precision] * positions


def accelerator_share_of_kv_cache(model: Decoder, tensor_parallel_size: int) -> float:
    """Return the part of a token's KV cache that each accelerator holds.

    Heads are divided; where there are fewer KV heads than accelerators they are repeated, and a latent
    cache (MLA) is whole on every one.
    """
    return math.ceil(model.kv_heads / tensor_parallel_size) / model.kv_heads


def activations_bytes(model: Decoder, run: Run, concurrency: int) -> int:
    """Return the peak of the activations on one accelerator, in 16 bits.

    One prefill step holds, for each token, gate and up projections with their product (3 × the MLP's width) and
    three residual streams; sampling holds the logits in 32 bits twice. It reproduces vLLM's profiled peak of
    Llama 3.1 8B to 1 % (2.07 GiB at 20,000 tokens, 2.99 at 29,000: vllm-project/vllm#10517).
    """
    step = run.prefill_tokens * 2 * (3 * model.mlp_width / run.tensor_parallel_size + 3 * model.hidden_size)
    logits = concurrency * model.vocab_size * 4 * 2
    return math.ceil(step + logits)


def fit(model: Decoder, accelerator: Accelerator, load: Load, run: Run) -> Memory:
    """Return what one replica needs of its accelerators and what it finds there."""
    ranks = run.tensor_parallel_size
    weights, basis = weights_bytes(model, run.weights_precision)
    share = accelerator_share_of_kv_cache(model, ranks)
    request = kv_cache_bytes(model, run.kv_cache_precision, load.tokens_per_request) * share
    longest = kv_cache_bytes(model, run.kv_cache_precision, load.max_model_len) * share
    needed = max(request * load.concurrency, longest)
    activations = activations_bytes(model, run, load.concurrency)
    runtime = (NON_TORCH_GIB + (COLLECTIVES_GIB if ranks > 1 else 0)) * GIB
    usable = accelerator.usable_mib * MIB * run.gpu_memory_utilization
    left = max(0.0, usable - weights / ranks - activations - runtime)
    return Memory(
        weights_gib=weights / GIB,
        weights_basis=basis,
        kv_cache_bytes_per_token=kv_cache_bytes_per_token(model, run.kv_cache_precision),
        kv_cache_gib=needed * ranks / GIB,
        activations_gib=activations * ranks / GIB,
        runtime_gib=runtime * ranks / GIB,
        total_gib=(weights / ranks + needed + activations + runtime) * ranks / GIB,
        usable_gib=usable * ranks / GIB,
        kv_cache_tokens=int(left / (request / load.tokens_per_request)),
        max_concurrency=int(left / request),
    )
