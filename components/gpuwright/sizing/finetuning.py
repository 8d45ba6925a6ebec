"""What fine-tuning a text-generation model needs: weights, gradients, optimizer and activations, whole or sharded.

In mixed precision a trained parameter takes 16 bytes with AdamW (weight 2, gradient 2, and in FP32 a copy of the
weight and two moments: arXiv 1910.02054), so that the full fine-tuning of 7B parameters takes more than 100 GB
before the first activation. LoRA (arXiv 2106.09685) trains 1 % of them, QLoRA (arXiv 2305.14314) on 4-bit weights.
"""

from __future__ import annotations

from dataclasses import dataclass

from gpuwright.catalog import Model
from gpuwright.sizing.basis import Basis
from gpuwright.sizing.need import (
    HOST_PROCESS_GIB,
    VCPUS_PER_ACCELERATOR,
    Need,
    Part,
    bits,
    choice,
    compute_bytes,
    positive,
    require,
    running,
)
from gpuwright.sizing.servers.budget import GIB

OPTIMIZER_BYTES = {"adamw": 8.0, "adamw-bf16": 4.0, "adamw-8bit": 2.0, "sgd": 0.0}
"""Bytes of optimizer state for each trained parameter: two moments in FP32, in BF16, in 8 bits (bitsandbytes), and
none without momentum."""

ADAPTER_BYTES = 4
"""Bytes of one adapter parameter, and of its gradient: peft keeps adapters in FP32 (``autocast_adapter_dtype``)."""

CAST_BYTES = 4
"""Bytes of one embedding parameter that peft has cast to FP32 (``prepare_model_for_kbit_training``)."""

LOGIT_BYTES = {"fp32": 16.0, "16-bit": 10.0, "chunked": 12 / 8}
"""Bytes of one logit in training, by the way of the loss. fp32: in 16 bits, in FP32, its log-softmax, and both
gradients, as transformers does it; 16-bit: without the copy in FP32, as Qwen's first code did it; chunked: an eighth
at a time (torchtune's CEWithChunkedOutputLoss)."""

HEAD_WIDTHS_BYTES = {"fp32": 48, "16-bit": 0, "chunked": 0}
"""Bytes for each token and unit of width beside the logits. Fitted with the 16 bytes to six runs of three models on a
T4 with transformers, which they meet within 1 % (fitcheck-llm 0.2.0, README)."""

SCORE_BYTES = 18
"""Bytes of one attention score in training where it is written out: score, mask, softmax in FP32, dropout, and their
gradients. From the same runs with eager attention: 18 to 19."""

BUCKET_PARAMS = 500_000_000
"""Parameters of DeepSpeed's reduce bucket, and of its all-gather bucket (its documented defaults)."""

LIVE_PARAMS = 1_000_000_000
"""Parameters that ZeRO stage 3 holds gathered, and that it steps at once (``stage3_max_live_parameters``,
``sub_group_size``: DeepSpeed's documented defaults)."""

FLOOR_GIB = 16
FLOOR_FROM_PARAMS = 6_500_000_000
"""GB that the documents ask for to fine-tune Llama 2 7B, and the parameters from which a model counts as 7B."""

METHODS = ("full", "lora", "qlora")
TARGETS = ("attention", "all")


@dataclass(frozen=True)
class FineTuning:
    """A training run.

    Args:
        model: A row of kind decoder.
        method: full, lora or qlora.
        precision: Of the trained weights, or of the frozen ones under LoRA: fp32, bf16 or fp16.
        master_weights: Keep a copy of trained 16-bit weights in FP32 (mixed precision); without it the training is
            in 16 bits alone.
        optimizer: adamw, adamw-bf16, adamw-8bit or sgd.
        batch_size: Sequences at the same time on each accelerator; accumulation does not count.
        sequence_length: Tokens of the longest sequence.
        gradient_checkpointing: Keep only the input of each layer, and compute the layer again.
        accumulation_steps: Batches whose gradients are added before a step; from the second on they are there while
            the activations peak.
        loss: fp32, 16-bit or chunked: how the logits are held for the loss.
        memory_efficient_attention: SDPA or FlashAttention.
        embeddings_in_fp32: Under QLoRA, cast what is not quantized to FP32, as peft does with bitsandbytes; with GPTQ
            weights, and in torchtune, it stays in 16 bits.
        lora_rank: Rank of the adapters.
        lora_targets: attention: on its four projections; all: on those of the MLP too.
        accelerators: Accelerators that train together.
        zero_stage: What they share: 0 nothing, 1 optimizer, 2 and gradients, 3 and weights (FSDP: 3).
        optimizer_on_host: Keep the optimizer, and the copy of the weights, in the host's memory.
    """

    model: Model
    method: str = "lora"
    precision: str = "bf16"
    master_weights: bool = True
    optimizer: str = "adamw"
    batch_size: int = 1
    sequence_length: int = 2048
    gradient_checkpointing: bool = True
    accumulation_steps: int = 1
    loss: str = "fp32"
    memory_efficient_attention: bool = True
    embeddings_in_fp32: bool = True
    lora_rank: int = 16
    lora_targets: str = "all"
    accelerators: int = 1
    zero_stage: int = 0
    optimizer_on_host: bool = False


def fine_tuning_need(work: FineTuning) -> Need:
    """Return what each accelerator needs to train so.

    Raises:
        InputError: The model is no text-generation model that the catalog knows, or a value is out of range.
    """
    _check(work)
    ranks = work.accelerators
    trained = trained_params(work)
    per_weight, per_gradient, per_state = _bytes_per_trained(work)
    frozen = _frozen_bytes(work)
    share_of = {name: 1 / ranks if work.zero_stage >= stage else 1.0 for name, stage in _SHARED_FROM.items()}
    weights = (frozen + trained * per_weight) * share_of["weights"]
    gradients = trained * per_gradient * share_of["gradients"]
    states = trained * per_state * share_of["optimizer"]
    on_host = states * ranks if work.optimizer_on_host else 0.0
    return Need(
        parts=running(
            Part("weights", weights / GIB, Basis.DERIVED),
            (
                Part("gradients", gradients / GIB, Basis.DERIVED),
                Part("optimizer", (0.0 if on_host else states) / GIB, Basis.DERIVED),
                Part("buffers", _buffer_bytes(work, trained) / GIB, Basis.ESTIMATED),
                Part("activations", _beside(work, gradients) / GIB, Basis.CALIBRATED),
            ),
        ),
        accelerators=ranks,
        floor_gib=_floor(work),
        host=(
            Part("weights", (frozen + trained * per_weight) / GIB, Basis.DERIVED),
            Part("optimizer", on_host / GIB, Basis.DERIVED),
            Part("runtime", HOST_PROCESS_GIB * ranks, Basis.ESTIMATED),
        ),
        vcpus=VCPUS_PER_ACCELERATOR * ranks,
        reason=_reason(work, trained, per_weight + per_gradient + per_state),
    )


_SHARED_FROM = {"optimizer": 1, "gradients": 2, "weights": 3}


def trained_params(work: FineTuning) -> int:
    """Return the parameters that are trained: all, or two matrices of the rank beside each projection."""
    model = work.model
    if work.method == "full":
        return model.params_total or 0
    hidden, queries, keys = _widths(model)
    projections = [(hidden, queries), (hidden, keys), (hidden, keys), (queries, hidden)]
    count = sum(rank_in + rank_out for rank_in, rank_out in projections)
    if work.lora_targets == "all":
        count += 3 * (hidden + _mlp(model)) * (model.experts or 1)
    return work.lora_rank * count * (model.layers or 0)


def activations_bytes(work: FineTuning) -> float:
    """Return what forward and backward pass keep on one accelerator at their peak."""
    model = work.model
    hidden, layers = model.hidden_size or 0, model.layers or 0
    tokens = work.batch_size * work.sequence_length
    layer = _layer_bytes(work)
    head = tokens * ((model.vocab_size or 0) * LOGIT_BYTES[work.loss] + hidden * HEAD_WIDTHS_BYTES[work.loss])
    # A quantized matrix is multiplied from a copy in 16 bits.
    copy = hidden * _mlp(model) * 2 if work.method == "qlora" else 0
    if work.gradient_checkpointing:
        return layers * tokens * hidden * compute_bytes(work.precision) + max(layer, head) + copy
    return layers * layer + head + copy


def _layer_bytes(work: FineTuning) -> float:
    """Return what one layer keeps for its backward pass.

    Residual, norm, query, attention output, second residual and norm, keys and values, and four widths of the MLP
    (gate, up, activation, product); its two norms work in FP32.
    """
    model = work.model
    size = compute_bytes(work.precision)
    hidden, queries, keys = _widths(model)
    tokens = work.batch_size * work.sequence_length
    mlp = _mlp(model) * (model.experts_per_token or 1)
    numbers = 4 * hidden + 2 * queries + 2 * keys + 4 * mlp
    layer = tokens * (numbers * size + 2 * hidden * 4)
    if not work.memory_efficient_attention:
        layer += tokens * (model.attention_heads or 1) * work.sequence_length * SCORE_BYTES
    return layer


def _beside(work: FineTuning, gradients: float) -> float:
    """Return the activations that are alive beside the gradients, bytes.

    In the only batch of a step the gradients come as the activations go, down to the layer at hand.
    """
    peak = activations_bytes(work)
    if work.accumulation_steps > 1:
        return peak
    return max(_layer_bytes(work), peak - gradients)


def _frozen_bytes(work: FineTuning) -> float:
    model = work.model
    if work.method == "full":
        return 0.0
    params = model.params_total or 0
    if work.method == "lora":
        return params * bits(work.precision) / 8
    embeddings = (model.vocab_size or 0) * (model.hidden_size or 0) * (1 if model.tied_embeddings else 2)
    return (params - embeddings) * bits("nf4") / 8 + embeddings * (
        CAST_BYTES if work.embeddings_in_fp32 else 2
    )


def _bytes_per_trained(work: FineTuning) -> tuple[float, float, float]:
    """Return the bytes of weight, gradient and optimizer for each trained parameter."""
    state = OPTIMIZER_BYTES[work.optimizer]
    if work.method != "full":
        return ADAPTER_BYTES, ADAPTER_BYTES, state
    size = bits(work.precision) / 8
    copy = 4.0 if work.master_weights and size < 4 else 0.0
    return size, size, state + copy


def _buffer_bytes(work: FineTuning, trained: int) -> float:
    """Return what the step adds: a copy of the adapters (AdamW over all tensors at once, PyTorch's default); sharded,
    DeepSpeed's buckets, the weights it gathers, and gradients in FP32.
    """
    if not work.zero_stage:
        return trained * ADAPTER_BYTES if work.method != "full" and work.optimizer == "adamw" else 0.0
    ranks = work.accelerators
    stepped = trained / ranks
    if work.zero_stage == 3:
        gathered = min(LIVE_PARAMS, work.model.params_total or 0) * 2
        return gathered + min(LIVE_PARAMS, stepped) * 4
    return 2 * min(BUCKET_PARAMS, trained) * 2 + stepped * 4


def _widths(model: Model) -> tuple[int, int, int]:
    """Return the widths of the residual stream, of all queries, and of all keys."""
    hidden = model.hidden_size or 0
    head = model.head_dim or hidden // (model.attention_heads or 1)
    return hidden, head * (model.attention_heads or 0), head * (model.kv_heads or model.attention_heads or 0)


def _mlp(model: Model) -> int:
    return (
        (model.moe_intermediate_size if model.experts else None)
        or model.intermediate_size
        or 4 * (model.hidden_size or 0)
    )


def _floor(work: FineTuning) -> int:
    if (work.model.params_total or 0) < FLOOR_FROM_PARAMS:
        return 0
    return -(-FLOOR_GIB // work.accelerators) if work.zero_stage == 3 else FLOOR_GIB


def _reason(work: FineTuning, trained: int, per_trained: float) -> str:
    part = trained / (work.model.params_total or 1)
    text = f"{trained / 1e6:,.0f} million parameters are trained ({part:.1%}) at {per_trained:g} bytes each"
    if work.method == "full":
        return (
            f"{text}: {trained * per_trained / 1e9:,.0f} GB in all before activations; LoRA needs a fraction."
        )
    return f"{text}, beside the frozen weights in {'4 bits' if work.method == 'qlora' else work.precision}."


def _check(work: FineTuning) -> None:
    needed = ("params_total", "layers", "hidden_size", "attention_heads", "vocab_size")
    require(
        work.model, ("decoder",), needed, "layers, widths or parameters", "Choose a text-generation model."
    )
    choice("method", work.method, METHODS)
    choice("precision", work.precision, ("fp32", "bf16", "fp16"))
    choice("loss", work.loss, tuple(LOGIT_BYTES))
    choice("optimizer", work.optimizer, tuple(OPTIMIZER_BYTES))
    choice("lora_targets", work.lora_targets, TARGETS)
    choice("zero_stage", str(work.zero_stage), ("0", "1", "2", "3"))
    positive(
        batch_size=work.batch_size,
        sequence_length=work.sequence_length,
        accumulation_steps=work.accumulation_steps,
        lora_rank=work.lora_rank,
        accelerators=work.accelerators,
    )
