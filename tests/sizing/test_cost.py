"""What a deployment costs: computed by hand, and what must hold of any bill."""

from __future__ import annotations

import dataclasses
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuwright import catalog
from gpuwright.sizing import disk
from gpuwright.sizing.cost import (
    Deployment,
    Doubt,
    band,
    oldest,
    outdated,
    parts,
    per_1000_inferences,
    per_million_tokens,
    purchases,
)
from gpuwright.sizing.host import VOLUMES

G5 = catalog.find_instance_type("g5.4xlarge")
GENERAL = {cloud: catalog.commitments(cloud)[-1] for cloud in ("aws", "gcp")}


def deployed(**changes: Any) -> Deployment:
    made = Deployment(
        instance=G5,
        instance_usd_per_hour=1.624,
        replicas=2,
        idle_replicas=2,
        duty_cycle=1.0,
        disk=disk(12.5, 30, 500, throughput_mib_per_s=225),
        zones=3,
        nat_gateways=3,
        public=True,
        requests_per_second=10,
        request_bytes=2_000,
        response_bytes=48_000,
        stored_gb=13.5,
    )
    return dataclasses.replace(made, **changes)


def monthly(deployment: Deployment) -> dict[str, float]:
    bill = parts(deployment, catalog.service_prices(deployment.instance.cloud))
    return {part.name: round(part.usd_per_hour * 730, 2) for part in bill}


def test_a_bill_on_aws_line_by_line() -> None:
    # 36,000 requests an hour: 1.8 GB through the balancer, 1.728 GB of answers, 0.036 GB of logs.
    assert monthly(deployed()) == {
        "machines": 2371.04,  # 2 · 1.624 · 730
        "disks": 88.0,  # 2 · (500 · 0.08 + (225 - 125) · 0.04)
        "load balancer": 16.43,  # 0.0225 · 730
        "load balancer's traffic": 10.51,  # max(1.8 GB, 10 / 25 connections) · 0.008 · 730
        "NAT gateways": 98.55,  # 3 · 0.045 · 730
        "NAT traffic": 1.18,  # 0.036 · 0.045 · 730
        "public addresses": 21.9,  # (3 gateways + 3 zones) · 0.005 · 730
        "traffic to the internet": 113.53,  # 1.728 · 0.09 · 730
        "model cache": 0.31,  # 13.5 · 0.023
        "logs": 13.14,  # 0.036 · 0.50 · 730
    }


def test_a_bill_on_gcp_has_its_own_lines() -> None:
    gcp = catalog.find_instance_type("g2-standard-16")
    of_gcp = deployed(instance=gcp, instance_usd_per_hour=1.147, disk=disk(12.5, 30, volume=VOLUMES["gcp"]))
    bill = monthly(of_gcp)
    assert bill["disks"] == pytest.approx(2 * 152 * 0.17, abs=0.01), "throughput comes with the size"
    assert bill["load balancer's traffic"] == pytest.approx(1.8 * 0.008 * 730, abs=0.01)
    assert bill["NAT gateways"] == pytest.approx(2 * 0.0014 * 730, abs=0.01), "by the machine"
    assert bill["traffic to the internet"] == pytest.approx(1.728 * 0.12 * 730, abs=0.01)


def test_a_cloud_without_prices_is_billed_for_its_machines_alone() -> None:
    assert [part.name for part in parts(deployed(), {})] == ["machines"]


def test_an_internal_endpoint_pays_for_no_answers_and_fewer_addresses() -> None:
    internal = monthly(deployed(public=False))
    assert "traffic to the internet" not in internal
    assert internal["public addresses"] == 10.95  # 3 gateways · 0.005 · 730


def test_many_small_requests_are_billed_by_their_connections() -> None:
    small = deployed(requests_per_second=100, request_bytes=100, response_bytes=100)
    # 0.072 GB an hour, but 100 / 25 = 4 units of new connections.
    assert monthly(small)["load balancer's traffic"] == pytest.approx(4 * 0.008 * 730, abs=0.01)


def test_machines_that_run_without_load_are_the_idle_share() -> None:
    always = deployed(replicas=4, idle_replicas=4, duty_cycle=0.25)
    assert (always.machines, always.idle_share) == (4, 0.75)
    # A quarter of the time 4 machines, else 1: 1.75 on average, of which 0.75 without load.
    shrinking = deployed(replicas=4, idle_replicas=1, duty_cycle=0.25)
    assert shrinking.machines == 1.75
    assert shrinking.idle_share == pytest.approx(0.75 / 1.75)
    assert deployed().idle_share == 0


def test_a_commitment_breaks_even_after_its_price_over_on_demands() -> None:
    found = {each.option: each for each in purchases(deployed(), catalog.commitment(G5), GENERAL["aws"])}
    assert list(found) == ["on-demand", "spot", "reserved-1-year", "reserved-3-years"]
    # g5: 37 % off for one year, 56.8 % for three; 12 · 0.63 and 36 · 0.432 months.
    assert found["reserved-1-year"].instance_usd_per_hour == pytest.approx(1.02312)
    assert found["reserved-3-years"].instance_usd_per_hour == pytest.approx(0.70157, abs=1e-5)
    assert found["reserved-1-year"].break_even_months == pytest.approx(7.56)
    assert found["reserved-3-years"].break_even_months == pytest.approx(15.552)
    assert found["reserved-3-years"].usd_per_month == pytest.approx(2 * 0.701568 * 730)
    assert {each.basis for each in found.values()} == {"measured", "estimated", "derived"}


def test_a_fleet_that_mostly_shrinks_never_breaks_even() -> None:
    # Reserved machines are paid for all the time: 0.63 of 4 against 1.75 · 1 on demand.
    shrinking = deployed(replicas=4, idle_replicas=1, duty_cycle=0.25)
    found = {each.option: each for each in purchases(shrinking, catalog.commitment(G5), GENERAL["aws"])}
    assert found["reserved-1-year"].break_even_months is None
    assert found["reserved-3-years"].break_even_months == pytest.approx(36 * 4 * 0.432 / 1.75)


def test_a_term_that_a_family_is_not_sold_for_is_estimated_from_the_general_row() -> None:
    p5 = catalog.find_instance_type("p5.48xlarge")
    found = {
        each.option: each for each in purchases(deployed(instance=p5), catalog.commitment(p5), GENERAL["aws"])
    }
    assert found["reserved-1-year"].basis == "estimated"
    assert p5.on_demand_usd_per_hour
    assert found["reserved-1-year"].instance_usd_per_hour == pytest.approx(p5.on_demand_usd_per_hour * 0.68)
    assert found["reserved-3-years"].basis == "derived"


def test_what_is_not_sold_on_demand_has_no_commitment() -> None:
    only_spot = catalog.find_instance_type("a4-highgpu-8g")
    found = purchases(deployed(instance=only_spot), catalog.commitment(only_spot), GENERAL["gcp"])
    assert [each.option for each in found] == ["spot"]


def test_doubts_multiply_and_touch_what_they_are_about() -> None:
    bill = parts(deployed(), catalog.service_prices("aws"))
    machines = 2 * 1.624
    traffic = sum(part.usd_per_hour for part in bill if part.follows_traffic)
    rest = sum(part.usd_per_hour for part in bill) - machines - traffic
    doubts = [Doubt("a", 0.9, 1.1), Doubt("b", 1, 1.25), Doubt("c", 0.5, 1.5, traffic=True)]
    low, high = band(bill, doubts)
    assert low == pytest.approx(rest + machines * 0.9 + traffic * 0.5)
    assert high == pytest.approx(rest + machines * 1.1 * 1.25 + traffic * 1.5)


def test_the_price_of_1000_inferences_and_of_a_million_tokens() -> None:
    # 3.60 USD for 7,200 requests of 500 tokens.
    assert per_1000_inferences(3.6, 7200) == pytest.approx(0.5)
    assert per_million_tokens(3.6, 7200, 500) == pytest.approx(1.0)


def test_a_price_is_outdated_after_120_days_or_without_a_date() -> None:
    today = date(2026, 11, 22)
    assert outdated(date(2026, 7, 25), today, 120) is False
    assert outdated(date(2026, 7, 24), today, 120) is True
    assert outdated(None, today, 120) is True
    assert outdated(date(2020, 1, 1), None, 120) is None


def test_the_oldest_of_several_dates_is_unknown_where_one_is() -> None:
    assert oldest([date(2026, 2, 1), date(2026, 1, 1)]) == date(2026, 1, 1)
    assert oldest([date(2026, 2, 1), None]) is None


duty = st.floats(0.01, 1)


@given(duty, st.integers(1, 50), st.integers(1, 50), st.floats(0.01, 500))
def test_no_part_is_negative_and_more_load_never_costs_less(
    share: float, replicas: int, idle: int, rate: float
) -> None:
    shape = deployed(
        duty_cycle=share, replicas=replicas, idle_replicas=min(idle, replicas), requests_per_second=rate
    )
    busier = dataclasses.replace(shape, requests_per_second=rate * 2)
    prices = catalog.service_prices("aws")
    bill = parts(shape, prices)
    assert all(part.usd_per_hour > 0 for part in bill)
    assert sum(p.usd_per_hour for p in parts(busier, prices)) >= sum(p.usd_per_hour for p in bill)
    assert 0 <= shape.idle_share < 1


@given(duty, duty)
def test_a_busier_load_makes_an_inference_cheaper(one: float, other: float) -> None:
    prices, costs = catalog.service_prices("aws"), []
    for share in sorted((one, other)):
        shape = deployed(duty_cycle=share)
        hourly = sum(part.usd_per_hour for part in parts(shape, prices))
        costs.append(per_1000_inferences(hourly, shape.requests_per_hour))
    assert costs[0] >= costs[1] * (1 - 1e-9)


@given(
    st.lists(st.builds(Doubt, st.just("why"), st.floats(0.1, 1), st.floats(1, 5), st.booleans()), max_size=5)
)
def test_the_likely_bill_lies_within_its_band(doubts: list[Doubt]) -> None:
    bill = parts(deployed(), catalog.service_prices("aws"))
    low, high = band(bill, doubts)
    likely = sum(part.usd_per_hour for part in bill)
    assert low <= likely * (1 + 1e-9)
    assert likely <= high * (1 + 1e-9)
