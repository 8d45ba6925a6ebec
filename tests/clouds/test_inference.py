"""The whole deployment: every part with its parent, what is known in a preview, and what is refused."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import deployments
import pulumi
import pytest
from pulumi.provider.experimental.analyzer import Analyzer

from gpuwright.errors import GpuwrightError
from gpuwright.planning import Plan
from gpuwright.sandbox import Recording, preview_program
from gpuwright.sandbox.sdk import resource_facts
from gpuwright.spec import parse_spec

ROOT = Path(__file__).parents[2]

# What only AWS can tell before a deployment; everything else is known in a preview.
MADE_BY_AWS = {
    "aws:autoscaling:Group": {"mixedInstancesPolicy", "targetGroupArns", "vpcZoneIdentifiers"},
    "aws:autoscaling:Policy": {"targetTrackingConfiguration"},
    "aws:cloudwatch:MetricAlarm": {"dimensions", "metricQueries"},
    "aws:ec2:DefaultSecurityGroup": {"vpcId"},
    "aws:ec2:InternetGateway": {"vpcId"},
    "aws:ec2:LaunchTemplate": {"imageId", "networkInterfaces"},
    "aws:ec2:NatGateway": {"allocationId", "subnetId"},
    "aws:ec2:Route": {"gatewayId", "natGatewayId", "routeTableId"},
    "aws:ec2:RouteTable": {"vpcId"},
    "aws:ec2:RouteTableAssociation": {"routeTableId", "subnetId"},
    "aws:ec2:SecurityGroup": {"vpcId"},
    "aws:ec2:Subnet": {"vpcId"},
    "aws:ec2:VpcEndpoint": {"routeTableIds", "vpcId"},
    "aws:kms:Alias": {"targetKeyId"},
    "aws:lb:Listener": {"loadBalancerArn"},
    "aws:lb:ListenerRule": {"actions", "listenerArn"},
    "aws:lb:LoadBalancer": {"securityGroups", "subnets"},
    "aws:lb:TargetGroup": {"vpcId"},
    "aws:s3:BucketServerSideEncryptionConfiguration": {"rules"},
    "aws:vpc:SecurityGroupEgressRule": {"referencedSecurityGroupId", "securityGroupId"},
    "aws:vpc:SecurityGroupIngressRule": {"referencedSecurityGroupId", "securityGroupId"},
}

PARTS = {
    "gpuwright:aws:Network",
    "gpuwright:aws:ModelCache",
    "gpuwright:aws:Identity",
    "gpuwright:aws:Endpoint",
    "gpuwright:aws:Fleet",
    "gpuwright:aws:Scaling",
}


def refused(**given: Any) -> str:
    """Return why GpuInference refuses what it is given, having seen that it registered nothing."""
    registered: list[Any] = []

    def program() -> None:
        from gpuwright import GpuInference

        pulumi.runtime.register_resource_transform(lambda args: registered.append(args.type_))
        GpuInference("chat", **given)

    with pytest.raises(GpuwrightError) as refusal:
        preview_program(program)
    assert registered == []
    return str(refusal.value)


def test_the_component_holds_the_parts_and_each_part_its_resources(dev: Recording) -> None:
    tree = deployments.tree(dev)
    assert tree["pulumi:pulumi:Stack"] == {("gpuwright:index:GpuInference", "chat")}
    assert {kind for kind, _ in tree["gpuwright:index:GpuInference"]} == PARTS | {"pulumi:providers:aws"}
    assert {kind for kind, _ in tree["gpuwright:aws:Fleet"]} == {
        "aws:cloudwatch:LogGroup",
        "aws:ec2:LaunchTemplate",
        "aws:autoscaling:Group",
        "aws:autoscaling:LifecycleHook",
    }
    assert {kind for kind, _ in tree["gpuwright:aws:Scaling"]} == {
        "aws:autoscaling:Policy",
        "aws:cloudwatch:MetricAlarm",
    }
    assert set(tree) == {"pulumi:pulumi:Stack", "gpuwright:index:GpuInference", *PARTS}


def test_a_preview_knows_all_but_what_aws_makes(dev: Recording, prod: Recording) -> None:
    for recording in (dev, prod):
        unknown: dict[str, set[str]] = {}
        for resource in recording.resources:
            for name in resource.inputs:
                if resource.is_unknown(name) and (resource.short_type, name) != (
                    "aws:iam:RolePolicy",
                    "policy",
                ):
                    unknown.setdefault(resource.short_type, set()).add(name)
        assert unknown == MADE_BY_AWS
        # Only the policy that names the key, whose ARN is AWS's, waits for it.
        policies = recording.of_type("aws:iam:RolePolicy")
        assert [policy.name for policy in policies if policy.is_unknown("policy")] == [
            "chat-identity-model-key"
        ]


def test_policies_see_the_intent_in_the_inputs_of_the_component(dev: Recording) -> None:
    inputs = dict(dev.one("GpuInference").inputs)
    store = inputs.pop("modelStore")
    assert store.startswith("s3://chat-models-")
    assert store.endswith("/models/meta-llama/Llama-2-7b-hf/main")
    assert inputs == {
        "model": "meta-llama/Llama-2-7b-hf",
        "weightsPrecision": "bf16",
        "kvCachePrecision": "bf16",
        "maxModelLen": 4096,
        "promptTokens": 512,
        "outputTokens": 256,
        "concurrency": 16,
        "cloud": "aws",
        "region": "us-east-1",
        "environment": "dev",
        "instanceType": "g5.4xlarge",
        "acceleratorName": "A10G",
        "acceleratorCount": 1,
        "tensorParallelSize": 1,
        "replicasMin": 1,
        "replicasMax": 3,
        "purchaseOption": "on-demand",
        "diskGb": 500,
        "planDigest": deployments.plan().digest,
    }


def test_the_outputs_tell_the_endpoint_and_the_plan(deployed: Recording) -> None:
    outputs = deployed.one("GpuInference").outputs
    assert outputs["endpoint"].startswith("http://chat-")
    assert outputs["bucket"] == deployed.one("aws:s3:Bucket").inputs["bucket"]
    assert outputs["instance_type"] == "g5.4xlarge"
    plan = Plan.from_json(json.loads(outputs["plan"]))
    assert plan == deployments.plan()
    assert outputs["plan_digest"] == plan.digest
    assert outputs["cost_usd_per_hour"] == plan.cost.usd_per_hour
    assert outputs["cost_usd_per_1000_inferences"] == plan.cost.usd_per_1000_inferences


def test_every_taggable_resource_names_its_deployment_and_the_users_tags(dev: Recording) -> None:
    expected = {"gpuwright:deployment": "chat", "gpuwright:environment": "dev", "team": "research"}
    facts = {resource.type: resource_facts(resource.type) for resource in dev.resources}
    taggable = {kind for kind, known in facts.items() if known and "tags" in known.inputs}
    assert len(taggable) > 20
    for resource in dev.resources:
        if resource.type not in taggable:
            continue
        tags = resource.inputs["tags"]
        if isinstance(tags, list):
            tags = {tag["key"]: tag["value"] for tag in tags}
        assert expected.items() <= tags.items(), resource.name


def test_a_plan_a_spec_and_their_json_make_the_same_deployment() -> None:
    from gpuwright import GpuInferenceArgs

    forms: list[dict[str, Any]] = [
        {"spec": deployments.DEV_SPEC},
        {"spec": parse_spec(deployments.DEV_SPEC)},
        {"plan": deployments.plan()},
        {"plan": deployments.plan().to_json()},
        # A component package hands numbers over as floats.
        {"plan": json.loads(json.dumps(deployments.plan().to_json()), parse_int=float)},
        {"args": {"spec": deployments.DEV_SPEC, "aws": {"vpc_cidr": "10.0.0.0/16"}}},
        {"args": GpuInferenceArgs(spec=deployments.DEV_SPEC)},
    ]

    def program(form: dict[str, Any]) -> None:
        from gpuwright import GpuInference

        GpuInference("chat", **form)

    inputs = [preview_program(lambda form=form: program(form)).one("GpuInference").inputs for form in forms]
    assert all(each == inputs[0] for each in inputs)


def test_a_component_package_can_offer_it_to_other_languages() -> None:
    from gpuwright import GpuInference

    offered = Analyzer("gpuwright").analyze([GpuInference])
    component = offered["component_definitions"]["GpuInference"]
    assert set(component.inputs) == {"spec", "plan", "aws"}
    assert all(each.optional for each in component.inputs.values())
    assert set(component.outputs_mapping.values()) == set(GpuInference.__annotations__)
    assert all(each.optional for each in offered["type_definitions"]["AwsInputs"].properties.values())


def test_the_region_of_the_plan_rules_whatever_the_default_provider_is_set_to() -> None:
    def program() -> None:
        from gpuwright import GpuInference

        GpuInference("chat", spec={**deployments.DEV_SPEC, "region": "us-east-2"})

    recording = preview_program(program, config={"aws:region": "eu-west-1"})
    made = recording.one("pulumi:providers:aws")
    assert made.inputs["region"] == "us-east-2"
    of_aws = [resource for resource in recording.resources if resource.type.startswith("aws:")]
    assert of_aws
    assert all(resource.provider.startswith(f"{made.urn}::") for resource in of_aws)


def test_a_provider_that_the_program_gives_is_used_and_none_made() -> None:
    def program() -> None:
        import pulumi_aws as aws

        from gpuwright import GpuInference

        ours = aws.Provider("ours", region="us-east-1")
        GpuInference("chat", spec=deployments.DEV_SPEC, opts=pulumi.ResourceOptions(providers=[ours]))

    recording = preview_program(program)
    ours = recording.one("pulumi:providers:aws")
    assert ours.name == "ours"
    of_aws = [resource for resource in recording.resources if resource.type.startswith("aws:")]
    assert all(resource.provider.startswith(f"{ours.urn}::") for resource in of_aws)


def test_an_existing_network_is_used_and_no_part_of_one_made() -> None:
    aws = {"vpc_id": "vpc-0a1b2c3d", "private_subnet_ids": ["subnet-0a1b2c3d", "subnet-1a1b2c3d"]}
    recording = deployments.preview(aws=aws, preview=False)
    kinds = {resource.short_type for resource in recording.resources}
    assert kinds.isdisjoint(
        {"gpuwright:aws:Network", "aws:ec2:Vpc", "aws:ec2:Subnet", "aws:ec2:NatGateway", "aws:ec2:Route"}
    )
    assert recording.one("aws:autoscaling:Group").inputs["vpcZoneIdentifiers"] == aws["private_subnet_ids"]
    assert recording.one("aws:lb:LoadBalancer").inputs["subnets"] == aws["private_subnet_ids"]
    groups = recording.of_type("aws:ec2:SecurityGroup")
    assert {group.inputs["vpcId"] for group in groups} == {"vpc-0a1b2c3d"}
    # Who may connect is read from the VPC.
    rule = recording.one("SecurityGroupIngressRule", "chat-endpoint-balancer-80-0")
    assert rule.inputs["cidrIpv4"] == "10.0.0.0/16"


def test_inputs_may_come_from_other_resources() -> None:
    def program() -> None:
        import pulumi_aws as aws

        from gpuwright import AwsInputs, GpuInference

        topic = aws.sns.Topic("pages")
        bucket = pulumi.Output.from_input("team-models")
        given = AwsInputs(alarm_topic_arn=topic.arn, bucket_name=bucket)
        GpuInference("chat", spec=deployments.DEV_SPEC, aws=given)

    recording = preview_program(program, preview=False)
    alarm = recording.one("MetricAlarm", "chat-scaling-too-few-servers")
    assert alarm.inputs["alarmActions"] == [recording.one("aws:sns:Topic").outputs["arn"]]
    assert recording.one("aws:s3:Bucket").inputs["bucket"] == "team-models"
    store = recording.one("GpuInference").inputs["modelStore"]
    assert store == "s3://team-models/models/meta-llama/Llama-2-7b-hf/main"


def test_bad_inputs_are_refused_by_name_before_anything_is_registered() -> None:
    assert "GpuInference: neither spec nor plan is given." in refused()
    both = refused(spec=deployments.DEV_SPEC, plan=deployments.plan())
    assert "GpuInference: both spec and plan are given." in both
    assert "Did you mean meta-llama/Llama-2-7b-hf" in refused(
        spec={"name": "x", "model": "meta-llama/Llama-2-7b-hff"}
    )
    assert "aws: vpc_idd: is no input of a deployment on AWS. Did you mean vpc_id" in refused(
        spec=deployments.DEV_SPEC, aws={"vpc_idd": "vpc-0a1b2c3d"}
    )
    assert "aws: vpc_cidr: is 10.0.0.0/24" in refused(
        spec=deployments.DEV_SPEC, aws={"vpc_cidr": "10.0.0.0/24"}
    )
    assert "aws: certificate_arn: is missing, and a public endpoint answers over TLS only." in refused(
        spec={**deployments.DEV_SPEC, "public": True}
    )
    assert "cloud: is 'gcp', for which there are plans, but no component yet." in refused(
        spec={"name": "x", "model": "meta-llama/Llama-2-7b-hf", "cloud": "gcp"}
    )


def test_a_plan_that_is_none_is_refused_with_what_is_wrong() -> None:
    broken = {**deployments.plan().to_json(), "instance_typo": "g5.4xlarge", "vcpus": "many"}
    told = refused(plan=broken)
    assert "plan: instance_typo: unexpected keyword argument." in told
    assert "plan: vcpus: input should be a valid integer" in told
    assert "plan: is a str, and must map names to values." in refused(plan="plan.json")


def test_the_name_is_imported_without_pulumi_until_it_is_used() -> None:
    script = (
        "import sys, gpuwright, gpuwright.planning; before = 'pulumi' in sys.modules; "
        "from gpuwright import GpuInference, parse_spec, plan_document; "
        "print(before, 'pulumi' in sys.modules, GpuInference.__name__)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": ":".join(str(ROOT / name) for name in ("components", "policies", "templates"))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split() == ["False", "True", "GpuInference"]


def test_every_public_name_can_be_had_and_no_other() -> None:
    import gpuwright

    assert all(getattr(gpuwright, name) for name in gpuwright.__all__)
    assert dir(gpuwright) == sorted(gpuwright.__all__)
    with pytest.raises(AttributeError, match="no attribute 'GpuInferense'"):
        _ = gpuwright.GpuInferense
