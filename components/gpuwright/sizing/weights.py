"""The size of a model's weights, by what of them is really quantized.

Quantization touches the linear layers. Embeddings and output head stay in 16 bits, and so does a vision tower; MXFP4
touches the experts only. Scales and zero points are paid for. GGUF's mixed types quantize the embeddings too.
"""

from __future__ import annotations

import math
from functools import lru_cache

from gpuwright.errors import UnknownNameError
from gpuwright.sizing.basis import Basis
from gpuwright.sizing.decoder import Decoder

FULL_BYTES = {"bf16": 2, "fp16": 2, "fp32": 4}
"""Bytes of one weight that is not quantized."""

GROUP_SCALE_BITS = 16 + 4
"""Bits that AWQ and GPTQ keep for a group of weights: a 16-bit scale and a 4-bit zero point."""

QUANTIZED_BITS = {
    "awq": 4.0,
    "gptq": 4.0,
    "gptq8": 8.0,
    "nf4": 4 + 32 / 64,
    "nvfp4": 4 + 8 / 16,
    "mxfp4": 4 + 8 / 32,
    "int8": 8.0,
    "fp8": 8.0,
    "fp8-block": 8 + 32 / (128 * 128),
}
"""Bits of one quantized weight with its share of the scales; AWQ and GPTQ without, as their group is a choice. NF4 has
a 32-bit maximum for 64 weights (bitsandbytes' default, no double quantization), NVFP4 an 8-bit scale for 16, MXFP4
one for 32 (OCP Microscaling specification 1.0), FP8 by blocks a 32-bit scale for 128 × 128."""

GROUPED = {"awq", "gptq", "gptq8"}

EXPERTS_ONLY = {"mxfp4"}
"""Methods that quantize the experts and nothing else, as gpt-oss is published."""

GGUF_BITS = {
    "iq1_s": 2.0042,
    "iq2_xxs": 2.3824,
    "iq2_xs": 2.5882,
    "iq2_s": 2.7403,
    "iq2_m": 2.9294,
    "iq3_xxs": 3.2548,
    "iq3_xs": 3.4977,
    "iq3_s": 3.6606,
    "iq3_m": 3.7628,
    "iq4_xs": 4.4597,
    "iq4_nl": 4.6818,
    "q2_k_s": 2.9697,
    "q2_k": 3.1593,
    "q3_k_s": 3.6429,
    "q3_k_m": 3.9960,
    "q3_k_l": 4.2979,
    "q4_0": 4.64,
    "q4_1": 5.11,
    "q4_k_s": 4.6672,
    "q4_k_m": 4.8944,
    "q5_0": 5.57,
    "q5_1": 6.04,
    "q5_k_s": 5.5704,
    "q5_k_m": 5.7036,
    "q6_k": 6.5633,
    "q8_0": 8.5008,
    "f16": 16.0005,
    "bf16": 16.0005,
    "f32": 32.0,
}
"""Bits of one weight over the whole file, embeddings included, of Llama 3.1 8B (ggml-org/llama.cpp
tools/quantize/README.md; the four legacy types from the sizes of Llama 3 8B listed there)."""

GGUF_PARAMS = 8_030_261_248
GGUF_TENSOR_PARAMS = 128_256 * 4096
"""Parameters of that model, and of its embedding, which is as large as its head."""

GGUF_HEAD_BITS = 6.5625
"""Bits of the output tensor in all types that keep less: Q6_K (ggml-org/llama.cpp src/llama-quant.cpp). With it the
sizes of Llama 3 70B come out to 0.1 % (39.60 GiB in Q4_K_M, 24.56 in Q2_K: ggml-org/llama.cpp#6745)."""

GGUF_EMBEDDING_BITS = {
    "iq1": 2.625,
    "iq2": 2.625,
    "iq3": 3.4375,
    "iq4": 4.25,
    "q2": 2.625,
    "q3": 3.4375,
    "q4": 4.5,
    "q5": 5.5,
    "q6": 6.5625,
    "q8": 8.5,
    "f16": 16.0,
    "bf1": 16.0,
    "f32": 32.0,
}
"""Bits of the input embedding, by how the type's name begins (ggml/src/ggml-common.h)."""

ALIASES = {
    "awq-int4": "awq",
    "awq_marlin": "awq",
    "awq-marlin": "awq",
    "compressed-tensors-int4": "awq",
    "w4a16": "awq",
    "int4": "awq",
    "marlin-int4": "gptq",
    "gptq-int4": "gptq",
    "gptq_marlin": "gptq",
    "gptq-int8": "gptq8",
    "bnb": "nf4",
    "bnb-nf4": "nf4",
    "bnb-4bit": "nf4",
    "bitsandbytes": "nf4",
    "bnb-int8": "int8",
    "w8a8": "int8",
    "w8a8-int8": "int8",
    "w8a8-fp8": "fp8",
    "fp8_e4m3": "fp8",
    "fp8-per-tensor": "fp8",
    "fp4": "nvfp4",
    "float16": "fp16",
    "half": "fp16",
    "bfloat16": "bf16",
    "float32": "fp32",
    "fp16/bf16": "bf16",
    "auto": "bf16",
}
"""What people write for a format, and the format."""


@lru_cache(maxsize=256)
def weights_format(precision: str) -> str:
    """Return the format that a text such as ``gptq-int4`` or ``gguf-Q4_K_M`` means; GGUF's types begin with gguf-.

    Raises:
        UnknownNameError: It means none.
    """
    folded = precision.casefold().strip()
    bare = folded.removeprefix("gguf-").removeprefix("gguf_").replace("-", "_")
    if folded.startswith("gguf") and bare in GGUF_BITS:
        return f"gguf-{bare}"
    name = ALIASES.get(folded, folded)
    if name in FULL_BYTES or name in QUANTIZED_BITS:
        return name
    if bare in GGUF_BITS:
        return f"gguf-{bare}"
    known = (*FULL_BYTES, *QUANTIZED_BITS, *(f"gguf-{each}" for each in GGUF_BITS))
    raise UnknownNameError("weights_precision", "number format of weights", precision, known)


@lru_cache(maxsize=4096)
def weights_bytes(model: Decoder, precision: str, group_size: int = 128) -> tuple[int, Basis]:
    """Return the bytes of a model's weights in a precision, and how that is known."""
    name = weights_format(precision)
    if model.weights_bytes and name in (model.quantization, model.dtype):
        return model.weights_bytes, Basis.MEASURED
    if name in FULL_BYTES:
        return model.params_total * FULL_BYTES[name], Basis.DERIVED
    if name.startswith("gguf-"):
        return _gguf_bytes(model, name.removeprefix("gguf-")), Basis.CALIBRATED
    bits = QUANTIZED_BITS[name] + (GROUP_SCALE_BITS / group_size if name in GROUPED else 0)
    quantized = (
        model.expert_params
        if name in EXPERTS_ONLY and model.expert_params
        else model.params_total - model.embedding_params - model.vision_params
    )
    return math.ceil(quantized * bits / 8 + (model.params_total - quantized) * 2), Basis.ESTIMATED


def _gguf_bytes(model: Decoder, kind: str) -> int:
    embedding = GGUF_EMBEDDING_BITS[kind[:3] if kind[0] in "ibf" else kind[:2]]
    head = max(GGUF_HEAD_BITS, embedding)
    in_layers = GGUF_BITS[kind] * GGUF_PARAMS - (embedding + head) * GGUF_TENSOR_PARAMS
    layer_bits = in_layers / (GGUF_PARAMS - 2 * GGUF_TENSOR_PARAMS)
    tensor = model.vocab_size * model.hidden_size
    ends = tensor * (head if model.tied_embeddings else embedding + head)
    return math.ceil(((model.params_total - model.embedding_params) * layer_bits + ends) / 8)


def accelerator_weights_bytes(
    model: Decoder,
    total: int,
    precision: str,
    tensor_parallel_size: int,
    pipeline_parallel_size: int = 1,
    head_is_layer: bool = False,
) -> float:
    """Return the weights on the fullest accelerator.

    Tensor parallelism divides all. Of a pipeline's stages the fullest has the most layers, or the embedding or the
    head beside fewer.

    Args:
        model: The model.
        total: Its weights, bytes.
        precision: Their number format.
        tensor_parallel_size: Accelerators that share each layer.
        pipeline_parallel_size: Stages.
        head_is_layer: Whether stages count the head as one more layer, as llama.cpp does, which has the embedding in
            the host's memory.
    """
    if pipeline_parallel_size == 1:
        return total / tensor_parallel_size
    name = weights_format(precision)
    bits = GGUF_BITS[name.removeprefix("gguf-")] if name.startswith("gguf-") else 16
    ends = min(model.embedding_params * bits / 8, total)
    one_end = ends if model.tied_embeddings else ends / 2
    layer = (total - ends) / model.layers
    most = most_layers(model, pipeline_parallel_size, head_is_layer)
    beside_end = 0 if head_is_layer else model.layers // pipeline_parallel_size * layer + one_end
    return max(most * layer, beside_end) / tensor_parallel_size


def most_layers(model: Decoder, pipeline_parallel_size: int, head_is_layer: bool = False) -> int:
    """Return the layers of the stage that has the most."""
    units = model.layers + (1 if head_is_layer and pipeline_parallel_size > 1 else 0)
    return min(model.layers, math.ceil(units / pipeline_parallel_size))
