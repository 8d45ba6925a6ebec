"""The plan: what is chosen, what is turned down and why, and what it says of itself."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuwright import catalog
from gpuwright.errors import InputError, NothingFitsError
from gpuwright.planning import Plan, plan_document
from gpuwright.planning.report import to_markdown, to_text
from gpuwright.spec import parse_spec

LLAMA_7B = {"name": "chat-7b", "model": "meta-llama/Llama-2-7b-hf", "profile": "7b-online"}


def planned(**fields: Any) -> Plan:
    return plan_document({**LLAMA_7B, **fields}, "chat.yaml")


def without_profile(**fields: Any) -> Plan:
    return plan_document({"name": "chat", "model": "meta-llama/Llama-2-7b-hf", **fields}, "chat.yaml")


@pytest.mark.parametrize("profile", [{}, {"profile": "7b-online"}])
def test_a_7b_model_on_aws_gets_one_24_gb_accelerator_with_16_vcpu_and_64_gib(
    profile: dict[str, str],
) -> None:
    plan = without_profile(weights_precision="bf16", **profile)
    assert plan.accelerator.count == 1
    assert plan.accelerator.memory_gib == 24
    assert plan.vcpus >= 16
    assert plan.memory_gib >= 64


def test_every_shape_of_the_cloud_is_chosen_or_turned_down_with_its_rule() -> None:
    plan = planned()
    named = {rejected.instance_type for rejected in plan.rejected} | {plan.instance_type}
    assert named == {shape.name for shape in catalog.instance_types("aws")}
    assert all(rejected.rule and rejected.detail for rejected in plan.rejected)


def test_the_cheaper_shapes_are_turned_down_by_the_rule_that_they_break() -> None:
    rules = {each.instance_type: {each.rule, *each.also} for each in planned().rejected}
    assert {"cpu-ratio", "ram-ratio"} <= rules["g5.xlarge"]
    assert "ram-ratio" in rules["g5.2xlarge"]
    assert "cpu-ratio" not in rules["g5.2xlarge"]
    assert {"precision", "vram-fits"} <= rules["g4dn.4xlarge"]
    assert "time-per-output-token" in rules["g6.4xlarge"] or "cost-per-1000-inferences" in rules["g6.4xlarge"]


def test_the_winner_is_the_cheapest_of_what_satisfies_everything() -> None:
    plan = planned()
    costlier = [each for each in plan.rejected if each.rule == "cost-per-1000-inferences"]
    assert costlier
    assert all(float(each.detail.split()[0]) >= plan.cost.usd_per_1000_inferences for each in costlier)


def test_the_cost_of_1000_inferences_is_price_over_rate() -> None:
    # 16 in flight, answered in 2 s + 256 · 0.1 s = 27.6 s, are 0.58 requests/s.
    plan = planned()
    assert plan.cost.requests_per_second == pytest.approx(16 / 27.6, abs=1e-4)
    hourly = plan.cost.instance_usd_per_hour * plan.replicas.min
    assert plan.cost.usd_per_hour == pytest.approx(hourly)
    assert plan.cost.usd_per_1000_inferences == pytest.approx(hourly / (16 / 27.6 * 3600) * 1000, rel=1e-3)


def test_a_stated_rate_is_the_rate_that_is_priced_and_carried() -> None:
    plan = planned(requests_per_second=20, replicas={"min": 1, "max": 64}, concurrency=100)
    assert plan.cost.requests_per_second == 20
    assert plan.performance.requests_per_second * plan.replicas.max >= 20


def test_more_people_never_cost_less_in_all() -> None:
    costs = [without_profile(concurrency=people).cost.usd_per_hour for people in (1, 8, 64, 256, 1024)]
    assert costs == sorted(costs)


def test_a_target_is_met_with_a_margin_since_latencies_are_estimates() -> None:
    plan = planned(latency={"time_per_output_token_ms": 60})
    assert plan.performance.time_per_output_token_ms * 1.25 <= 60


def test_the_profile_fills_in_what_is_left_out_and_the_user_wins() -> None:
    plan = planned(concurrency=4)
    assert plan.performance.concurrency_per_replica == 4
    assert plan.origins["concurrency"] == "spec"
    assert plan.origins["max_model_len"] == "profile 7b-online"
    assert plan.origins["environment"] == "default"
    assert plan.disk.size_gb == 500, "the documented SSD of the profile"


def test_a_profiles_accelerator_that_is_not_sold_is_named_with_its_substitute() -> None:
    assert any("A10, which is not sold on aws" in reason for reason in planned().reasons)


def test_the_server_is_started_with_the_fraction_and_length_that_were_sized() -> None:
    plan = planned()
    words = dict(zip(plan.server.arguments[::2], plan.server.arguments[1::2], strict=True))
    assert float(words["--gpu-memory-utilization"]) == plan.sizing.gpu_memory_utilization
    assert int(words["--max-model-len"]) == plan.max_model_len
    assert int(words["--max-num-seqs"]) == plan.performance.concurrency_per_replica
    assert int(words["--tensor-parallel-size"]) == plan.tensor_parallel_size
    assert "@sha256:" in plan.server.image


def test_prod_survives_a_zone_and_dev_does_not_pay_for_it() -> None:
    dev, prod = planned(environment="dev"), planned(environment="prod")
    assert (dev.network.zones, dev.network.nat_gateways, dev.replicas.min) == (2, 1, 1)
    assert (prod.network.zones, prod.network.nat_gateways, prod.replicas.min) == (3, 3, 2)
    assert prod.operations.deletion_protection
    assert not dev.operations.deletion_protection


def test_answers_on_spot_end_inside_the_notice() -> None:
    assert planned(purchase_option="spot").network.deregistration_delay_seconds <= 105


def test_batch_work_is_planned_on_spot_and_priced_at_all_that_the_fleet_gives() -> None:
    plan = without_profile(workload="batch", concurrency=64)
    assert plan.purchase_option == "spot"
    assert plan.cost.requests_per_second == pytest.approx(
        plan.performance.requests_per_second * plan.replicas.min, rel=1e-3
    )


def test_a_price_of_another_region_is_said_to_be_one() -> None:
    plan = planned(region="eu-west-1")
    assert plan.cost.basis == "estimated"
    assert any("us-east-1" in warning for warning in plan.warnings)


@pytest.mark.parametrize(
    ("fields", "lack"),
    [
        ({"budget_usd_per_month": 100}, "budget: 1 × "),
        ({"model": "meta-llama/Llama-3.1-405B"}, "vram-fits: "),
        ({"latency": {"time_per_output_token_ms": 0.1}}, "time-per-output-token: "),
    ],
)
def test_nothing_fits_is_an_answer_with_the_nearest_misses_and_what_each_lacks(
    fields: dict[str, Any], lack: str
) -> None:
    with pytest.raises(NothingFitsError) as caught:
        without_profile(**fields)
    assert lack in str(caught.value)
    assert caught.value.exit_code == 1


def test_faults_of_the_spec_and_names_that_the_catalog_lacks_come_together() -> None:
    with pytest.raises(InputError) as caught:
        plan_document({"name": "x", "model": "lama-2-7b", "profile": "7b-onlin", "clod": "aws"}, "x.yaml")
    places = {fault.where for fault in caught.value.faults}
    assert places == {"x.yaml: model", "x.yaml: profile", "x.yaml: clod"}


def test_a_rate_alone_says_how_many_requests_are_in_flight() -> None:
    plan = without_profile(
        requests_per_second=50.0, output_tokens=100, latency={"time_to_first_token_ms": 3000}
    )
    in_flight = 50 * (3 + 100 * 0.1)
    assert plan.performance.concurrency_per_replica == math.ceil(in_flight / plan.replicas.min)
    assert plan.origins["concurrency"].startswith("requests_per_second")
    assert planned(requests_per_second=50.0).origins["concurrency"].startswith("requests_per_second")
    assert without_profile(requests_per_second=0.5, concurrency=3).origins["concurrency"] == "spec"


@pytest.mark.parametrize(
    "fields",
    [{"prompt_tokens": 5000}, {"profile": "7b-online", "prompt_tokens": 4000}, {"output_tokens": 4090}],
)
def test_a_typical_request_that_the_server_would_refuse_is_a_fault(fields: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        without_profile(**fields)
    assert [fault.where for fault in caught.value.faults] == ["chat.yaml: prompt_tokens"]
    assert "4096" in caught.value.faults[0].problem


@pytest.mark.parametrize(
    ("field", "value"), [("server", {"name": "tgi"}), ("region", "US East"), ("server", "vllm")]
)
def test_one_wrong_value_is_one_fault(field: str, value: Any) -> None:
    with pytest.raises(InputError) as caught:
        without_profile(**{field: value})
    assert len(caught.value.faults) == 1


def test_a_contradiction_of_the_spec_with_itself_is_told_once() -> None:
    with pytest.raises(InputError) as caught:
        without_profile(max_model_len=1000, prompt_tokens=900, output_tokens=200)
    assert len(caught.value.faults) == 1


@pytest.mark.parametrize(("cloud", "region"), [("gcp", "us-east-1"), ("aws", "us-central1")])
def test_a_region_of_another_cloud_is_a_fault(cloud: str, region: str) -> None:
    with pytest.raises(InputError) as caught:
        without_profile(cloud=cloud, region=region)
    assert [fault.where for fault in caught.value.faults] == ["chat.yaml: region"]


def test_weights_that_are_made_fp8_at_load_first_fit_as_they_are_stored() -> None:
    plan = plan_document({"name": "chat", "model": "Qwen/Qwen2.5-32B", "weights_precision": "fp8"})
    assert plan.sizing.usable_gib > 61
    turned_down = {each.instance_type: each for each in plan.rejected}
    assert turned_down["g6e.4xlarge"].rule == "loading"
    assert "61.0 GiB" in turned_down["g6e.4xlarge"].detail


def test_files_that_must_be_quantized_before_are_said_to_be() -> None:
    awq = without_profile(weights_precision="awq")
    assert any("quantized with awq" in warning for warning in awq.warnings)
    assert not without_profile(weights_precision="fp8").warnings
    assert not without_profile().warnings


def test_a_dearer_shape_tells_how_many_machines_it_takes_and_why() -> None:
    details = [
        each.detail for each in planned(concurrency=64).rejected if each.rule == "cost-per-1000-inferences"
    ]
    several = re.compile(r"(\d+) × \S+ cost [\d.]+ USD; (\d+) would lack \S+; \d+ × \S+ cost [\d.]+")
    found = [match for match in map(several.fullmatch, details) if match]
    assert found
    assert all(int(match[2]) == int(match[1]) - 1 for match in found)
    assert any("would lack" not in detail for detail in details), "one machine is enough"


def test_a_longer_context_than_the_model_has_is_refused() -> None:
    with pytest.raises(InputError, match="at most 4096 tokens"):
        planned(max_model_len=8192)


def test_a_plan_is_frozen_and_survives_json() -> None:
    plan = planned()
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.instance_type = "g5.xlarge"  # type: ignore[misc]
    again = Plan.from_json(json.loads(json.dumps(plan.to_json())))
    assert again == plan
    assert again.digest == plan.digest


def test_json_has_what_readers_of_a_plan_rely_on() -> None:
    document = planned().to_json()
    for path in [
        "cloud",
        "region",
        "instance_type",
        "accelerator.name",
        "accelerator.count",
        "accelerator.memory_gib",
        "replicas.min",
        "replicas.max",
        "sizing.weights_gib",
        "sizing.kv_cache_bytes_per_token",
        "sizing.kv_cache_tokens",
        "sizing.total_gib",
        "sizing.usable_gib",
        "cost.usd_per_hour",
        "cost.usd_per_1000_inferences",
        "reasons",
        "rejected",
        "schema_version",
        "digest",
        "cold_start_seconds",
    ]:
        value: Any = document
        for key in path.split("."):
            value = value[key]
        assert value, path


def test_the_digest_follows_what_is_deployed_and_not_its_price() -> None:
    plan = planned()
    dearer = dataclasses.replace(plan, cost=dataclasses.replace(plan.cost, usd_per_hour=99.0))
    other = dataclasses.replace(plan, max_model_len=2048)
    assert Plan.from_json(dearer.to_json()).digest == plan.digest
    assert Plan.from_json(other.to_json()).digest != plan.digest


def test_a_spec_object_is_planned_as_its_document_is() -> None:
    assert plan_document(parse_spec(LLAMA_7B)) == plan_document(LLAMA_7B)


def test_text_and_markdown_name_the_choice_its_reasons_and_what_was_turned_down() -> None:
    plan = planned()
    for report in (to_text(plan, every_shape=True), to_markdown(plan)):
        assert plan.instance_type in report
        assert all(reason in report for reason in plan.reasons)
        assert all(each.instance_type in report for each in plan.rejected)


def test_markdown_leaves_out_no_argument_of_the_server_and_no_origin() -> None:
    plan = planned()
    report = to_markdown(plan)
    assert " ".join(plan.server.arguments) in report
    assert f"price of {plan.cost.price_region}" in report
    assert all(field in report for field in plan.origins)
    assert all(origin in report for origin in plan.origins.values())


def test_a_short_report_counts_the_dearer_shapes_that_it_leaves_out() -> None:
    plan = planned()
    short = to_text(plan)
    left_out = [each for each in plan.rejected if f"  {each.instance_type} " not in short]
    assert f"… and {len(left_out)} dearer ones" in short
    assert all((each.usd_per_hour or 1e9) > plan.cost.instance_usd_per_hour for each in left_out)


decoders = [model.id for model in catalog.models() if model.kind == "decoder" and model.params_total]


@settings(max_examples=60, deadline=None)
@given(
    model=st.sampled_from(decoders),
    cloud=st.sampled_from(catalog.clouds()),
    environment=st.sampled_from(["dev", "staging", "prod"]),
    purchase_option=st.sampled_from(["on-demand", "spot"]),
    concurrency=st.integers(1, 2000),
    precision=st.sampled_from(["bf16", "fp16", "fp8", "awq", "int8"]),
)
def test_a_valid_spec_gives_a_plan_that_keeps_the_rules_or_nothing_fits(
    model: str, cloud: str, environment: str, purchase_option: str, concurrency: int, precision: str
) -> None:
    document = {
        "name": "any",
        "model": model,
        "cloud": cloud,
        "environment": environment,
        "purchase_option": purchase_option,
        "concurrency": concurrency,
        "weights_precision": precision,
        "prompt_tokens": 256,
        "output_tokens": 128,
        "max_model_len": 1024,
    }
    try:
        plan = plan_document(document)
    except NothingFitsError:
        return  # that the message names the nearest misses is tested above
    assert plan.sizing.total_gib <= plan.sizing.usable_gib
    assert plan.performance.concurrency_per_replica * plan.replicas.max >= concurrency
    assert plan.performance.output_tokens_per_second <= plan.performance.roofline_output_tokens_per_second
    assert plan.vcpus >= 8 * plan.accelerator.count
    assert plan.memory_gib >= 2 * plan.accelerator.memory_gib * plan.accelerator.count


def test_a_speed_that_nothing_was_measured_of_is_called_estimated() -> None:
    assert planned().accelerator.name == "A10G"
    assert planned().performance.basis == "estimated", "vLLM was measured on Hopper and Blackwell only"
    on_hopper = without_profile(latency={"time_per_output_token_ms": 10}, concurrency=16)
    assert on_hopper.accelerator.name.startswith("H")
    assert on_hopper.performance.basis == "calibrated"
