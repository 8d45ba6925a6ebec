"""Cost, cold start and bandwidth in a plan: what the spec's fields do, and what the plan says of them."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from gpuwright.errors import InputError, NothingFitsError
from gpuwright.planning import Plan, plan_document
from gpuwright.planning.report import to_markdown, to_text
from gpuwright_policies.check import check_plan

TODAY = date(2026, 11, 22)


def planned(today: date | None = None, **fields: Any) -> Plan:
    spec = {"name": "chat", "model": "meta-llama/Llama-2-7b-hf", **fields}
    return plan_document(spec, "chat.yaml", today=today)


def test_the_parts_are_the_whole_bill_and_the_machines_are_its_first() -> None:
    cost = planned(public=True, requests_per_second=5.0).cost
    assert sum(part.usd_per_month for part in cost.parts) == pytest.approx(cost.usd_per_month_all_in, abs=0.1)
    assert cost.parts[0].name == "machines"
    assert cost.parts[0].usd_per_month == pytest.approx(cost.usd_per_month, rel=1e-4)
    assert cost.usd_per_1000_inferences_all_in > cost.usd_per_1000_inferences
    per_hour = cost.requests_per_second * 3600
    assert cost.usd_per_1000_inferences_all_in == pytest.approx(
        cost.usd_per_hour_all_in / per_hour * 1000, rel=1e-3
    )
    assert cost.usd_per_million_tokens_all_in == pytest.approx(
        cost.usd_per_hour_all_in / (per_hour * (512 + 256)) * 1e6, rel=1e-3
    )


def test_a_quarter_of_the_load_makes_an_inference_four_times_as_dear() -> None:
    always, quarter = planned().cost, planned(duty_cycle=0.25).cost
    assert (always.idle_share, quarter.idle_share) == (0, 0.75)
    assert quarter.usd_per_1000_inferences == always.usd_per_1000_inferences, "defined at the planned rate"
    machines = [cost.parts[0].usd_per_month for cost in (always, quarter)]
    assert machines[0] == machines[1], "machines cost as much without load"
    ratio = quarter.usd_per_1000_inferences_all_in / always.usd_per_1000_inferences_all_in
    assert 3.9 < ratio < 4


@pytest.mark.parametrize("share", [0, 1.01, -1, "half"])
def test_a_duty_cycle_is_a_part_of_the_time(share: object) -> None:
    with pytest.raises(InputError) as caught:
        planned(duty_cycle=share)
    assert [fault.where for fault in caught.value.faults] == ["chat.yaml: duty_cycle"]


def test_a_cold_start_target_buys_disk_throughput() -> None:
    relaxed = planned()
    tight = planned(cold_start_seconds=(relaxed.cold_start_seconds - 60) * 1.25)
    assert tight.cold_start_seconds <= relaxed.cold_start_seconds - 60
    assert tight.disk.throughput_mib_per_s > relaxed.disk.throughput_mib_per_s
    assert any("zero meets them too" in reason for reason in tight.reasons)
    assert any("one replica always runs" in reason for reason in relaxed.reasons)


def test_a_loose_cold_start_target_buys_no_more_than_comes_with_the_disk() -> None:
    assert planned(cold_start_seconds=3600).disk.throughput_mib_per_s == 125


def test_a_cold_start_that_no_disk_reaches_turns_every_shape_down() -> None:
    with pytest.raises(NothingFitsError, match="cold-start: estimated"):
        planned(cold_start_seconds=60)


def test_on_gcp_a_faster_start_takes_a_larger_disk() -> None:
    relaxed = planned(cloud="gcp")
    tight = planned(cloud="gcp", cold_start_seconds=(relaxed.cold_start_seconds - 20) * 1.25)
    assert tight.disk.size_gb > relaxed.disk.size_gb
    assert tight.disk.type == "pd-ssd"


def test_large_requests_take_bandwidth_and_say_how_long_one_takes() -> None:
    # 10/s of 5 MB and 1 kB: 10 · 5,001,000 · 8 bits are 400 Mbit/s; one takes 40 Mbit / 400 = 0.1 s.
    plan = planned(public=True, requests_per_second=10.0, request_bytes=5_000_000, response_bytes=1000)
    assert plan.network.bandwidth_mbps == pytest.approx(400.08)
    assert plan.network.required_mbps == pytest.approx(400.08)
    assert plan.network.transfer_seconds == pytest.approx(0.1, abs=1e-3)


def test_a_small_public_service_gets_the_documents_50_mbps_and_an_internal_one_a_gigabit() -> None:
    assert planned(public=True).network.required_mbps == 50
    assert planned(public=False).network.required_mbps == 1000


def test_the_estimates_of_traffic_do_not_roll_a_fleet() -> None:
    assert planned().digest == planned(response_bytes=64_001).digest


def test_a_host_needs_the_larger_of_its_processes_and_the_ratios() -> None:
    plan = planned()
    assert plan.host.vcpus_needed == 8 * plan.accelerator.count
    assert plan.host.memory_gib_needed >= 2 * plan.accelerator.memory_gib * plan.accelerator.count
    assert plan.vcpus >= plan.host.vcpus_needed
    assert plan.memory_gib >= plan.host.memory_gib_needed


def test_every_way_to_pay_is_shown_with_the_month_from_which_it_pays() -> None:
    plan = planned()
    options = {each.option: each for each in plan.cost.purchases}
    assert options.keys() >= {"on-demand", "reserved-1-year", "reserved-3-years"}
    assert options["on-demand"].instance_usd_per_hour == plan.cost.instance_usd_per_hour
    three = options["reserved-3-years"]
    assert three.break_even_months is not None
    assert 12 < three.break_even_months < 24
    assert any("next generation of accelerators" in reason for reason in plan.reasons)
    for report in (to_text(plan), to_markdown(plan)):
        assert f"pays from month {three.break_even_months:g}" in report
        assert "all in" in report


def test_prices_are_judged_only_where_the_day_is_known() -> None:
    unjudged, judged = planned(), planned(TODAY)
    assert unjudged.cost.prices_outdated is None
    assert judged.cost.prices_outdated is True
    assert not any("older than 120 days" in warning for warning in unjudged.warnings)
    assert any("older than 120 days" in warning for warning in judged.warnings)
    assert all("older than 120 days" in report for report in (to_text(judged), to_markdown(judged)))
    assert judged.digest == unjudged.digest


def test_fresh_prices_are_not_flagged() -> None:
    plan = planned(date(2024, 7, 2))
    assert plan.cost.prices_outdated is False
    assert not plan.warnings


def test_the_rule_on_the_age_of_prices_advises_and_is_asked_only_where_the_day_is_known() -> None:
    plan = planned()
    assert check_plan(plan, "chat.yaml") == []
    findings = check_plan(plan, "chat.yaml", TODAY)
    assert {finding.rule for finding in findings} == {"price-age"}
    assert not any(finding.mandatory for finding in findings)
    assert check_plan(plan, "chat.yaml", date(2024, 7, 2)) == []


def test_a_spot_price_carries_no_date_and_its_band_reaches_the_on_demand_price() -> None:
    cost = planned(purchase_option="spot").cost
    assert cost.price_date == "undated"
    on_demand = next(each for each in cost.purchases if each.option == "on-demand")
    assert cost.band.usd_per_month_high >= on_demand.usd_per_month


def test_the_likely_bill_lies_within_its_band_and_the_band_has_reasons() -> None:
    for fields in ({}, {"region": "eu-west-1"}, {"workload": "batch", "concurrency": 64}):
        cost = planned(TODAY, **fields).cost
        band = cost.band
        assert band.usd_per_month_low <= cost.usd_per_month_all_in <= band.usd_per_month_high
        likely = cost.usd_per_1000_inferences_all_in
        assert band.usd_per_1000_inferences_low <= likely <= band.usd_per_1000_inferences_high
        assert band.reasons


def test_a_spot_plan_says_how_long_a_place_stays_empty() -> None:
    plan = planned(purchase_option="spot")
    gap = plan.cold_start_seconds - 120
    assert any(f"stays empty for {gap} s" in reason for reason in plan.reasons)


@pytest.mark.parametrize("cloud", ["azure", "oci"])
def test_every_cloud_has_a_disk_and_a_bill_that_is_more_than_its_machines(cloud: str) -> None:
    plan = planned(TODAY, cloud=cloud)
    assert plan.disk.throughput_mib_per_s > 0
    assert plan.cost.usd_per_month_all_in > plan.cost.usd_per_month
    assert plan.cost.prices_outdated is not None
