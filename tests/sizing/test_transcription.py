"""Speech and lines of text to text: the arithmetic by hand, published measurements, and what must hold for all."""

from __future__ import annotations

import statistics
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuwright import catalog
from gpuwright.errors import InputError
from gpuwright.sizing.servers.budget import GIB
from gpuwright.sizing.transcription import TROCR_PATCHES, Transcription, cache_gib, transcription_need

LARGE = catalog.model("whisper-large-v3")
TURBO = catalog.model("whisper-large-v3-turbo")
TROCR = catalog.model("trocr-large-printed")
SPOKEN_TOKENS = 112
"""Tokens that 30 s of speech come to: a quarter of the model's longest answer."""

# MiB, 13 minutes of speech, beam 5; large-v2 and large-v3 differ in the number of mel bands only.
MEASURED = [
    # SYSTRAN/faster-whisper README v1.1.0, RTX 3070 Ti.
    (4525, Transcription(LARGE)),
    (6090, Transcription(LARGE, batch_size=8)),
    (2926, Transcription(LARGE, "int8")),
    (4500, Transcription(LARGE, "int8", batch_size=8)),
    (4708, Transcription(LARGE, cross_cache_per_beam=True)),
    (4960, Transcription(LARGE, cross_cache_per_beam=True)),
    # SYSTRAN/faster-whisper#1030, RTX 2080 Ti.
    (2537, Transcription(TURBO)),
    (1545, Transcription(TURBO, "int8")),
]


def test_both_caches_are_two_times_layers_times_width_for_each_position() -> None:
    # 2 · 32 layers · 1,280 · 2 bytes = 163,840 for each position; 1,500 frames once, 448 tokens for each of 5 beams.
    assert cache_gib(Transcription(LARGE)) == pytest.approx(163_840 * (1500 + 5 * 448) / GIB)
    assert cache_gib(Transcription(LARGE, cross_cache_per_beam=True)) == pytest.approx(
        163_840 * 5 * 1948 / GIB
    )


def test_turbo_has_four_of_the_decoders_32_layers_and_an_eighth_of_the_cache() -> None:
    assert cache_gib(Transcription(LARGE)) == pytest.approx(8 * cache_gib(Transcription(TURBO)))
    # A decoder layer: two attentions of 4 · 1,280² with three biases, an MLP of 5,120, three norms.
    layer = 2 * (4 * 1280**2 + 3 * 1280) + 2 * 1280 * 5120 + 5120 + 1280 + 3 * 2 * 1280
    assert LARGE.params_total - TURBO.params_total == 28 * layer


def test_published_runs_are_met_within_a_fifth_and_hardly_ever_undercut() -> None:
    found = []
    for observed_mib, work in MEASURED:
        predicted = transcription_need(replace(work, output_tokens=SPOKEN_TOKENS)).accelerator_gib * 1024
        found.append(predicted / observed_mib - 1)
    assert statistics.median(found) <= 0.15
    assert min(found) >= -0.02
    assert max(found) <= 0.40


def test_a_line_of_text_is_an_image_of_577_positions() -> None:
    # TrOCR: 2 · 12 layers · 1,024 · 2 bytes for each of 577 patches and, with one beam, 512 tokens.
    work = Transcription(TROCR, beam_size=1, source_positions=TROCR_PATCHES)
    assert cache_gib(work) == pytest.approx(2 * 12 * 1024 * 2 * (577 + 512) / GIB)
    assert transcription_need(work).fits(catalog.accelerator("T4"))


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (Transcription(catalog.model("bge-m3")), "of kind embedding"),
        (Transcription(LARGE, "nf4"), "not known"),
        (Transcription(LARGE, beam_size=0), "above zero"),
    ],
)
def test_what_cannot_be_sized_is_refused_with_what_to_do(work: Transcription, said: str) -> None:
    with pytest.raises(InputError, match=said):
        transcription_need(work)


works = st.builds(
    Transcription,
    model=st.sampled_from([LARGE, TURBO, TROCR]),
    precision=st.sampled_from(["fp32", "bf16", "fp16", "int8"]),
    batch_size=st.integers(1, 64),
    beam_size=st.integers(1, 10),
    output_tokens=st.integers(1, 400),
    cross_cache_per_beam=st.booleans(),
)


@given(works, st.integers(1, 64), st.integers(0, 5))
def test_a_bigger_batch_or_more_beams_never_need_less(work: Transcription, more: int, beams: int) -> None:
    larger = replace(work, batch_size=work.batch_size + more, beam_size=work.beam_size + beams)
    assert transcription_need(larger).accelerator_gib > transcription_need(work).accelerator_gib


@given(works)
def test_more_bits_never_take_fewer_gib(work: Transcription) -> None:
    sizes = [
        transcription_need(replace(work, precision=each)).accelerator_gib for each in ("int8", "fp16", "fp32")
    ]
    assert sizes == sorted(sizes)


@given(works)
def test_an_answer_of_no_given_length_is_sized_at_the_longest(work: Transcription) -> None:
    assert cache_gib(replace(work, output_tokens=None)) >= cache_gib(work)
