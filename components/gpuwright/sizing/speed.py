"""How fast a replica answers: a roofline, times the efficiency that servers were measured to reach.

Each decode step reads the weights and the KV cache once (memory bandwidth) and multiplies them (compute);
the slower of the two is the floor of its time. Prefill is compute. No prediction is above the roofline:
efficiencies are at most 1, and what is added is only ever time.
"""

from __future__ import annotations

from dataclasses import dataclass

from gpuwright.catalog import Accelerator
from gpuwright.sizing.decoder import Decoder
from gpuwright.sizing.memory import Load, accelerator_share_of_kv_cache, kv_cache_bytes, weights_bytes
from gpuwright.sizing.run import Run

MEMORY_EFFICIENCY = 0.71
"""Part of the memory bandwidth that vLLM's decode reaches: the median of measured over roofline in
published vLLM serving runs (most on Hopper; Ampere and Ada are assumed alike, so expect a third of error
either way)."""

COMPUTE_EFFICIENCY = 0.50
"""Part of the tensor-core peak that prefill reaches: fitted to the time to first token of Llama 3.1 70B in
FP8 on H200 with vLLM."""

STEP_OVERHEAD_SECONDS = 0.0005
"""Seconds of each decode step that no accelerator works: scheduling and launches behind CUDA graphs.
Estimate.
"""

ALL_REDUCE_LATENCY_SECONDS = {"nvlink": 8e-6, "pcie": 25e-6}
"""Seconds that one all-reduce takes however small it is. Estimate; two of them a layer when accelerators
share it.
"""

PCIE_GB_PER_S = 25.0
"""GB/s each way between accelerators without NVLink: PCIe 4.0 x16 less protocol. Estimate."""


@dataclass(frozen=True)
class Speed:
    """What one replica does at a load. All of it is an estimate from a calibrated roofline.

    Args:
        time_to_first_token_ms: From request to first token, without queueing before admission.
        time_per_output_token_ms: Between two tokens of one answer.
        output_tokens_per_second: Over all requests in flight.
        requests_per_second: Finished requests.
        roofline_output_tokens_per_second: What no server can exceed on this hardware.
    """

    time_to_first_token_ms: float
    time_per_output_token_ms: float
    output_tokens_per_second: float
    requests_per_second: float
    roofline_output_tokens_per_second: float


@dataclass(frozen=True)
class Hardware:
    """The accelerators of one replica.

    Args:
        accelerator: The device.
        nvlink_gb_per_s: NVLink of each, both directions added; 0 where they talk over PCIe.
    """

    accelerator: Accelerator
    nvlink_gb_per_s: float


def speed(model: Decoder, hardware: Hardware, load: Load, run: Run) -> Speed:
    """Return how fast a replica is at a load; the memory must fit, which this does not check."""
    work = _Work(model, hardware, load, run)
    prefill = work.prefill_seconds(COMPUTE_EFFICIENCY) + work.talk_seconds(load.prompt_tokens)
    decode = (
        work.decode_seconds(MEMORY_EFFICIENCY, COMPUTE_EFFICIENCY)
        + work.talk_seconds(load.concurrency)
        + STEP_OVERHEAD_SECONDS
    )
    # Prefills of the other requests are interleaved with the decode steps of this one.
    per_token = decode + prefill * load.concurrency / load.output_tokens
    first = prefill + per_token
    whole = first + per_token * (load.output_tokens - 1)
    return Speed(
        time_to_first_token_ms=first * 1000,
        time_per_output_token_ms=per_token * 1000,
        output_tokens_per_second=load.concurrency * load.output_tokens / whole,
        requests_per_second=load.concurrency / whole,
        roofline_output_tokens_per_second=work.roofline_tokens_per_second(),
    )


@dataclass(frozen=True)
class _Work:
    model: Decoder
    hardware: Hardware
    load: Load
    run: Run

    def peak_flops(self) -> float:
        """Return the tensor-core peak of all accelerators at the precision of the multiplication, FLOP/s."""
        device = self.hardware.accelerator
        native = {"fp8": device.fp8_dense_tflops, "int8": device.int8_dense_tops}.get(
            self.run.weights_precision
        )
        return (native or device.fp16_dense_tflops) * 1e12 * self.run.tensor_parallel_size

    def bandwidth(self) -> float:
        """Return the memory bandwidth of all accelerators, bytes/s."""
        return self.hardware.accelerator.memory_bandwidth_gb_per_s * 1e9 * self.run.tensor_parallel_size

    def prefill_seconds(self, efficiency: float) -> float:
        """Return the time to read one prompt: two operations a parameter and token."""
        flops = 2 * self.model.params_active * self.load.prompt_tokens
        return flops / (self.peak_flops() * efficiency)

    def decode_seconds(self, memory_efficiency: float, compute_efficiency: float) -> float:
        """Return the time of one decode step of all requests in flight, each half-way through its answer."""
        context = self.load.prompt_tokens + self.load.output_tokens // 2
        share = accelerator_share_of_kv_cache(self.model, self.run.tensor_parallel_size)
        cache = (
            kv_cache_bytes(self.model, self.run.kv_cache_precision, context)
            * share
            * self.run.tensor_parallel_size
        )
        read = self.weights_read() + self.load.concurrency * cache
        flops = 2 * self.model.params_active * self.load.concurrency
        return max(
            read / (self.bandwidth() * memory_efficiency), flops / (self.peak_flops() * compute_efficiency)
        )

    def weights_read(self) -> float:
        """Return the bytes of weights that one decode step touches: with experts, those that the batch is
        routed to.
        """
        model = self.model
        weights, _ = weights_bytes(model, self.run.weights_precision)
        if not model.experts:
            return weights
        routed_part = model.experts_per_token / model.experts
        in_experts = (model.params_total - self.model.params_active) / (1 - routed_part) / model.params_total
        touched = 1 - (1 - routed_part) ** self.load.concurrency
        return weights * (1 - in_experts + in_experts * touched)

    def talk_seconds(self, tokens: int) -> float:
        """Return the time of the all-reduces of one pass over that many tokens: two a layer."""
        ranks = self.run.tensor_parallel_size
        if ranks == 1:
            return 0.0
        nvlink = self.hardware.nvlink_gb_per_s
        rate = (nvlink / 2 if nvlink else PCIE_GB_PER_S) * 1e9
        latency = ALL_REDUCE_LATENCY_SECONDS["nvlink" if nvlink else "pcie"]
        moved = tokens * self.model.hidden_size * 2 * 2 * (ranks - 1) / ranks
        return 2 * self.model.layers * (latency + moved / rate)

    def roofline_tokens_per_second(self) -> float:
        """Return the output rate with every byte and operation at peak, and nothing else taking time."""
        step = (
            self.decode_seconds(1, 1)
            + self.prefill_seconds(1) * self.load.concurrency / self.load.output_tokens
        )
        return self.load.concurrency / step
