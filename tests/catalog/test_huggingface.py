"""A model's row from its config.json: parameters, attention, experts, and how a file can be wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuwright import catalog
from gpuwright.catalog.huggingface import FAMILIES, model_from_config
from gpuwright.errors import InputError


def config(model_type: str, dims: str, **more: Any) -> dict[str, Any]:
    """Return a config.json from its layers, width, heads, KV heads, MLP width, vocabulary and context."""
    layers, hidden, heads, kv_heads, intermediate, vocab, positions = (int(each) for each in dims.split())
    return {
        "model_type": model_type,
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "intermediate_size": intermediate,
        "vocab_size": vocab,
        "max_position_embeddings": positions,
        "torch_dtype": "bfloat16",
        **more,
    }


QWEN3_MOE = {"head_dim": 128, "num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 768}
GEMMA2 = {"head_dim": 256, "sliding_window": 4096}
GPT_OSS = {
    "head_dim": 64,
    "num_local_experts": 32,
    "num_experts_per_tok": 4,
    "sliding_window": 128,
    "attention_bias": True,
    "quantization_config": {"quant_method": "mxfp4"},
}
DEEPSEEK_LITE = {
    "kv_lora_rank": 512,
    "q_lora_rank": None,
    "qk_rope_head_dim": 64,
    "qk_nope_head_dim": 128,
    "v_head_dim": 128,
    "n_routed_experts": 64,
    "n_shared_experts": 2,
    "num_experts_per_tok": 6,
    "moe_intermediate_size": 1408,
    "first_k_dense_replace": 1,
    "moe_layer_freq": 1,
}
PUBLISHED = {
    "meta-llama/Llama-2-7b-hf": config("llama", "32 4096 32 32 11008 32000 4096", torch_dtype="float16"),
    "meta-llama/Llama-2-70b-hf": config("llama", "80 8192 64 8 28672 32000 4096", torch_dtype="float16"),
    "meta-llama/Llama-3.1-8B": config("llama", "32 4096 32 8 14336 128256 131072"),
    "meta-llama/Llama-3.1-70B": config("llama", "80 8192 64 8 28672 128256 131072"),
    "meta-llama/Llama-3.2-3B": config("llama", "28 3072 24 8 8192 128256 131072", tie_word_embeddings=True),
    "mistralai/Mistral-7B-v0.1": config("mistral", "32 4096 32 8 14336 32000 32768", sliding_window=4096),
    "mistralai/Mistral-Nemo-Instruct-2407": config(
        "mistral", "40 5120 32 8 14336 131072 131072", head_dim=128, sliding_window=None
    ),
    "mistralai/Mixtral-8x7B-v0.1": config(
        "mixtral", "32 4096 32 8 14336 32000 32768", num_local_experts=8, num_experts_per_tok=2
    ),
    "Qwen/Qwen2.5-0.5B": config("qwen2", "24 896 14 2 4864 151936 32768", tie_word_embeddings=True),
    "Qwen/Qwen2.5-7B": config(
        "qwen2",
        "28 3584 28 4 18944 152064 131072",
        use_sliding_window=False,
        sliding_window=131072,
        max_window_layers=28,
    ),
    "Qwen/Qwen3-8B": config("qwen3", "36 4096 32 8 12288 151936 40960", head_dim=128),
    "Qwen/Qwen3-30B-A3B": config("qwen3_moe", "48 2048 32 4 6144 151936 40960", **QWEN3_MOE),
    "google/gemma-2-2b": config("gemma2", "26 2304 8 4 9216 256000 8192", **GEMMA2),
    "google/gemma-2-9b": config("gemma2", "42 3584 16 8 14336 256000 8192", **GEMMA2),
    "microsoft/Phi-3-mini-4k-instruct": config("phi3", "32 3072 32 32 8192 32064 4096", sliding_window=2048),
    "microsoft/Phi-4-mini-instruct": config(
        "phi3", "32 3072 24 8 8192 200064 131072", tie_word_embeddings=True, sliding_window=None
    ),
    "openai/gpt-oss-20b": config("gpt_oss", "24 2880 64 8 2880 201088 131072", **GPT_OSS),
    "deepseek-ai/DeepSeek-V2-Lite": config(
        "deepseek_v2", "27 2048 16 16 10944 102400 163840", **DEEPSEEK_LITE
    ),
    "facebook/opt-125m": {
        "model_type": "opt",
        "num_hidden_layers": 12,
        "hidden_size": 768,
        "num_attention_heads": 12,
        "ffn_dim": 3072,
        "vocab_size": 50272,
        "max_position_embeddings": 2048,
    },
    "tiiuae/falcon-7b": {
        "model_type": "falcon",
        "num_hidden_layers": 32,
        "hidden_size": 4544,
        "num_attention_heads": 71,
        "vocab_size": 65024,
        "multi_query": True,
        "parallel_attn": True,
        "bias": False,
        "tie_word_embeddings": False,  # as the published checkpoint is counted, which stores both
    },
    "tiiuae/falcon-40b": {
        "model_type": "falcon",
        "num_hidden_layers": 60,
        "hidden_size": 8192,
        "num_attention_heads": 128,
        "num_kv_heads": 8,
        "vocab_size": 65024,
        "new_decoder_architecture": True,
        "parallel_attn": True,
        "bias": False,
        "tie_word_embeddings": False,
    },
}
GPTJ = {
    "model_type": "gptj",
    "n_layer": 28,
    "n_embd": 4096,
    "n_head": 16,
    "vocab_size": 50400,
    "n_positions": 2048,
}
GEMMA3_4B = {
    "model_type": "gemma3",
    "torch_dtype": "bfloat16",
    "vision_config": {
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_hidden_layers": 27,
        "image_size": 896,
        "patch_size": 14,
    },
    "text_config": {
        "model_type": "gemma3_text",
        "hidden_size": 2560,
        "intermediate_size": 10240,
        "num_hidden_layers": 34,
        "sliding_window": 1024,
    },
}
DEEPSEEK_V3 = config(
    "deepseek_v3",
    "61 7168 128 128 18432 129280 163840",
    **{
        **DEEPSEEK_LITE,
        "q_lora_rank": 1536,
        "n_routed_experts": 256,
        "n_shared_experts": 1,
        "num_experts_per_tok": 8,
        "moe_intermediate_size": 2048,
        "first_k_dense_replace": 3,
        "quantization_config": {"quant_method": "fp8"},
    },
)
LINEAR = {
    "full_attention_interval": 4,
    "linear_num_key_heads": 16,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "linear_conv_kernel_dim": 4,
    "head_dim": 256,
}
QWEN35_27B = config(
    "qwen3_5_text",
    "64 5120 24 4 17408 248320 262144",
    **LINEAR,
    linear_num_value_heads=48,
    mamba_ssm_dtype="float32",
)
QWEN35_MOE = {
    **LINEAR,
    "linear_num_value_heads": 32,
    "num_experts": 256,
    "num_experts_per_tok": 8,
    "moe_intermediate_size": 512,
    "shared_expert_intermediate_size": 512,
}
NEMOTRON_NANO = config(
    "nemotron_h",
    "52 2688 32 2 1856 131072 262144",
    head_dim=128,
    hybrid_override_pattern="MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME",
    mamba_num_heads=64,
    mamba_head_dim=64,
    n_groups=8,
    ssm_state_size=128,
    conv_kernel=4,
    mamba_ssm_cache_dtype="float32",
    n_routed_experts=128,
    n_shared_experts=1,
    num_experts_per_tok=6,
    moe_intermediate_size=1856,
    moe_shared_expert_intermediate_size=3712,
)
QWEN_TOWER = {
    "depth": 32,
    "hidden_act": "silu",
    "hidden_size": 1280,
    "intermediate_size": 3420,
    "patch_size": 14,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
}
PIXTRAL_TOWER = {
    "hidden_act": "silu",
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "patch_size": 14,
    "spatial_merge_size": 2,
}
GLM_AIR = {
    "head_dim": 128,
    "n_routed_experts": 128,
    "n_shared_experts": 1,
    "num_experts_per_tok": 8,
    "moe_intermediate_size": 1408,
    "first_k_dense_replace": 1,
    "attention_bias": True,
}
GEMMA4_31B = config(
    "gemma4_text",
    "60 5376 32 16 21504 262144 262144",
    head_dim=256,
    global_head_dim=512,
    num_global_key_value_heads=4,
    sliding_window=1024,
    layer_types=(["sliding_attention"] * 5 + ["full_attention"]) * 10,
    tie_word_embeddings=True,
)
KIMI = {**DEEPSEEK_V3, "num_attention_heads": 64, "num_key_value_heads": 64, "n_routed_experts": 384}
# The billions that are published, most of them rounded.
BILLIONS: list[tuple[dict[str, Any], float]] = [
    (QWEN35_27B, 26.9),
    (config("qwen3_5_moe_text", "40 2048 16 2 5120 248320 262144", **QWEN35_MOE), 34.66),
    (
        config(
            "qwen3_next",
            "48 2048 16 2 5120 151936 262144",
            **{**QWEN35_MOE, "num_experts": 512, "num_experts_per_tok": 10},
        ),
        79.7,
    ),
    (NEMOTRON_NANO, 31.58),
    (GEMMA4_31B, 30.7),
    ({**DEEPSEEK_V3, "model_type": "deepseek_v32"}, 671.03),
    ({**KIMI, "model_type": "kimi_k2", "vocab_size": 163840, "first_k_dense_replace": 1}, 1026.4),
    (config("glm4_moe", "46 4096 96 8 10944 151552 131072", **GLM_AIR), 106.9),
    ({**DEEPSEEK_V3, "model_type": "glm_moe_dsa"}, 671.03),
    (
        config(
            "minimax_m2",
            "62 3072 48 8 1536 200064 196608",
            head_dim=128,
            num_local_experts=256,
            num_experts_per_tok=8,
        ),
        228.7,
    ),
    (config("qwen2_5_vl", "28 3584 28 4 18944 152064 128000", vision_config=QWEN_TOWER), 8.292),
    (config("qwen2_vl", "28 3584 28 4 18944 152064 32768"), 7.616),
    (config("qwen3_vl_text", "36 4096 32 8 12288 151936 262144", head_dim=128), 8.191),
    (config("qwen3_vl_moe_text", "48 2048 32 4 6144 151936 262144", **QWEN3_MOE), 30.53),
    (
        {
            "model_type": "mistral3",
            "text_config": config("mistral", "40 5120 32 8 32768 131072 131072", head_dim=128),
            "vision_config": PIXTRAL_TOWER,
        },
        24.01,
    ),
]
KEYS = {key for each in (*PUBLISHED.values(), GPTJ, GEMMA3_4B, DEEPSEEK_V3) for key in each} | {"layer_types"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_computed_parameters_are_the_published_ones_within_half_a_percent(name: str) -> None:
    published, computed = catalog.model(name), model_from_config(PUBLISHED[name], name)
    assert computed.params_total == pytest.approx(published.params_total, rel=0.005)
    assert computed.params_active == pytest.approx(published.params_active, rel=0.005)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_shape_read_from_a_configuration_is_the_catalogs(name: str) -> None:
    published, computed = catalog.model(name), model_from_config(PUBLISHED[name], name)
    same = (
        *("layers", "hidden_size", "attention_heads", "kv_heads", "head_dim", "vocab_size", "max_position"),
        *("attention", "sliding_window", "sliding_layers", "kv_lora_rank", "qk_rope_head_dim"),
        *("experts", "experts_per_token", "shared_experts", "dense_layers"),
    )
    for column in same:
        assert getattr(computed, column) == getattr(published, column), column
    for column in ("intermediate_size", "moe_intermediate_size", "dtype", "tied_embeddings", "quantization"):
        if getattr(published, column) is not None:
            assert getattr(computed, column) == getattr(published, column), column


def test_gpt_j_counts_its_biased_head() -> None:
    # 6 050 882 784 is what transformers counts in EleutherAI/gpt-j-6b.
    assert model_from_config(GPTJ, "gpt-j").params_total == 6_050_882_784


def test_deepseek_v3_counts_671_billion_and_activates_37() -> None:
    model = model_from_config(DEEPSEEK_V3, "deepseek-v3")
    assert model.params_total == pytest.approx(671.03e9, rel=0.0005)
    assert model.params_active == pytest.approx(37.5e9, rel=0.01)
    assert (model.dtype, model.quantization, model.attention, model.head_dim) == ("fp8", "fp8", "mla", None)


def test_a_nested_text_config_is_what_counts_with_the_defaults_of_its_architecture() -> None:
    model = model_from_config(GEMMA3_4B, "google/gemma-3-4b-it")
    published = catalog.model("google/gemma-3-4b-it")
    # The note of the catalog's row gives what the language model alone has; its count includes the vision tower.
    assert model.params_total - model.vision_params == pytest.approx(3_880_099_328, rel=0.0005)
    assert model.params_total == pytest.approx(published.params_total, rel=0.001)
    for column in (
        "layers",
        "attention_heads",
        "kv_heads",
        "head_dim",
        "sliding_window",
        "sliding_layers",
        "attention",
    ):
        assert getattr(model, column) == getattr(published, column), column
    assert model.dtype == "bf16"


@pytest.mark.parametrize(("given", "billions"), BILLIONS, ids=lambda each: str(each)[:40])
def test_hybrid_and_multimodal_models_count_what_is_published(given: dict[str, Any], billions: float) -> None:
    assert model_from_config(given, "x").params_total / 1e9 == pytest.approx(billions, rel=0.01)


def test_the_state_of_linear_attention_is_that_of_its_heads_and_its_convolution() -> None:
    # 48 layers: 48 heads of 128 × 128 in 32 bits, and 3 inputs of (2 · 16 + 48) · 128 channels in 16 bits.
    model = model_from_config(QWEN35_27B, "x")
    assert model.state_bytes == 48 * (48 * 128 * 128 * 4 + 3 * (2 * 16 + 48) * 128 * 2)
    assert (model.attention_layers, model.attention) == (16, "hybrid")


def test_the_state_of_mamba_is_that_of_its_heads_and_its_convolution() -> None:
    # 23 layers: 64 heads of 64 × 128 in 32 bits, and 3 inputs of 64 · 64 + 2 · 8 · 128 channels in 16 bits.
    model = model_from_config(NEMOTRON_NANO, "x")
    assert model.state_bytes == 23 * (64 * 64 * 128 * 4 + 3 * (64 * 64 + 2 * 8 * 128) * 2)
    assert (model.attention_layers, model.layers - model.dense_layers) == (6, 23)


def test_sliding_layers_may_have_other_heads_than_full_ones() -> None:
    model = model_from_config(GEMMA4_31B, "x")
    assert (model.kv_heads, model.head_dim) == (4, 512)
    assert (model.sliding_kv_heads, model.sliding_head_dim, model.sliding_layers) == (16, 256, 50)


def test_listed_layer_types_win_over_the_architectures_pattern() -> None:
    listed = ["full_attention"] * 30 + ["sliding_attention"] * 4
    text = {**GEMMA3_4B["text_config"], "layer_types": listed}
    assert model_from_config({**GEMMA3_4B, "text_config": text}, "x").sliding_layers == 4


def test_qwen2_slides_only_where_it_says_so_and_only_above_max_window_layers() -> None:
    given = {**PUBLISHED["Qwen/Qwen2.5-7B"], "sliding_window": 4096, "max_window_layers": 21}
    assert model_from_config(given, "x").sliding_layers == 0
    model = model_from_config({**given, "use_sliding_window": True}, "x")
    assert (model.sliding_layers, model.sliding_window, model.attention) == (7, 4096, "hybrid")


def test_layers_named_as_dense_hold_no_experts() -> None:
    given = {**PUBLISHED["Qwen/Qwen3-30B-A3B"], "mlp_only_layers": [0, 1]}
    model = model_from_config(given, "x")
    assert model.dense_layers == 2
    assert model.params_total < model_from_config(PUBLISHED["Qwen/Qwen3-30B-A3B"], "x").params_total


def test_a_quantized_checkpoint_names_its_method_and_no_wrong_dtype() -> None:
    given = {**PUBLISHED["Qwen/Qwen2.5-7B"], "quantization_config": {"quant_method": "awq", "bits": 4}}
    model = model_from_config(given, "x")
    assert (model.quantization, model.dtype) == ("awq", None)


def test_every_missing_key_is_told_at_once() -> None:
    with pytest.raises(InputError) as error:
        model_from_config({"model_type": "llama", "hidden_size": 4096}, "./config.json")
    assert {fault.where for fault in error.value.faults} == {
        f"./config.json: {key}"
        for key in (
            "num_hidden_layers",
            "num_attention_heads",
            "intermediate_size",
            "vocab_size",
            "max_position_embeddings",
        )
    }
    assert all("missing" in fault.problem and fault.fix for fault in error.value.faults)


def test_a_number_of_the_wrong_kind_is_told_with_its_key() -> None:
    broken = {
        **PUBLISHED["meta-llama/Llama-3.1-8B"],
        "hidden_size": "4096",
        "vocab_size": True,
        "num_hidden_layers": 0,
        "num_key_value_heads": 5,
    }
    with pytest.raises(InputError) as error:
        model_from_config(broken, "x")
    assert {fault.where for fault in error.value.faults} == {
        "x: hidden_size",
        "x: vocab_size",
        "x: num_hidden_layers",
        "x: num_key_value_heads",
    }


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ([], "x"),
        ("llama", "x"),
        (None, "x"),
        ({}, "x: model_type"),
        ({"model_type": 7}, "x: model_type"),
        ({"model_type": "bert", "hidden_size": 768}, "x: model_type"),
        ({"model_type": "whisper", "is_encoder_decoder": True}, "x: is_encoder_decoder"),
    ],
)
def test_what_is_no_decoders_configuration_is_refused_with_what_to_do(given: Any, where: str) -> None:
    with pytest.raises(InputError) as error:
        model_from_config(given, "x")
    (fault,) = error.value.faults
    assert fault.where == where
    assert fault.fix


JUNK = st.integers(-9, 9999) | st.sampled_from(
    [None, True, 0.5, float("nan"), "", "7", [], [{}], {}, {"a": 1}]
)


@given(data=st.data())
def test_a_spoilt_configuration_is_either_read_or_told_but_never_a_traceback(data: st.DataObject) -> None:
    base = data.draw(st.sampled_from([*PUBLISHED.values(), GPTJ, GEMMA3_4B, DEEPSEEK_V3]))
    spoilt = {**base, **data.draw(st.dictionaries(st.sampled_from(sorted(KEYS)), JUNK, max_size=4))}
    try:
        model = model_from_config(spoilt, "x")
    except InputError as error:
        told = error.faults
    else:
        told = ()
        assert 0 < model.params_active <= model.params_total
    assert all(fault.where.startswith("x") and fault.fix for fault in told)


def test_every_architecture_is_counted_by_a_test() -> None:
    counted = (*PUBLISHED.values(), GPTJ, GEMMA3_4B, DEEPSEEK_V3, *(each for each, _ in BILLIONS))
    tested = {each["model_type"] for each in counted}
    # The older gemma, and those of which the nested or the nesting configuration is counted.
    nested = {
        "gemma3_text",
        "gemma4",
        "qwen2_5_vl_text",
        "qwen2_vl_text",
        "qwen3_5",
        "qwen3_5_moe",
        "qwen3_vl",
    }
    assert set(FAMILIES) - tested == {"gemma", "qwen3_vl_moe", *nested}
