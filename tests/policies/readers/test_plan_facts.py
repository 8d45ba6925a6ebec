"""A plan and the tags of its machines tell the same facts."""

import math
from typing import Any

import pytest

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
    by_plan = list(plan_reader.facts(plan, "s"))
    host, serving, parallelism = machine_facts("s", plan.instance_type, read_tags(to_tags(plan)))
    assert host == by_plan[0]
    assert parallelism == by_plan[2]
    assert isinstance(serving, Serving)
    assert math.isclose(serving.required_gib, by_plan[1].required_gib, rel_tol=1e-3)  # A plan is rounded.
    assert math.isclose(serving.usable_gib, by_plan[1].usable_gib, rel_tol=1e-3)
    same = ("model", "params_billion", "weights_bits", "accelerator_count", "accelerator_memory_gib")
    assert [getattr(serving, name) for name in same] == [getattr(by_plan[1], name) for name in same]


def test_tags_can_be_put_on_machines_of_every_cloud_word_for_word(plan: Plan) -> None:
    tags = to_tags(plan)
    assert MODEL_STORE not in tags
    assert all(len(key) <= 128 and len(value) <= 256 for key, value in tags.items())


@pytest.mark.parametrize("text", ["", "-1", "0", "abc", "1e9", "٣", "1.5", "99999999999999999999"])
def test_a_tag_that_is_no_whole_number_where_one_is_due_is_left_out(text: str) -> None:
    assert read_tags({"gpuwright:concurrency": text}).concurrency is None
