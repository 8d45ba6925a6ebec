"""Memory: hand-computed cases for every kind of attention, and what must hold for all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuwright import catalog
from gpuwright.errors import InputError
from gpuwright.sizing import GPU_MEMORY_UTILIZATION, Load, Run, decoder, fit
from gpuwright.sizing.memory import (
    GIB,
    Verdict,
    kv_cache_bytes_per_token,
)
from gpuwright.sizing.servers import visible_bytes

BF16 = Run(weights_precision="bf16", kv_cache_precision="bf16")
CHAT = Load(concurrency=16, prompt_tokens=512, output_tokens=256, max_model_len=4096)
DECODERS = [model.id for model in catalog.models() if model.kind == "decoder" and model.params_total]


def model(name: str):
    return decoder(catalog.model(name))


def test_a_kv_cache_in_fp8_is_half_of_one_in_bf16() -> None:
    llama = model("meta-llama/Llama-2-7b-hf")
    assert kv_cache_bytes_per_token(llama, "fp8") * 2 == kv_cache_bytes_per_token(llama, "bf16")


def test_llama_2_7b_for_sixteen_chats_fits_an_a10g_and_not_a_t4() -> None:
    llama = model("meta-llama/Llama-2-7b-hf")
    on_a10g = fit(llama, catalog.accelerator("A10G"), CHAT, BF16)
    assert on_a10g.fits
    assert on_a10g.weights_gib == pytest.approx(12.551, abs=0.001)
    assert on_a10g.kv_cache_gib == pytest.approx(16 * 768 * 524_288 / GIB)
    assert on_a10g.usable_gib == pytest.approx(visible_bytes(23_028) / GIB * GPU_MEMORY_UTILIZATION)
    assert on_a10g.max_concurrency >= 16
    assert not fit(llama, catalog.accelerator("T4"), CHAT, BF16).fits


def test_one_request_of_the_longest_length_must_fit_or_the_server_refuses_to_start() -> None:
    llama = model("meta-llama/Llama-2-7b-hf")
    one = Load(concurrency=1, prompt_tokens=10, output_tokens=10, max_model_len=4096)
    memory = fit(llama, catalog.accelerator("A10G"), one, BF16)
    assert memory.kv_cache_gib == pytest.approx(4096 * 524_288 / GIB)


def test_a_model_that_is_no_decoder_is_refused_with_what_to_do() -> None:
    with pytest.raises(InputError, match="diffusion model"):
        decoder(catalog.model("black-forest-labs/FLUX.1-dev"))


precision = st.sampled_from(["bf16", "fp16"])
a_model = st.sampled_from(DECODERS).map(model)
a_device = st.sampled_from(catalog.accelerators())
a_load = st.builds(
    Load,
    concurrency=st.integers(1, 512),
    prompt_tokens=st.integers(1, 8192),
    output_tokens=st.integers(1, 4096),
    max_model_len=st.integers(16, 131_072),
)


def sized(model, device, load, count=1, weights="bf16", cache="bf16"):
    return fit(model, device, load, Run(weights, cache, tensor_parallel_size=count))


@given(a_model, a_device, a_load, st.integers(1, 65_536))
def test_a_longer_context_never_needs_less(model, device, load, more) -> None:
    longer = Load(load.concurrency, load.prompt_tokens, load.output_tokens, load.max_model_len + more)
    assert sized(model, device, longer).total_gib >= sized(model, device, load).total_gib


@given(a_model, a_device, a_load)
def test_more_bits_never_take_fewer_gib(model, device, load) -> None:
    if model.quantization:
        return  # the published size of a quantized model is measured, the others are computed
    sizes = [sized(model, device, load, weights=each).weights_gib for each in ("awq", "int8", "bf16", "fp32")]
    assert sizes == sorted(sizes)


@given(a_model, a_device, a_load, st.sampled_from([1, 2, 4]))
def test_twice_the_accelerators_never_hold_fewer_tokens(model, device, load, count) -> None:
    assert (
        sized(model, device, load, count * 2).kv_cache_tokens
        >= sized(model, device, load, count).kv_cache_tokens
    )


@given(a_model, a_device, a_load)
def test_what_fits_has_room_for_its_concurrency(model, device, load) -> None:
    memory = sized(model, device, load)
    if memory.fits:
        assert memory.max_concurrency >= load.concurrency


@given(a_model, a_device, a_load)
def test_the_parts_add_up_and_the_verdict_agrees_with_them(model, device, load) -> None:
    memory = sized(model, device, load)
    parts = memory.weights_gib + memory.kv_cache_gib + memory.activations_gib + memory.runtime_gib
    assert memory.total_gib == pytest.approx(parts)
    assert memory.fits == (memory.margin_gib >= 0)
    if memory.verdict is not Verdict.TIGHT:
        assert (memory.verdict is Verdict.FITS) == memory.fits
    else:
        assert abs(memory.margin_gib) < memory.uncertainty_gib
