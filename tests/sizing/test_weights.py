"""Weights: what of a model is quantized, what its scales cost, and what one accelerator holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuwright import catalog
from gpuwright.errors import UnknownNameError
from gpuwright.sizing import Basis, decoder
from gpuwright.sizing.memory import GIB
from gpuwright.sizing.weights import accelerator_weights_bytes, weights_bytes, weights_format

DECODERS = [each.id for each in catalog.models() if each.kind == "decoder" and each.params_total]
LLAMA_2_7B = 6_738_417_664
LLAMA_2_EMBEDDINGS = 32_000 * 4_096 * 2


def model(name: str):
    return decoder(catalog.model(name))


def test_weights_are_parameters_times_bytes_or_the_published_size() -> None:
    assert weights_bytes(model("meta-llama/Llama-2-7b-hf"), "bf16") == (LLAMA_2_7B * 2, Basis.DERIVED)
    assert weights_bytes(model("meta-llama/Llama-2-7b-hf"), "fp32")[0] == LLAMA_2_7B * 4
    published = catalog.model("deepseek-ai/DeepSeek-R1").weights_bytes
    assert weights_bytes(model("deepseek-ai/DeepSeek-R1"), "fp8") == (published, Basis.MEASURED)


@pytest.mark.parametrize(
    ("precision", "bits", "arithmetic"),
    [
        ("awq", 4 + 20 / 128, "4 bits, and a 16-bit scale with a 4-bit zero point for 128 weights"),
        ("gptq-int4", 4 + 20 / 128, "the same"),
        ("nf4", 4.5, "4 bits, and a 32-bit maximum for 64 weights"),
        ("nvfp4", 4.5, "4 bits, and an 8-bit scale for 16 weights"),
        ("int8", 8, "one scale for a row, which is nothing"),
        ("w8a8", 8, "the same"),
        ("fp8", 8, "one scale for a tensor"),
        ("fp8-block", 8 + 32 / 16_384, "a 32-bit scale for 128 × 128 weights"),
    ],
)
def test_quantized_weights_keep_embeddings_in_16_bits_and_pay_for_their_scales(
    precision: str, bits: float, arithmetic: str
) -> None:
    expected = (LLAMA_2_7B - LLAMA_2_EMBEDDINGS) * bits / 8 + LLAMA_2_EMBEDDINGS * 2
    found, basis = weights_bytes(model("meta-llama/Llama-2-7b-hf"), precision)
    assert found == pytest.approx(expected, abs=1), arithmetic
    assert basis is Basis.ESTIMATED


def test_smaller_groups_have_more_scales() -> None:
    llama = model("meta-llama/Llama-2-7b-hf")
    layers = LLAMA_2_7B - LLAMA_2_EMBEDDINGS
    by_32, by_128 = (weights_bytes(llama, "awq", group)[0] for group in (32, 128))
    assert by_32 - by_128 == pytest.approx(layers * (20 / 32 - 20 / 128) / 8, abs=1)


def test_mxfp4_quantizes_the_experts_and_nothing_else() -> None:
    # 36 layers · 128 experts · 3 · 2,880 · 2,880 at 4.25 bits; the other 2.2 billion in 16 bits.
    experts = 36 * 128 * 3 * 2880 * 2880
    total = 116_829_156_672
    found, _ = weights_bytes(model("openai/gpt-oss-120b"), "mxfp4")
    assert found == pytest.approx(experts * 4.25 / 8 + (total - experts) * 2, abs=1)
    assert found / 1e9 == pytest.approx(65.2, rel=0.01)  # what the published files sum to


@pytest.mark.parametrize(
    ("name", "precision", "gib"),
    [
        ("Meta-Llama-3-8B", "gguf-Q4_K_M", 4.58),
        ("Meta-Llama-3-8B", "gguf-Q8_0", 7.95),
        ("Meta-Llama-3-8B", "gguf-F16", 14.96),
        ("Meta-Llama-3-70B", "gguf-Q2_K", 24.56),
        ("Meta-Llama-3-70B", "gguf-IQ4_XS", 35.30),
        ("Meta-Llama-3-70B", "Q4_K_M", 39.60),
        ("Meta-Llama-3-70B", "Q5_K_M", 46.52),
        ("Meta-Llama-3-70B", "Q6_K", 53.91),
        ("Meta-Llama-3-70B", "Q8_0", 69.83),
    ],
)
def test_ggufs_mixed_types_have_the_sizes_that_were_published(name: str, precision: str, gib: float) -> None:
    assert weights_bytes(model(name), precision)[0] / GIB == pytest.approx(gib, rel=0.013)


@pytest.mark.parametrize(
    ("name", "precision", "gib", "source"),
    [
        ("Qwen2.5-7B", "awq-int4", 5.2032, "vllm-project/vllm#13882"),
        ("Qwen2.5-72B", "gptq-int4", 38.5260, "vllm-project/vllm#11230"),
        ("Qwen3-30B-A3B", "fp8", 29.09, "vllm-project/vllm#25350"),
        ("Llama-3.1-8B", "bf16", 14.9889, "vllm-project/vllm#17122"),
    ],
)
def test_computed_sizes_are_those_that_servers_loaded(
    name: str, precision: str, gib: float, source: str
) -> None:
    assert weights_bytes(model(name), precision)[0] / GIB == pytest.approx(gib, rel=0.005), source


def test_an_unknown_format_is_refused_with_near_ones() -> None:
    with pytest.raises(UnknownNameError, match="gptq"):
        weights_format("gptqq")


def test_the_fullest_stage_of_a_pipeline_has_the_most_layers() -> None:
    # 80 layers over 6 stages: 14 on the fullest; or 13 beside the head, where that is not counted as a layer.
    llama = model("Meta-Llama-3-70B")
    total, _ = weights_bytes(llama, "bf16")
    ends = 128_256 * 8_192 * 2 * 2
    layer = (total - ends) / 80
    assert accelerator_weights_bytes(llama, total, "bf16", 1, 6) == pytest.approx(13 * layer + ends / 2)
    assert accelerator_weights_bytes(llama, total, "bf16", 1, 6, head_is_layer=True) == pytest.approx(
        14 * layer
    )
    assert accelerator_weights_bytes(llama, total, "bf16", 4, 1) == total / 4


@given(st.sampled_from(DECODERS).map(model))
def test_more_bits_never_take_fewer_bytes(each) -> None:
    if each.quantization:
        return  # the published size of a quantized model is measured, the others are computed
    plain = [weights_bytes(each, name)[0] for name in ("awq", "nf4", "int8", "bf16", "fp32")]
    assert plain == sorted(plain)
    mixed = [
        weights_bytes(each, name)[0] for name in ("Q2_K", "Q3_K_M", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0", "F16")
    ]
    assert mixed == sorted(mixed)


@given(st.sampled_from(DECODERS).map(model), st.sampled_from([1, 2, 4, 8]), st.integers(1, 8))
def test_one_more_stage_never_makes_the_fullest_fuller(each, ranks, stages) -> None:
    total, _ = weights_bytes(each, "bf16")
    fuller = accelerator_weights_bytes(each, total, "bf16", ranks, stages)
    assert accelerator_weights_bytes(each, total, "bf16", ranks, stages + 1) <= fuller
