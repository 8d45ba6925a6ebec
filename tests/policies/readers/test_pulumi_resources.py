"""Resources are judged for exactly what is wrong with them."""

import base64
import gzip
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from policy_samples import GROUP, LAUNCH_TEMPLATE, STORE, urn

from gpuwright_policies.check import check_resources
from gpuwright_policies.facts import UNKNOWN
from gpuwright_policies.readers.pulumi_resources import JUDGED_TYPES, Resource
from gpuwright_policies.readers.pulumi_values import UNKNOWN_TEXTS

INSTANCE = "aws:ec2/instance:Instance"
SECURITY_GROUP = "aws:ec2/securityGroup:SecurityGroup"
INGRESS_RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
Make = Callable[..., Resource]


def violated(*resources: Resource) -> set[str]:
    return {finding.rule for finding in check_resources(resources) if finding.mandatory}


def not_known(*resources: Resource) -> set[str]:
    return {finding.rule for finding in check_resources(resources) if finding.answer == "unknown"}


def test_a_sound_launch_template_has_no_finding(template: Make) -> None:
    assert check_resources([template()]) == []


def test_a_smaller_size_in_its_place_starves_the_accelerator(template: Make) -> None:
    assert violated(template(instanceType="g5.xlarge")) == {"cpu-ratio", "ram-ratio"}


def test_a_model_of_32b_does_not_fit_one_a10g(template: Make, serving_tags: dict[str, str]) -> None:
    larger = serving_tags | {"gpuwright:model": "Qwen/Qwen2.5-32B"}
    specifications = [{"resourceType": "instance", "tags": larger}]
    assert violated(template(tags=larger, tagSpecifications=specifications)) == {"vram-fits"}


def test_what_cannot_fit_is_refused_even_where_the_load_is_not_told(template: Make) -> None:
    tags = {
        "gpuwright:model": "Qwen/Qwen2.5-32B",
        "gpuwright:weights-precision": "bf16",
        "gpuwright:model-store": STORE,
    }
    assert violated(template(tags=tags, tagSpecifications=None)) == {"vram-fits"}


def test_weights_that_no_tag_describes_are_the_published_ones(template: Make) -> None:
    tags = {"gpuwright:model": "Qwen/Qwen3-32B", "gpuwright:model-store": STORE}
    assert violated(template(tags=tags, tagSpecifications=None)) == {"vram-fits"}


def test_what_may_fit_is_not_judged_where_the_load_is_not_told(template: Make) -> None:
    tags = {
        "gpuwright:model": "Qwen/Qwen2.5-7B",
        "gpuwright:weights-precision": "bf16",
        "gpuwright:model-store": STORE,
    }
    resource = template(tags=tags, tagSpecifications=None)
    assert violated(resource) == set()
    assert not_known(resource) == {"vram-fits"}


def test_a_model_that_the_catalog_lacks_is_not_judged_and_the_rest_is(
    template: Make, serving_tags: dict[str, str]
) -> None:
    other = serving_tags | {"gpuwright:model": "own/secret-7b"}
    resource = template(tags=other, tagSpecifications=None, instanceType="g5.xlarge")
    assert violated(resource) == {"cpu-ratio", "ram-ratio"}
    assert not_known(resource) == {"vram-fits", "vram-7b"}


def test_a_model_is_not_split_over_more_accelerators_than_there_are(
    template: Make, serving_tags: dict[str, str]
) -> None:
    tags = serving_tags | {"gpuwright:tensor-parallel-size": "4"}
    assert violated(template(tags=tags, tagSpecifications=None)) == {"parallel-size"}


@pytest.mark.parametrize("shape", ["t3.micro", "p9.xlarge", "04da6b54-80e4-46f7-96ec-b56ff0331ba9"])
def test_a_shape_that_nobody_knows_is_nobodys_business_without_a_model(template: Make, shape: str) -> None:
    assert check_resources([template(instanceType=shape, tags=None, tagSpecifications=None)]) == []


def test_a_shape_that_nobody_knows_is_reported_where_a_model_is_meant_to_run(template: Make) -> None:
    resource = template(instanceType="p9.xlarge")
    assert violated(resource) == set()
    assert not_known(resource) == {"cpu-ratio", "ram-ratio", "no-consumer", "vram-fits", "vram-7b"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"httpTokens": "required", "httpPutResponseHopLimit": 1}, set()),
        ({"httpTokens": "required", "httpPutResponseHopLimit": 2.0}, {"imdsv2"}),
        ({"httpTokens": "optional", "httpPutResponseHopLimit": 1}, {"imdsv2"}),
        ({"httpTokens": "required"}, {"imdsv2"}),
        ({"httpEndpoint": "disabled"}, set()),
        (None, {"imdsv2"}),
    ],
)
def test_metadata_needs_tokens_and_a_single_hop(template: Make, options: Any, expected: set[str]) -> None:
    assert violated(template(metadataOptions=options)) == expected


@pytest.mark.parametrize(
    ("encrypted", "expected"),
    [("true", set()), (True, set()), ("false", {"encrypted-volumes"}), (None, {"encrypted-volumes"})],
)
def test_encryption_may_be_told_as_text(template: Make, encrypted: Any, expected: set[str]) -> None:
    ebs = {"encrypted": encrypted, "volumeSize": 500, "volumeType": "gp3"}
    assert violated(template(blockDeviceMappings=[{"deviceName": "/dev/xvda", "ebs": ebs}])) == expected


@pytest.mark.parametrize(
    ("size", "kind", "expected"),
    [
        ("500", "gp3", set()),
        (159, "gp3", {"disk"}),
        (99, "gp3", {"disk"}),
        (500, "st1", {"disk"}),
        (160.0, None, set()),
    ],
)
def test_the_system_disk_needs_room_and_speed(
    template: Make, size: Any, kind: Any, expected: set[str]
) -> None:
    ebs = {"encrypted": True, "volumeSize": size, "volumeType": kind}
    assert violated(template(blockDeviceMappings=[{"deviceName": "/dev/sda1", "ebs": ebs}])) == expected


def test_a_disk_that_the_image_decides_is_not_known(template: Make) -> None:
    resource = template(blockDeviceMappings=None)
    assert violated(resource) == set()
    assert not_known(resource) == {"disk", "encrypted-volumes"}


def test_a_model_without_a_store_is_refused(template: Make, serving_tags: dict[str, str]) -> None:
    tags = {key: value for key, value in serving_tags.items() if key != "gpuwright:model-store"}
    assert violated(template(tags=tags, tagSpecifications=None)) == {"model-store"}


def test_a_boot_script_that_keeps_no_copy_is_refused(template: Make) -> None:
    assert violated(template(userData=base64.b64encode(b"#!/bin/sh\nvllm serve").decode())) == {"model-store"}


def test_a_packed_boot_script_is_read(template: Make) -> None:
    packed = base64.b64encode(gzip.compress(f"aws s3 sync {STORE} /model".encode())).decode()
    assert check_resources([template(userData=packed)]) == []


def test_a_boot_script_that_is_not_known_yet_is_not_judged(template: Make) -> None:
    assert not_known(template(userData="04da6b54-80e4-46f7-96ec-b56ff0331ba9")) == {"model-store"}


def test_an_instance_is_judged_like_a_template(template_props: dict[str, Any]) -> None:
    props = {key: template_props[key] for key in ("tags", "metadataOptions")} | {
        "instanceType": "g5.xlarge",
        "rootBlockDevice": {"encrypted": False, "volumeSize": 50},
        "ebsBlockDevices": [{"encrypted": True, "volumeSize": 10}],
        "userData": f"aws s3 sync {STORE} /model",
    }
    found = violated(Resource.of(INSTANCE, urn(INSTANCE, "i"), props))
    assert found == {"cpu-ratio", "ram-ratio", "disk", "encrypted-volumes"}


def test_what_an_instance_leaves_to_its_template_is_judged_there(serving_tags: dict[str, str]) -> None:
    props = {"launchTemplate": {"id": "lt-1"}, "instanceType": "g5.4xlarge", "tags": serving_tags}
    assert check_resources([Resource.of(INSTANCE, "u", props)]) == []


def test_a_template_without_a_shape_leaves_it_to_who_starts_machines(template: Make) -> None:
    assert check_resources([template(instanceType=None)]) == []


@pytest.mark.parametrize("mappings", ["<computed>", ["<computed>"]])
def test_disks_that_are_not_known_are_not_judged(template: Make, mappings: Any) -> None:
    assert not_known(template(blockDeviceMappings=mappings)) == {"disk", "encrypted-volumes"}
    plain_machine = template(
        blockDeviceMappings=mappings, instanceType="t3.micro", tags=None, tagSpecifications=None
    )
    assert not_known(plain_machine) == {"encrypted-volumes"}


@pytest.mark.parametrize("overrides", ["<computed>", ["<computed>"]])
def test_shapes_that_are_not_known_are_not_judged(overrides: Any, serving_tags: dict[str, str]) -> None:
    listed = [{"key": key, "value": value} for key, value in serving_tags.items()]
    fleet = group(overrides, {}, tags=listed)
    assert violated(fleet) == set()
    assert "vram-fits" in not_known(fleet)


@pytest.mark.parametrize(("ebs", "answer"), [({}, "violates"), ("<computed>", "unknown")])
def test_a_volume_that_says_nothing_of_encryption_is_judged(template: Make, ebs: Any, answer: str) -> None:
    mappings = template().props["blockDeviceMappings"] + [{"deviceName": "/dev/sdf", "ebs": ebs}]
    findings = check_resources([template(blockDeviceMappings=mappings)])
    assert [(finding.rule, finding.answer) for finding in findings] == [("encrypted-volumes", answer)]


def test_two_volumes_with_one_fault_are_one_finding(template: Make) -> None:
    mappings = [{"deviceName": name, "ebs": {"volumeSize": 500}} for name in ("/dev/xvda", "/dev/xvdb")]
    assert [finding.rule for finding in check_resources([template(blockDeviceMappings=mappings)])] == [
        "encrypted-volumes"
    ]


# ── groups ──


def group(overrides: list[Any], specification: Any, references: Any = None, **props: Any) -> Resource:
    policy = {"launchTemplate": {"launchTemplateSpecification": specification, "overrides": overrides}}
    return Resource.of(
        GROUP, urn(GROUP, "fleet"), {"mixedInstancesPolicy": policy, **props}, references=references
    )


@pytest.mark.parametrize("how", ["id", "name", "reference"])
def test_a_shape_that_a_group_adds_is_judged_with_the_templates_model(
    template_props: dict[str, Any], serving_tags: dict[str, str], how: str
) -> None:
    sharded = serving_tags | {
        "gpuwright:model": "Qwen/Qwen2.5-32B",
        "gpuwright:tensor-parallel-size": "4",
    }
    props = template_props | {
        "instanceType": "g5.12xlarge",
        "tags": sharded,
        "tagSpecifications": [],
    }
    template = Resource.of(LAUNCH_TEMPLATE, urn(LAUNCH_TEMPLATE, "t"), props, id="lt-1")
    specification = {
        "id": {"launchTemplateId": "lt-1"},
        "name": {"launchTemplateName": "shop-template"},
        "reference": {"launchTemplateId": "04da6b54-80e4-46f7-96ec-b56ff0331ba9"},
    }[how]
    references = (
        {"mixedInstancesPolicy": [template.urn, urn("aws:iam/role:Role", "r")]}
        if how == "reference"
        else None
    )
    fleet = group(
        [{"instanceType": "g5.12xlarge"}, {"instanceType": "g5.4xlarge"}], specification, references
    )
    findings = check_resources([fleet, template])
    assert {finding.rule for finding in findings} == {"vram-fits", "parallel-size"}
    assert {finding.subject for finding in findings} == {fleet.urn}


def test_the_shapes_of_a_group_are_judged_even_where_its_template_is_not_known() -> None:
    fleet = group(
        [{"instanceType": "g5.xlarge"}, {"instanceType": "t3.micro"}], {"launchTemplateId": "lt-elsewhere"}
    )
    assert violated(fleet) == {"cpu-ratio", "ram-ratio"}


def test_a_groups_own_tags_name_the_model(serving_tags: dict[str, str]) -> None:
    larger = serving_tags | {"gpuwright:model": "Qwen/Qwen2.5-32B"}
    listed = [{"key": key, "value": value, "propagateAtLaunch": True} for key, value in larger.items()]
    assert violated(group([{"instanceType": "g5.4xlarge"}], {}, tags=listed)) == {"vram-fits"}


# ── the component ──


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, set()),
        ({"instanceType": "g5.xlarge"}, {"cpu-ratio", "ram-ratio"}),
        ({"model": "Qwen/Qwen2.5-32B"}, {"vram-fits"}),
        ({"concurrency": 10_000}, {"vram-fits"}),
    ],
)
def test_the_component_is_judged_by_what_it_intends(changes: dict[str, Any], expected: set[str]) -> None:
    intent = {
        "model": "Qwen/Qwen2.5-7B",
        "weightsPrecision": "bf16",
        "kvCachePrecision": "bf16",
        "maxModelLen": 4096.0,
        "promptTokens": 1000.0,
        "outputTokens": 300.0,
        "concurrency": 8.0,
        "instanceType": "g5.4xlarge",
        "tensorParallelSize": 1.0,
    }
    resource = Resource.of("gpuwright:index:GpuInference", "u", intent | changes)
    assert violated(resource) == expected
    assert not_known(resource) == set()


# ── openings ──


@pytest.mark.parametrize(
    ("type_", "props", "expected"),
    [
        (
            SECURITY_GROUP,
            {"ingress": [{"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": ["0.0.0.0/0"]}]},
            False,
        ),
        (
            SECURITY_GROUP,
            {"ingress": [{"protocol": "tcp", "fromPort": 22.0, "toPort": 22.0, "cidrBlocks": ["0.0.0.0/0"]}]},
            True,
        ),
        (
            SECURITY_GROUP,
            {"ingress": [{"protocol": "-1", "fromPort": 0, "toPort": 0, "ipv6CidrBlocks": ["::/0"]}]},
            True,
        ),
        (
            SECURITY_GROUP,
            {"ingress": [{"protocol": "tcp", "fromPort": 8000, "toPort": 8000, "securityGroups": ["sg-1"]}]},
            False,
        ),
        (
            SECURITY_GROUP,
            {"egress": [{"protocol": "-1", "fromPort": 0, "toPort": 0, "cidrBlocks": ["0.0.0.0/0"]}]},
            False,
        ),
        (INGRESS_RULE, {"ipProtocol": "6", "fromPort": 8000, "toPort": 8000, "cidrIpv4": "0.0.0.0/0"}, True),
        (INGRESS_RULE, {"ipProtocol": "6", "fromPort": "443", "toPort": "443", "cidrIpv6": "::/0"}, False),
        (
            INGRESS_RULE,
            {"ipProtocol": "tcp", "fromPort": 8000, "toPort": 8000, "referencedSecurityGroupId": "sg-1"},
            False,
        ),
        (INGRESS_RULE, {"ipProtocol": "-1", "cidrIpv4": "0.0.0.0/1"}, True),
        (
            "aws:ec2/securityGroupRule:SecurityGroupRule",
            {"type": "ingress", "protocol": "all", "cidrBlocks": ["0.0.0.0/0"]},
            True,
        ),
        (
            "aws:ec2/securityGroupRule:SecurityGroupRule",
            {"type": "egress", "protocol": "all", "cidrBlocks": ["0.0.0.0/0"]},
            False,
        ),
    ],
)
def test_only_web_ports_may_be_open_to_the_internet(
    type_: str, props: dict[str, Any], expected: bool
) -> None:
    assert violated(Resource.of(type_, "u", props)) == ({"no-public-ingress"} if expected else set())


@pytest.mark.parametrize("ingress", ["<computed>", ["<computed>"]])
def test_openings_that_are_not_known_are_not_judged(ingress: Any) -> None:
    assert not_known(Resource.of(SECURITY_GROUP, "u", {"ingress": ingress})) == {"no-public-ingress"}


def test_a_source_that_is_not_known_does_not_hide_one_that_is() -> None:
    rule = {"protocol": "tcp", "fromPort": 22, "toPort": 22, "cidrBlocks": ["<computed>", "0.0.0.0/0"]}
    resource = Resource.of(SECURITY_GROUP, "u", {"ingress": [rule]})
    assert violated(resource) == not_known(resource) == {"no-public-ingress"}


# ── whatever comes ──

KEYS = """
instanceType tags tagSpecifications resourceType metadataOptions httpTokens
httpPutResponseHopLimit ebs blockDeviceMappings encrypted volumeSize volumeType
deviceName userData ingress cidrBlocks fromPort toPort protocol mixedInstancesPolicy
launchTemplate launchTemplateSpecification overrides launchTemplateId key value
model weightsPrecision maxModelLen concurrency
gpuwright:model gpuwright:weights-precision gpuwright:concurrency gpuwright:model-store
type 4dabf18193072939515e22adb298388d
""".split()  # noqa: SIM905  a list of forty strings would fill the screen

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        [*sorted(UNKNOWN_TEXTS), "g5.xlarge", "instance", "ingress", "0.0.0.0/0", "Qwen/Qwen2.5-7B"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=6,
        )
    ),
    max_leaves=30,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(sorted(JUDGED_TYPES)), VALUES, VALUES), max_size=3))
def test_no_property_whatever_breaks_the_readers(given: list[tuple[str, Any, Any]]) -> None:
    resources = [
        Resource.of(type_, f"u{number}", props, references=references)
        for number, (type_, props, references) in enumerate(given)
    ]
    assert all(finding.message for finding in check_resources(resources))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["instanceType", "tags", "metadataOptions", "blockDeviceMappings", "userData"]), VALUES
)
def test_no_value_of_one_property_breaks_the_readers(
    template_props: dict[str, Any], key: str, value: Any
) -> None:
    resource = Resource.of(LAUNCH_TEMPLATE, "u", template_props | {key: value})
    assert all(finding.message for finding in check_resources([resource]))


def test_an_unknown_property_is_reported_and_the_others_still_speak(template: Make) -> None:
    resource = template(instanceType="g5.xlarge", metadataOptions="04da6b54-80e4-46f7-96ec-b56ff0331ba9")
    assert violated(resource) == {"cpu-ratio", "ram-ratio"}
    assert not_known(resource) == {"imdsv2"}
    assert resource.props["metadataOptions"] is UNKNOWN
