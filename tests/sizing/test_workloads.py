"""The one door: every kind of workload goes through it, and tells what it needs."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from gpuwright import catalog
from gpuwright.errors import InputError
from gpuwright.sizing.classical import Classical
from gpuwright.sizing.diffusion import Diffusion, diffusion_need
from gpuwright.sizing.encoding import Encoding
from gpuwright.sizing.finetuning import FineTuning
from gpuwright.sizing.transcription import Transcription
from gpuwright.sizing.vision import Vision
from gpuwright.sizing.workloads import Workload, need, workload

WORKLOADS: list[Workload] = [
    Diffusion(catalog.model("stable-diffusion-xl-base-1.0")),
    FineTuning(catalog.model("Llama-2-7b-hf")),
    Encoding(catalog.model("bge-m3")),
    Transcription(catalog.model("whisper-large-v3")),
    Vision(catalog.model("PP-OCRv5_server")),
    Classical(),
]


@pytest.mark.parametrize("work", WORKLOADS, ids=lambda work: type(work).__name__)
def test_every_workload_needs_something_and_says_why(work: Workload) -> None:
    found = need(work)
    assert found.reason.endswith(".")
    assert found.vcpus >= 2
    assert found.host_gib > 0
    assert all(part.gib >= 0 for part in (*found.parts, *found.host))
    assert (found.accelerators > 0) == bool(found.parts)


def test_the_door_changes_nothing() -> None:
    work = Diffusion(catalog.model("FLUX.1-dev"), "bf16", guidance=False)
    assert need(work) == diffusion_need(work)


def test_every_model_of_the_catalog_that_writes_no_text_has_a_workload_of_its_own() -> None:
    for model in catalog.models():
        if model.kind == "decoder" or any(part.name == "controlnet" for part in model.components):
            continue
        found = need(workload(model))
        assert found.host_gib > 0, model.id


def test_a_decoder_is_sized_by_its_kv_cache_and_refused_here() -> None:
    with pytest.raises(InputError, match="KV cache"):
        workload(catalog.model("Llama-3.1-8B"))


def test_the_page_about_these_workloads_prints_what_it_says() -> None:
    page = Path(__file__).parents[2] / "docs" / "sizing-other-workloads.md"
    found = doctest.testfile(str(page), module_relative=False)
    assert (found.failed, found.attempted > 0) == (0, True)
