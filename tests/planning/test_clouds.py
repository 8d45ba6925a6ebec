"""Clouds that the catalog has shapes of: each is planned for, or says what it lacks."""

from __future__ import annotations

from typing import Any

import pytest

from gpuwright.errors import InputError, NothingFitsError
from gpuwright.planning import plan_document
from gpuwright.planning.plan import Plan


def planned(cloud: str, **fields: Any) -> Plan:
    return plan_document({"name": "chat", "model": "llama-3.1-8b", "cloud": cloud, **fields}, "chat.yaml")


@pytest.mark.parametrize(
    ("cloud", "region", "disk"),
    [
        ("aws", "us-east-1", "gp3"),
        ("gcp", "us-central1", "pd-ssd"),
        ("azure", "eastus", "Premium_LRS"),
        ("oci", "us-ashburn-1", "balanced"),
    ],
)
def test_a_cloud_with_prices_is_planned_in_a_region_of_its_own(cloud: str, region: str, disk: str) -> None:
    plan = planned(cloud)
    assert (plan.cloud, plan.region, plan.disk.type) == (cloud, region, disk)
    assert plan.cost.usd_per_hour > 0


def test_a_cloud_whose_prices_are_not_known_answers_that_nothing_fits_and_why() -> None:
    with pytest.raises(NothingFitsError, match="price: no on-demand price is known for ecs"):
        planned("alibaba")


def test_a_slice_of_a_device_is_never_chosen_and_is_told_apart_from_a_whole_one() -> None:
    plan = planned("azure", model="Qwen/Qwen2.5-0.5B", max_model_len=2048, concurrency=1)
    slices = [each for each in plan.rejected if each.rule == "whole-accelerator"]
    assert [each.instance_type for each in slices] == [
        "Standard_NV6ads_A10_v5",
        "Standard_NV12ads_A10_v5",
        "Standard_NV18ads_A10_v5",
    ]
    assert "17% of one A10" in slices[0].detail


def test_a_price_that_holds_everywhere_is_no_other_regions_price() -> None:
    assert not [each for each in planned("oci", region="eu-frankfurt-1").warnings if "prices are" in each]
    assert [each for each in planned("azure", region="westeurope").warnings if "prices are" in each]


@pytest.mark.parametrize(
    ("cloud", "region"),
    [("azure", "us-east-1"), ("oci", "eastus"), ("alibaba", "us-central1"), ("aws", "eastus")],
)
def test_a_region_written_as_another_clouds_is_a_fault(cloud: str, region: str) -> None:
    with pytest.raises(InputError) as caught:
        planned(cloud, region=region)
    assert [fault.where for fault in caught.value.faults] == ["chat.yaml: region"]
