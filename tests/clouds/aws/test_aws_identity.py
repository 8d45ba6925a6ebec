"""The identity: exactly the actions that serving needs, each on one named resource."""

import json
from typing import Any

import deployments

from gpuwright.clouds.aws.identity import Identity
from gpuwright.sandbox import Recording

KEY = "arn:aws:kms:us-east-1:123456789012:key/1"
ACCOUNT = "123456789012"
GROUP = f"arn:aws:autoscaling:us-east-1:{ACCOUNT}:autoScalingGroup:*:autoScalingGroupName/chat"


def identity(**more: Any) -> Recording:
    arguments: dict[str, Any] = {
        "region": "us-east-1",
        "bucket_name": "team-models",
        "prefix": "models/m/1",
        "key_arn": KEY,
        "log_group_name": "/gpuwright/chat",
        "autoscaling_group_name": "chat",
        "account_id": ACCOUNT,
    }
    return deployments.alone(lambda: Identity("id", **{**arguments, **more}))


def statements(made: Recording) -> dict[str, dict[str, Any]]:
    policies = [json.loads(policy.inputs["policy"]) for policy in made.of_type("aws:iam:RolePolicy")]
    return {each.pop("Sid"): each for policy in policies for each in policy["Statement"]}


def test_a_machine_may_do_this_and_nothing_else() -> None:
    assert statements(identity()) == {
        "ReadModel": {
            "Effect": "Allow",
            "Action": ["s3:GetObject"],
            "Resource": "arn:aws:s3:::team-models/models/m/1/*",
        },
        "ListModel": {
            "Effect": "Allow",
            "Action": ["s3:ListBucket"],
            "Resource": "arn:aws:s3:::team-models",
            "Condition": {"StringLike": {"s3:prefix": "models/m/1/*"}},
        },
        "WriteLogs": {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/gpuwright/chat:log-stream:*",
        },
        "WriteMetrics": {
            "Effect": "Allow",
            "Action": ["cloudwatch:PutMetricData"],
            "Resource": "*",
            "Condition": {"StringEquals": {"cloudwatch:namespace": "gpuwright"}},
        },
        "EndLaunchHook": {
            "Effect": "Allow",
            "Action": ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"],
            "Resource": GROUP,
        },
        "SessionManager": {
            "Effect": "Allow",
            "Action": [
                "ssm:UpdateInstanceInformation",
                "ssmmessages:CreateControlChannel",
                "ssmmessages:CreateDataChannel",
                "ssmmessages:OpenControlChannel",
                "ssmmessages:OpenDataChannel",
            ],
            "Resource": "*",
        },
        "DecryptModel": {
            "Effect": "Allow",
            "Action": ["kms:Decrypt"],
            "Resource": KEY,
            "Condition": {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}},
        },
    }


def test_no_managed_policy_adds_to_it() -> None:
    made = identity()
    assert {resource.short_type for resource in made.resources if resource.custom} == {
        "aws:iam:Role",
        "aws:iam:RolePolicy",
        "aws:iam:InstanceProfile",
    }
    assert "managedPolicyArns" not in made.one("aws:iam:Role").inputs


def test_only_machines_may_take_the_role() -> None:
    (trust,) = json.loads(identity().one("aws:iam:Role").inputs["assumeRolePolicy"])["Statement"]
    assert trust["Principal"] == {"Service": "ec2.amazonaws.com"}
    assert trust["Action"] == "sts:AssumeRole"


def test_whoever_waits_for_the_profile_finds_the_role_with_its_permissions() -> None:
    made = identity()
    assert deployments.depends(made, made.one("InstanceProfile"), *made.of_type("aws:iam:RolePolicy"))


def test_without_an_account_the_names_of_log_group_and_group_still_bound_it() -> None:
    found = statements(identity(account_id=None))
    assert found["WriteLogs"]["Resource"] == "arn:aws:logs:us-east-1:*:log-group:/gpuwright/chat:log-stream:*"
    assert found["EndLaunchHook"]["Resource"].endswith(":*:autoScalingGroupName/chat")


def test_in_china_every_arn_and_service_is_of_china() -> None:
    made = identity(region="cn-north-1", key_arn=KEY.replace("arn:aws:", "arn:aws-cn:"))
    found = statements(made)
    assert found["ReadModel"]["Resource"].startswith("arn:aws-cn:s3:::")
    assert found["DecryptModel"]["Condition"]["StringEquals"] == {
        "kms:ViaService": "s3.cn-north-1.amazonaws.com.cn"
    }
    trust = json.loads(made.one("aws:iam:Role").inputs["assumeRolePolicy"])["Statement"][0]
    assert trust["Principal"] == {"Service": "ec2.amazonaws.com.cn"}


def test_a_deployment_reads_its_own_prefix_and_ends_its_own_hook(dev: Recording) -> None:
    found = {
        each["Sid"]: each
        for each in deployments.policy(dev, "RolePolicy", "chat-identity-serving")["Statement"]
    }
    bucket = dev.one("aws:s3:Bucket").inputs["bucket"]
    assert found["ReadModel"]["Resource"] == f"arn:aws:s3:::{bucket}/models/meta-llama/Llama-2-7b-hf/main/*"
    group = dev.one("aws:autoscaling:Group").inputs["name"]
    assert found["EndLaunchHook"]["Resource"].endswith(f"autoScalingGroupName/{group}")
    logs = dev.one("LogGroup").inputs["name"]
    assert f"log-group:{logs}:" in found["WriteLogs"]["Resource"]
