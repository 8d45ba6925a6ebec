"""What speech to text (Whisper) and image to text (TrOCR) need: an encoder, and a decoder with two caches.

The decoder caches its own tokens (self attention) for every beam, and the encoder's output (cross attention) once a
sequence, or once a beam where the server copies it. It is reserved at its full length, so it does not grow.
"""

from __future__ import annotations

from dataclasses import dataclass

from gpuwright.catalog import Model
from gpuwright.sizing.basis import Basis
from gpuwright.sizing.encoding import encoder_activations_gib
from gpuwright.sizing.need import (
    HOST_PROCESS_GIB,
    RUNTIME_GIB,
    VCPUS_PER_ACCELERATOR,
    Need,
    Part,
    bits,
    choice,
    compute_bytes,
    positive,
    require,
)
from gpuwright.sizing.servers.budget import GIB

WHISPER_FRAMES = 1500
"""Positions that Whisper's encoder gives for a window of 30 s (its ``max_source_positions``)."""

TROCR_PATCHES = 577
"""Positions of an image of 384 pixels a side in patches of 16, and the class token (TrOCR's processor)."""

LIBRARIES_GIB = 0.75
"""GiB that the server's libraries hold beyond a bare PyTorch process: workspaces for both halves of the model, and what
the allocator wastes. Fitted
to faster-whisper's own table (large-v2, FP16 and INT8: 4,525 and 2,926 MB; SYSTRAN/faster-whisper, README)."""

PRECISIONS = ("fp32", "bf16", "fp16", "int8")


@dataclass(frozen=True)
class Transcription:
    """Windows of speech, or lines of text in images, to write down.

    Args:
        model: A row of kind encoder-decoder.
        precision: Of the weights: fp32, bf16, fp16, int8; the caches of int8 are in 16 bits.
        batch_size: Windows, or lines, at the same time.
        beam_size: Answers followed for each of them.
        source_positions: Positions of the encoder's output: 1,500 for Whisper, 577 for TrOCR.
        output_tokens: Longest answer; none: as long as the model can.
        cross_cache_per_beam: The server copies the encoder's output for every beam, as openai/whisper and
            transformers do; CTranslate2 (faster-whisper) does not.
    """

    model: Model
    precision: str = "fp16"
    batch_size: int = 1
    beam_size: int = 5
    source_positions: int = WHISPER_FRAMES
    output_tokens: int | None = None
    cross_cache_per_beam: bool = False


def transcription_need(work: Transcription) -> Need:
    """Return what it takes to transcribe such batches on one accelerator.

    Raises:
        InputError: The model is no encoder with a decoder, or a value is out of range.
    """
    _check(work)
    model, size = work.model, compute_bytes(work.precision)
    weights = (model.params_total or 0) * bits(work.precision) / 8 / GIB
    encode = encoder_activations_gib(
        model,
        work.batch_size * work.source_positions,
        work.source_positions,
        size,
        memory_efficient_attention=True,
    )
    logits = work.batch_size * work.beam_size * (model.vocab_size or 0) * 4 * 2 / GIB
    caches = cache_gib(work)
    return Need(
        parts=(
            Part("weights", weights, Basis.DERIVED),
            Part("kv cache", caches, Basis.DERIVED),
            # The encoder is done before the caches fill, and leaves them its memory.
            Part("activations", max(logits, encode - caches), Basis.ESTIMATED),
            Part("runtime", RUNTIME_GIB + LIBRARIES_GIB, Basis.CALIBRATED),
        ),
        accelerators=1,
        floor_gib=0,
        host=(Part("weights", weights, Basis.DERIVED), Part("runtime", HOST_PROCESS_GIB, Basis.ESTIMATED)),
        vcpus=VCPUS_PER_ACCELERATOR,
        reason="Encoder and decoder, and for each answer the keys and values of its tokens and of its source.",
    )


def cache_gib(work: Transcription) -> float:
    """Return the keys and values of all answers: of their own tokens, and of their source."""
    model = work.model
    per_position = 2 * (model.layers or 0) * (model.hidden_size or 0) * compute_bytes(work.precision)
    answers = work.batch_size * work.beam_size
    own = answers * (work.output_tokens or model.max_position or 0)
    sources = (answers if work.cross_cache_per_beam else work.batch_size) * work.source_positions
    return per_position * (own + sources) / GIB


def _check(work: Transcription) -> None:
    needed = ("params_total", "layers", "hidden_size", "vocab_size", "max_position")
    fix = "Choose a model that turns speech or images into text."
    require(work.model, ("encoder-decoder",), needed, "layers, widths or parameters", fix)
    choice("precision", work.precision, PRECISIONS)
    positive(
        batch_size=work.batch_size,
        beam_size=work.beam_size,
        source_positions=work.source_positions,
        output_tokens=work.output_tokens or 1,
    )
