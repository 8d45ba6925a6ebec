"""KV cache: a hand-computed case for every kind of attention, and what must hold for all."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuwright import catalog
from gpuwright.catalog.huggingface import model_from_config
from gpuwright.errors import UnknownNameError
from gpuwright.sizing import decoder
from gpuwright.sizing.kv_cache import (
    accelerator_share_of_kv_cache,
    kv_cache_bytes,
    kv_cache_bytes_per_token,
    number_bytes,
)

DECODERS = [each.id for each in catalog.models() if each.kind == "decoder" and each.params_total]
LINEAR = {
    "model_type": "qwen3_5_text",
    "num_hidden_layers": 64,
    "hidden_size": 5120,
    "num_attention_heads": 24,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "intermediate_size": 17408,
    "vocab_size": 248320,
    "max_position_embeddings": 262144,
    "full_attention_interval": 4,
    "linear_num_key_heads": 16,
    "linear_key_head_dim": 128,
    "linear_num_value_heads": 48,
    "linear_value_head_dim": 128,
    "linear_conv_kernel_dim": 4,
    "mamba_ssm_dtype": "float32",
}


def model(name: str):
    return decoder(catalog.model(name))


@pytest.mark.parametrize(
    ("name", "expected", "arithmetic"),
    [
        ("meta-llama/Llama-2-7b-hf", 524_288, "MHA: 2 · 32 layers · 32 heads · 128 · 2 bytes"),
        ("meta-llama/Llama-3.1-8B", 131_072, "GQA: 2 · 32 · 8 KV heads · 128 · 2"),
        ("tiiuae/falcon-7b", 8_192, "MQA: 2 · 32 · 1 KV head · 64 · 2"),
        ("deepseek-ai/DeepSeek-R1", 70_272, "MLA: 61 layers · (512 latent + 64 rotary) · 2"),
        ("Qwen/Qwen3-30B-A3B", 98_304, "mixture of experts: its attention's 2 · 48 · 4 · 128 · 2"),
        ("mistralai/Mistral-7B-v0.1", 131_072, "sliding: 2 · 32 · 8 · 128 · 2 before the window is full"),
        ("google/gemma-2-9b", 344_064, "half sliding: 2 · 42 · 8 · 256 · 2 before the window is full"),
        ("openai/gpt-oss-20b", 49_152, "interleaved: 2 · 24 · 8 · 64 · 2"),
    ],
)
def test_the_kv_cache_of_a_token_is_that_of_the_arithmetic(name: str, expected: int, arithmetic: str) -> None:
    assert kv_cache_bytes_per_token(model(name), "bf16") == expected, arithmetic


def test_a_sliding_layer_keeps_no_more_than_its_window() -> None:
    # Gemma 2 9B: 21 full layers keep 8,192 tokens, 21 sliding ones 4,096, of 2 · 8 · 256 · 2 bytes each.
    assert kv_cache_bytes(model("google/gemma-2-9b"), "bf16", 8192) == (21 * 8192 + 21 * 4096) * 8192
    # Mistral 7B v0.1: 32 sliding layers keep 4,096 tokens of 2 · 8 · 128 · 2 bytes.
    assert kv_cache_bytes(model("mistralai/Mistral-7B-v0.1"), "bf16", 32_768) == 32 * 4096 * 4096


def test_five_sliding_layers_for_each_full_one_keep_a_sixth_of_a_long_context() -> None:
    # Gemma 3 27B: 10 full layers keep 131,072 tokens, 52 sliding ones 1,024, of 2 · 16 · 128 · 2 bytes each.
    expected = (10 * 131_072 + 52 * 1024) * 8192
    assert kv_cache_bytes(model("google/gemma-3-27b-it"), "bf16", 131_072) == expected


def test_layers_of_other_heads_are_counted_with_theirs() -> None:
    # Gemma 4 31B: 10 full layers of 4 heads · 512, 50 sliding ones of 16 · 256 and 1,024 tokens.
    row = replace_row(sliding_window=1024, sliding_layers=50, kv_heads=4, head_dim=512, sliding=(16, 256))
    expected = (10 * 2 * 4 * 512 * 100_000 + 50 * 2 * 16 * 256 * 1024) * 2
    assert kv_cache_bytes(decoder(row), "bf16", 100_000) == expected
    assert kv_cache_bytes_per_token(decoder(row), "bf16") == (10 * 2 * 4 * 512 + 50 * 2 * 16 * 256) * 2


def replace_row(
    sliding_window: int, sliding_layers: int, kv_heads: int, head_dim: int, sliding: tuple[int, int]
):
    config = {
        "model_type": "gemma4_text",
        "num_hidden_layers": 60,
        "hidden_size": 5376,
        "num_attention_heads": 32,
        "num_key_value_heads": sliding[0],
        "num_global_key_value_heads": kv_heads,
        "head_dim": sliding[1],
        "global_head_dim": head_dim,
        "intermediate_size": 21504,
        "vocab_size": 262144,
        "max_position_embeddings": 262144,
        "sliding_window": sliding_window,
        "layer_types": ["sliding_attention"] * sliding_layers + ["full_attention"] * (60 - sliding_layers),
    }
    return model_from_config(config, "x")


def test_layers_without_attention_keep_a_state_that_no_token_adds_to() -> None:
    # Qwen3.5 27B: 16 layers of 2 · 4 · 256 numbers; 48 of 48 · 128 · 128 · 4 + 3 · 10,240 · 2 bytes.
    hybrid = decoder(model_from_config(LINEAR, "x"))
    state = 48 * (48 * 128 * 128 * 4 + 3 * 10_240 * 2)
    assert kv_cache_bytes_per_token(hybrid, "fp8") == 16 * 2 * 4 * 256
    assert kv_cache_bytes(hybrid, "fp8", 1000) == 16 * 2 * 4 * 256 * 1000 + state
    assert kv_cache_bytes(hybrid, "fp8", 0) == state


def test_heads_fewer_than_accelerators_are_repeated_and_a_latent_is_whole_on_each() -> None:
    assert accelerator_share_of_kv_cache(model("meta-llama/Llama-3.1-8B"), 4) == 2 / 8
    assert accelerator_share_of_kv_cache(model("tiiuae/falcon-7b"), 8) == 1
    assert accelerator_share_of_kv_cache(model("Qwen/Qwen3-235B-A22B"), 8) == 1 / 4
    assert accelerator_share_of_kv_cache(model("deepseek-ai/DeepSeek-R1"), 8) == 1


@pytest.mark.parametrize(
    ("precision", "each"), [("auto", 2), ("fp8_e4m3", 1), ("f16", 2), ("q8_0", 34 / 32), ("q4_0", 18 / 32)]
)
def test_a_format_is_understood_as_servers_call_it(precision: str, each: float) -> None:
    assert number_bytes(precision) == each
    llama = model("meta-llama/Llama-2-7b-hf")
    assert kv_cache_bytes_per_token(llama, precision) == 2 * 32 * 32 * 128 * each


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="fp8"):
        number_bytes("fp88")


@given(st.sampled_from(DECODERS).map(model), st.integers(0, 200_000), st.integers(1, 200_000))
def test_a_longer_context_never_needs_less(each, tokens, more) -> None:
    assert kv_cache_bytes(each, "bf16", tokens + more) >= kv_cache_bytes(each, "bf16", tokens)
    assert (
        kv_cache_bytes(each, "bf16", tokens)
        <= kv_cache_bytes_per_token(each, "bf16") * tokens + each.state_bytes
    )


@given(st.sampled_from(DECODERS).map(model), st.integers(1, 63))
def test_one_more_accelerator_never_holds_a_larger_share(each, ranks) -> None:
    share = accelerator_share_of_kv_cache(each, ranks)
    assert accelerator_share_of_kv_cache(each, ranks + 1) <= share
    assert share * ranks >= 1 or share * ranks == pytest.approx(1)


def test_a_cache_of_fewer_layers_is_smaller() -> None:
    llama = model("meta-llama/Llama-2-7b-hf")
    half = replace(llama, cache_layers=16)
    assert kv_cache_bytes(half, "bf16", 100) * 2 == kv_cache_bytes(llama, "bf16", 100)
