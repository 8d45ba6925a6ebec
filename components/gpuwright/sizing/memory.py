"""What a model needs of accelerator memory, and whether a server starts in it.

The server's own accounting is followed: of the memory that the driver shows it may use a fraction; weights, the peak of
the activations and what lives outside the allocator are taken from that, and the rest becomes KV cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gpuwright.catalog import Accelerator
from gpuwright.sizing.basis import Basis
from gpuwright.sizing.decoder import Decoder
from gpuwright.sizing.kv_cache import (
    KV_CACHE_BYTES,
    accelerator_share_of_kv_cache,
    kv_cache_bytes,
    kv_cache_bytes_per_token,
)
from gpuwright.sizing.run import Run
from gpuwright.sizing.servers import Budget, Shape, budget, visible_bytes, vllm
from gpuwright.sizing.servers.budget import GIB, MIB
from gpuwright.sizing.weights import (
    FULL_BYTES,
    QUANTIZED_BITS,
    accelerator_weights_bytes,
    most_layers,
    weights_bytes,
)

__all__ = [
    "FULL_BYTES",
    "GIB",
    "KV_CACHE_BYTES",
    "MIB",
    "QUANTIZED_BITS",
    "Load",
    "Memory",
    "Verdict",
    "accelerator_share_of_kv_cache",
    "fit",
    "kv_cache_bytes",
    "kv_cache_bytes_per_token",
    "weights_bytes",
]

WEIGHTS_UNCERTAINTY = {
    Basis.MEASURED: 0.005,
    Basis.DERIVED: 0.005,
    Basis.CALIBRATED: 0.02,
    Basis.ESTIMATED: 0.02,
}
"""Part by which loaded weights may exceed the number: published sizes are rounded, and quantizers leave out more."""

ACTIVATIONS_UNCERTAINTY = 0.3
"""Part by which a profiled peak may exceed the formula. Our choice after the calibration rows."""

RUNTIME_UNCERTAINTY_GIB = 0.3
COLLECTIVES_UNCERTAINTY_GIB = 0.7
"""GiB of one accelerator that versions, drivers and links differ by, alone and where accelerators share a layer."""

VISION_UNCERTAINTY_GIB = 1.5
VISION_UNCERTAINTY_V0_GIB = 4.0
"""GiB of one accelerator that profiling the largest image may take; vLLM's V0 had one for each request of a step, and
of some models that was the most of the memory (36.6 GiB, vllm-project/vllm#12126). Estimates."""


class Verdict(StrEnum):
    """Whether a replica starts and holds its concurrency."""

    FITS = "fits"
    """It does, with more to spare than the estimate may be off by."""
    TIGHT = "tight"
    """It may do so or not: the difference is smaller than what the estimate may be off by."""
    DOES_NOT_FIT = "does not fit"
    """It does not, by more than the estimate may be off by."""


@dataclass(frozen=True)
class Memory:
    """What one replica needs and what it finds, over all of its accelerators.

    Args:
        weights_gib: The weights as loaded.
        weights_basis: Whether the size is that of the published files or computed.
        kv_cache_bytes_per_token: KV cache of one token, summed over layers; a token beyond the sliding
            window costs less.
        kv_cache_gib: KV cache that the asked-for concurrency needs.
        activations_gib: Peak of the activations in one prefill step.
        runtime_gib: CUDA context, libraries and communication buffers.
        total_gib: The sum, the fullest accelerator counted for each.
        usable_gib: Memory fraction × what a process finds.
        kv_cache_tokens: Tokens that the KV cache will hold: what the server reports at start.
        max_concurrency: Typical requests that fit the KV cache at the same time.
        kv_cache_left_gib: What the server has left for the KV cache.
        outside_gib: What it takes beyond the fraction, such as CUDA graphs.
        outside_usable_gib: What there is beyond the fraction.
        uncertainty_gib: What the estimate may be off by.
    """

    weights_gib: float
    weights_basis: Basis
    kv_cache_bytes_per_token: int
    kv_cache_gib: float
    activations_gib: float
    runtime_gib: float
    total_gib: float
    usable_gib: float
    kv_cache_tokens: int
    max_concurrency: int
    kv_cache_left_gib: float = 0.0
    outside_gib: float = 0.0
    outside_usable_gib: float = 0.0
    uncertainty_gib: float = 0.0

    @property
    def fits(self) -> bool:
        """Whether the replica starts and holds its concurrency, by the likeliest numbers."""
        return self.margin_gib >= 0

    @property
    def margin_gib(self) -> float:
        """What is left over; below zero what is lacking, inside the fraction or beside it."""
        inside = self.usable_gib - self.total_gib
        return min(inside, self.outside_usable_gib - self.outside_gib) if self.outside_gib else inside

    @property
    def verdict(self) -> Verdict:
        """Whether it fits, with what the estimate may be off by in mind."""
        if abs(self.margin_gib) < self.uncertainty_gib:
            return Verdict.TIGHT
        return Verdict.FITS if self.fits else Verdict.DOES_NOT_FIT


@dataclass(frozen=True)
class Load:
    """What one replica serves at the same time.

    Args:
        concurrency: Requests in flight.
        prompt_tokens: Tokens of a typical prompt.
        output_tokens: Tokens of a typical answer.
        max_model_len: Longest prompt plus answer that the server accepts, tokens.
    """

    concurrency: int
    prompt_tokens: int
    output_tokens: int
    max_model_len: int

    @property
    def tokens_per_request(self) -> int:
        """Tokens of a typical request at its end."""
        return self.prompt_tokens + self.output_tokens


def fit(model: Decoder, accelerator: Accelerator, load: Load, run: Run) -> Memory:
    """Return what one replica needs of its accelerators and what it finds there.

    Raises:
        UnknownNameError: The run names a format or a server that nothing is known of.
    """
    return fit_in(model, visible_bytes(accelerator.usable_mib), load, run)


def fit_in(model: Decoder, visible: float, load: Load, run: Run) -> Memory:
    """Return the same where a process finds that many bytes on each accelerator."""
    weights, basis = weights_bytes(model, run.weights_precision, run.group_size)
    stages, head_is_layer = run.pipeline_parallel_size, run.server == "llama.cpp"
    on_one = accelerator_weights_bytes(
        model, weights, run.weights_precision, run.tensor_parallel_size, stages, head_is_layer
    )
    sequences = run.max_sequences or load.concurrency
    shape = Shape(model, run, visible, on_one, sequences, load.max_model_len)
    server = budget(shape)
    share = accelerator_share_of_kv_cache(model, run.tensor_parallel_size)
    if stages > 1:
        share *= most_layers(model, stages, head_is_layer) / model.layers
    request = _request_bytes(shape, load.tokens_per_request) * share
    longest = _request_bytes(shape, load.max_model_len) * share
    needed = max(request * load.concurrency, longest)
    left = max(0.0, server.left)
    ranks = run.accelerators
    taken = on_one - server.host + server.activations + server.runtime
    return Memory(
        weights_gib=weights / GIB,
        weights_basis=basis,
        kv_cache_bytes_per_token=kv_cache_bytes_per_token(model, run.kv_cache_precision),
        kv_cache_gib=needed * ranks / GIB,
        activations_gib=server.activations * ranks / GIB,
        runtime_gib=server.runtime * ranks / GIB,
        total_gib=(taken + needed) * ranks / GIB,
        usable_gib=server.usable * ranks / GIB,
        kv_cache_tokens=vllm.reported_tokens(shape, left, share)
        if run.server == "vllm"
        else int(left / (request / load.tokens_per_request)),
        max_concurrency=int(left / request),
        kv_cache_left_gib=left * ranks / GIB,
        outside_gib=server.outside * ranks / GIB,
        outside_usable_gib=(visible - server.usable) * ranks / GIB,
        uncertainty_gib=_uncertainty(model, on_one, basis, server, run) * ranks / GIB,
    )


def _request_bytes(shape: Shape, tokens: int) -> float:
    """Return what a request of that many tokens occupies; vLLM's cache depends on its version."""
    if shape.run.server == "vllm":
        return vllm.request_bytes(shape.model, shape, tokens)
    return kv_cache_bytes(shape.model, shape.run.kv_cache_precision, tokens)


def _uncertainty(model: Decoder, weights: float, basis: Basis, server: Budget, run: Run) -> float:
    """Return what the estimate of one accelerator may be off by, bytes."""
    gib = RUNTIME_UNCERTAINTY_GIB + (COLLECTIVES_UNCERTAINTY_GIB if run.tensor_parallel_size > 1 else 0)
    if model.vision_params:
        v0 = run.server == "vllm" and not vllm.version(run.server_version).v1
        gib += VISION_UNCERTAINTY_V0_GIB if v0 else VISION_UNCERTAINTY_GIB
    part = WEIGHTS_UNCERTAINTY[basis] * weights + ACTIVATIONS_UNCERTAINTY * server.activations
    return part + gib * GIB
