"""Images: the arithmetic by hand, the documents' floors, published measurements, and what must hold for all."""

from __future__ import annotations

import statistics
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuwright import catalog
from gpuwright.catalog import Model
from gpuwright.errors import InputError
from gpuwright.sizing.diffusion import (
    T5_KEPT_IN_FP32,
    Diffusion,
    component_gib,
    decode_gib,
    denoise_gib,
    diffusion_need,
)
from gpuwright.sizing.servers.budget import GIB

SD15 = catalog.model("stable-diffusion-v1-5")
SDXL = catalog.model("stable-diffusion-xl-base-1.0")
SD3 = catalog.model("stable-diffusion-3-medium")
FLUX = catalog.model("FLUX.1-dev")
PIPELINES = [
    SD15,
    SDXL,
    SD3,
    FLUX,
    *(catalog.model(f"stable-diffusion-3.5-{size}") for size in ("medium", "large")),
]
CONTROLNET = catalog.model("control_v11p_sd15_canny")


def denoiser_of(model: Model) -> Model:
    return replace(model, components=tuple(part for part in model.components if part.hidden_size))


def small(**others: object) -> Diffusion:
    return Diffusion(SD15, width=512, height=512, **others)  # type: ignore[arg-type]


def allocated_gib(work: Diffusion) -> float:
    need = diffusion_need(work)
    return need.gib("weights") + need.gib("activations")


def test_the_weights_of_stable_diffusion_are_those_of_its_parts() -> None:
    # UNet 859.52 M · 2 bytes, CLIP-L 0.2461 GB, VAE 0.3346 GB in FP32 halved.
    expected = (859_520_000 * 2 + 0.2461e9 + 0.3346e9 / 2) / GIB
    assert diffusion_need(small()).gib("weights") == pytest.approx(expected)


def test_a_unets_step_takes_33_numbers_for_each_channel_and_latent_pixel_twice_with_guidance() -> None:
    # 512 / 8 = 64 latent pixels a side, 320 channels, 2 bytes, 2 images with guidance.
    assert denoise_gib(small()) == pytest.approx(64 * 64 * 320 * 33 * 2 * 2 / GIB)
    assert denoise_gib(small(guidance=False)) == pytest.approx(denoise_gib(small()) / 2)


def test_a_transformers_step_takes_17_widths_for_each_token_of_image_and_text() -> None:
    # 1,024 / 16 = 64 tokens a side and 512 of text, width 3,072, 2 bytes.
    work = Diffusion(FLUX, "bf16", guidance=False)
    assert denoise_gib(work) == pytest.approx((64 * 64 + 512) * 3072 * 17 * 2 / GIB)


def test_without_memory_efficient_attention_the_scores_are_written_out_twice() -> None:
    # Scores and softmax · 8 heads · 4,096² pairs · 2 bytes · 2 images.
    more = denoise_gib(small(memory_efficient_attention=False)) - denoise_gib(small())
    assert more == pytest.approx(2 * 8 * 4096**2 * 2 * 2 / GIB)


def test_decoding_takes_a_thousand_numbers_for_each_pixel() -> None:
    assert decode_gib(small()) == pytest.approx(512 * 512 * 1000 * 2 / GIB)
    assert decode_gib(small(batch_size=4)) == pytest.approx(4 * decode_gib(small()))


def test_tiles_bound_the_decoders_peak() -> None:
    whole, tiled = small(high_resolution_scale=4), small(high_resolution_scale=4, vae_tile=512)
    assert decode_gib(tiled, 4) < decode_gib(whole, 4) / 14
    assert diffusion_need(tiled).accelerator_gib < diffusion_need(whole).accelerator_gib


def test_the_vae_of_sdxl_decodes_in_fp32_unless_told_otherwise() -> None:
    assert decode_gib(Diffusion(SDXL, "fp16")) == pytest.approx(
        2 * decode_gib(Diffusion(SDXL, vae_precision="fp16"))
    )


def test_t5_keeps_its_output_projections_in_fp32_when_loaded_in_fp16() -> None:
    # Measured: FP8 saves 6.18 GiB of T5 in FP16 (16.4 GiB of Stable Diffusion 3 less what its transformer saves).
    (t5,) = [part for part in FLUX.components if "t5" in part.name]
    assert component_gib(t5, "fp16") - component_gib(t5, "bf16") == pytest.approx(T5_KEPT_IN_FP32 * 2 / GIB)
    assert component_gib(t5, "fp16") - component_gib(t5, "fp8") == pytest.approx(6.18, rel=0.05)


@pytest.mark.parametrize(
    ("observed_gib", "work"),
    [
        # huggingface.co/datasets/diffusers/benchmarks: peak of one forward pass, GB of 1024³ bytes.
        (22.61, Diffusion(denoiser_of(FLUX), "bf16", guidance=False)),
        (6.72, Diffusion(denoiser_of(FLUX), "nf4", guidance=False)),
        (22.18, Diffusion(denoiser_of(FLUX), "nf4", guidance=False, quantize_at_load=True)),
        (22.18, Diffusion(denoiser_of(FLUX), "fp8", guidance=False, quantize_at_load=True)),
        (5.05, Diffusion(denoiser_of(SDXL), "bf16", guidance=False)),
        # huggingface.co/datasets/sayakpaul/sample-datasets, sdv15_patrick and sdxl_results.
        (4.948, Diffusion(SD15, "fp32", width=512, height=512)),
        (6.116, Diffusion(SD15, "fp32", width=512, height=512, memory_efficient_attention=False)),
        (3.071, Diffusion(SD15, "bf16", width=512, height=512, memory_efficient_attention=False)),
        (2.616, Diffusion(SD15, "bf16", width=512, height=512)),
        (16.827, Diffusion(SDXL, "fp32")),
        (8.821, Diffusion(SDXL, "bf16")),
        # huggingface.co/blog/simple_sdxl_optimizations: four images.
        (28.09, Diffusion(SDXL, "fp32", batch_size=4, memory_efficient_attention=False)),
        (21.72, Diffusion(SDXL, "fp16", batch_size=4)),
        # huggingface.co/blog/quanto-diffusers.
        (18.765, Diffusion(SD3, "fp16")),
    ],
)
def test_the_peak_is_within_three_percent_of_what_was_measured(observed_gib: float, work: Diffusion) -> None:
    assert allocated_gib(work) == pytest.approx(observed_gib, rel=0.03)


def test_streaming_every_layer_needs_what_was_measured_or_a_little_more() -> None:
    # FLUX.1's transformer, offloaded leaf by leaf: 0.55 (diffusers/benchmarks); the largest leaf is T5's, elsewhere.
    predicted = allocated_gib(Diffusion(denoiser_of(FLUX), "bf16", guidance=False, offload="sequential"))
    assert 0.55 <= predicted <= 0.75


def test_offloading_orders_as_its_names_say_and_the_host_holds_the_weights() -> None:
    needs = [
        diffusion_need(Diffusion(FLUX, "bf16", offload=each)) for each in ("none", "model", "sequential")
    ]
    sizes = [need.accelerator_gib for need in needs]
    assert sizes == sorted(sizes, reverse=True)
    assert all(need.host_gib >= 30 for need in needs)
    assert not needs[0].fits(catalog.accelerator("A10G"))
    assert needs[2].fits(catalog.accelerator("A10G"))


def test_text_encoders_on_the_host_leave_the_accelerator() -> None:
    # T5-XXL 9.7878 GB and CLIP-L 0.2461 GB.
    on, off = (diffusion_need(Diffusion(FLUX, "bf16", text_encoders_on_host=each)) for each in (False, True))
    assert on.gib("weights") - off.gib("weights") == pytest.approx((9.7878e9 + 0.2461e9) / GIB)


def test_the_documents_ask_8_gb_and_12_with_controlnet_or_high_resolution_repair() -> None:
    assert diffusion_need(small()).floor_gib == 8
    assert diffusion_need(small(controlnets=(CONTROLNET,))).floor_gib == 12
    assert diffusion_need(small(high_resolution_scale=2)).floor_gib == 12


def test_the_documented_floors_hold_the_computed_need_too() -> None:
    assert diffusion_need(small()).accelerator_gib < 8 * 0.9
    assert (
        diffusion_need(small(controlnets=(CONTROLNET,), high_resolution_scale=2)).accelerator_gib < 12 * 0.9
    )


def test_stable_diffusion_does_not_start_on_2_gb() -> None:
    two = replace(catalog.accelerator("T4"), name="GTX 1050", memory_gib=2, usable_mib=2000)
    assert "needed on each" in (diffusion_need(small()).lack(two) or "")
    assert diffusion_need(small()).gib("weights") > 1.9


def test_a_controlnet_adds_its_weights_and_half_a_denoisers_step() -> None:
    plain, controlled = diffusion_need(small()), diffusion_need(small(controlnets=(CONTROLNET,)))
    assert controlled.gib("weights") - plain.gib("weights") == pytest.approx(0.723e9 / GIB)
    assert denoise_gib(small(controlnets=(CONTROLNET,))) == pytest.approx(1.5 * denoise_gib(small()))


def test_the_controlnet_of_sd_35_large_weighs_more_than_half_of_its_transformer() -> None:
    large = catalog.model("stable-diffusion-3.5-large")
    with_one = Diffusion(large, "bf16", controlnets=(catalog.model("stable-diffusion-3.5-controlnets"),))
    more = diffusion_need(with_one).gib("weights") - diffusion_need(Diffusion(large, "bf16")).gib("weights")
    assert more == pytest.approx(8.6546e9 / GIB)


def test_a_lora_that_is_not_fused_costs_its_file() -> None:
    more = diffusion_need(small(lora_gb=0.3)).gib("weights") - diffusion_need(small()).gib("weights")
    assert more == pytest.approx(0.3e9 / GIB)


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (Diffusion(catalog.model("Llama-3.1-8B")), "no image pipeline"),
        (Diffusion(CONTROLNET), "no image pipeline"),
        (small(controlnets=(FLUX,)), "no ControlNet"),
        (small(offload="somewhere"), "not known"),
        (small(precision="fp12"), "no precision"),
        (small(batch_size=0), "above zero"),
        (small(vae_tile=-512), "below zero"),
        (small(lora_gb=-1.0), "below zero"),
    ],
)
def test_what_cannot_be_sized_is_refused_with_what_to_do(work: Diffusion, said: str) -> None:
    with pytest.raises(InputError, match=said):
        diffusion_need(work)


works = st.builds(
    Diffusion,
    model=st.sampled_from(PIPELINES),
    precision=st.sampled_from(["fp32", "bf16", "fp16", "fp8", "int8", "nf4"]),
    width=st.sampled_from([256, 512, 1024, 2048]),
    height=st.sampled_from([256, 512, 1024, 2048]),
    batch_size=st.integers(1, 16),
    guidance=st.booleans(),
    memory_efficient_attention=st.booleans(),
    vae_slicing=st.booleans(),
    vae_tile=st.sampled_from([0, 512, 1024]),
    high_resolution_scale=st.sampled_from([1.0, 1.5, 2.0]),
    text_encoders_on_host=st.booleans(),
    offload=st.sampled_from(["none", "model", "sequential"]),
    quantize_at_load=st.booleans(),
)


@given(works, st.integers(1, 16))
def test_more_images_at_once_never_need_less(work: Diffusion, more: int) -> None:
    larger = replace(work, batch_size=work.batch_size + more)
    assert diffusion_need(larger).accelerator_gib >= diffusion_need(work).accelerator_gib


@given(works, st.sampled_from([1.25, 2.0, 4.0]))
def test_a_larger_image_never_needs_less(work: Diffusion, factor: float) -> None:
    larger = replace(work, high_resolution_scale=work.high_resolution_scale * factor)
    assert diffusion_need(larger).accelerator_gib >= diffusion_need(work).accelerator_gib


@given(works)
def test_more_bits_never_take_fewer_gib(work: Diffusion) -> None:
    # Text encoders and VAE are given, as their own precision follows the denoiser's otherwise.
    fixed = replace(work, text_encoder_precision="bf16", vae_precision="bf16", quantize_at_load=False)
    sizes = [
        diffusion_need(replace(fixed, precision=each)).accelerator_gib
        for each in ("nf4", "fp8", "bf16", "fp32")
    ]
    assert sizes == sorted(sizes)


@given(works)
def test_no_saving_ever_costs_memory(work: Diffusion) -> None:
    plain = diffusion_need(work).accelerator_gib
    for saving in (
        {"memory_efficient_attention": True},
        {"text_encoders_on_host": True},
        {"guidance": False},
    ):
        assert diffusion_need(replace(work, **saving)).accelerator_gib <= plain + 1e-9


def test_every_pipeline_of_the_catalog_can_be_sized() -> None:
    sizes = {model.id: diffusion_need(Diffusion(model, "bf16")).accelerator_gib for model in PIPELINES}
    assert sizes["stable-diffusion-v1-5/stable-diffusion-v1-5"] == min(sizes.values())
    assert sizes["black-forest-labs/FLUX.1-dev"] == max(sizes.values())
    assert statistics.median(sizes.values()) > 8
