"""The fleet: the machine that the plan says, and a group that serves only with machines that answer."""

import base64
import dataclasses
from typing import Any

import deployments
import pulumi

from gpuwright.boot import lifecycle_heartbeat_seconds, ready_budget_seconds
from gpuwright.clouds.aws.fleet import Fleet, group_arguments
from gpuwright.planning import Plan
from gpuwright.planning.tags import MODEL_STORE, to_tags
from gpuwright.sandbox import UNKNOWN, Recording


def fleet(plan: Plan | None = None, *, preview: bool = False, **more: Any) -> Recording:
    arguments: dict[str, Any] = {
        "plan": plan or deployments.plan(),
        "user_data": "#cloud-config\n",
        "instance_profile_name": "fleet-profile",
        "security_group_id": "sg-1",
        "subnet_ids": ["subnet-1", "subnet-2"],
        "target_group_arn": "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/t/1",
    }
    return deployments.alone(lambda: Fleet("fleet", **{**arguments, **more}), preview=preview)


def template(**more: Any) -> dict[str, Any]:
    return dict(fleet(**more).one("LaunchTemplate").inputs)


def group(plan: Plan | None = None) -> dict[str, Any]:
    return dict(fleet(plan).one("aws:autoscaling:Group").inputs)


def test_the_machine_has_the_shape_and_the_disk_of_the_plan_encrypted() -> None:
    plan = deployments.plan()
    made = template(plan=plan)
    assert made["instanceType"] == plan.instance_type
    assert made["blockDeviceMappings"] == [
        {
            "deviceName": "/dev/sda1",
            "ebs": {
                "volumeType": "gp3",
                "volumeSize": plan.disk.size_gb,
                "iops": plan.disk.iops,
                "throughput": plan.disk.throughput_mib_per_s,
                "encrypted": "true",
                "deleteOnTermination": "true",
            },
        }
    ]


def test_credentials_take_a_token_and_do_not_leave_the_machine() -> None:
    expected = {"httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 1}
    assert template()["metadataOptions"] == expected


def test_the_machine_has_no_public_address_and_one_security_group() -> None:
    (interface,) = template()["networkInterfaces"]
    assert interface["associatePublicIpAddress"] == "false"
    assert interface["securityGroups"] == ["sg-1"]
    assert "vpcSecurityGroupIds" not in template()


def test_the_image_is_the_newest_deep_learning_base_unless_another_is_given() -> None:
    made = fleet(preview=True)
    (asked,) = made.invocations
    assert asked.token == "aws:ssm/getParameter:getParameter"
    assert asked.args["name"].startswith(
        "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu"
    )
    assert made.one("LaunchTemplate").inputs["imageId"] is UNKNOWN
    assert not fleet().one("LaunchTemplate").is_secret("imageId")
    given = fleet(image_id="ami-12345678", root_device="/dev/xvda")
    assert given.invocations == ()
    assert given.one("LaunchTemplate").inputs["imageId"] == "ami-12345678"
    assert given.one("LaunchTemplate").inputs["blockDeviceMappings"][0]["deviceName"] == "/dev/xvda"


def test_user_data_goes_as_base64_be_it_known_or_not() -> None:
    expected = base64.b64encode(b"#cloud-config\n# 1\n").decode()
    assert template(user_data="#cloud-config\n# 1\n")["userData"] == expected
    assert template(user_data=pulumi.Output.from_input("#cloud-config\n# 1\n"))["userData"] == expected


def test_machines_and_volumes_carry_the_tags() -> None:
    made = template(tags={"team": "research"})
    expected = {"team": "research", "Name": "chat"}
    assert {each["resourceType"]: each["tags"] for each in made["tagSpecifications"]} == {
        "instance": expected,
        "volume": expected,
    }
    (tag,) = fleet(tags={"team": "research"}).one("aws:autoscaling:Group").inputs["tags"]
    assert tag == {"key": "team", "value": "research", "propagateAtLaunch": True}


def test_a_machines_tags_tell_what_it_serves_and_where_the_model_is(dev: Recording) -> None:
    store = dev.one("GpuInference").inputs["modelStore"]
    tags = dev.one("LaunchTemplate").inputs["tags"]
    assert {**to_tags(deployments.plan()), MODEL_STORE: store}.items() <= tags.items()


def test_a_machine_boots_with_the_payload_of_the_plan(dev: Recording) -> None:
    text = base64.b64decode(dev.one("LaunchTemplate").inputs["userData"]).decode()
    group = dev.one("aws:autoscaling:Group").inputs
    assert text.startswith("#cloud-config\n")
    assert deployments.plan().server.image in text
    for told in (
        dev.one("GpuInference").inputs["modelStore"],
        dev.one("LogGroup").inputs["name"],
        group["name"],
        group["initialLifecycleHooks"][0]["name"],
    ):
        assert told in text


def test_the_group_keeps_to_the_replicas_and_leaves_the_present_number_to_scaling() -> None:
    made = fleet(deployments.plan(replicas={"min": 2, "max": 5})).one("aws:autoscaling:Group")
    assert (made.inputs["minSize"], made.inputs["desiredCapacity"], made.inputs["maxSize"]) == (2, 2, 5)
    assert made.ignore_changes == ("desiredCapacity",)


def test_an_update_waits_for_no_machine() -> None:
    assert group()["waitForCapacityTimeout"] == "0"


def test_the_groups_patience_follows_the_cold_start() -> None:
    plan = deployments.plan()
    slower = dataclasses.replace(plan, cold_start=(*plan.cold_start, plan.cold_start[-1]))
    assert slower.cold_start_seconds > plan.cold_start_seconds
    for each in (plan, slower):
        made = group_arguments(each)
        assert made["health_check_grace_period"] == each.cold_start_seconds
        assert made["default_instance_warmup"] == each.cold_start_seconds
        assert made["instance_refresh"]["preferences"]["instance_warmup"] == str(each.cold_start_seconds)
        (hook,) = made["initial_lifecycle_hooks"]
        assert hook["heartbeat_timeout"] == lifecycle_heartbeat_seconds(each) > ready_budget_seconds(each)


def test_a_machine_that_never_answers_is_given_up() -> None:
    made = fleet()
    (hook,) = made.one("aws:autoscaling:Group").inputs["initialLifecycleHooks"]
    assert hook["lifecycleTransition"] == "autoscaling:EC2_INSTANCE_LAUNCHING"
    assert hook["defaultResult"] == "ABANDON"
    # The same hook once more, since the group takes no change of its own after it was made.
    kept = dict(made.one("LifecycleHook").inputs)
    assert kept.pop("autoscalingGroupName") == made.one("aws:autoscaling:Group").inputs["name"]
    assert kept == hook


def test_a_refresh_adds_a_machine_before_it_takes_one_away() -> None:
    for least, most_healthy in ((1, 200), (2, 150), (3, 134)):
        preferences = group(deployments.plan(replicas={"min": least, "max": 4}))["instanceRefresh"][
            "preferences"
        ]
        assert preferences["minHealthyPercentage"] == 100
        assert preferences["maxHealthyPercentage"] == most_healthy


def test_a_new_version_of_the_template_starts_a_refresh() -> None:
    policy = group()["mixedInstancesPolicy"]["launchTemplate"]["launchTemplateSpecification"]
    # A whole number as text: neither $Latest, for which no refresh starts, nor 1.0.
    assert policy["version"] == "1"
    assert group()["instanceRefresh"]["strategy"] == "Rolling"


def test_the_purchase_option_decides_what_is_bought_and_nothing_else() -> None:
    bought = {}
    for option in ("on-demand", "spot"):
        made = group(deployments.plan(purchase_option=option))
        assert made["capacityRebalance"] is True
        distribution = made["mixedInstancesPolicy"]["instancesDistribution"]
        assert distribution["onDemandBaseCapacity"] == 0
        assert distribution["spotAllocationStrategy"] == "price-capacity-optimized"
        bought[option] = distribution["onDemandPercentageAboveBaseCapacity"]
    assert bought == {"on-demand": 100, "spot": 0}


def test_no_machine_boots_before_its_way_out_its_log_group_and_its_listener_stand(dev: Recording) -> None:
    needed = [
        *dev.of_type("aws:ec2:Route"),
        *dev.of_type("RouteTableAssociation"),
        *dev.of_type("VpcEndpoint"),
        *dev.of_type("aws:iam:RolePolicy"),
        *dev.of_type("SecurityGroupEgressRule"),
        *dev.of_type("SecurityGroupIngressRule"),
        dev.one("LogGroup"),
        dev.one("aws:lb:Listener"),
        dev.one("aws:lb:ListenerRule"),
        dev.one("aws:s3:BucketServerSideEncryptionConfiguration"),
    ]
    assert deployments.depends(dev, dev.one("aws:autoscaling:Group"), *needed)


def test_logs_are_kept_as_long_as_the_environment_asks(dev: Recording, prod: Recording) -> None:
    assert dev.one("LogGroup").inputs["retentionInDays"] == 14
    assert prod.one("LogGroup").inputs["retentionInDays"] == 365


def test_a_change_that_concerns_no_machine_makes_no_new_version_of_the_template() -> None:
    plan = deployments.plan()
    wider = dataclasses.replace(plan, replicas=dataclasses.replace(plan.replicas, max=9))
    assert wider.digest != plan.digest
    narrow, wide = (template(plan=each, tags=to_tags(each))["tagSpecifications"] for each in (plan, wider))
    assert narrow == wide
