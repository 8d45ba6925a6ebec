"""Published measurements: carried over whole, understood, below the roofline, and met as closely as the docs say."""

from __future__ import annotations

import csv
import statistics
from pathlib import Path

import pytest

from gpuwright.errors import InputError
from gpuwright.sizing.efficiency import RunKind
from gpuwright.sizing.served import served

DATA = Path(__file__).parents[2] / "benchmarks" / "data" / "observed_throughput.csv"
FACTS = DATA.parents[3] / "shared" / "facts" / "observed_throughput.csv"

with DATA.open(newline="", encoding="utf-8") as file:
    ROWS = list(csv.DictReader(file))


def observed_rate(row: dict[str, str]) -> float:
    each = float(row["output_tokens_per_s"])
    return each * int(row["gpu_count"]) if row["throughput_scope"].startswith("per_gpu") else each


@pytest.mark.skipif(not FACTS.exists(), reason="the facts are beside the repository only where it was made")
def test_the_measurements_are_carried_over() -> None:
    assert DATA.read_text(encoding="utf-8") == FACTS.read_text(encoding="utf-8")


def test_every_row_has_a_source() -> None:
    assert all(len(row["source"]) > 10 for row in ROWS)


def test_all_rows_are_understood_but_those_that_do_not_say_how_long_prompts_were() -> None:
    refused = []
    for row in ROWS:
        try:
            served(row)
        except InputError:
            refused.append(row)
    assert {row["metric_kind"] for row in refused} == {"mlperf_offline", "mlperf_server"}
    assert not any(row["input_len"] for row in refused)


def test_nothing_measured_is_above_the_roofline() -> None:
    for row in ROWS:
        if row["output_tokens_per_s"] and row["input_len"]:
            assert observed_rate(row) <= served(row).speed().roofline_output_tokens_per_second, row


def test_rate_and_time_per_token_are_within_a_tenth_at_the_median() -> None:
    rates, times = [], []
    for row in ROWS:
        if not row["output_tokens_per_s"] or not row["input_len"]:
            continue
        speed = served(row).speed()
        rates.append(abs(speed.output_tokens_per_second / observed_rate(row) - 1))
        if row["tpot_ms"]:
            times.append(abs(speed.time_per_output_token_ms / float(row["tpot_ms"]) - 1))
    assert statistics.median(rates) < 0.10
    assert statistics.median(times) < 0.10


ROW = {
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "gpu": "H100-80GB",
    "input_len": "1024",
    "output_len": "256",
    "concurrency_or_rate": "concurrency 16",
}


@pytest.mark.parametrize(
    ("arrivals", "kind", "concurrency"),
    [
        ("concurrency 16", RunKind.SERVING, 16),
        ("16", RunKind.SERVING, 16),
        ("batch 1", RunKind.SINGLE, 1),
        ("batch 64", RunKind.STATIC, 64),
    ],
)
def test_how_requests_come_is_understood(arrivals: str, kind: RunKind, concurrency: int) -> None:
    case = served({**ROW, "concurrency_or_rate": arrivals})
    assert (case.kind, case.loaded().concurrency) == (kind, concurrency)


def test_a_rate_keeps_as_many_in_flight_as_answer_it_and_no_more_is_answered_than_arrives() -> None:
    case = served({**ROW, "concurrency_or_rate": "2 req/s"})
    found = case.speed()
    assert found.output_tokens_per_second == pytest.approx(2 * 256)
    seconds = found.time_to_first_token_ms / 1000 + 255 * found.time_per_output_token_ms / 1000
    assert case.loaded().concurrency == pytest.approx(2 * seconds, abs=1)


def test_everything_at_once_fills_the_cache_but_no_more_than_there_are_requests() -> None:
    few, many = (
        served({**ROW, "concurrency_or_rate": "inf (offline, max load)", "num_requests": number})
        for number in ("10", "100000")
    )
    assert few.kind is many.kind is RunKind.OFFLINE
    assert few.load.concurrency == 10
    assert many.load.concurrency == many.memory.max_concurrency


def test_a_number_format_is_the_rows_else_the_models() -> None:
    assert served({**ROW, "precision": "fp8"}).run.weights_precision == "fp8"
    assert served(ROW).run.weights_precision == "bf16"
    assert (
        served({**ROW, "model": "openai/gpt-oss-120b", "precision": "fp4"}).run.weights_precision == "mxfp4"
    )
    assert served({**ROW, "precision": "fp8", "kv_cache_dtype": "bf16"}).run.kv_cache_precision == "bf16"


@pytest.mark.parametrize(
    "wrong",
    [
        {"input_len": ""},
        {"output_len": "many"},
        {"concurrency_or_rate": "often"},
        {"gpu": "Voodoo 2"},
        {"model": "nobody/Nothing-1B"},
        {"precision": "fp3"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_row_that_cannot_be_sized_says_why(wrong: dict[str, str]) -> None:
    with pytest.raises(InputError):
        served({**ROW, **wrong})
