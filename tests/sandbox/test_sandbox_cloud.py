from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuwright.sandbox import cloud
from gpuwright.sandbox.cloud import Change
from gpuwright.sandbox.sdk import resource_facts, sdk_version
from gpuwright.sandbox.wire import UNKNOWN, UNKNOWN_TEXT, Secret, from_wire, to_wire

VPC = "aws:ec2/vpc:Vpc"
ROLE = "aws:iam/role:Role"
URN = "urn:pulumi:dev::p::aws:ec2/vpc:Vpc::net"
HERE = cloud.Place("eu-west-1", default_tags={"owner": "me"})

WIRE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.text() | st.just(UNKNOWN_TEXT),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(WIRE)
def test_a_wire_value_read_and_written_again_is_the_same(value: Any) -> None:
    assert to_wire(from_wire(value)) == value


@given(WIRE)
def test_a_secret_written_and_read_again_is_the_same_secret(value: Any) -> None:
    assert from_wire(to_wire(Secret(from_wire(value)))) == Secret(from_wire(value))


@given(st.dictionaries(st.sampled_from(["tags", "cidrBlock", "x"]), WIRE, max_size=3))
def test_inputs_do_not_differ_from_themselves(inputs: dict[str, Any]) -> None:
    assert cloud.differences(VPC, inputs, inputs) == []


@given(st.dictionaries(st.sampled_from(["tags", "cidrBlock"]), WIRE, max_size=2))
def test_marking_a_value_secret_is_no_difference(inputs: dict[str, Any]) -> None:
    marked = {key: to_wire(Secret(from_wire(value))) for key, value in inputs.items()}
    assert cloud.differences(VPC, inputs, marked) == []


@given(WIRE)
def test_every_difference_is_told_once_at_its_deepest_path(value: Any) -> None:
    changes = cloud.differences(VPC, {"tags": {"a": 1, "b": [1, 2]}}, {"tags": value})
    paths = [change.path for change in changes]
    assert len(paths) == len(set(paths))
    assert all(change.property == "tags" for change in changes)


def test_differences_name_nested_paths_and_what_they_replace() -> None:
    old = {"cidrBlock": "10.0.0.0/16", "tags": {"a": "1", "x.y": "2"}, "list": [1, 2]}
    new = {"cidrBlock": UNKNOWN_TEXT, "tags": {"a": "2", "n": "3"}, "list": [1]}
    assert [(change.path, change.kind, change.replace) for change in cloud.differences(VPC, old, new)] == [
        ("cidrBlock", Change.UPDATE, True),
        ("list[1]", Change.DELETE, False),
        ("tags.a", Change.UPDATE, False),
        ("tags.n", Change.ADD, False),
        ('tags["x.y"]', Change.DELETE, False),
    ]


def test_another_name_replaces_a_named_resource() -> None:
    (change,) = cloud.differences(ROLE, {"name": "a"}, {"name": "b"})
    assert change.replace


def test_a_resource_is_named_the_same_for_the_same_seed_and_keeps_its_name() -> None:
    first = cloud.check(ROLE, "role", {}, {}, seed=b"1")
    assert first == cloud.check(ROLE, "role", {}, {}, seed=b"1")
    assert first["name"].startswith("role-")
    assert cloud.check(ROLE, "role", {}, first, seed=b"2") == first
    assert cloud.check(ROLE, "role", {}, {}, seed=b"2") != first
    assert cloud.check(ROLE, "role", {}, {}, b"1", "proposed")["name"] == "proposed"


@pytest.mark.parametrize("given", [{"name": "mine"}, {"namePrefix": "mine-"}])
def test_a_name_that_the_user_gives_is_left_alone(given: dict[str, str]) -> None:
    assert cloud.check(ROLE, "role", given, {}, seed=b"1") == given


@pytest.mark.parametrize(
    ("token", "named", "limit"),
    [
        ("aws:lb/loadBalancer:LoadBalancer", "name", 32),
        ("aws:lb/targetGroup:TargetGroup", "name", 32),
        ("aws:s3/bucket:Bucket", "bucket", 63),
        (ROLE, "name", 64),
    ],
)
def test_a_given_name_fits_what_the_cloud_allows(token: str, named: str, limit: int) -> None:
    name = cloud.check(token, "N" * 200, {}, {}, seed=b"1")[named]
    assert len(name) == limit
    assert named != "bucket" or name == name.lower()


def test_a_policy_given_as_an_object_is_kept_as_the_same_text_whatever_its_order() -> None:
    one = cloud.check(ROLE, "r", {"name": "r", "assumeRolePolicy": {"a": 1, "b": 2}}, {}, b"1")
    two = cloud.check(ROLE, "r", {"name": "r", "assumeRolePolicy": {"b": 2, "a": 1}}, {}, b"1")
    assert one == two
    assert json.loads(one["assumeRolePolicy"]) == {"a": 1, "b": 2}


def test_what_a_type_requires_is_missed() -> None:
    assert cloud.missing(ROLE, {}) == ["assumeRolePolicy"]
    assert cloud.missing(ROLE, {"assumeRolePolicy": UNKNOWN_TEXT}) == []
    assert cloud.missing("aws:none/such:Type", {}) == []


def test_default_tags_stand_under_the_resources_own() -> None:
    outputs = cloud.preview_outputs(VPC, {"tags": {"owner": "you"}}, HERE)
    assert outputs["tagsAll"] == {"owner": "you"}
    assert cloud.preview_outputs(VPC, {}, HERE)["tagsAll"] == {"owner": "me"}


def test_identifiers_follow_from_urn_and_inputs() -> None:
    first, outputs = cloud.create(VPC, URN, {"cidrBlock": "10.0.0.0/16"}, HERE)
    assert first == cloud.create(VPC, URN, {"cidrBlock": "10.0.0.0/16"}, HERE)[0]
    assert first != cloud.create(VPC, URN, {"cidrBlock": "10.1.0.0/16"}, HERE)[0]
    assert outputs["arn"] == f"arn:aws:ec2:eu-west-1:{cloud.ACCOUNT_ID}:vpc/{first}"


@pytest.mark.parametrize(
    ("token", "inputs", "identifier"),
    [
        ("aws:s3/bucket:Bucket", {"bucket": "b"}, "b"),
        (ROLE, {"name": "r"}, "r"),
        ("aws:sns/topic:Topic", {"name": "t"}, f"arn:aws:sns:eu-west-1:{cloud.ACCOUNT_ID}:t"),
        ("gcp:compute/network:Network", {"name": "n"}, "projects/sandbox-project/n"),
    ],
)
def test_identifiers_have_the_form_of_their_cloud(
    token: str, inputs: dict[str, str], identifier: str
) -> None:
    assert cloud.create(token, URN, inputs, HERE)[0] == identifier


def test_outputs_have_what_the_sdk_says_that_they_have() -> None:
    for token in (VPC, ROLE, "aws:lb/loadBalancer:LoadBalancer", "gcp:compute/instance:Instance"):
        facts = resource_facts(token)
        assert facts is not None
        kinds = {"list": list, "map": dict, "object": dict, "boolean": bool, "string": str}
        made = cloud.create(token, URN, {}, HERE)[1]
        for name in facts.computed:
            assert isinstance(made[name], kinds.get(facts.outputs[name], int)), name


def test_an_image_parameter_is_an_image_and_a_secret() -> None:
    answer = from_wire(
        cloud.invoke("aws:ssm/getParameter:getParameter", {"name": "/aws/service/ami/x"}, HERE)
    )
    assert answer["value"].value.startswith("ami-")
    assert answer["insecureValue"] == answer["value"].value


def test_zones_are_those_of_the_region() -> None:
    answer = cloud.invoke("aws:index/getAvailabilityZones:getAvailabilityZones", {}, HERE)
    assert answer["names"] == ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
    assert answer["zoneIds"] == ["euw1-az1", "euw1-az2", "euw1-az3"]


def test_a_policy_document_is_written_as_iam_reads_it() -> None:
    statement = {
        "actions": ["s3:GetObject"],
        "resources": ["a", "b"],
        "principals": [{"type": "Service", "identifiers": ["ec2.amazonaws.com"]}],
        "conditions": [{"test": "Bool", "variable": "aws:SecureTransport", "values": ["false"]}],
    }
    answer = cloud.invoke("aws:iam/getPolicyDocument:getPolicyDocument", {"statements": [statement]}, HERE)
    assert json.loads(answer["json"]) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "s3:GetObject",
                "Resource": ["a", "b"],
                "Principal": {"Service": "ec2.amazonaws.com"},
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }


def test_a_function_without_a_stand_in_is_refused() -> None:
    with pytest.raises(cloud.NoAnswerError):
        cloud.invoke("aws:none/such:such", {}, HERE)


@pytest.mark.parametrize(
    "token",
    [VPC, "aws:lambda/function:Function", "gcp:compute/uRLMap:URLMap", "aws:alb/loadBalancer:LoadBalancer"],
)
def test_facts_of_a_type_are_found_under_every_way_of_naming_its_file(token: str) -> None:
    facts = resource_facts(token)
    assert facts is not None
    assert facts.inputs
    assert facts.computed <= set(facts.outputs)


def test_facts_agree_with_the_sdks_own_classes() -> None:
    import pulumi_aws as aws
    from pulumi import _types

    for made in (aws.ec2.Vpc, aws.iam.Role, aws.ec2.LaunchTemplate, aws.autoscaling.Group):
        facts = resource_facts(made.pulumi_type)
        assert facts is not None
        assert set(facts.outputs) == set(_types.resource_py_to_pulumi_names(made).values())


def test_neither_the_engine_nor_reading_facts_imports_an_sdk() -> None:
    code = (
        "import gpuwright.sandbox, gpuwright.cli.preview, gpuwright.cli.sandbox;"
        "from gpuwright.sandbox.sdk import resource_facts; assert resource_facts('aws:ec2/vpc:Vpc');"
        "assert not {'pulumi', 'pulumi_aws'} & set(sys.modules)"
    )
    roots = [path for path in sys.path if path.endswith("components")]
    run = subprocess.run([sys.executable, "-c", f"import sys; sys.path[:0] = {roots!r}; {code}"], check=False)
    assert run.returncode == 0


def test_the_version_is_that_of_the_installed_sdk() -> None:
    assert str(sdk_version("aws")).startswith("7.")
    assert sdk_version("no-such-cloud") is None


def test_unknown_prints_as_a_person_reads_it() -> None:
    assert str(UNKNOWN) == "known after apply"
