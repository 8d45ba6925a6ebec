"""What an image model needs: the parts of its pipeline, and the peak of denoising or decoding.

The three steps follow one another, so their working memory does not add up: text encoders, then the denoiser (UNet
or transformer) for every step, then the VAE's decoder, which is the peak of most pipelines.
"""

from __future__ import annotations

from dataclasses import dataclass

from gpuwright.catalog import Model, ModelComponent
from gpuwright.errors import InputError
from gpuwright.sizing.basis import Basis
from gpuwright.sizing.need import (
    FRAGMENTATION,
    HOST_PROCESS_GIB,
    VCPUS_PER_ACCELERATOR,
    Need,
    Part,
    bits,
    choice,
    compute_bytes,
    positive,
    running,
)
from gpuwright.sizing.servers.budget import GIB

LATENT_PIXEL = 8
"""Image pixels a side behind one latent pixel, in every model of the catalog (their VAEs halve three times)."""

DECODE_NUMBERS_PER_PIXEL = {"fp32": 1000, "fp16": 1000, "bf16": 1250}
"""Numbers alive for each pixel at the peak of the VAE's decoder: 970 to 1,000 in FP32 and FP16 (Stable Diffusion 1.5
and XL, batch 1 and 4), 1,210 to 1,290 in BF16, where the upsampling is done in FP32 (peaks of
huggingface.co/datasets/sayakpaul/sample-datasets and huggingface.co/blog/simple_sdxl_optimizations). The driver
shows up to 2.3 times as much where there is room (huggingface/diffusers, hybrid_inference/vae_decode.md): cuDNN
takes larger workspaces, and does with less where there is none: SDXL at 1,024 pixels takes 8.5 GiB of an RTX 4090, and
runs in the 8 GB of an RTX 3070."""

UNET_NUMBERS_PER_CHANNEL = 33
"""Numbers alive for each latent pixel and channel of a UNet's first block: 28 in SDXL (5.05 GiB at peak, of which 4.78
are weights: huggingface.co/datasets/diffusers/benchmarks), 33 in Stable Diffusion 1.5 (ComfyUI's memory factors)."""

TRANSFORMER_NUMBERS_PER_WIDTH = 17
"""Numbers alive for each token and unit of width of a diffusion transformer: 16.8 in FLUX.1 (22.61 GiB at peak, of
which 22.17 are weights: huggingface.co/datasets/diffusers/benchmarks)."""

TEXT_TOKENS = 512
"""Tokens of text beside the image's in a diffusion transformer: the longest prompt of FLUX.1 and SD 3."""

CONTROLNET_SHARE = 0.5
"""Working memory of a ControlNet over the denoiser's: it is a copy of the half that encodes. Estimate."""

STREAMED_WEIGHTS_GIB = 0.25
"""GiB of weights on the accelerator when every layer is fetched as it is used: the largest one, T5's embedding
(32,128 · 4,096 · 2 bytes). FLUX.1's transformer alone was seen with 0.11."""

T5_KEPT_IN_FP32 = 24 * 4096 * 10240
"""Parameters of T5-XXL that transformers keeps in FP32 when it is loaded in FP16 (``_keep_in_fp32_modules``): the
output projections of its MLPs. Seen as 6.18 GiB saved by FP8 (huggingface.co/blog/quanto-diffusers)."""

FLOOR_GIB = 8
FLOOR_WITH_EXTRAS_GIB = 12
"""GB that the documents ask of an accelerator for Stable Diffusion, and with ControlNet or high-resolution repair."""

OFFLOADS = ("none", "model", "sequential")


@dataclass(frozen=True)
class Diffusion:
    """Images to make.

    Args:
        model: The pipeline, a row of kind diffusion.
        precision: Of the denoiser: fp32, bf16, fp16, fp8, int8, nf4, int4.
        text_encoder_precision: Of the text encoders; none: that of the denoiser, 16 bits where it is quantized.
        vae_precision: fp32, fp16 or bf16; none: that of the denoiser, and fp32 for SDXL in 16 bits, whose VAE
            overflows in fp16.
        width: Pixels.
        height: Pixels.
        batch_size: Images at the same time.
        guidance: Classifier-free guidance, which denoises each image twice at the same time; guidance-distilled
            models (FLUX.1, turbo, lightning) need none.
        memory_efficient_attention: SDPA, xFormers or FlashAttention; without it the scores are written out.
        vae_slicing: Decode one image at a time.
        vae_tile: Decode in tiles of that many pixels a side; 0: whole. diffusers' tiles have 512 in Stable
            Diffusion 1.5 and 1,024 in SDXL, SD 3 and FLUX.1.
        controlnets: ControlNets beside the denoiser, rows with a component of that name.
        lora_gb: GB of LoRA files that are not fused into the weights.
        high_resolution_scale: Factor on each side of a second pass (high-resolution repair); 1: none.
        text_encoders_on_host: Run the text encoders on the CPU.
        offload: none; model: one component at a time is on the accelerator; sequential: one layer at a time.
        quantize_at_load: The files are in 16 bits and are quantized on the accelerator, so that all of the denoiser
            is there in 16 bits first.
    """

    model: Model
    precision: str = "fp16"
    text_encoder_precision: str | None = None
    vae_precision: str | None = None
    width: int = 1024
    height: int = 1024
    batch_size: int = 1
    guidance: bool = True
    memory_efficient_attention: bool = True
    vae_slicing: bool = False
    vae_tile: int = 0
    controlnets: tuple[Model, ...] = ()
    lora_gb: float = 0.0
    high_resolution_scale: float = 1.0
    text_encoders_on_host: bool = False
    offload: str = "none"
    quantize_at_load: bool = False


@dataclass(frozen=True)
class _Parts:
    """The parts of a pipeline, whole checkpoints left out."""

    denoiser: ModelComponent
    text_encoders: tuple[ModelComponent, ...]
    vae: tuple[ModelComponent, ...]
    decodes: bool


def diffusion_need(work: Diffusion) -> Need:
    """Return what it takes to make such images on one accelerator.

    Raises:
        InputError: The model is no pipeline with a known denoiser, or a value is out of range.
    """
    _check(work)
    parts = _parts(work.model)
    weights, activations, basis = _peak(work, parts)
    host = _all_weights(work, parts)
    return Need(
        parts=running(Part("weights", weights, basis), (Part("activations", activations, Basis.CALIBRATED),)),
        accelerators=1,
        floor_gib=_floor(work),
        host=(
            Part("weights", host, Basis.DERIVED),
            Part("runtime", HOST_PROCESS_GIB, Basis.ESTIMATED),
        ),
        vcpus=VCPUS_PER_ACCELERATOR,
        reason=_reason(work),
    )


def component_gib(component: ModelComponent, precision: str) -> float:
    """Return the size of a component in that precision, from its parameters or its published file."""
    published = bits(component.dtype)
    params = component.params or (component.weights_gb or 0) * 1e9 * 8 / published
    kept = T5_KEPT_IN_FP32 if precision == "fp16" and "t5" in component.name else 0
    return (params * bits(precision) / 8 + kept * 2) / GIB


def denoise_gib(work: Diffusion, scale: float = 1.0) -> float:
    """Return the working memory of one denoising step at ``scale`` times each side."""
    denoiser = _parts(work.model).denoiser
    latent = work.width * work.height * scale**2 / LATENT_PIXEL**2
    width, size = denoiser.hidden_size or 0, compute_bytes(work.precision)
    images = work.batch_size * (2 if work.guidance else 1)
    tokens = latent / (denoiser.latent_pixels_per_token or 1)
    if _is_unet(denoiser):
        numbers = UNET_NUMBERS_PER_CHANNEL * width * latent
    else:
        tokens += TEXT_TOKENS
        numbers = TRANSFORMER_NUMBERS_PER_WIDTH * width * tokens
    if not work.memory_efficient_attention:
        # The scores and their softmax, of every head, for every pair of tokens.
        numbers += 2 * (denoiser.attention_heads or 1) * tokens**2
    return numbers * images * size * (1 + CONTROLNET_SHARE * len(work.controlnets)) / GIB


def decode_gib(work: Diffusion, scale: float = 1.0) -> float:
    """Return the working memory of the VAE's decoder at ``scale`` times each side."""
    if not _parts(work.model).decodes:
        return 0.0
    precision = _vae_precision(work)
    pixels = work.width * work.height * scale**2
    at_once = min(pixels, work.vae_tile**2) if work.vae_tile else pixels
    images = 1 if work.vae_slicing or work.vae_tile else work.batch_size
    alive = at_once * images * DECODE_NUMBERS_PER_PIXEL[precision]
    # Slices and tiles are gathered into the whole images.
    gathered = 3 * pixels * work.batch_size if work.vae_slicing or work.vae_tile else 0
    return (alive + gathered) * compute_bytes(precision) / GIB


def _peak(work: Diffusion, parts: _Parts) -> tuple[float, float, Basis]:
    """Return weights and working memory at the moment that needs most."""
    scale = max(1.0, work.high_resolution_scale)
    denoise, decode = denoise_gib(work, scale), decode_gib(work, scale)
    texts = [] if work.text_encoders_on_host else [_text_gib(work, each) for each in parts.text_encoders]
    vae = sum(component_gib(each, _vae_precision(work)) for each in parts.vae)
    denoiser = _denoiser_gib(work, parts)
    basis = Basis.DERIVED
    if work.offload == "sequential":
        moments = [(STREAMED_WEIGHTS_GIB, denoise), (STREAMED_WEIGHTS_GIB, decode)]
        basis = Basis.ESTIMATED
    elif work.offload == "model":
        moments = [*((text, 0.0) for text in texts), (denoiser, denoise), (vae, decode)]
    else:
        moments = [(sum(texts) + vae + denoiser, max(denoise, decode))]
    if work.quantize_at_load and work.offload != "sequential":
        beside = 0.0 if work.offload == "model" else sum(texts) + vae
        moments.append((component_gib(parts.denoiser, "bf16") + beside, 0.0))
    # By what each takes with the waste that goes with its working memory.
    weights, activations = max(moments, key=lambda moment: moment[0] + moment[1] * (1 + FRAGMENTATION))
    return weights, activations, basis


def _denoiser_gib(work: Diffusion, parts: _Parts) -> float:
    beside = sum(component_gib(_controlnet(each), _text_precision(work)) for each in work.controlnets)
    return component_gib(parts.denoiser, work.precision) + beside + work.lora_gb * 1e9 / GIB


def _all_weights(work: Diffusion, parts: _Parts) -> float:
    """Return all weights: they are staged in the host's memory, and stay there where they are offloaded."""
    texts = sum(_text_gib(work, each) for each in parts.text_encoders)
    vae = sum(component_gib(each, _vae_precision(work)) for each in parts.vae)
    return _denoiser_gib(work, parts) + texts + vae


def _text_gib(work: Diffusion, component: ModelComponent) -> float:
    return component_gib(component, _text_precision(work))


def _text_precision(work: Diffusion) -> str:
    return work.text_encoder_precision or (work.precision if bits(work.precision) >= 16 else "bf16")


def _vae_precision(work: Diffusion) -> str:
    if work.vae_precision:
        return work.vae_precision
    if _is_xl(work.model) and work.precision == "fp16":
        return "fp32"
    return work.precision if bits(work.precision) >= 16 else "bf16"


def _is_xl(model: Model) -> bool:
    return "stable-diffusion-xl" in model.id


def _is_unet(denoiser: ModelComponent) -> bool:
    return "unet" in denoiser.name


def _floor(work: Diffusion) -> int:
    extras = work.controlnets or work.high_resolution_scale > 1
    return FLOOR_WITH_EXTRAS_GIB if extras else FLOOR_GIB


def _reason(work: Diffusion) -> str:
    if work.offload == "sequential":
        return "Every layer is fetched from the host as it is used: slow, and the host holds all weights."
    scale = max(1.0, work.high_resolution_scale)
    step = "decoding" if decode_gib(work, scale) >= denoise_gib(work, scale) else "denoising"
    if work.quantize_at_load:
        step = "loading the denoiser in 16 bits, or " + step
    return f"The weights of all parts on the accelerator, and the peak of {step}."


def _parts(model: Model) -> _Parts:
    listed = [part for part in model.components if not part.full_checkpoint]
    denoisers = [part for part in listed if part.hidden_size]
    if model.kind != "diffusion" or len(denoisers) != 1:
        raise InputError.of(
            f"model {model.id}",
            f"{model.id} is no image pipeline whose denoiser the catalog knows.",
            "Choose a model of kind diffusion that has a unet or a transformer.",
        )
    return _Parts(
        denoiser=denoisers[0],
        text_encoders=tuple(part for part in listed if part.name.startswith("text encoder")),
        vae=tuple(part for part in listed if part.name.startswith("vae")),
        decodes=any("vae" in part.name for part in listed),
    )


def _controlnet(model: Model) -> ModelComponent:
    for part in model.components:
        if part.name == "controlnet":
            return part
    raise InputError.of(
        "controlnets", f"{model.id} is no ControlNet.", "Name a model that has a component controlnet."
    )


def _check(work: Diffusion) -> None:
    positive(
        width=work.width,
        height=work.height,
        batch_size=work.batch_size,
        high_resolution_scale=work.high_resolution_scale,
    )
    for where, value in (("lora_gb", work.lora_gb), ("vae_tile", work.vae_tile)):
        if value < 0:
            raise InputError.of(where, f"{value:g} is below zero.", "Give zero or more.")
    bits(work.precision)
    choice("offload", work.offload, OFFLOADS)
    if work.vae_precision:
        choice("vae_precision", work.vae_precision, tuple(DECODE_NUMBERS_PER_PIXEL))
