"""What an embedding model or a reranker needs: weights and one layer's activations, and no KV cache.

Nothing is kept from layer to layer, so depth costs weights only; a batch costs what one layer of it takes.
"""

from __future__ import annotations

from dataclasses import dataclass

from gpuwright.catalog import Model
from gpuwright.errors import InputError
from gpuwright.sizing.basis import Basis
from gpuwright.sizing.need import (
    HOST_PROCESS_GIB,
    VCPUS_PER_ACCELERATOR,
    Need,
    Part,
    bits,
    compute_bytes,
    positive,
    require,
    running,
)
from gpuwright.sizing.servers.budget import GIB

WIDTHS_PER_TOKEN = 6
"""Widths alive for each token beside the MLP: residual, its norm, query, key, value and the attention's output."""

MLPS_PER_TOKEN = 2
"""Widths of the MLP alive for each token: before and after its activation function."""

KINDS = ("embedding", "reranker")


@dataclass(frozen=True)
class Encoding:
    """Texts to encode, or pairs of query and passage to score.

    Args:
        model: A row of kind embedding or reranker.
        precision: Of the weights: fp32, bf16, fp16, fp8, int8.
        batch_size: Texts, or pairs, at the same time.
        tokens: Tokens of the longest of them; the others are padded to it.
        memory_efficient_attention: SDPA or FlashAttention; without it the scores of all pairs of tokens are written
            out, which is what runs out of memory at 8,192 tokens.
    """

    model: Model
    precision: str = "fp16"
    batch_size: int = 32
    tokens: int = 512
    memory_efficient_attention: bool = True


def encoding_need(work: Encoding) -> Need:
    """Return what it takes to encode such batches on one accelerator.

    Raises:
        InputError: The model is none that encodes texts, the texts are longer than it reads, or a value is out of
            range.
    """
    _check(work)
    weights = (work.model.params_total or 0) * bits(work.precision) / 8 / GIB
    activations = encoder_activations_gib(
        work.model,
        work.batch_size * work.tokens,
        work.tokens,
        compute_bytes(work.precision),
        memory_efficient_attention=work.memory_efficient_attention,
    )
    return Need(
        parts=running(
            Part("weights", weights, Basis.DERIVED), (Part("activations", activations, Basis.ESTIMATED),)
        ),
        accelerators=1,
        floor_gib=0,
        host=(Part("weights", weights, Basis.DERIVED), Part("runtime", HOST_PROCESS_GIB, Basis.ESTIMATED)),
        vcpus=VCPUS_PER_ACCELERATOR,
        reason="An encoder keeps no KV cache: its weights, and the activations of one layer for the batch.",
    )


def encoder_activations_gib(
    model: Model, positions: int, per_sequence: int, size: int, *, memory_efficient_attention: bool
) -> float:
    """Return the activations of one encoder layer.

    Args:
        positions: Tokens, frames or patches of the whole batch.
        per_sequence: Those of one sequence, which attend to each other.
        size: Bytes of one activation.
        memory_efficient_attention: The scores are not written out.
    """
    width = model.hidden_size or 0
    mlp = model.intermediate_size or 4 * width
    numbers: float = positions * (WIDTHS_PER_TOKEN * width + MLPS_PER_TOKEN * mlp)
    if not memory_efficient_attention:
        numbers += 2 * (model.attention_heads or 1) * positions * per_sequence
    return numbers * size / GIB


def _check(work: Encoding) -> None:
    model = work.model
    needed = ("params_total", "hidden_size")
    require(model, KINDS, needed, "parameters or width", "Choose an embedding model or a reranker.")
    positive(batch_size=work.batch_size, tokens=work.tokens)
    if model.max_position and work.tokens > model.max_position:
        raise InputError.of(
            "tokens",
            f"{model.id} reads {model.max_position} tokens, and {work.tokens} were given.",
            f"Give {model.max_position} or fewer.",
        )
