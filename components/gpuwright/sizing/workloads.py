"""One door to the need of every workload that is not text generation."""

from __future__ import annotations

from functools import singledispatch

from gpuwright.sizing.classical import Classical, classical_need
from gpuwright.sizing.diffusion import Diffusion, diffusion_need
from gpuwright.sizing.encoding import Encoding, encoding_need
from gpuwright.sizing.finetuning import FineTuning, fine_tuning_need
from gpuwright.sizing.need import Need
from gpuwright.sizing.transcription import Transcription, transcription_need
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
