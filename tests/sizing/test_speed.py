"""Speed: never above the roofline, monotonous where physics is, and as the arithmetic says."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuwright import catalog
from gpuwright.sizing import Hardware, Load, Run, decoder, speed
from gpuwright.sizing.basis import Basis
from gpuwright.sizing.efficiency import CALIBRATED, RunKind
from gpuwright.sizing.roofline import expert_params, experts_touched, peak_flops, step_floor, work

DECODERS = [model.id for model in catalog.models() if model.kind == "decoder" and model.params_total]
SERVERS = ["vllm", "sglang", "tensorrt-llm", "deepspeed", "llama.cpp"]
FORMATS = ["bf16", "fp8", "int8", "awq", "gptq", "nf4", "nvfp4", "mxfp4", "gguf-q4_k_m"]
BF16 = Run(weights_precision="bf16", kv_cache_precision="bf16")
FP8 = Run(weights_precision="fp8", kv_cache_precision="fp8")
LLAMA_70B = decoder(catalog.model("meta-llama/Llama-3.1-70B"))
H200 = Hardware(catalog.accelerator("H200"), 900)

a_model = st.sampled_from(DECODERS).map(lambda name: decoder(catalog.model(name)))
a_load = st.builds(
    Load,
    concurrency=st.integers(1, 512),
    prompt_tokens=st.integers(1, 16_384),
    output_tokens=st.integers(1, 4096),
    max_model_len=st.just(32_768),
)
hardware = st.builds(Hardware, st.sampled_from(catalog.accelerators()), st.sampled_from([0, 600, 900, 1800]))
a_run = st.builds(
    Run,
    weights_precision=st.sampled_from(FORMATS),
    kv_cache_precision=st.sampled_from(["bf16", "fp8"]),
    tensor_parallel_size=st.sampled_from([1, 2, 4, 8, 16, 64]),
    pipeline_parallel_size=st.sampled_from([1, 2, 4]),
    server=st.sampled_from(SERVERS),
)


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("form", FORMATS)
def test_no_prediction_is_above_the_roofline_for_any_model_on_any_accelerator(server: str, form: str) -> None:
    for name in DECODERS:
        model = decoder(catalog.model(name))
        for device in catalog.accelerators():
            for concurrency, prompt, output in ((1, 1, 4096), (64, 8192, 128), (512, 128, 128)):
                load = Load(concurrency, prompt, output, 32_768)
                kind = RunKind.SINGLE if concurrency == 1 else RunKind.OFFLINE
                run = Run(form, "fp8", 2, server=server)
                pace = speed(model, Hardware(device, device.nvlink_gb_per_s), load, run, kind)
                assert pace.output_tokens_per_second < pace.roofline_output_tokens_per_second
                assert math.isfinite(pace.time_to_first_token_ms)


@given(a_model, hardware, a_load, a_run, st.sampled_from(RunKind), st.none() | st.floats(1, 600))
def test_no_prediction_and_no_interval_is_above_the_roofline(model, hardware, load, run, kind, most) -> None:
    pace = speed(model, hardware, load, run, kind, most)
    roofline = pace.roofline_output_tokens_per_second
    assert pace.low_output_tokens_per_second < pace.output_tokens_per_second
    assert pace.output_tokens_per_second <= pace.high_output_tokens_per_second <= roofline
    assert pace.low_time_per_output_token_ms <= pace.time_per_output_token_ms
    assert pace.time_per_output_token_ms < pace.high_time_per_output_token_ms
    assert pace.in_flight <= load.concurrency


@given(a_model, hardware, a_load, a_run)
def test_more_requests_in_flight_never_make_one_of_them_faster(model, hardware, load, run) -> None:
    busier = Load(load.concurrency + 1, load.prompt_tokens, load.output_tokens, load.max_model_len)
    calm, busy = (speed(model, hardware, each, run) for each in (load, busier))
    assert busy.time_per_output_token_ms >= calm.time_per_output_token_ms * (1 - 1e-12)
    assert busy.time_to_first_token_ms >= calm.time_to_first_token_ms * (1 - 1e-12)


@given(a_model, hardware, a_load, a_run)
def test_a_longer_prompt_never_makes_an_answer_faster(model, hardware, load, run) -> None:
    longer = Load(load.concurrency, load.prompt_tokens + 512, load.output_tokens, load.max_model_len)
    short, long = (speed(model, hardware, each, run) for each in (load, longer))
    assert long.time_to_first_token_ms >= short.time_to_first_token_ms
    assert long.time_per_output_token_ms >= short.time_per_output_token_ms * (1 - 1e-12)


@given(a_model, hardware, a_load, st.floats(1, 64))
def test_requests_that_wait_for_the_cache_leave_the_rate_and_lengthen_the_first_token(
    model, hardware, load, most
) -> None:
    free = speed(model, hardware, load, BF16)
    bound = speed(model, hardware, load, BF16, most_in_flight=most)
    assert bound.time_per_output_token_ms <= free.time_per_output_token_ms * (1 + 1e-12)
    if most < load.concurrency:
        whole = bound.time_to_first_token_ms / 1000 + bound.time_per_output_token_ms / 1000 * (
            load.output_tokens - 1
        )
        # Little's law over all that are there, waiting or not.
        assert load.concurrency / whole == pytest.approx(bound.requests_per_second, rel=0.01)


def test_decode_of_one_request_takes_the_bytes_the_layers_and_the_request() -> None:
    # 70.55e9 parameters of which 2 · 128,256 · 8,192 = 2.101e9 are embeddings in 16 bits, half of them looked up, not
    # read: (70.554 - 2.101) + 2.101 = 70.554e9 bytes in FP8 layers and a 16-bit head. The cache of 1,024 + 512 tokens
    # is 1,536 · 163,840 bytes. 80 layers, one request.
    pace = speed(LLAMA_70B, H200, Load(1, 1024, 1024, 2048), FP8)
    step = 70.554e9 / (4800e9 * CALIBRATED.memory) + 1536 * 163_840 / (4800e9 * CALIBRATED.cache)
    step += 80 * CALIBRATED.vllm_layer_seconds + CALIBRATED.request_seconds
    assert pace.time_per_output_token_ms == pytest.approx(step * 1000, rel=0.001)


def test_a_prompt_takes_two_operations_a_parameter_and_the_attention_to_what_is_before() -> None:
    # 2 · (70.554e9 - 1.051e9 looked up) · 8,192 = 1,138.7e12; attention 4 · 64 · 128 · 80 · 8,192² / 2 = 88.0e12.
    task = work(LLAMA_70B, H200, Load(1, 8192, 1, 8193), FP8)
    assert task.prefill_flops == pytest.approx(1138.7e12, rel=0.001)
    assert task.prefill_attention_flops == pytest.approx(88.0e12, rel=0.001)
    assert step_floor(task, 1000) == pytest.approx(1000 * 1138.7e12 / 1979e12, rel=0.001)


def test_a_mixture_of_experts_reads_only_the_experts_that_its_batch_is_routed_to() -> None:
    model = decoder(catalog.model("mistralai/Mixtral-8x7B-v0.1"))
    # 32 layers · 8 experts · 3 · 4,096 · 14,336 = 45.1e9 parameters; one token is routed to a quarter of them, 64 are
    # to all but 0.75^64.
    assert expert_params(model) == pytest.approx(45.1e9, rel=0.001)
    assert experts_touched(model, 1) == pytest.approx(0.25)
    assert experts_touched(model, 64) == pytest.approx(1, abs=1e-7)
    one, many = (work(model, H200, Load(batch, 1, 256, 4096), BF16) for batch in (1, 64))
    assert one.expert_bytes == pytest.approx(45.1e9 * 2 / 4, rel=0.001)
    assert many.dense_bytes == one.dense_bytes


def test_a_latent_cache_is_read_whole_by_each_accelerator_and_heads_are_shared() -> None:
    latent = decoder(catalog.model("deepseek-ai/DeepSeek-V3"))
    alone, shared = (Run("fp8", "bf16", ranks) for ranks in (1, 8))
    load = Load(16, 1024, 1024, 4096)
    assert work(latent, H200, load, shared).cache_bytes == work(latent, H200, load, alone).cache_bytes
    assert (
        work(LLAMA_70B, H200, load, shared).cache_bytes * 8 == work(LLAMA_70B, H200, load, alone).cache_bytes
    )


def test_peaks_are_those_of_the_format_where_the_accelerator_multiplies_in_it() -> None:
    a100, h100, b200 = (
        catalog.accelerator(*each) for each in (("A100-80", "SXM4"), ("H100-80", "SXM5"), ("B200",))
    )
    assert peak_flops(a100, "fp8", "vllm") == 312e12
    assert peak_flops(h100, "fp8", "vllm") == 1979e12
    assert peak_flops(h100, "nvfp4", "vllm") == 989e12
    assert peak_flops(b200, "nvfp4", "vllm") == 9000e12
    assert peak_flops(h100, "awq", "vllm") == 989e12
    assert peak_flops(h100, "int8", "vllm") == 1979e12
    assert peak_flops(catalog.accelerator("RTX 4090"), "gguf-f16", "llama.cpp") == pytest.approx(330.4e12)


def test_more_accelerators_in_a_row_than_one_link_joins_are_not_promised_to_be_faster() -> None:
    load = Load(8, 1024, 1024, 4096)
    eight, many = (speed(LLAMA_70B, H200, load, Run("fp8", "fp8", ranks)) for ranks in (8, 64))
    assert many.output_tokens_per_second == eight.output_tokens_per_second
    assert many.roofline_output_tokens_per_second > eight.roofline_output_tokens_per_second


def test_stages_share_the_requests_and_make_no_single_one_faster() -> None:
    one, two = (
        [speed(LLAMA_70B, H200, Load(n, 1024, 1024, 4096), Run("fp8", "fp8", 1, pipeline_parallel_size=stages))
         for n in (1, 64)]
        for stages in (1, 2)
    )  # fmt: skip
    assert two[0].time_per_output_token_ms == one[0].time_per_output_token_ms
    assert (
        one[1].output_tokens_per_second
        < two[1].output_tokens_per_second
        < 2 * one[1].output_tokens_per_second
    )


def test_what_nothing_was_measured_of_says_so_and_is_wider() -> None:
    load = Load(8, 512, 256, 4096)
    known, unknown = (
        speed(LLAMA_70B, Hardware(catalog.accelerator(name), 0), load, BF16) for name in ("H200", "L40S")
    )
    assert (known.basis, unknown.basis) == (Basis.CALIBRATED, Basis.ESTIMATED)
    width = [pace.output_tokens_per_second / pace.low_output_tokens_per_second for pace in (known, unknown)]
    assert width[0] < width[1]


def test_a_run_for_the_highest_rate_with_experts_splits_requests_where_that_is_faster() -> None:
    model = decoder(catalog.model("meta-llama/Llama-4-Maverick-17B-128E-Instruct"))
    b200, load = Hardware(catalog.accelerator("B200"), 1800), Load(2048, 1000, 1000, 2000)
    run = Run("nvfp4", "fp8", 8, server="tensorrt-llm")
    apart, shared = (
        work(model, b200, load, run, attention_per_rank=True),
        work(model, b200, load, run, attention_per_rank=False),
    )
    assert apart.dense_bytes == shared.dense_bytes * 8
    # One copy to one expert, there and back, instead of two all-reduces of twice 7/8: 2 · 1/8 against 2 · 2 · 7/8.
    assert apart.message_bytes * 14 == pytest.approx(shared.message_bytes)
    most, steady = (speed(model, b200, load, run, kind) for kind in (RunKind.OFFLINE, RunKind.SERVING))
    assert most.output_tokens_per_second > 1.2 * steady.output_tokens_per_second
    assert most.output_tokens_per_second < most.roofline_output_tokens_per_second


def test_a_prompt_found_in_the_prefix_cache_is_not_read_again_and_still_attended_to() -> None:
    load = Load(16, 4096, 256, 8192)
    fresh, cached = (speed(LLAMA_70B, H200, load, FP8, cached_prompt_tokens=part) for part in (0, 3072))
    assert cached.prefill_ms < 0.35 * fresh.prefill_ms
    assert cached.time_to_first_token_ms < fresh.time_to_first_token_ms
    assert cached.roofline_output_tokens_per_second >= fresh.roofline_output_tokens_per_second
    task = work(LLAMA_70B, H200, load, FP8, cached_prompt_tokens=3072)
    # 1,024 tokens, each with 3,584 before it in the mean: 4 · 64 · 128 · 80 · 1,024 · 3,584.
    assert task.prefill_attention_flops == pytest.approx(4 * 64 * 128 * 80 * 1024 * 3584)
