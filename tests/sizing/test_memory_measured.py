"""Rows in people's words become runs, and the observed ones come out as observed."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest

from gpuwright.errors import InputError
from gpuwright.sizing.memory import GIB, Verdict
from gpuwright.sizing.rows import case

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "benchmarks" / "data" / "observed_memory.csv"
FACTS = ROOT.parent / "shared" / "facts" / "observed_memory.csv"
ROW = {
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "quantization": "bf16",
    "kv_cache_dtype": "auto",
    "gpu": "H100-80GB",
    "tensor_parallel": "2",
    "gpu_memory_utilization": "0.85",
    "max_model_len": "20000",
    "engine": "vllm",
    "version": "0.11.0 (V1)",
    "enforce_eager": "true",
    "note": "--max-num-batched-tokens 4096 --max-num-seqs 64",
}


def test_a_row_says_how_the_server_was_started() -> None:
    found = case(ROW)
    assert found.model.id == "meta-llama/Llama-3.1-8B"
    assert found.load.max_model_len == 20_000
    assert (found.run.tensor_parallel_size, found.run.gpu_memory_utilization) == (2, 0.85)
    assert (found.run.prefill_tokens, found.run.max_sequences, found.run.enforce_eager) == (4096, 64, True)


def test_what_a_row_leaves_open_is_the_servers_default() -> None:
    found = case({"model": "Qwen/Qwen2.5-7B-Instruct", "gpu": "L4", "engine": "vllm", "version": "0.11.0"})
    assert (found.run.prefill_tokens, found.run.max_sequences) == (2048, 256)
    assert (found.run.gpu_memory_utilization, found.run.weights_precision) == (0.9, "bf16")
    assert not found.longest_is_known
    assert found.memory().fits  # though the model's 131,072 tokens would not


def test_stated_memory_wins_over_the_accelerators_name() -> None:
    assert case({**ROW, "gpu_visible_mem_gib": "44.42"}).visible == 44.42 * GIB
    assert case({**ROW, "gpu": "24GB-class"}).visible / GIB == pytest.approx(22.06, rel=0.01)


@pytest.mark.parametrize(
    ("columns", "where"),
    [
        ({"gpu": ""}, "gpu"),
        ({"gpu": "H900"}, "gpu"),
        ({"model": "somebody/unheard-of"}, "model"),
        ({"tensor_parallel": "two"}, "tensor_parallel"),
    ],
)
def test_a_row_that_cannot_be_sized_says_why(columns: dict[str, str], where: str) -> None:
    with pytest.raises(InputError) as error:
        case({**ROW, **columns})
    assert error.value.faults[0].where == where


def test_an_unknown_format_or_server_is_told_when_the_row_is_sized() -> None:
    for columns in ({"quantization": "int3"}, {"engine": "tgi"}, {"kv_cache_dtype": "fp3"}):
        with pytest.raises(InputError):
            case({**ROW, **columns}).memory()


def observed() -> list[dict[str, str]]:
    with DATA.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_observation_has_a_source() -> None:
    assert len(observed()) >= 58
    assert all(row["source"] for row in observed())


@pytest.mark.skipif(not FACTS.is_file(), reason="the collected facts do not lie beside this checkout")
def test_the_observations_carry_over_what_was_collected() -> None:
    with FACTS.open(encoding="utf-8", newline="") as file:
        collected = list(csv.DictReader(file))
    assert observed()[: len(collected)] == collected


@pytest.fixture(scope="module")
def accuracy():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import accuracy_memory
    finally:
        sys.path.pop(0)
    return accuracy_memory


def test_nothing_is_said_to_fit_that_did_not_start(accuracy) -> None:
    rows, _ = accuracy.rows()
    claimed = [row for row in rows if row.case.memory().verdict is Verdict.FITS]
    assert len(claimed) > 20
    assert [row.columns["model"] for row in claimed if row.started is False] == []


def test_the_kv_cache_is_within_3_percent_at_the_median_and_20_at_the_95th_percentile(accuracy) -> None:
    rows, _ = accuracy.rows()
    errors = [abs(error) for row in rows if (error := row.error(row.case.memory())) is not None]
    assert len(errors) > 25
    assert accuracy.percentile(errors, 0.5) < 0.03
    assert accuracy.percentile(errors, 0.95) < 0.20


def test_nine_in_ten_start_as_predicted_by_the_sign_of_the_margin(accuracy) -> None:
    rows, _ = accuracy.rows()
    known = [row for row in rows if row.started is not None]
    right = sum(row.started == row.case.memory().fits for row in known)
    assert right / len(known) > 0.9
