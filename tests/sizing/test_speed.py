"""Speed: never above the roofline, and monotonous where physics is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuwright import catalog
from gpuwright.sizing import Hardware, Load, Run, decoder, speed

DECODERS = [model.id for model in catalog.models() if model.kind == "decoder" and model.params_total]
BF16 = Run(weights_precision="bf16", kv_cache_precision="bf16")

a_model = st.sampled_from(DECODERS).map(lambda name: decoder(catalog.model(name)))
a_load = st.builds(
    Load,
    concurrency=st.integers(1, 512),
    prompt_tokens=st.integers(1, 16_384),
    output_tokens=st.integers(1, 4096),
    max_model_len=st.just(32_768),
)
hardware = st.builds(
    Hardware,
    st.sampled_from(catalog.accelerators()),
    st.sampled_from([0, 600, 900]),
)


@given(
    a_model, hardware, a_load, st.sampled_from(["bf16", "fp8", "int8", "awq"]), st.sampled_from([1, 2, 4, 8])
)
def test_no_prediction_is_above_the_roofline(model, hardware, load, weights, count) -> None:
    pace = speed(model, hardware, load, Run(weights, "bf16", tensor_parallel_size=count))
    assert pace.output_tokens_per_second <= pace.roofline_output_tokens_per_second


@given(a_model, hardware, a_load)
def test_more_requests_in_flight_never_make_one_of_them_faster(model, hardware, load) -> None:
    busier = Load(load.concurrency + 1, load.prompt_tokens, load.output_tokens, load.max_model_len)
    calm, busy = (speed(model, hardware, each, BF16) for each in (load, busier))
    assert busy.time_per_output_token_ms >= calm.time_per_output_token_ms
    assert busy.time_to_first_token_ms >= calm.time_to_first_token_ms


def test_decode_of_one_request_reads_the_weights_once_at_the_measured_efficiency() -> None:
    # 13.48 GB of weights and 640 tokens · 524,288 bytes at 600 GB/s · 0.71, 0.5 ms of overhead, and this
    # request's own prefill (2 · 6.738e9 · 512 / (70e12 · 0.5) = 197 ms) spread over 256 tokens.
    model = decoder(catalog.model("meta-llama/Llama-2-7b-hf"))
    pace = speed(model, Hardware(catalog.accelerator("A10G"), 0), Load(1, 512, 256, 4096), BF16)
    decode = (13_476_835_328 + 640 * 524_288) / (600e9 * 0.71) * 1000 + 0.5
    assert pace.time_per_output_token_ms == pytest.approx(decode + 197.14 / 256, rel=0.001)


def test_a_mixture_of_experts_reads_only_the_experts_that_its_batch_is_routed_to() -> None:
    model = decoder(catalog.model("mistralai/Mixtral-8x7B-v0.1"))
    one, many = (
        speed(model, Hardware(catalog.accelerator("H200"), 0), Load(batch, 1, 256, 4096), BF16)
        for batch in (1, 64)
    )
    # One token is routed to 2 of 8 experts: 12.9 of 46.7 billion parameters at 4,800 GB/s · 0.71 are 7.6 ms.
    assert one.time_per_output_token_ms == pytest.approx(12.88e9 * 2 / (4800e9 * 0.71) * 1000 + 0.5, rel=0.02)
    assert many.time_per_output_token_ms > 3 * one.time_per_output_token_ms
