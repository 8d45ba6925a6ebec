"""The memory of attention: what each token adds, and what each sequence keeps whatever its length."""

from __future__ import annotations

import math
from functools import lru_cache

from gpuwright.errors import UnknownNameError
from gpuwright.sizing.decoder import Decoder

KV_CACHE_BYTES: dict[str, float] = {"bf16": 2, "fp16": 2, "fp8": 1}
"""Bytes of one cached number, by the formats that a plan may choose."""

KV_CACHE_ALIASES = {
    "auto": "bf16",
    "f16": "fp16",
    "float16": "fp16",
    "bfloat16": "bf16",
    "int8": "fp8",
    "fp8_e4m3": "fp8",
    "fp8_e5m2": "fp8",
    "fp8_inc": "fp8",
}
"""What servers call a format of the cache, and one of the same size."""

GGML_CACHE_BYTES = {
    "f32": 4.0,
    "q8_0": 34 / 32,
    "q5_1": 24 / 32,
    "q5_0": 22 / 32,
    "q4_1": 20 / 32,
    "q4_0": 18 / 32,
}
"""Bytes of one cached number in llama.cpp's types: blocks of 32 with a 16-bit scale, and a 16-bit minimum in those that
end in 1 (ggml-org/llama.cpp ggml/src/ggml-common.h)."""


@lru_cache(maxsize=64)
def number_bytes(precision: str) -> float:
    """Return the bytes of one cached number.

    Raises:
        UnknownNameError: No server has such a format.
    """
    folded = precision.casefold()
    if folded in GGML_CACHE_BYTES:
        return GGML_CACHE_BYTES[folded]
    name = KV_CACHE_ALIASES.get(folded, folded)
    if name not in KV_CACHE_BYTES:
        known = (*KV_CACHE_BYTES, *KV_CACHE_ALIASES, *GGML_CACHE_BYTES)
        raise UnknownNameError("kv_cache_precision", "number format of a KV cache", precision, known)
    return KV_CACHE_BYTES[name]


def kv_cache_bytes_per_token(model: Decoder, precision: str) -> int:
    """Return the KV cache that one token occupies, summed over all layers, before any window is full."""
    full = (model.cache_layers - model.sliding_layers) * model.cached_per_layer
    return math.ceil((full + model.sliding_layers * model.sliding_cached_per_layer) * number_bytes(precision))


def kv_cache_bytes(model: Decoder, precision: str, tokens: int) -> int:
    """Return the KV cache of one request of that many tokens; a sliding layer keeps no more than its window.

    The state of layers without attention (Mamba, linear attention) belongs to it, and is the same for any length.
    """
    windowed = min(tokens, model.sliding_window) if model.sliding_window else tokens
    full = (model.cache_layers - model.sliding_layers) * model.cached_per_layer * tokens
    numbers = full + model.sliding_layers * model.sliding_cached_per_layer * windowed
    return math.ceil(numbers * number_bytes(precision)) + model.state_bytes


def accelerator_share_of_kv_cache(model: Decoder, tensor_parallel_size: int) -> float:
    """Return the part of a token's KV cache that each accelerator holds.

    Heads are divided; where there are fewer KV heads than accelerators they are repeated, and a latent
    cache (MLA) is whole on every one.
    """
    return math.ceil(model.kv_heads / tensor_parallel_size) / model.kv_heads
