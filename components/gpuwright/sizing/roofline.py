"""What a replica has to move and to multiply, and how fast its accelerators could at most.

The work is counted once for a model, its accelerators and a load; speed divides it by the rates that servers reach, the
roofline by the rates of the data sheet.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from gpuwright.catalog import Accelerator
from gpuwright.sizing.decoder import Decoder
from gpuwright.sizing.kv_cache import accelerator_share_of_kv_cache, kv_cache_bytes
from gpuwright.sizing.memory import Load
from gpuwright.sizing.run import Run
from gpuwright.sizing.weights import weights_bytes, weights_format

FP4_OVER_FP8 = 2.0
"""Tensor-core peak in FP4 over that in FP8 on Blackwell, the first architecture with FP4 (NVIDIA Blackwell architecture
brief: 4.5 PFLOPS in FP8 and 9 in FP4, without sparsity)."""

FP4_COMPUTE_CAPABILITY = 10.0
"""Compute capability of the first accelerators that multiply in FP4."""

FP16_ACCUMULATE_OVER_FP32 = 2.0
"""Tensor-core peak of consumer accelerators where sums are kept in 16 bits, over the data sheet's with 32-bit sums.
llama.cpp keeps them so; data-centre accelerators are as fast either way (NVIDIA Ada architecture whitepaper,
appendix A)."""

FP4_FORMATS = ("nvfp4", "mxfp4")
FULL_FORMATS = ("bf16", "fp16", "fp32", "gguf-f16", "gguf-bf16", "gguf-f32")

PCIE_BYTES_PER_S = 25e9
"""Bytes a second each way between accelerators without NVLink: PCIe 4.0 x16 less protocol. Estimate."""

NVLINK_DOMAIN = 8
"""Accelerators that one server's NVLink joins. More of them share a layer over the network, which was measured to gain
nothing: DeepSeek-V3 on 64 H200 answers as fast as on 8 (aiconfigurator-core 0.12.0 systems/silicon_sample.csv)."""


@dataclass(frozen=True)
class Hardware:
    """The accelerators of one replica.

    Args:
        accelerator: The device.
        nvlink_gb_per_s: NVLink of each, both directions added; 0 where they talk over PCIe.
    """

    accelerator: Accelerator
    nvlink_gb_per_s: float


@dataclass(frozen=True, slots=True)
class Work:
    """One decode step of the requests in flight, and one prompt, on one of the accelerators that share a layer.

    With pipeline parallelism it is the work of all stages on the part of the requests that passes them together.

    Args:
        batch: Requests of one step.
        dense_bytes: Weights that every step reads: attention, dense MLPs, shared experts, the head.
        expert_bytes: Weights of the routed experts that this batch is routed to.
        cache_bytes: KV cache that the step reads, every request half-way through its answer.
        decode_flops: Multiplications with weights for one token of every request.
        decode_attention_flops: Multiplications with the KV cache in the step.
        prefill_flops: Multiplications with weights for one prompt.
        prefill_attention_flops: Multiplications of a prompt's tokens with those before them.
        prompt_tokens: Tokens of one prompt that are read.
        message_bytes: What one accelerator sends for one token, in all layers.
        all_reduces: All-reduces of one step; 0 where no layer is shared.
        ranks: Accelerators that share a layer.
        layers: Layers that a token passes.
        expert_layers: Those of them with routed experts.
        memory_bytes_per_s: Memory bandwidth of one accelerator.
        peak_flops: Tensor-core peak of one accelerator in the format of the weights.
        peak_16_bit_flops: The same in 16 bits, in which attention is computed.
        link_bytes_per_s: What one accelerator sends to the others, one direction.
    """

    batch: float
    dense_bytes: float
    expert_bytes: float
    cache_bytes: float
    decode_flops: float
    decode_attention_flops: float
    prefill_flops: float
    prefill_attention_flops: float
    prompt_tokens: float
    message_bytes: float
    all_reduces: int
    ranks: int
    layers: int
    expert_layers: int
    memory_bytes_per_s: float
    peak_flops: float
    peak_16_bit_flops: float
    link_bytes_per_s: float


def step_floor(task: Work, prompts: float) -> float:
    """Return the least seconds of a decode step that reads that many prompts beside it.

    All bytes of the step at the memory's rate, or all its operations and those of the prompts at the tensor cores'
    peak, whichever takes longer; nothing else takes time, and both overlap wholly.
    """
    moved = (task.dense_bytes + task.expert_bytes + task.cache_bytes) / task.memory_bytes_per_s
    return max(moved, (task.decode_flops + prompts * task.prefill_flops) / task.peak_flops)


def peak_flops(accelerator: Accelerator, precision: str, server: str) -> float:
    """Return the tensor-core peak for weights of a format, FLOP/s.

    Weights that are only stored in fewer bits are multiplied in 16, except by llama.cpp, which multiplies them as
    INT8 where that is faster.
    """
    form, half = weights_format(precision), accelerator.fp16_dense_tflops
    if server == "llama.cpp":
        half *= 1 if accelerator.datacenter_licensed else FP16_ACCUMULATE_OVER_FP32
        return (half if form in FULL_FORMATS else max(half, accelerator.int8_dense_tops or 0)) * 1e12
    if form in FP4_FORMATS and multiplies_fp4(accelerator):
        return (accelerator.fp8_dense_tflops or half) * FP4_OVER_FP8 * 1e12
    if form.startswith("fp8"):
        return (accelerator.fp8_dense_tflops or half) * 1e12
    return ((accelerator.int8_dense_tops if form == "int8" else None) or half) * 1e12


def multiplies_fp4(accelerator: Accelerator) -> bool:
    """Return whether an accelerator multiplies in FP4."""
    return (accelerator.compute_capability or 0) >= FP4_COMPUTE_CAPABILITY


def experts_touched(model: Decoder, tokens: float) -> float:
    """Return the part of the routed experts that a batch of tokens is routed to, each token on its own and evenly."""
    return 1 - (1 - model.experts_per_token / model.experts) ** tokens if model.experts else 0.0


def expert_params(model: Decoder) -> float:
    """Return the parameters of the routed experts, from those that a token leaves out."""
    if not model.experts or model.experts_per_token >= model.experts:
        return 0.0
    return (model.params_total - model.params_active) / (1 - model.experts_per_token / model.experts)


def attention_width(model: Decoder) -> float:
    """Return query heads × the width that each is multiplied with: half of what a token caches for a KV head."""
    return model.attention_heads * model.cached_per_layer / (2 * model.kv_heads)


def positions(model: Decoder, tokens: float) -> float:
    """Return the cached positions that one token is multiplied with, summed over the layers with attention."""
    windowed = min(tokens, model.sliding_window) if model.sliding_window else tokens
    return (model.cache_layers - model.sliding_layers) * tokens + model.sliding_layers * windowed


def work(
    model: Decoder,
    hardware: Hardware,
    load: Load,
    run: Run,
    in_flight: float | None = None,
    cached_prompt_tokens: float = 0,
    attention_per_rank: bool = False,
) -> Work:
    """Return the work of a replica at a load.

    Args:
        in_flight: Requests that are answered at the same time, where the KV cache holds fewer than the load has.
        cached_prompt_tokens: Tokens of a prompt that are found in the prefix cache, and not read again.
        attention_per_rank: Whether each accelerator computes attention and what is dense for requests of its own, and
            tokens are only sent to their experts (data-parallel attention with expert parallelism).
    """
    device, ranks = hardware.accelerator, run.tensor_parallel_size
    batch = max(1.0, (in_flight or load.concurrency) / run.pipeline_parallel_size)
    context = load.prompt_tokens + load.output_tokens // 2
    prompt = max(1.0, load.prompt_tokens - cached_prompt_tokens)
    seen = load.prompt_tokens - prompt / 2
    per_token = _per_token(model, run.weights_precision, run.group_size)
    share = accelerator_share_of_kv_cache(model, ranks)
    attention = 4 * attention_width(model) / ranks
    shared = ranks > 1
    sent = ALL_REDUCES_PER_LAYER * 2 * (ranks - 1) / ranks
    if attention_per_rank:
        share, sent = 1 / ranks, 2 * min(model.experts_per_token, ranks - 1) / ranks
    return Work(
        batch=batch,
        dense_bytes=per_token[0] / (1 if attention_per_rank else ranks),
        expert_bytes=per_token[1] * experts_touched(model, batch) / ranks,
        cache_bytes=batch * kv_cache_bytes(model, run.kv_cache_precision, context) * share,
        decode_flops=per_token[2] * batch / ranks,
        decode_attention_flops=attention * positions(model, context) * batch,
        prefill_flops=per_token[2] * prompt / ranks,
        prefill_attention_flops=attention * positions(model, seen) * prompt,
        prompt_tokens=prompt,
        message_bytes=sent * 2 * model.layers * model.hidden_size,
        all_reduces=ALL_REDUCES_PER_LAYER * model.layers if shared else 0,
        ranks=ranks,
        layers=model.layers,
        expert_layers=model.layers if model.experts else 0,
        memory_bytes_per_s=device.memory_bandwidth_gb_per_s * 1e9,
        peak_flops=peak_flops(device, run.weights_precision, run.server),
        peak_16_bit_flops=peak_flops(device, "fp16", run.server),
        link_bytes_per_s=hardware.nvlink_gb_per_s / 2 * 1e9 if hardware.nvlink_gb_per_s else PCIE_BYTES_PER_S,
    )


ALL_REDUCES_PER_LAYER = 2
"""After attention and after the MLP (Megatron-LM, arXiv 1909.08053)."""


@lru_cache(maxsize=4096)
def _per_token(model: Decoder, precision: str, group_size: int) -> tuple[float, float, float]:
    """Return bytes that each step reads, bytes of all routed experts, and operations of one token, of the model."""
    weights, _ = weights_bytes(model, precision, group_size)
    looked_up = 0 if model.tied_embeddings else model.vocab_size * model.hidden_size
    embedded = weights / model.params_total if weights_format(precision).startswith("gguf") else 2.0
    in_layers = (weights - embedded * model.embedding_params) / (model.params_total - model.embedding_params)
    experts = expert_params(model) * in_layers
    table = looked_up * embedded
    dense = max(0.0, weights - experts - table)
    return dense, max(0.0, experts), 2.0 * max(0, model.params_active - looked_up)
