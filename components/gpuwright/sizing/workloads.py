"""One door to the need of every workload that is not text generation."""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch

from gpuwright.catalog import Model
from gpuwright.errors import InputError
from gpuwright.sizing.classical import Classical, classical_need
from gpuwright.sizing.diffusion import Diffusion, diffusion_need
from gpuwright.sizing.encoding import Encoding, encoding_need
from gpuwright.sizing.finetuning import FineTuning, fine_tuning_need
from gpuwright.sizing.need import Need
from gpuwright.sizing.transcription import TROCR_PATCHES, Transcription, transcription_need
from gpuwright.sizing.vision import Vision, vision_need

Workload = Diffusion | FineTuning | Encoding | Transcription | Vision | Classical


@singledispatch
def _need(work: object) -> Need:
    raise TypeError(f"{type(work).__name__} is no workload")


_need.register(Diffusion, diffusion_need)
_need.register(FineTuning, fine_tuning_need)
_need.register(Encoding, encoding_need)
_need.register(Transcription, transcription_need)
_need.register(Vision, vision_need)
_need.register(Classical, classical_need)


def need(work: Workload) -> Need:
    """Return what a workload needs.

    Raises:
        InputError: The model is of another kind, or a value is out of range.
    """
    return _need(work)


SIDE_OF_FIRST_GENERATION = 512
"""Pixels a side that Stable Diffusion 1.5 was trained for; the later ones were for 1,024."""


def _images(model: Model) -> Diffusion:
    if "stable-diffusion-v1" in model.id:
        return Diffusion(model, width=SIDE_OF_FIRST_GENERATION, height=SIDE_OF_FIRST_GENERATION)
    return Diffusion(model, precision="bf16", guidance="FLUX" not in model.id)


_OF_KIND: dict[str, Callable[[Model], Workload]] = {
    "diffusion": _images,
    "embedding": Encoding,
    "reranker": Encoding,
    "vision": Vision,
    "classical": lambda _: Classical(),
}


def workload(model: Model) -> Workload:
    """Return the ordinary workload of a model that writes no text, with the defaults of its kind.

    Raises:
        InputError: It is a text-generation model, whose KV cache decides and which ``fit`` sizes.
    """
    if model.kind == "encoder-decoder":
        if "trocr" in model.id:
            return Transcription(model, beam_size=1, source_positions=TROCR_PATCHES)
        return Transcription(model)
    if model.kind not in _OF_KIND:
        raise InputError.of(
            f"model {model.id}",
            f"{model.id} writes text, so its KV cache decides.",
            "Size it as a text-generation model, or say that it is to be fine-tuned.",
        )
    return _OF_KIND[model.kind](model)
