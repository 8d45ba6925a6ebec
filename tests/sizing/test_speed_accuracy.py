"""The benchmark that fits and judges speed does what it says."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

import pytest

from gpuwright.sizing.efficiency import CALIBRATED

FILE = Path(__file__).parents[2] / "benchmarks" / "accuracy_speed.py"


@pytest.fixture(scope="module")
def accuracy() -> ModuleType:
    spec = importlib.util.spec_from_file_location("accuracy_speed", FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_constants_in_use_are_the_fit_to_the_measurements(accuracy: ModuleType) -> None:
    fitted = accuracy.calibrate([row for row in accuracy.samples()[0] if not row.set_aside])
    in_use = asdict(CALIBRATED)
    for name, value in asdict(fitted).items():
        assert value == pytest.approx(in_use[name], rel=0.1), name


def test_every_constant_has_a_prior_and_every_rate_is_a_part(accuracy: ModuleType) -> None:
    assert asdict(accuracy.PRIOR).keys() == asdict(CALIBRATED).keys()
    parts = {name: value for name, value in asdict(CALIBRATED).items() if not name.endswith("_seconds")}
    assert all(0 < value <= 1 for value in parts.values()), parts


def test_a_source_is_one_publication_of_one_model_on_one_accelerator(accuracy: ModuleType) -> None:
    sources = {row.source for row in accuracy.samples()[0]}
    assert (
        "aiconfigurator-core 0.12.0 systems/silicon_sample.csv",
        "meta-llama/Llama-3.1-70B",
        "H200",
    ) in sources
    assert len(sources) < 60


def test_ranks_correlate_by_order_alone(accuracy: ModuleType) -> None:
    assert accuracy.spearman([(1, 10), (2, 100), (3, 1000)]) == pytest.approx(1)
    assert accuracy.spearman([(1, 3), (2, 2), (3, 1)]) == pytest.approx(-1)
    # Ranks 0, 1.5, 1.5, 3 against 0, 1, 2, 3: covariance 4.5 over the root of 4.5 · 5.
    assert accuracy.spearman([(1, 1), (2, 2), (2, 3), (3, 4)]) == pytest.approx(4.5 / (4.5 * 5) ** 0.5)
