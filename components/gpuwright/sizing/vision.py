"""What an OCR or vision service of convolutional networks needs: small weights, and activations by pixel.

A model of vision that writes text token by token is a decoder or an encoder with a decoder, and is sized as one.
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
    choice,
    compute_bytes,
    positive,
    running,
)
from gpuwright.sizing.servers.budget import GIB

NUMBERS_PER_PIXEL = 100
"""Numbers alive for each pixel of the input at the peak of a convolutional backbone with a feature pyramid: a stem of
64 channels at half the side, its norm and activation, and the pyramid's maps. Estimate; nobody's log tells it."""

WORKSPACE_GIB = 1.0
"""GiB of workspaces that cuDNN takes for the convolutions it tries. Estimate."""

PRECISIONS = ("fp32", "fp16", "int8")


@dataclass(frozen=True)
class Vision:
    """Images to read or to classify.

    Args:
        model: A row of kind vision; its components are loaded beside each other.
        precision: fp32, fp16 or int8.
        batch_size: Images at the same time.
        width: Pixels, after the service has scaled the image.
        height: Pixels.
    """

    model: Model
    precision: str = "fp32"
    batch_size: int = 1
    width: int = 960
    height: int = 960


def vision_need(work: Vision) -> Need:
    """Return what it takes to process such batches on one accelerator.

    Raises:
        InputError: The model is none of vision, or a value is out of range.
    """
    _check(work)
    weights = sum(
        (part.weights_gb or 0) * 1e9 * bits(work.precision) / bits(part.dtype)
        for part in work.model.components
    )
    pixels = work.batch_size * work.width * work.height
    activations = pixels * NUMBERS_PER_PIXEL * compute_bytes(work.precision)
    return Need(
        parts=(
            *running(
                Part("weights", weights / GIB, Basis.DERIVED),
                (Part("activations", activations / GIB, Basis.ESTIMATED),),
            ),
            Part("workspace", WORKSPACE_GIB, Basis.ESTIMATED),
        ),
        accelerators=1,
        floor_gib=0,
        host=(
            Part("weights", weights / GIB, Basis.DERIVED),
            Part("images", pixels * 3 * 4 / GIB, Basis.DERIVED),
            Part("runtime", HOST_PROCESS_GIB, Basis.ESTIMATED),
        ),
        vcpus=VCPUS_PER_ACCELERATOR,
        reason="The weights are small; the size and number of the images decide, and uploads want bandwidth.",
    )


def _check(work: Vision) -> None:
    if work.model.kind != "vision":
        raise InputError.of(
            f"model {work.model.id}",
            f"{work.model.id} is of kind {work.model.kind}.",
            "Choose a vision model; one that writes text is sized as a decoder or as a transcription.",
        )
    choice("precision", work.precision, PRECISIONS)
    positive(batch_size=work.batch_size, width=work.width, height=work.height)
