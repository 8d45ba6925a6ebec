"""Whether an inference server runs a model on an accelerator, and if not, why not."""

from __future__ import annotations

from dataclasses import dataclass

from gpuwright.catalog.models import Accelerator, Model, Quantization, Server

PLAIN = frozenset({"bf16", "fp16", "fp32"})
"""Number formats that every server has, on accelerators that have them."""

VENDOR_NAMES = {"nvidia": "NVIDIA", "amd": "AMD", "intel": "Intel", "google": "Google", "aws": "AWS"}


@dataclass(frozen=True)
class Incompatibility:
    """One reason why a server does not run a model on an accelerator.

    Args:
        rule: What it is about: server, model or precision.
        detail: What is, and what must be.
    """

    rule: str
    detail: str


def compatibility(
    server: Server,
    model: Model,
    accelerator: Accelerator,
    weights_precision: str,
    kv_cache_precision: str,
) -> list[Incompatibility]:
    """Return every reason why the server does not run the model so; none where it does."""
    return [
        *_server_reasons(server, accelerator),
        *_model_reasons(server, model),
        *_weights_reasons(server, accelerator, weights_precision),
        *_cache_reasons(server, accelerator, kv_cache_precision),
    ]


def _server_reasons(server: Server, accelerator: Accelerator) -> list[Incompatibility]:
    named = f"{server.name} {server.version}"
    if accelerator.vendor not in server.vendors:
        makers = " and ".join(VENDOR_NAMES[each] for each in server.vendors)
        detail = (
            f"{accelerator.name} is made by {VENDOR_NAMES[accelerator.vendor]}, and {named} runs on {makers}"
        )
        return [Incompatibility("server", detail)]
    if _below(accelerator, server.min_compute_capability):
        detail = f"{_has(accelerator)}, and {named} needs {server.min_compute_capability}"
        return [Incompatibility("server", detail)]
    return []


def _model_reasons(server: Server, model: Model) -> list[Incompatibility]:
    named, reasons = f"{server.name} {server.version}", []
    if model.kind not in server.kinds:
        detail = f"{model.id} is a {model.kind} model, and {named} serves {', '.join(server.kinds)} models"
        return [Incompatibility("model", detail)]
    if model.attention and model.attention not in server.attentions:
        detail = (
            f"{model.id} has {model.attention} attention, and {named} serves {', '.join(server.attentions)}"
        )
        reasons.append(Incompatibility("model", detail))
    if server.model_types and model.model_type and model.model_type not in server.model_types:
        detail = f"{model.id} is of the architecture {model.model_type}, which {named} does not serve"
        reasons.append(Incompatibility("model", detail))
    return reasons


def _weights_reasons(server: Server, accelerator: Accelerator, precision: str) -> list[Incompatibility]:
    named, has = f"{server.name} {server.version}", _has(accelerator)
    quantization = server.quantization(precision)
    if (
        precision == "bf16"
        and not accelerator.bf16
        and _below(accelerator, server.min_compute_capability_bf16)
    ):
        needed = server.min_compute_capability_bf16
        return [Incompatibility("precision", f"{has}, and BF16 needs {needed}; FP16 would run")]
    if precision in PLAIN:
        return []
    if not quantization:
        return [Incompatibility("precision", f"{named} does not serve {precision} weights")]
    if _below(accelerator, quantization.min_compute_capability):
        needed = quantization.min_compute_capability
        return [Incompatibility("precision", f"{has}, and {precision} on {named} needs {needed}")]
    return []


def _cache_reasons(server: Server, accelerator: Accelerator, precision: str) -> list[Incompatibility]:
    named = f"{server.name} {server.version}"
    cache: Quantization | None = next(
        (each for each in server.kv_cache_dtypes if each.name == precision), None
    )
    if cache is None:
        plain = precision in PLAIN
        return [] if plain else [Incompatibility("precision", f"{named} keeps no KV cache in {precision}")]
    if _below(accelerator, cache.min_compute_capability):
        needed = cache.min_compute_capability
        detail = f"{_has(accelerator)}, and a KV cache in {cache.name} on {named} needs {needed}"
        return [Incompatibility("precision", detail)]
    return []


def _below(accelerator: Accelerator, needed: float) -> bool:
    """Return whether the compute capability is known and too low; other makers than NVIDIA have none."""
    return accelerator.compute_capability is not None and accelerator.compute_capability < needed


def _has(accelerator: Accelerator) -> str:
    if accelerator.compute_capability is None:
        return f"{accelerator.name} is of the generation {accelerator.architecture}"
    return f"{accelerator.name} has compute capability {accelerator.compute_capability}"
