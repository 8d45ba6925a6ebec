"""Capacity: what a replica can be given holds for nearly all requests, as an exact queue confirms."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuwright import catalog
from gpuwright.sizing import Hardware, Load, Run, decoder, speed
from gpuwright.sizing.queueing import (
    PERCENTILE,
    Limit,
    capacity,
    largest,
    percentile_in_flight,
    prefill_wait_ms,
    replicas_for,
)

LLAMA_8B = decoder(catalog.model("meta-llama/Llama-3.1-8B"))
H100 = Hardware(catalog.accelerator("H100-80", "SXM5"), 900)
A10G = Hardware(catalog.accelerator("A10G"), 0)
BF16 = Run("bf16", "bf16")
LOAD = Load(1, 1024, 256, 4096)


def in_flight_exactly(hardware: Hardware, arrivals: float, places: int) -> list[float]:
    """Return the stationary distribution of the number in flight: a birth-death process, solved without shortcuts."""
    logs = [0.0]
    for number in range(1, places + 1):
        rate = speed(LLAMA_8B, hardware, Load(number, 1024, 256, 4096), BF16).requests_per_second
        logs.append(logs[-1] + math.log(arrivals / rate))
    weights = [math.exp(each - max(logs)) for each in logs]
    return [each / sum(weights) for each in weights]


@pytest.mark.parametrize(
    ("hardware", "ttft", "tpot"), [(H100, 500, 30), (H100, 300, 20), (H100, 1000, 50), (A10G, 2000, 60)]
)
def test_the_targets_are_met_nearly_as_often_as_promised_in_an_exact_queue(hardware, ttft, tpot) -> None:
    each = capacity(LLAMA_8B, hardware, BF16, LOAD, ttft, tpot)
    distribution = in_flight_exactly(hardware, each.requests_per_second, 1200)
    assert sum(distribution[: each.concurrency + 1]) == pytest.approx(PERCENTILE, abs=0.025)
    mean = sum(number * part for number, part in enumerate(distribution))
    assert each.mean_in_flight == pytest.approx(mean, rel=0.12)


@given(st.floats(20, 5000), st.floats(5, 200), st.floats(1, 3))
def test_looser_targets_never_lower_the_capacity(ttft, tpot, looser) -> None:
    tight, loose = (capacity(LLAMA_8B, H100, BF16, LOAD, ttft * by, tpot * by, 400) for by in (1, looser))
    assert loose.concurrency >= tight.concurrency
    assert (
        loose.requests_per_second >= tight.requests_per_second * 0.97
    )  # the search ends within a part of a step


@given(st.floats(20, 5000), st.floats(5, 200), st.integers(1, 1000))
def test_what_is_promised_meets_the_targets(ttft, tpot, most) -> None:
    each = capacity(LLAMA_8B, H100, BF16, LOAD, ttft, tpot, most)
    assert each.concurrency <= most
    assert 0 <= each.utilisation <= 1
    if each.concurrency:
        assert each.time_to_first_token_ms <= ttft
        assert each.time_per_output_token_ms <= tpot
        assert each.mean_in_flight <= each.concurrency


def test_what_holds_a_replica_back_is_named() -> None:
    assert capacity(LLAMA_8B, H100, BF16, LOAD, tpot_ms=15).limit is Limit.TIME_PER_OUTPUT_TOKEN
    assert capacity(LLAMA_8B, H100, BF16, LOAD, ttft_ms=80).limit is Limit.TIME_TO_FIRST_TOKEN
    assert capacity(LLAMA_8B, A10G, BF16, LOAD).limit is Limit.KV_CACHE
    assert capacity(LLAMA_8B, H100, Run("bf16", "bf16", max_sequences=8), LOAD).limit is Limit.SERVER


def test_targets_that_one_request_misses_leave_no_capacity() -> None:
    none = capacity(LLAMA_8B, A10G, BF16, LOAD, tpot_ms=5)
    assert (none.concurrency, none.requests_per_second, none.limit) == (0, 0, Limit.TIME_PER_OUTPUT_TOKEN)
    assert replicas_for(1, none) is None


def test_replicas_carry_the_demand_and_one_less_does_not() -> None:
    each = capacity(LLAMA_8B, H100, BF16, LOAD, 500, 30)
    for demand in (0.1, 16, 100, 1000):
        needed = replicas_for(demand, each)
        assert needed is not None
        assert needed * each.requests_per_second >= demand
        assert needed == 1 or (needed - 1) * each.requests_per_second < demand


def test_requests_that_slow_no_other_swing_as_a_poisson_number() -> None:
    # Mean 100, variance 100: 100 + 1.645 · 10.
    assert percentile_in_flight(100, 1) == pytest.approx(116.45)


def test_prompts_wait_longer_the_busier_the_accelerators_are() -> None:
    # Half of the time busy, 100 ms each: conditional mean 100 ms, times ln(0.5 / 0.05).
    assert prefill_wait_ms(5, 100) == pytest.approx(100 * math.log(10))
    assert prefill_wait_ms(0.1, 100) == 0
    assert prefill_wait_ms(10, 100) == math.inf


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_the_search_finds_the_last_number_that_holds(last, most) -> None:
    assert largest(lambda number: number <= last, most) == min(last, most)
