"""The tables carry over every value of the collected facts; skipped where those do not lie nearby."""

from __future__ import annotations

import csv
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from gpuwright import catalog
from gpuwright.catalog import InstanceType, Model

FACTS = Path(__file__).resolve().parents[3] / "shared" / "facts"

pytestmark = pytest.mark.skipif(
    not FACTS.is_dir(), reason="the facts that the catalog was made from do not lie beside this checkout"
)

SHAPE = {
    "gpu_name": "accelerator",
    "gpu_form_factor": "form_factor",
    "vcpus": "vcpus",
    "memory_gib": "memory_gib",
    "local_ssd_gb": "local_ssd_gb",
    "network_gbps": "network_gbps",
    "rdma": "rdma",
    "gpu_interconnect": "interconnect",
    "nvlink_gbps_per_gpu": "nvlink_gb_per_s",
    "ondemand_usd_per_hour": "on_demand_usd_per_hour",
    "spot_usd_per_hour": "spot_usd_per_hour",
}
ACCELERATOR = {
    "gpu": "name",
    "form_factor": "form_factor",
    "architecture": "architecture",
    "compute_capability": "compute_capability",
    "memory_gib": "memory_gib",
    "usable_mib": "usable_mib",
    "memory_bandwidth_gbps": "memory_bandwidth_gb_per_s",
    "fp16_dense_tflops": "fp16_dense_tflops",
    "fp8_dense_tflops": "fp8_dense_tflops",
    "int8_dense_tops": "int8_dense_tops",
    "tf32": "tf32",
    "bf16": "bf16",
    "nvlink_gbps": "nvlink_gb_per_s",
    "ecc": "ecc",
    "tdp_w": "tdp_watts",
    "min_driver_cuda12": "min_driver_cuda12",
    "mig": "mig",
    "datacenter_licensed": "datacenter_licensed",
}
MODEL = {
    "params_total": "params_total",
    "params_active": "params_active",
    "hidden_size": "hidden_size",
    "attention_heads": "attention_heads",
    "kv_heads": "kv_heads",
    "head_dim": "head_dim",
    "vocab_size": "vocab_size",
    "intermediate_size": "intermediate_size",
    "moe_intermediate_size": "moe_intermediate_size",
    "max_position": "max_position",
    "attention_type": "attention",
    "experts": "experts",
    "experts_per_token": "experts_per_token",
}
SWITCHES = ("tf32", "bf16", "mig", "datacenter_licensed")


def facts(name: str) -> list[dict[str, str]]:
    path = FACTS / name
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def value(text: str) -> Any:
    """Return a cell as the number, text or nothing that it is."""
    if not text:
        return None
    return float(text) if re.fullmatch(r"-?\d+(\.\d+)?", text) else text


def words(text: str) -> set[str]:
    """Return what a source or note consists of, without the parts in brackets, which may be worded anew."""
    return set(re.sub(r"\([^()]*\)", "", text).replace(";", " ").split())


def differences(row: dict[str, str], columns: dict[str, str], held: Any) -> dict[str, tuple[Any, Any]]:
    found = {}
    for column, name in columns.items():
        wanted = row[column] == "yes" if name in SWITCHES else value(row[column])
        if getattr(held, name) != wanted:
            found[name] = (wanted, getattr(held, name))
    return found


@pytest.mark.parametrize(
    "row", facts("accelerators.csv"), ids=lambda row: f"{row['gpu']}-{row['form_factor']}"
)
def test_an_accelerator_is_carried_over(row: dict[str, str]) -> None:
    held = catalog.accelerator(row["gpu"], row["form_factor"])
    assert differences(row, ACCELERATOR, held) == {}
    assert words(held.source) == words(row["source"])
    assert words(held.notes) == words(row["notes"])


@pytest.mark.parametrize(
    "row",
    [row for row in facts("gpu_instances.csv") if row["cloud"] in catalog.clouds()],
    ids=lambda row: row["instance_type"],
)
def test_an_instance_type_is_carried_over(row: dict[str, str]) -> None:
    held = catalog.instance_type(row["cloud"], row["instance_type"])
    assert differences({**row, "rdma": row["rdma"] or "erdma"}, SHAPE, held) == {}
    assert held.accelerator_count * held.accelerator_fraction == value(row["gpu_count"])
    assert catalog.accelerator(held.accelerator, held.form_factor).memory_gib == value(
        row["gpu_memory_gib_each"]
    )
    dated = row["price_date"] not in ("", "undated")
    assert held.price_date == (date.fromisoformat(row["price_date"]) if dated else None)
    assert held.price_region == row["price_region"]
    assert held.source.partition("; NUMA: ")[0] == re.sub(r"find\w+(?= \d)", "code-index id", row["source"])
    assert words(all_notes(held)) == words(row["notes"])


def all_notes(held: InstanceType) -> str:
    """Return the notes with what has become a column put back."""
    if held.network_baseline_gbps in (None, held.network_gbps):
        return held.notes
    return f"network is burst; baseline {held.network_baseline_gbps:g} Gbps; {held.notes}"


WHOLE = [row for row in facts("models.csv") if row["component"] == "full model"]


@pytest.mark.parametrize("row", WHOLE, ids=lambda row: row["model_id"])
def test_a_model_is_carried_over(row: dict[str, str]) -> None:
    held = catalog.model(row["model_id"])
    given = {column: name for column, name in MODEL.items() if row[column]}
    assert differences(row, given, held) == {}
    assert held.layers == int(row["layers"].split()[0])
    assert (held.dtype or "") == row["dtype"].partition(" ")[0]
    assert (held.weights_bytes or 0) == round(1e9 * (value(row["weights_safetensors_gb"]) or 0))
    assert words(held.source) >= words(row["source"])
    assert words(held.notes) >= words(row["note"]) | words(row["attention_details"])


@pytest.mark.parametrize("row", WHOLE, ids=lambda row: row["model_id"])
def test_what_the_facts_derived_follows_from_the_columns(row: dict[str, str]) -> None:
    held = catalog.model(row["model_id"])
    if row["weights_16bit_gb_derived"]:
        assert 2e-9 * held.params_total == pytest.approx(float(row["weights_16bit_gb_derived"]), abs=0.006)
    if row["kv_bytes_per_token_16bit_derived"]:
        assert 2 * cached_values(held) == int(row["kv_bytes_per_token_16bit_derived"])


def cached_values(model: Model) -> int:
    """Return the values that one token adds to the cache where every layer sees all tokens."""
    if model.attention == "mla":
        return model.layers * (model.kv_lora_rank + model.qk_rope_head_dim)
    return 2 * model.layers * model.kv_heads * model.head_dim


@pytest.mark.parametrize(
    "row",
    [row for row in facts("models.csv") if row["component"] != "full model"],
    ids=lambda row: f"{row['model_id']}: {row['component']}",
)
def test_a_part_of_a_model_is_carried_over(row: dict[str, str]) -> None:
    (held,) = [part for part in catalog.model(row["model_id"]).components if part.name == row["component"]]
    assert (held.params, held.dtype) == (value(row["params_total"]), row["dtype"])
    assert held.weights_gb == value(row["weights_safetensors_gb"])
    assert held.full_checkpoint == row["component"].startswith("full checkpoint")
    assert words(held.source) >= words(row["source"])
    assert words(held.notes) >= words(row["note"])


def test_everything_in_the_facts_stands_in_the_tables() -> None:
    assert {model.id for model in catalog.models()} >= {row["model_id"] for row in facts("models.csv")}
    for cloud in catalog.clouds():
        given = {row["instance_type"] for row in facts("gpu_instances.csv") if row["cloud"] == cloud}
        assert {each.name for each in catalog.instance_types(cloud)} == given
