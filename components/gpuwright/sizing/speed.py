"""How fast a replica answers: its work, over the rates that servers were measured to reach.

Each decode step reads the weights and the KV cache and multiplies them; prefills of other requests are interleaved;
layers, all-reduces and requests take time of their own. No prediction is above the roofline: each rate is a part of the
data sheet's, and all else only adds time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from gpuwright.sizing.basis import Basis
from gpuwright.sizing.decoder import Decoder
from gpuwright.sizing.efficiency import CALIBRATED, Constants, Efficiency, RunKind, efficiency
from gpuwright.sizing.memory import Load
from gpuwright.sizing.roofline import NVLINK_DOMAIN, Hardware, Work, multiplies_fp4, step_floor, work
from gpuwright.sizing.run import Run

__all__ = ["Hardware", "Speed", "speed"]

COVERAGE = 0.8
"""Part of measurements that the interval promises to hold."""

SPREAD = {RunKind.SERVING: 1.3, RunKind.OFFLINE: 1.4, RunKind.STATIC: 1.25, RunKind.SINGLE: 1.25}
"""Factor from the likeliest speed down to the interval's low end and up to its high one, by kind of run: what held four
of five rows of a source that the constants were not fitted to, in the mean over the sources."""

UNMEASURED_SPREAD = 1.5
"""The same where nothing was measured of the server, or of accelerators of that generation behind it. With a whole
generation left out of the fit 1.3 held more than four of five rows; the rest is for what no source has, such as other
servers and all-reduces over PCIe."""

MEASURED_ON = {
    "vllm": ("Hopper", "Blackwell"),
    "tensorrt-llm": ("Ampere", "Hopper", "Blackwell"),
    "sglang": ("Hopper",),
    "llama.cpp": ("Ampere", "Ada"),
}
"""Generations of accelerators that the constants of a server were fitted to."""


@dataclass(frozen=True)
class Speed:
    """What one replica does at a load.

    Args:
        time_to_first_token_ms: From request to first token; where more requests are there than the KV cache holds,
            with the wait for a place.
        time_per_output_token_ms: Between two tokens of one answer.
        output_tokens_per_second: Over all requests in flight.
        requests_per_second: Finished requests.
        roofline_output_tokens_per_second: What no server can exceed on this hardware.
        in_flight: Requests that are answered at the same time.
        prefill_ms: Time in which the accelerators read one prompt.
        low_output_tokens_per_second: Low end of the interval.
        high_output_tokens_per_second: High end of the interval, never above the roofline.
        coverage: Part of measurements that the interval promises to hold, of rate and of time per output token alike.
        basis: How far the numbers can be trusted.
    """

    time_to_first_token_ms: float
    time_per_output_token_ms: float
    output_tokens_per_second: float
    requests_per_second: float
    roofline_output_tokens_per_second: float
    in_flight: float = 0.0
    prefill_ms: float = 0.0
    low_output_tokens_per_second: float = 0.0
    high_output_tokens_per_second: float = 0.0
    coverage: float = COVERAGE
    basis: Basis = Basis.ESTIMATED

    @property
    def low_time_per_output_token_ms(self) -> float:
        """Low end of the interval of the time per output token: the fast one."""
        return (
            self.time_per_output_token_ms * self.output_tokens_per_second / self.high_output_tokens_per_second
        )

    @property
    def high_time_per_output_token_ms(self) -> float:
        """High end of the interval of the time per output token: the slow one."""
        return (
            self.time_per_output_token_ms * self.output_tokens_per_second / self.low_output_tokens_per_second
        )


def speed(
    model: Decoder,
    hardware: Hardware,
    load: Load,
    run: Run,
    kind: RunKind = RunKind.SERVING,
    most_in_flight: float | None = None,
    cached_prompt_tokens: float = 0,
    constants: Constants = CALIBRATED,
) -> Speed:
    """Return how fast a replica is at a load.

    Args:
        model: The model.
        hardware: Its accelerators.
        load: What is asked of it.
        run: How its server is started.
        kind: How requests come.
        most_in_flight: Requests that the KV cache holds; without it, all of the load's are taken to fit.
        cached_prompt_tokens: Tokens of a prompt that the prefix cache holds.
        constants: What was fitted.
    """
    together = min(load.concurrency, max(1.0, most_in_flight)) if most_in_flight else float(load.concurrency)
    task = work(model, hardware, load, run, together, cached_prompt_tokens)
    reached = efficiency(
        run.server,
        run.weights_precision,
        has_experts=model.experts > 0,
        multiplies_fp4=multiplies_fp4(hardware.accelerator),
        memory_bytes_per_s=task.memory_bytes_per_s,
        nvlink=hardware.nvlink_gb_per_s > 0,
        kind=kind,
        constants=constants,
    )
    roofline = together / step_floor(task, task.batch / load.output_tokens)
    if run.tensor_parallel_size > NVLINK_DOMAIN:
        narrow = replace(run, tensor_parallel_size=NVLINK_DOMAIN)
        task = work(model, hardware, load, narrow, together, cached_prompt_tokens)
    paced = pace(task, reached, load.output_tokens, kind)
    if attends_apart(model, hardware, run, kind):
        apart = work(model, hardware, load, run, together, cached_prompt_tokens, attention_per_rank=True)
        roofline = max(roofline, together / step_floor(apart, apart.batch / load.output_tokens))
        paced = max(
            paced, pace(apart, reached, load.output_tokens, kind), key=lambda each: each.tokens_per_second
        )
    rate = paced.tokens_per_second * together / task.batch
    whole = together * load.output_tokens / rate
    queued = whole * (load.concurrency / together - 1)
    measured = hardware.accelerator.architecture in MEASURED_ON.get(run.server, ())
    spread = SPREAD[kind] if measured else UNMEASURED_SPREAD
    return Speed(
        time_to_first_token_ms=(paced.first_seconds + queued) * 1000,
        time_per_output_token_ms=paced.token_seconds * 1000,
        output_tokens_per_second=rate,
        requests_per_second=rate / load.output_tokens,
        roofline_output_tokens_per_second=roofline,
        in_flight=together,
        prefill_ms=paced.prefill_seconds * 1000,
        low_output_tokens_per_second=rate / spread,
        high_output_tokens_per_second=min(rate * spread, roofline),
        basis=Basis.CALIBRATED if measured else Basis.ESTIMATED,
    )


def attends_apart(model: Decoder, hardware: Hardware, run: Run, kind: RunKind) -> bool:
    """Return whether requests may be split over the accelerators for attention, if that is faster than sharing layers.

    Runs for the highest rate with experts are laid out so on Blackwell; those measured on Hopper were not as fast.
    """
    shares = 1 < run.tensor_parallel_size <= NVLINK_DOMAIN
    return kind is RunKind.OFFLINE and model.experts > 0 and shares and multiplies_fp4(hardware.accelerator)


@dataclass(frozen=True, slots=True)
class Pace:
    """What one batch of requests does.

    Args:
        first_seconds: From request to first token, all of the batch being admitted.
        token_seconds: Between two tokens of one answer.
        tokens_per_second: Of the batch.
        prefill_seconds: Time in which the accelerators read one prompt.
    """

    first_seconds: float
    token_seconds: float
    tokens_per_second: float
    prefill_seconds: float


def pace(task: Work, reached: Efficiency, output_tokens: int, kind: RunKind) -> Pace:
    """Return what a batch does: behind a server the prefills of the others are between the tokens of one, and each
    waits for its own; all at once or as one batch, all prefills are shared by all tokens.
    """
    step, prefill = decode_seconds(task, reached), prefill_seconds(task, reached)
    before_first = first_token_seconds(task, reached, prefill, kind)
    if kind in (RunKind.SERVING, RunKind.SINGLE):
        per_token = step + prefill * (task.batch - 1) / output_tokens
        rate = task.batch * output_tokens / (before_first + per_token * output_tokens)
    else:
        per_token = step + prefill * task.batch / output_tokens
        rate = task.batch / per_token
    return Pace(before_first + per_token, per_token, rate, prefill)


def decode_seconds(task: Work, reached: Efficiency) -> float:
    """Return the time of one decode step."""
    memory = task.memory_bytes_per_s
    weights = (task.dense_bytes / reached.memory + task.expert_bytes / reached.expert_memory) / memory
    multiplied = task.decode_flops / (task.peak_flops * reached.compute)
    cache = max(
        task.cache_bytes / (memory * reached.cache),
        task.decode_attention_flops / (task.peak_16_bit_flops * reached.attention),
    )
    layers = task.layers * reached.layer_seconds + task.expert_layers * reached.expert_layer_seconds
    return (
        max(weights, multiplied)
        + cache
        + layers
        + task.batch * reached.request_seconds
        + all_reduce_seconds(task, reached, task.batch)
    )


def prefill_seconds(task: Work, reached: Efficiency) -> float:
    """Return the time in which the accelerators read one prompt, without what only the first token waits for."""
    return (
        task.prefill_flops / (task.peak_flops * reached.compute)
        + task.prefill_attention_flops / (task.peak_16_bit_flops * reached.attention)
        + task.prompt_tokens * task.message_bytes / (task.link_bytes_per_s * reached.link)
    )


def first_token_seconds(task: Work, reached: Efficiency, prefill: float, kind: RunKind) -> float:
    """Return the time from a request to the end of its prefill."""
    launches = (
        task.layers * reached.first_layer_seconds + task.expert_layers * reached.first_expert_layer_seconds
    )
    before = 1.0 if kind is RunKind.STATIC else reached.waiting
    waits = 1 + (task.batch - 1) * before
    return prefill * waits + launches + task.batch * reached.first_request_seconds


def all_reduce_seconds(task: Work, reached: Efficiency, tokens: float) -> float:
    """Return the time of the all-reduces of one step over that many tokens."""
    if task.ranks == 1:
        return 0.0
    alone = reached.all_reduce_seconds + reached.all_reduce_doubling_seconds * math.log2(task.ranks)
    return task.all_reduces * alone + tokens * task.message_bytes / (task.link_bytes_per_s * reached.link)
