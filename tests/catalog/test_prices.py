"""Prices beside the machines, and the discounts of a term: what must hold of every row, and which one is found."""

from __future__ import annotations

import pytest

from gpuwright import catalog

CLOUDS = [cloud for cloud in catalog.clouds() if catalog.service_prices(cloud)]

EVERYWHERE = {
    "disk-gb-month",
    "load-balancer-hour",
    "nat-gb",
    "public-address-hour",
    "egress-gb",
    "object-storage-gb-month",
    "log-gb",
}


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_cloud_with_prices_has_all_that_a_bill_needs(cloud: str) -> None:
    prices = catalog.service_prices(cloud)
    assert prices.keys() >= EVERYWHERE
    assert {"nat-gateway-hour", "nat-machine-hour"} & prices.keys()
    assert {"load-balancer-gb", "load-balancer-unit-hour"} & prices.keys()
    assert all(row.source and row.unit and row.price_region for row in prices.values())


@pytest.mark.parametrize("cloud", CLOUDS)
def test_three_years_take_off_more_than_one_and_the_general_row_comes_last(cloud: str) -> None:
    rows = catalog.commitments(cloud)
    assert [row.general for row in rows] == [False] * (len(rows) - 1) + [True]
    assert len({row.family for row in rows}) == len(rows)
    for row in rows:
        assert row.one_year_discount or row.three_years_discount
        if row.one_year_discount and row.three_years_discount:
            assert row.one_year_discount < row.three_years_discount


def test_every_listed_family_has_a_shape() -> None:
    for cloud in CLOUDS:
        found = {catalog.commitment(each).family for each in catalog.instance_types(cloud)}
        assert found == {row.family for row in catalog.commitments(cloud)}


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("g5.4xlarge", "g5"),
        ("g6e.4xlarge", "g6e"),
        ("g6.4xlarge", "g6"),
        ("p5.48xlarge", "p5"),
        ("p5en.48xlarge", "*"),
        ("a2-highgpu-2g", "a2-highgpu"),
        ("a2-ultragpu-8g", "*"),
        ("n1-standard-8+nvidia-tesla-t4x1", "*"),
    ],
)
def test_a_family_is_matched_by_its_whole_name(name: str, family: str) -> None:
    assert catalog.commitment(catalog.find_instance_type(name)).family == family


def test_the_clouds_that_components_are_built_for_have_prices_and_terms() -> None:
    assert {"aws", "gcp"} <= set(CLOUDS)
    assert all(catalog.commitments(cloud) for cloud in CLOUDS)


def test_a_cloud_without_a_table_has_no_prices_rather_than_those_of_another() -> None:
    assert catalog.service_prices("moon") == {}
    assert catalog.commitments("moon") == ()


def test_numa_nodes_are_given_where_a_source_has_them() -> None:
    known = {each.name: each.numa_nodes for each in catalog.instance_types("aws") if each.numa_nodes}
    assert known["p4d.24xlarge"] == known["g5.48xlarge"] == 2
    assert known["g5.4xlarge"] == 1
    assert "p5.48xlarge" not in known
