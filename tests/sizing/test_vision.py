"""OCR and vision services: the arithmetic by hand, and what must hold for all."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuwright import catalog
from gpuwright.errors import InputError
from gpuwright.sizing.basis import Basis
from gpuwright.sizing.servers.budget import GIB
from gpuwright.sizing.vision import Vision, vision_need

SERVER = catalog.model("PP-OCRv5_server")
MOBILE = catalog.model("PP-OCRv5_mobile")


def test_detector_and_recognizer_are_loaded_beside_each_other() -> None:
    assert vision_need(Vision(SERVER)).gib("weights") == pytest.approx((0.101e9 + 0.081e9) / GIB)
    assert vision_need(Vision(SERVER, "fp16")).gib("weights") == pytest.approx((0.101e9 + 0.081e9) / 2 / GIB)


def test_activations_are_a_hundred_numbers_for_each_pixel_and_said_to_be_an_estimate() -> None:
    need = vision_need(Vision(SERVER, batch_size=2))
    assert need.gib("activations") == pytest.approx(2 * 960 * 960 * 100 * 4 / GIB)
    assert need.basis is Basis.ESTIMATED


def test_an_ocr_service_fits_the_smallest_accelerator_of_the_catalog() -> None:
    for model in (SERVER, MOBILE):
        assert vision_need(Vision(model, batch_size=8)).fits(catalog.accelerator("T4"))


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (Vision(catalog.model("trocr-large-printed")), "sized as a decoder or as a transcription"),
        (Vision(SERVER, "nf4"), "not known"),
        (Vision(SERVER, width=0), "above zero"),
    ],
)
def test_what_cannot_be_sized_is_refused_with_what_to_do(work: Vision, said: str) -> None:
    with pytest.raises(InputError, match=said):
        vision_need(work)


works = st.builds(
    Vision,
    model=st.sampled_from([SERVER, MOBILE]),
    precision=st.sampled_from(["fp32", "fp16", "int8"]),
    batch_size=st.integers(1, 64),
    width=st.integers(32, 4096),
    height=st.integers(32, 4096),
)


@given(works, st.integers(1, 64), st.integers(0, 4096))
def test_a_bigger_batch_or_a_larger_image_never_needs_less(work: Vision, more: int, pixels: int) -> None:
    larger = replace(work, batch_size=work.batch_size + more, width=work.width + pixels)
    assert vision_need(larger).accelerator_gib > vision_need(work).accelerator_gib


@given(works)
def test_more_bits_never_take_fewer_gib(work: Vision) -> None:
    sizes = [vision_need(replace(work, precision=each)).accelerator_gib for each in ("int8", "fp16", "fp32")]
    assert sizes == sorted(sizes)
