"""The inputs: what is refused, how it is named, and that all of it comes at once."""

import dataclasses
from typing import Any

import deployments
import pytest

from gpuwright.clouds.aws import inputs
from gpuwright.clouds.aws.inputs import AwsInputs, check
from gpuwright.errors import InputError

EXAMPLES: dict[str, Any] = {
    "account_id": "123456789012",
    "availability_zones": ["us-east-1a", "us-east-1b"],
    "vpc_cidr": "10.1.0.0/16",
    "vpc_id": "vpc-0123456789abcdef0",
    "private_subnet_ids": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
    "public_subnet_ids": ["subnet-0123456789abcdef2", "subnet-0123456789abcdef3"],
    "certificate_arn": "arn:aws:acm:us-east-1:123456789012:certificate/11111111-2222-3333-4444-555555555555",
    "host_name": "llm.example.com",
    "ingress_cidrs": ["10.0.0.0/8"],
    "image_id": "ami-0123456789abcdef0",
    "root_device": "/dev/xvda",
    "bucket_name": "team-models",
    "alarm_topic_arn": "arn:aws-us-gov:sns:us-gov-west-1:123456789012:pages",
}


def faults(given: dict[str, Any], **spec: Any) -> list[str]:
    """Return what is wrong with the inputs, alone or together with the plan."""
    try:
        check(deployments.plan(**spec), AwsInputs.of(given, "gpuwright:aws"), "gpuwright:aws")
    except InputError as error:
        return [str(fault) for fault in error.faults]
    return []


def test_every_input_takes_a_value_of_its_form_and_is_described() -> None:
    names = {field.name for field in dataclasses.fields(AwsInputs)}
    assert names == set(EXAMPLES) == set(inputs._FORMS)
    assert dataclasses.asdict(AwsInputs.of(EXAMPLES)) == EXAMPLES
    assert all(f"{name}:" in (AwsInputs.__doc__ or "") for name in names)


@pytest.mark.parametrize("name", [name for name in EXAMPLES if not isinstance(EXAMPLES[name], list)])
@pytest.mark.parametrize("wrong", ["", "nonsense of no form", 7, ["a"], {"a": 1}])
def test_a_value_of_another_form_is_named_with_an_example(name: str, wrong: Any) -> None:
    with pytest.raises(InputError) as refusal:
        AwsInputs.of({name: wrong}, "gpuwright:aws")
    (fault,) = map(str, refusal.value.faults)
    assert fault.startswith(f"gpuwright:aws: {name}: {wrong!r} has not the form of one. Write ")


@pytest.mark.parametrize("name", [name for name in EXAMPLES if isinstance(EXAMPLES[name], list)])
def test_a_list_is_asked_for_where_one_is_due(name: str) -> None:
    (fault,) = faults({name: EXAMPLES[name][0]})
    assert "and must be a list. Write [" in fault
    (fault,) = faults({name: [EXAMPLES[name][0], "nonsense of no form"]})
    assert "'nonsense of no form' has not the form of one." in fault


def test_all_faults_come_at_once_and_unknown_names_with_their_neighbour() -> None:
    found = faults({"certificate": "x", "bucketname": "y", "vpc_id": "z", "colour": "red"})
    assert len(found) == 4
    assert "certificate: is no input of a deployment on AWS. Did you mean certificate_arn?" in found[0]
    assert "Did you mean bucket_name?" in found[1]
    assert "vpc_id: 'z' has not the form" in found[2]
    assert "Known are account_id, availability_zones" in found[3]


@pytest.mark.parametrize("given", ["vpc-1", 7, ["vpc_id"]])
def test_what_is_no_mapping_is_refused(given: Any) -> None:
    (fault,) = faults(given)
    assert "must map names to values" in fault


@pytest.mark.parametrize(
    ("given", "spec", "told"),
    [
        (
            {},
            {"environment": "prod"},
            "certificate_arn: is missing, and a prod endpoint answers over TLS only.",
        ),
        ({}, {"environment": "staging"}, "certificate_arn: is missing, and a staging endpoint"),
        ({}, {"public": True}, "certificate_arn: is missing, and a public endpoint"),
        ({"host_name": "a.example.com"}, {}, "host_name: needs a certificate."),
        (
            {"certificate_arn": EXAMPLES["certificate_arn"]},
            {"region": "us-west-2"},
            "certificate_arn: is of us-east-1, and the deployment stands in us-west-2.",
        ),
        (
            {"alarm_topic_arn": EXAMPLES["alarm_topic_arn"]},
            {},
            "alarm_topic_arn: is of us-gov-west-1, and the deployment stands in us-east-1.",
        ),
        (
            {"certificate_arn": EXAMPLES["certificate_arn"], "account_id": "210987654321"},
            {},
            "certificate_arn: is of account 123456789012, and account_id is 210987654321.",
        ),
        (
            {"availability_zones": ["us-east-1a"]},
            {},
            "availability_zones: names 1, and a plan for dev spans 2",
        ),
        ({"availability_zones": ["us-east-1a"] * 2}, {}, "availability_zones: names a zone twice."),
        (
            {"availability_zones": ["us-east-1a", "us-west-2b"]},
            {},
            "availability_zones: 'us-west-2b' is not in us-east-1.",
        ),
        ({"vpc_cidr": "10.0.0.0/26"}, {}, "vpc_cidr: is 10.0.0.0/26"),
        (
            {"private_subnet_ids": EXAMPLES["private_subnet_ids"]},
            {},
            "private_subnet_ids: is of a VPC that is not named.",
        ),
        ({"vpc_id": EXAMPLES["vpc_id"]}, {}, "private_subnet_ids: names 0 of the VPC's subnets"),
        (
            {
                "vpc_id": EXAMPLES["vpc_id"],
                "private_subnet_ids": EXAMPLES["private_subnet_ids"],
                "availability_zones": EXAMPLES["availability_zones"],
            },
            {},
            "availability_zones: is given, but the subnets of an existing VPC lie in zones already.",
        ),
        (
            {
                "vpc_id": EXAMPLES["vpc_id"],
                "private_subnet_ids": EXAMPLES["private_subnet_ids"],
                "certificate_arn": EXAMPLES["certificate_arn"],
            },
            {"public": True},
            "public_subnet_ids: names 0 of the VPC's subnets",
        ),
        ({}, {"name": "internal-chat"}, "name: is 'internal-chat', and AWS keeps names in 'internal-'."),
    ],
)
def test_inputs_that_do_not_go_with_the_plan_are_refused(
    given: dict[str, Any], spec: dict[str, Any], told: str
) -> None:
    (fault,) = faults(given, **spec)
    assert told in fault


def test_faults_between_inputs_and_plan_come_at_once_too() -> None:
    found = faults({"vpc_cidr": "10.0.0.0/26", "availability_zones": ["us-east-1a"]}, public=True)
    assert len(found) == 3
