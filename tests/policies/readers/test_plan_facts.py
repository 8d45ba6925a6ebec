"""A plan and the tags of its machines tell the same facts."""

import dataclasses
import math
from typing import Any

import pytest

from gpuwright import catalog
from gpuwright.planning import Plan, plan_document
from gpuwright.planning.tags import MODEL_STORE, read_tags, to_tags
from gpuwright_policies.check import check_plan
from gpuwright_policies.facts import Host, Parallelism, Serving, SystemDisk
from gpuwright_policies.readers import plan as plan_reader
from gpuwright_policies.readers.machines import machine_facts

SPECS: list[dict[str, Any]] = [
    {"name": "a", "model": "meta-llama/Llama-2-7b-hf", "profile": "7b-online", "cloud": "aws"},
    {"name": "b", "model": "Qwen/Qwen2.5-7B", "cloud": "gcp", "region": "us-central1", "concurrency": 20},
    {"name": "c", "model": "Qwen/Qwen2.5-32B", "cloud": "aws", "kv_cache_precision": "fp8"},
    {
        "name": "d",
        "model": "Qwen/Qwen2.5-7B",
        "cloud": "aws",
        "weights_precision": "awq",
        "environment": "prod",
    },
]


@pytest.fixture(params=SPECS, ids=lambda spec: spec["name"])
def plan(request: pytest.FixtureRequest) -> Plan:
    made: Plan = plan_document(request.param)
    return made


def test_a_plan_has_no_finding(plan: Plan) -> None:
    assert check_plan(plan, "spec.yaml") == []


def test_a_plan_tells_its_shape_its_model_and_its_disk(plan: Plan) -> None:
    host, serving, parallelism, disk = plan_reader.facts(plan, "spec.yaml")
    assert isinstance(host, Host)
    assert isinstance(serving, Serving)
    assert isinstance(parallelism, Parallelism)
    assert isinstance(disk, SystemDisk)
    assert (host.instance_type, host.vcpus) == (plan.instance_type, plan.vcpus)
    assert (disk.size_gb, disk.required_gb) == (plan.disk.size_gb, plan.disk.required_gb)


def test_the_tags_of_a_machine_say_what_its_plan_says(plan: Plan) -> None:
    *by_plan, _ = plan_reader.facts(plan, "s")
    assert list(machine_facts("s", plan.instance_type, read_tags(to_tags(plan)))) == by_plan


def test_the_memory_of_a_plan_is_what_the_planner_computed(plan: Plan) -> None:
    _, serving, *_ = plan_reader.facts(plan, "s")
    assert isinstance(serving, Serving)
    accelerators = plan.tensor_parallel_size
    assert math.isclose(serving.required_gib * accelerators, plan.sizing.total_gib, rel_tol=1e-3)
    assert math.isclose(serving.usable_gib * accelerators, plan.sizing.usable_gib, rel_tol=1e-3)


def test_a_model_of_ones_own_is_judged_by_its_configuration(plan: Plan) -> None:
    row = catalog.model(plan.model.id)
    own = dataclasses.replace(plan.model, id="our-own", architecture=row)
    _, serving, *_ = plan_reader.facts(plan, "s")
    _, of_own, *_ = plan_reader.facts(dataclasses.replace(plan, model=own), "s")
    assert of_own == dataclasses.replace(serving, model="our-own")


def test_tags_can_be_put_on_machines_of_every_cloud_word_for_word(plan: Plan) -> None:
    tags = to_tags(plan)
    assert MODEL_STORE not in tags
    assert all(len(key) <= 128 and len(value) <= 256 for key, value in tags.items())


@pytest.mark.parametrize("text", ["", "-1", "0", "abc", "1e9", "٣", "1.5", "99999999999999999999"])
def test_a_tag_that_is_no_whole_number_where_one_is_due_is_left_out(text: str) -> None:
    assert read_tags({"gpuwright:concurrency": text}).concurrency is None
