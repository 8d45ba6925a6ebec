"""The accounting of each server: hand-computed cases, the logs that its constants are from, and what holds for all."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuwright import catalog
from gpuwright.errors import UnknownNameError
from gpuwright.sizing import Load, Run, decoder, fit
from gpuwright.sizing.memory import GIB, Verdict, fit_in
from gpuwright.sizing.servers import (
    ACCOUNTING,
    Shape,
    budget,
    prefill_bytes,
    sglang,
    tensorrt_llm,
    visible_bytes,
    vllm,
)

DECODERS = [each.id for each in catalog.models() if each.kind == "decoder" and each.params_total]
LLAMA = "meta-llama/Llama-3.1-8B"
ONE = Load(concurrency=1, prompt_tokens=511, output_tokens=1, max_model_len=8192)


def model(name: str):
    return decoder(catalog.model(name))


def shape(
    name: str = LLAMA, visible_gib: float = 40, weights_gib: float = 15, longest: int = 8192, **run
) -> Shape:
    each = Run(**{"weights_precision": "bf16", "kv_cache_precision": "auto", "max_sequences": 256, **run})
    return Shape(model(name), each, visible_gib * GIB, weights_gib * GIB, each.max_sequences, longest)


@pytest.mark.parametrize(
    ("usable_mib", "torch_gib", "source"),
    [
        (24_576, 23.58, "RTX 3090, vllm-project/vllm#10517"),
        (40_960, 39.49, "A100, vllm-project/vllm#25970"),
        (46_068, 44.42, "L40S, vllm-project/vllm#15815"),
        (81_559, 79.22, "H100, vllm-project/vllm#10511"),
        (15_360, 14.56, "T4, public notebook log"),
    ],
)
def test_a_process_finds_what_pytorch_printed(usable_mib: int, torch_gib: float, source: str) -> None:
    assert visible_bytes(usable_mib) / GIB == pytest.approx(torch_gib, rel=0.003), source


@pytest.mark.parametrize(
    ("tokens", "gib"), [(20_000, 2.07), (29_000, 2.99)], ids=["20,000 tokens", "29,000 tokens"]
)
def test_a_prefill_step_of_llama_3_1_8b_peaks_where_vllm_profiled_it(tokens: int, gib: float) -> None:
    # Each token: 2 bytes · (3 · 14,336 + 3 · 4,096).
    assert prefill_bytes(model(LLAMA), tokens, 1) == tokens * 2 * 3 * (14_336 + 4_096)
    assert prefill_bytes(model(LLAMA), tokens, 1) / GIB == pytest.approx(gib, rel=0.01)


def test_a_mixture_of_experts_holds_a_row_for_each_expert_of_a_token() -> None:
    # 8 experts: the wider of 2 · 768 / 2 and 2,048, and 768 / 2; three residual streams of 2,048.
    expected = 1000 * 2 * (8 * (2048 + 384) + 3 * 2048)
    assert prefill_bytes(model("Qwen/Qwen3-30B-A3B"), 1000, 2) == expected


@pytest.mark.parametrize(
    ("name", "run", "longest", "gib", "source"),
    [
        ("Qwen/Qwen2.5-7B", {"prefill_tokens": 4096}, 4096, 1.42, "vllm-project/vllm#13882"),
        (LLAMA, {"prefill_tokens": 8192}, 8192, 1.26, "vllm-project/vllm#10511"),
        (
            LLAMA,
            {"prefill_tokens": 8192, "tensor_parallel_size": 2},
            8192,
            1.26,
            "vllm-project/vllm#10511, two",
        ),
        (
            "Qwen/Qwen3-8B",
            {"prefill_tokens": 8192, "tensor_parallel_size": 4},
            65_536,
            1.45,
            "public blog post",
        ),
        ("Qwen/Qwen2.5-1.5B", {"prefill_tokens": 32_768}, 32_768, 2.02, "public notebook log"),
    ],
)
def test_the_profiled_peak_is_the_larger_of_prefill_and_sampling(name, run, longest, gib, source) -> None:
    found = budget(shape(name, longest=longest, server_version="0.7.3 (V0)", **run))
    assert found.activations / GIB == pytest.approx(gib, rel=0.05), source


def test_sampling_is_not_divided_and_skipped_where_an_early_version_cuts_prompts() -> None:
    # 256 requests · 128,256 words · 38.4 bytes, and 2,048 tokens of 4,096 numbers in 16 bits.
    found = budget(shape(server_version="0.11.0", prefill_tokens=2048))
    assert found.activations == pytest.approx(256 * 128_256 * 38.4 + 2048 * 4096 * 2)
    early = budget(shape(server_version="0.6.4", prefill_tokens=512, longest=35_000))
    assert early.activations == 512 * 2 * 3 * (14_336 + 4_096)


@pytest.mark.parametrize(
    ("text", "number", "v1"),
    [
        ("0.11.0", (0, 11, 0), True),
        ("0.7.3", (0, 7, 3), False),
        ("0.8.5 (V0)", (0, 8, 5), False),
        ("0.13/0.14-dev (V1)", (0, 13), True),
        ("0.6.4-era (V0)", (0, 6, 4), False),
        (None, vllm.NEWEST, True),
    ],
)
def test_a_version_is_understood_as_people_write_it(text, number, v1) -> None:
    assert vllm.version(text) == vllm.Version(number, v1)


@pytest.mark.parametrize(
    ("text", "gib", "longest", "is_a100", "expected"),
    [
        ("0.6.4 (V0)", 24, 20_000, False, (20_000, 256)),
        ("0.6.4 (V0)", 24, 1_024, False, (2_048, 256)),
        ("0.6.4 (V0)", 24, 35_000, False, (512, 256)),
        ("0.8.5 (V0)", 24, 65_536, False, (2_048, 256)),
        ("0.4.1 (V0)", 48, 131_072, False, (131_072, 256)),
        ("0.11.0", 80, 32_768, False, (8_192, 1_024)),
        ("0.11.0", 80, 32_768, True, (2_048, 256)),
        ("0.8.3 (V1)", 80, 32_768, True, (8_192, 1_024)),
        ("0.11.0", 24, 32_768, False, (2_048, 256)),
    ],
)
def test_vllms_defaults_depend_on_version_and_accelerator(text, gib, longest, is_a100, expected) -> None:
    assert vllm.defaults(text, gib, longest, is_a100) == expected


def test_cuda_graphs_are_beside_the_fraction_before_0_21_and_inside_from_then_on() -> None:
    beside, inside = (budget(shape(server_version=text)) for text in ("0.20.0", "0.21.0"))
    eager = budget(shape(server_version="0.21.0", enforce_eager=True))
    assert beside.outside > 0
    assert inside.outside == 0
    assert inside.runtime == pytest.approx(beside.runtime + beside.outside)
    assert eager.runtime == beside.runtime
    full = replace(fit(model(LLAMA), catalog.accelerator("A10G"), ONE, Run("bf16", "auto")), outside_gib=99.0)
    assert full.verdict is Verdict.DOES_NOT_FIT


def test_early_versions_held_the_inputs_of_all_reduces() -> None:
    # Llama 2 70B before 0.3: 160 all-reduces of 4,096 tokens · 8,192 numbers in 16 bits are 10 GiB.
    of_one, of_four = (
        budget(
            shape(
                "Llama-2-70b-hf",
                prefill_tokens=4096,
                max_sequences=1,
                tensor_parallel_size=ranks,
                server_version="0.2.7",
            )
        )
        for ranks in (1, 4)
    )
    held = 2 * 80 * 4096 * 8192 * 2
    assert held == 10 * GIB
    step = [prefill_bytes(model("Llama-2-70b-hf"), 4096, ranks) * 1.2 for ranks in (1, 4)]
    assert of_one.activations == pytest.approx(step[0])
    assert of_four.activations == pytest.approx(step[1] + held)


def test_the_gemma_4_of_one_a100_holds_tenfold_from_the_version_that_tells_its_layers_apart() -> None:
    # vllm-project/vllm#43308: about 55,000 tokens in 0.20 and 525,000 in 0.21.
    gemma = replace(
        model("google/gemma-3-27b-it"),
        layers=60,
        cache_layers=60,
        sliding_layers=50,
        cached_per_layer=2 * 4 * 512,
        sliding_cached_per_layer=2 * 16 * 256,
    )
    tokens = []
    for text in ("0.20.0", "0.21.0"):
        run = Run("awq", "auto", server_version=text, max_sequences=256)
        each = Shape(gemma, run, 79 * GIB, 20 * GIB, 256, 262_144)
        tokens.append(vllm.reported_tokens(each, 47 * GIB, 1.0))
    assert tokens[0] == pytest.approx(55_000, rel=0.05)
    assert tokens[1] == pytest.approx(525_000, rel=0.05)


def test_sglangs_static_fraction_holds_weights_and_cache() -> None:
    # (40 - 0.5 of context) · 0.9 - 15 of weights.
    found = budget(shape(server="sglang"))
    assert found.left / GIB == pytest.approx((40 - sglang.CONTEXT_GIB) * 0.9 - 15)
    assert found.outside > 0
    assert sglang.defaults(80)[0] == pytest.approx(0.84, abs=0.01)
    assert sglang.defaults(24)[0] == pytest.approx(0.85, abs=0.01)


def test_tensorrt_llm_gives_a_fraction_of_what_is_free() -> None:
    found = budget(shape(server="tensorrt-llm", prefill_tokens=8192))
    free = 40 * GIB - 15 * GIB - found.activations - found.runtime
    assert found.left == pytest.approx(0.9 * free)
    assert tensorrt_llm.defaults("1.0", 256) == (0.9, 8192)
    assert tensorrt_llm.defaults("0.5 (2023-10)", 25) == (0.9, 25 * 2048)


def test_deepspeed_keeps_a_gigabyte_free() -> None:
    found = budget(shape(server="deepspeed"))
    assert found.left == pytest.approx(40 * GIB - 15 * GIB - 1e9 - 0.5 * GIB)


@pytest.mark.parametrize(
    ("name", "mib", "source"),
    [
        ("Meta-Llama-3-8B", 560, "known logs: 512 · 8,192 · 32 · 4 bytes of scores, mask and rows"),
        ("Meta-Llama-3-70B", 1104, "ggml-org/llama.cpp#8035 shows 1,108.5 MiB"),
    ],
)
def test_llama_cpps_compute_buffer_is_that_of_its_log(name: str, mib: int, source: str) -> None:
    found = budget(shape(name, server="llama.cpp", server_version="2024-05"))
    assert found.activations / 1024**2 == pytest.approx(mib, abs=1), source


def test_llama_cpp_leaves_the_embedding_in_the_hosts_memory() -> None:
    # 8,030,261,248 parameters less 128,256 · 4,096 on an RTX 4080: it held 4,096 tokens and not 8,192.
    llama, device = model("Meta-Llama-3-8B"), catalog.accelerator("RTX 4080")
    run = Run("gguf-F16", "f16", server="llama.cpp", server_version="2024-05")
    fits = [fit(llama, device, Load(1, length - 1, 1, length), run).fits for length in (4096, 8192)]
    assert fits == [True, False]


def test_a_server_without_accounting_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="vllm"):
        budget(shape(server="vlm"))


a_shape = st.builds(
    lambda name, server, sequences, longest, ranks, stages: (
        model(name),
        Load(1, max(1, longest - 1), 1, longest),
        Run(
            "bf16",
            "auto",
            server=server,
            max_sequences=sequences,
            tensor_parallel_size=ranks,
            pipeline_parallel_size=stages,
        ),
    ),
    st.sampled_from(DECODERS),
    st.sampled_from(sorted(ACCOUNTING)),
    st.integers(1, 1024),
    st.integers(16, 131_072),
    st.sampled_from([1, 2, 4, 8]),
    st.integers(1, 4),
)


@given(a_shape, st.floats(8, 200), st.floats(0.1, 100))
def test_more_memory_never_holds_fewer_tokens(given_, visible, more) -> None:
    each, load, run = given_
    small, large = (fit_in(each, gib * GIB, load, run) for gib in (visible, visible + more))
    assert large.kv_cache_tokens >= small.kv_cache_tokens
    assert large.margin_gib >= small.margin_gib - 1e-9


@given(a_shape, st.floats(8, 200))
def test_one_more_stage_never_lowers_what_one_accelerator_has_left(given_, visible) -> None:
    each, load, run = given_
    deeper = replace(run, pipeline_parallel_size=run.pipeline_parallel_size + 1)
    shallow, deep = (fit_in(each, visible * GIB, load, one) for one in (run, deeper))
    of_shallow = shallow.kv_cache_left_gib / run.accelerators
    assert deep.kv_cache_left_gib / deeper.accelerators >= of_shallow - 0.01


@given(a_shape, st.floats(8, 200), st.sampled_from([(1, 2), (2, 3), (2, 4), (3, 4), (4, 8), (7, 8)]))
def test_one_more_accelerator_never_lowers_capacity(given_, visible, ranks) -> None:
    each, load, run = given_
    few, many = (
        fit_in(each, visible * GIB, load, replace(run, tensor_parallel_size=count)) for count in ranks
    )
    assert many.kv_cache_tokens >= few.kv_cache_tokens
    assert many.max_concurrency >= few.max_concurrency


@given(a_shape, st.floats(8, 200))
def test_what_a_server_has_left_is_what_it_may_use_less_what_it_took(given_, visible) -> None:
    each, load, run = given_
    memory = fit_in(each, visible * GIB, load, run)
    spare = memory.usable_gib - (memory.total_gib - memory.kv_cache_gib)
    assert memory.kv_cache_left_gib == pytest.approx(max(0, spare), abs=1e-6)
