"""Conditions on columns, and the row that a name means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuwright import catalog
from gpuwright.catalog.query import TABLES, find, names, select, table
from gpuwright.errors import InputError, UnknownNameError


def selected(name: str, *conditions: str, clouds: tuple[str, ...] = ()) -> list[str]:
    return [names(row)[0] for row in select(name, clouds, conditions)]


def test_without_conditions_every_row_of_a_table_is_selected() -> None:
    assert select("accelerators", (), ()) == catalog.accelerators()
    assert len(select("instance-types", (), ())) == sum(
        len(catalog.instance_types(cloud)) for cloud in catalog.clouds()
    )


@pytest.mark.parametrize("sign", [">=", "<=", ">", "<", "=", "==", "!="])
def test_a_number_is_compared_as_a_number(sign: str) -> None:
    python = "==" if sign == "=" else sign
    wanted = [names(row)[0] for row in catalog.accelerators() if eval(f"row.memory_gib {python} 24")]  # noqa: S307
    assert selected("accelerators", f"memory_gib {sign} 24.0") == wanted
    assert wanted


def test_every_condition_must_hold() -> None:
    found = selected("instance-types", "accelerator=A10G", "vcpus>=16", "memory_gib<=64", clouds=("aws",))
    assert found == ["g5.4xlarge"]


def test_a_text_is_a_whole_text_without_regard_to_case() -> None:
    assert set(selected("instance-types", "accelerator=a10", clouds=("aws", "oci"))) == {
        "VM.GPU.A10.1",
        "VM.GPU.A10.2",
        "BM.GPU.A10.4",
    }


def test_what_a_row_leaves_out_equals_none_and_satisfies_nothing_else() -> None:
    without = set(selected("accelerators", "fp8_dense_tflops=none"))
    assert "A10 PCIe" in without
    assert without.isdisjoint(selected("accelerators", "fp8_dense_tflops<1000000"))
    assert without.isdisjoint(selected("accelerators", "fp8_dense_tflops!=none"))
    assert "vllm 0.15.1" in selected("servers", "digest=none")


def test_none_is_a_value_where_the_column_has_it() -> None:
    assert {row.rdma for row in select("instance-types", (), ("rdma=none",))} == {"none"}  # type: ignore[union-attr]


def test_a_switch_a_date_and_a_list_have_their_own_values() -> None:
    assert "RTX 4090 PCIe" in selected("accelerators", "datacenter_licensed=no")
    assert selected("instance-types", "price_date>=2026-08-01") == selected(
        "instance-types", "price_date>2026-07-31"
    )
    assert {name.split()[0] for name in selected("servers", "quantizations=nvfp4")} == {"tensorrt-llm"}
    assert "vllm 0.8.5" in selected("servers", "quantizations!=mxfp4")


@pytest.mark.parametrize(
    ("name", "condition", "problem", "fix"),
    [
        ("accelerators", "memory", "is no condition", "memory_gib>=24"),
        ("accelerators", "memory_gb>=24", "no column of Accelerator", "memory_gib"),
        ("models", "parms>1", "no column of Model", "params_total"),
        ("accelerators", "memory_gib>=24GB", "holds numbers", "without a unit"),
        ("accelerators", "bf16=perhaps", "yes or no", "yes or no"),
        ("instance-types", "price_date>soon", "holds dates", "2026-07-20"),
        ("models", "kind>decoder", "no number and no date", "Use = or !="),
        ("accelerators", "memory_gib>none", "no number and no date", "Use = or !="),
        ("accelerators", "__class__=x", "no column", "Columns: "),
    ],
)
def test_a_condition_that_means_nothing_is_told_with_what_to_write(
    name: str, condition: str, problem: str, fix: str
) -> None:
    with pytest.raises(InputError) as caught:
        select(name, (), (condition,))
    (fault,) = caught.value.faults
    assert fault.where == f"--where {condition!r}"
    assert problem in fault.problem
    assert fix in fault.fix


def test_the_faults_of_all_conditions_come_at_once() -> None:
    with pytest.raises(InputError) as caught:
        select("models", (), ("nonsense", "layers=many", "kind=decoder"))
    assert len(caught.value.faults) == 2


def test_a_cloud_that_the_catalog_lacks_is_named() -> None:
    with pytest.raises(UnknownNameError) as caught:
        table("instance-types", ("asure",))
    assert "azure" in caught.value.faults[0].fix


@pytest.mark.parametrize("name", TABLES)
def test_every_row_is_found_by_its_first_name(name: str) -> None:
    for row in table(name):
        assert find(names(row)[0].upper()) == row


def test_a_name_of_several_rows_is_not_guessed() -> None:
    with pytest.raises(InputError) as caught:
        find("a100-80")
    assert caught.value.faults[0].fix == "Say which: A100-80 PCIe, A100-80 SXM4."


def test_a_name_that_no_table_has_offers_the_nearest_of_all() -> None:
    for given_, offered in (("g5.4xlrge", "g5.4xlarge"), ("L40X", "L40S"), ("7b-onlin", "7b-online")):
        with pytest.raises(UnknownNameError) as caught:
            find(given_)
        assert offered in caught.value.faults[0].fix


@given(st.text(max_size=30))
def test_any_text_is_a_condition_or_is_told(text: str) -> None:
    try:
        found = select("accelerators", (), (text,))
    except InputError:
        return
    assert set(found) <= set(catalog.accelerators())
