"""Embedding models and rerankers: the arithmetic by hand, and what must hold for all."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuwright import catalog
from gpuwright.errors import InputError
from gpuwright.sizing.encoding import Encoding, encoding_need
from gpuwright.sizing.servers.budget import GIB

BGE = catalog.model("bge-m3")
RERANKER = catalog.model("bge-reranker-v2-m3")
E5 = catalog.model("multilingual-e5-large")


def test_the_catalogs_encoders_have_the_parameters_of_their_configuration() -> None:
    # XLM-RoBERTa large: 24 layers of 4 projections and an MLP of 4,096, and (vocabulary + positions + 1) · 1,024.
    layer = 4 * (1024**2 + 1024) + 2 * 1024 * 4096 + 4096 + 1024 + 2 * 2 * 1024
    pooler = 1024**2 + 1024
    for model, positions, head in ((BGE, 8194, pooler), (E5, 514, pooler), (RERANKER, 8194, pooler + 1025)):
        embeddings = (250_002 + positions + 1) * 1024 + 2 * 1024
        assert model.params_total == 24 * layer + embeddings + head, model.id


def test_the_weights_are_parameters_times_bytes_as_the_leaderboard_lists_them() -> None:
    # MTEB's leaderboard: 2.11 GB in FP32 for bge-m3, 2.09 for multilingual-e5-large, in GB of 1024³.
    assert encoding_need(Encoding(BGE, "fp32")).gib("weights") == pytest.approx(2.11, abs=0.01)
    assert encoding_need(Encoding(E5, "fp32")).gib("weights") == pytest.approx(2.09, abs=0.01)


def test_one_layer_of_the_batch_is_alive_and_no_kv_cache() -> None:
    # 32 texts · 512 tokens · (6 · 1,024 + 2 · 4,096) numbers of 2 bytes.
    need = encoding_need(Encoding(BGE))
    assert need.gib("activations") == pytest.approx(32 * 512 * (6 * 1024 + 2 * 4096) * 2 / GIB)
    assert need.gib("kv cache") == 0


def test_scores_written_out_at_8192_tokens_take_what_ran_out_of_memory() -> None:
    # FlagOpen/FlagEmbedding#807: "Tried to allocate 128.00 GiB" = 64 texts · 16 heads · 8,192² scores of 2 bytes;
    # the softmax takes as much again.
    plain, written = (
        encoding_need(Encoding(BGE, batch_size=64, tokens=8192, memory_efficient_attention=each))
        for each in (True, False)
    )
    assert written.gib("activations") - plain.gib("activations") == pytest.approx(2 * 128)
    assert not written.fits(catalog.accelerator("V100-32"))
    assert plain.fits(catalog.accelerator("V100-32"))


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (Encoding(catalog.model("Llama-3.1-8B")), "of kind decoder"),
        (Encoding(E5, tokens=8192), "reads 512 tokens"),
        (Encoding(BGE, batch_size=0), "above zero"),
        (Encoding(BGE, "fp12"), "no precision"),
    ],
)
def test_what_cannot_be_sized_is_refused_with_what_to_do(work: Encoding, said: str) -> None:
    with pytest.raises(InputError, match=said):
        encoding_need(work)


works = st.builds(
    Encoding,
    model=st.sampled_from([BGE, RERANKER]),
    precision=st.sampled_from(["fp32", "bf16", "fp16", "int8"]),
    batch_size=st.integers(1, 512),
    tokens=st.integers(1, 4096),
    memory_efficient_attention=st.booleans(),
)


@given(works, st.integers(1, 512), st.integers(0, 4096))
def test_a_bigger_batch_or_longer_texts_never_need_less(work: Encoding, more: int, tokens: int) -> None:
    larger = replace(work, batch_size=work.batch_size + more, tokens=work.tokens + tokens)
    assert encoding_need(larger).accelerator_gib > encoding_need(work).accelerator_gib


@given(works)
def test_more_bits_never_take_fewer_gib(work: Encoding) -> None:
    sizes = [
        encoding_need(replace(work, precision=each)).accelerator_gib for each in ("int8", "fp16", "fp32")
    ]
    assert sizes == sorted(sizes)
