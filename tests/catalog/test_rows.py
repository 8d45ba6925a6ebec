"""Every row is what its class says: the loader trusts the tables, so they are validated here."""

from __future__ import annotations

import dataclasses
from importlib.resources import files
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from gpuwright import catalog
from gpuwright.catalog import Accelerator, Commitment, InstanceType, Model, Profile, Server, ServicePrice

CLASSES: dict[str, type[Any]] = {
    "accelerators": Accelerator,
    "models": Model,
    "servers": Server,
    **{f"instance_types/{cloud}": InstanceType for cloud in catalog.clouds()},
    **{f"prices/{cloud}": ServicePrice for cloud in catalog._yaml_files("prices")},
    **{f"commitments/{cloud}": Commitment for cloud in catalog._yaml_files("commitments")},
    **{f"profiles/{name}": Profile for name in catalog._yaml_files("profiles")},
}


def given(table: str) -> list[dict[str, Any]]:
    """Return the rows of a table as the YAML says them."""
    folder, _, name = table.rpartition("/")
    if folder == "profiles":
        document = yaml.safe_load((files(catalog) / f"{table}.yaml").read_text(encoding="utf-8"))
        return [{"name": name, **document}]
    return [{**({"cloud": name} if folder else {}), **row} for row in catalog._rows(f"{table}.yaml")]


def loaded(table: str) -> tuple[Any, ...]:
    folder, _, name = table.rpartition("/")
    return {
        "accelerators": catalog.accelerators,
        "models": catalog.models,
        "servers": catalog.servers,
        "instance_types": lambda: catalog.instance_types(name),
        "prices": lambda: tuple(catalog.service_prices(name).values()),
        "commitments": lambda: catalog.commitments(name),
        "profiles": lambda: (catalog.profile(name),),
    }[folder or table]()


def key(row: dict[str, Any]) -> str:
    """Return what names a row: its id, its name, or its family."""
    return str(row.get("id") or row.get("name") or row.get("family"))


def refusals(cls: type[Any], rows: list[dict[str, Any]]) -> list[str]:
    """Return what is wrong with each wrong row, after its name."""
    adapter, found = TypeAdapter(cls), []
    for row in rows:
        try:
            adapter.validate_python(row)
        except ValidationError as error:
            found.append(f"{key(row)}: {error}")
    return found


@pytest.mark.parametrize("table", CLASSES)
def test_every_row_is_valid(table: str) -> None:
    assert refusals(CLASSES[table], given(table)) == []


@pytest.mark.parametrize("table", CLASSES)
def test_every_row_is_loaded_as_if_it_had_been_validated(table: str) -> None:
    adapter = TypeAdapter(CLASSES[table])
    for row, has in zip(given(table), loaded(table), strict=True):
        # Compared as text, since 16 equals 16.0, and a plan prints them differently.
        assert repr(has) == repr(adapter.validate_python(row))


def test_every_model_is_found_by_an_id_that_begins_its_row() -> None:
    assert [row["id"] for row in given("models")] == list(catalog._model_texts()[1])


def test_every_server_is_found_by_the_name_and_version_that_begin_its_row() -> None:
    rows = [(row["name"], row["version"]) for row in given("servers")]
    assert rows == list(catalog._server_texts()[1])
    assert [(each.name, each.version) for each in catalog.servers()] == rows


@pytest.mark.parametrize(
    ("table", "wrong"),
    [
        ("accelerators", {"memory_gib": 0}),
        ("accelerators", {"form_factor": "SXM3"}),
        ("accelerators", {"bf16": "perhaps"}),
        ("accelerators", {"source": ""}),
        ("instance_types/aws", {"price_date": "soon"}),
        ("instance_types/gcp", {"nvlink_gb_per_s": -1}),
        ("models", {"layerz": 1}),
        ("models", {"sliding_layers": -1}),
        ("models", {"components": [{"name": "unet", "dtype": "fp12", "source": "somewhere"}]}),
        ("servers", {"digest": "sha256:0"}),
        ("servers", {"min_driver": "R535"}),
        (
            "servers",
            {"quantizations": [{"name": "awq", "min_compute_capability": 7.5, "source": "s", "x": 1}]},
        ),
        ("prices/aws", {"usd": -1}),
        ("prices/gcp", {"price_date": "soon"}),
        ("commitments/gcp", {"one_year_discount": 1.0}),
        ("profiles/7b-online", {"floors": {"vcpus": 16}}),
    ],
)
def test_a_row_with_one_wrong_column_is_refused_by_its_name(table: str, wrong: dict[str, Any]) -> None:
    right = given(table)
    rows = [*right[:-1], {**right[-1], **wrong}]
    (refusal,) = refusals(CLASSES[table], rows)
    assert refusal.startswith(key(rows[-1]))
    assert all(column in refusal for column in wrong)


def test_a_row_without_a_column_that_it_needs_is_refused() -> None:
    for table, cls in CLASSES.items():
        row = given(table)[0]
        for field in dataclasses.fields(cls):
            if field.default is dataclasses.MISSING:
                rest = {column: value for column, value in row.items() if column != field.name}
                assert refusals(cls, [rest]), f"{table}: {field.name}"
