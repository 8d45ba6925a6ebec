"""How many requests a replica may be given so that nearly all of them are answered in time.

Requests arrive at random and stay until they are answered; the more there are, the slower each is. The number of them
then swings about its mean, and the targets must hold at the swing's upper end, not at the mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from gpuwright.sizing.basis import Basis
from gpuwright.sizing.decoder import Decoder
from gpuwright.sizing.memory import Load, fit
from gpuwright.sizing.roofline import Hardware
from gpuwright.sizing.run import Run
from gpuwright.sizing.speed import Speed, speed

PERCENTILE = 0.95
"""Part of the requests that must meet the targets."""

DEVIATIONS = 1.645
"""Standard deviations of a normal distribution below which that part of it lies."""

MOST_SEQUENCES = 1024
"""Requests in flight that a server admits where the run does not say: vLLM V1's default on large accelerators."""

PRECISE = 0.01
"""Relative step at which the search for a rate ends."""


class Limit(StrEnum):
    """What keeps a replica from taking more requests."""

    TIME_TO_FIRST_TOKEN = "time to first token"  # noqa: S105  # tokens of text
    TIME_PER_OUTPUT_TOKEN = "time per output token"  # noqa: S105
    KV_CACHE = "KV cache"
    SERVER = "server"


@dataclass(frozen=True)
class Capacity:
    """What one replica can be given.

    Args:
        concurrency: Requests in flight at which both targets are still met, were their number constant; 0 where a
            single request misses them.
        requests_per_second: Rate of random arrivals at which the 95th percentile still meets both targets.
        utilisation: That rate over the one at ``concurrency``.
        mean_in_flight: Requests in flight at that rate, in the mean.
        time_to_first_token_ms: 95th percentile at that rate.
        time_per_output_token_ms: 95th percentile at that rate.
        output_tokens_per_second: At that rate.
        limit: What keeps it from taking more.
        basis: How far the numbers can be trusted.
    """

    concurrency: int
    requests_per_second: float
    utilisation: float
    mean_in_flight: float
    time_to_first_token_ms: float
    time_per_output_token_ms: float
    output_tokens_per_second: float
    limit: Limit
    basis: Basis


def capacity(
    model: Decoder,
    hardware: Hardware,
    run: Run,
    load: Load,
    ttft_ms: float | None = None,
    tpot_ms: float | None = None,
    most_in_flight: int | None = None,
) -> Capacity:
    """Return what one replica can be given.

    Args:
        model: The model.
        hardware: Its accelerators.
        run: How its server is started.
        load: Prompt and output of a typical request, and the longest; its concurrency does not count.
        ttft_ms: Target of the time to the first token; None: any time will do.
        tpot_ms: Target of the time per output token; None: any time will do.
        most_in_flight: Requests that the KV cache holds; computed where it is not given.

    Source: in flight, Little's law; the swing, the diffusion approximation of a queue whose service rate grows with
    its length (Halfin and Whitt, Operations Research 29:567, 1981, for a rate that grows in proportion); the wait for
    other prefills, the M/D/1 queue with an exponential tail.
    """
    if most_in_flight is None:
        half = Load(1, load.prompt_tokens, max(1, load.output_tokens // 2), load.max_model_len)
        most_in_flight = fit(model, hardware.accelerator, half, run).max_concurrency
    admitted = run.max_sequences or MOST_SEQUENCES
    most, limit = (most_in_flight, Limit.KV_CACHE) if most_in_flight < admitted else (admitted, Limit.SERVER)
    seen: dict[int, Speed] = {}

    def at(concurrency: int) -> Speed:
        if concurrency not in seen:
            asked = Load(concurrency, load.prompt_tokens, load.output_tokens, load.max_model_len)
            seen[concurrency] = speed(model, hardware, asked, run)
        return seen[concurrency]

    def missed(concurrency: int, arrivals: float = 0.0) -> Limit | None:
        found = at(concurrency)
        first = at(1).time_to_first_token_ms + prefill_wait_ms(arrivals, found.prefill_ms)
        first += found.time_per_output_token_ms - at(1).time_per_output_token_ms
        if tpot_ms is not None and found.time_per_output_token_ms > tpot_ms:
            return Limit.TIME_PER_OUTPUT_TOKEN
        return Limit.TIME_TO_FIRST_TOKEN if ttft_ms is not None and first > ttft_ms else None

    if most < 1 or missed(1):
        why = limit if most < 1 else missed(1) or limit
        alone = at(1)
        return Capacity(
            0,
            0.0,
            0.0,
            0.0,
            alone.time_to_first_token_ms,
            alone.time_per_output_token_ms,
            0.0,
            why,
            alone.basis,
        )
    constant = largest(lambda n: not missed(n, at(n).requests_per_second), most)
    limit = limit if constant == most else missed(constant + 1, at(constant + 1).requests_per_second) or limit

    def upper(mean: float) -> int:
        near = percentile_in_flight(mean, _growth(mean, mean * 1.2, at))
        return math.ceil(percentile_in_flight(mean, _growth(mean, min(near, 2.0 * most), at)))

    def holds(mean: float) -> bool:
        number = upper(mean)
        return number <= most and not missed(number, _rate(mean, at))

    mean = _largest_mean(holds, constant)
    rate, number = _rate(mean, at), min(most, upper(mean))
    first = at(1).time_to_first_token_ms + prefill_wait_ms(rate, at(number).prefill_ms)
    first += at(number).time_per_output_token_ms - at(1).time_per_output_token_ms
    return Capacity(
        concurrency=constant,
        requests_per_second=rate,
        utilisation=rate / at(constant).requests_per_second,
        mean_in_flight=mean,
        time_to_first_token_ms=first,
        time_per_output_token_ms=at(number).time_per_output_token_ms,
        output_tokens_per_second=rate * load.output_tokens,
        limit=limit,
        basis=at(1).basis,
    )


def replicas_for(requests_per_second: float, each: Capacity) -> int | None:
    """Return the replicas that carry a rate of requests, at least one; None where no number meets the targets."""
    if not each.requests_per_second:
        return None
    return max(1, math.ceil(requests_per_second / each.requests_per_second))


def percentile_in_flight(mean: float, growth: float) -> float:
    """Return the number in flight that is exceeded in one of twenty moments.

    Args:
        mean: Requests in flight in the mean.
        growth: Relative growth of the service rate with the number in flight: 1 where one request slows no other, 0
            where they share a rate that does not grow. The variance is the mean over it.
    """
    return mean + DEVIATIONS * math.sqrt(mean / growth)


def prefill_wait_ms(requests_per_second: float, prefill_ms: float) -> float:
    """Return the 95th percentile of the time that a request waits for the prefills before it, ms; infinite where more
    prompts arrive than can be read.
    """
    busy = requests_per_second * prefill_ms / 1000
    if busy >= 1:
        return math.inf
    return max(0.0, prefill_ms / (2 * (1 - busy)) * math.log(busy / (1 - PERCENTILE))) if busy else 0.0


def largest(holds: Callable[[int], bool], most: int) -> int:
    """Return the largest number up to ``most`` for which a condition holds that holds at 1, and at none above one
    at which it does not.
    """
    low, high = 1, most
    while low < high:
        middle = (low + high + 1) // 2
        if holds(middle):
            low = middle
        else:
            high = middle - 1
    return low


def _largest_mean(holds: Callable[[float], bool], most: float) -> float:
    low, high = 0.0, float(most)
    while high - low > PRECISE * high:
        middle = (low + high) / 2
        if holds(middle):
            low = middle
        else:
            high = middle
    return low


def _rate(mean: float, at: Callable[[int], Speed]) -> float:
    """Return requests per second with that many in flight, between whole numbers in proportion."""
    below = math.floor(mean)
    start = at(below).requests_per_second if below else 0.0
    return start + (mean - below) * (at(below + 1).requests_per_second - start)


def _growth(mean: float, number: float, at: Callable[[int], Speed]) -> float:
    """Return the relative growth of the rate from the mean up to another number in flight, between 0 and 1."""
    low, high = max(1.0, mean), max(1.0, mean, number) + 1
    steps = math.log(_rate(high, at) / _rate(low, at)) / math.log(high / low)
    return min(1.0, max(1e-3, steps))
