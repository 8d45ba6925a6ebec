"""The identity of the machines: a role that may do what serving needs, each thing on one named resource."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from gpuwright.clouds.aws.naming import named, partition

METRIC_NAMESPACE = "gpuwright"
"""The only CloudWatch namespace that machines may write."""

SESSION_ACTIONS = (
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
)
"""What Session Manager needs and no more; AmazonSSMManagedInstanceCore would also read every parameter.

Source: Systems Manager user guide, "Create a custom IAM role for Session Manager"; none takes a resource.
"""


class Identity(pulumi.ComponentResource):
    """An instance role that reads one prefix of a bucket, reports on itself, and takes sessions."""

    role_arn: pulumi.Output[str]
    instance_profile_name: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        region: str,
        bucket_name: pulumi.Input[str],
        prefix: str,
        key_arn: pulumi.Input[str],
        log_group_name: str,
        autoscaling_group_name: str,
        account_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Register the role, its policies and its instance profile.

        Args:
            prefix: Of the model's files in the bucket, without a slash at the end.
            key_arn: Key that the bucket is encrypted with.
            autoscaling_group_name: Group whose launch hook the machines complete.
            account_id: The account, in the ARNs that hold one. Any where left out, which allows nothing more:
                a role's logs and groups are its own account's.
        """
        props = {"prefix": prefix, "logGroup": log_group_name, "autoscalingGroup": autoscaling_group_name}
        super().__init__("gpuwright:aws:Identity", name, {"region": region, **props}, opts)
        child = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            f"{name}-role",
            description=f"Machines of {name}",
            assume_role_policy=json.dumps(_trust(region)),
            tags=named(tags or {}, name),
            opts=child,
        )
        # Two policies: the key's ARN is made by AWS, and in a preview it would hide the rest of one text.
        own = aws.iam.RolePolicy(
            f"{name}-serving",
            role=role.name,
            policy=pulumi.Output.from_input(bucket_name).apply(
                lambda bucket: json.dumps(
                    serving_policy(
                        region, account_id or "*", bucket, prefix, log_group_name, autoscaling_group_name
                    )
                )
            ),
            opts=child,
        )
        key = aws.iam.RolePolicy(
            f"{name}-model-key",
            role=role.name,
            policy=pulumi.Output.from_input(key_arn).apply(lambda arn: json.dumps(key_policy(region, arn))),
            opts=child,
        )
        profile = aws.iam.InstanceProfile(
            f"{name}-profile",
            role=role.name,
            tags=named(tags or {}, name),
            # So that whatever waits for the profile, such as a machine, finds the role with its permissions.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[own, key]),
        )
        self.role_arn, self.instance_profile_name = role.arn, profile.name
        self.register_outputs({"role_arn": role.arn, "instance_profile_name": profile.name})


def serving_policy(
    region: str, account: str, bucket: str, prefix: str, log_group: str, autoscaling_group: str
) -> dict[str, Any]:
    """Return what a machine may do: read its model, report on itself, end its hook, take sessions."""
    here = f"{region}:{account}"
    arn = f"arn:{partition(region)}"
    log_streams = f"{arn}:logs:{here}:log-group:{log_group}:log-stream:*"
    # The star stands for an identifier that AWS gives the group; its name is unique in account and region.
    group = f"{arn}:autoscaling:{here}:autoScalingGroup:*:autoScalingGroupName/{autoscaling_group}"
    return _document(
        _allow("ReadModel", ["s3:GetObject"], f"{arn}:s3:::{bucket}/{prefix}/*"),
        _allow(
            "ListModel",
            ["s3:ListBucket"],
            f"{arn}:s3:::{bucket}",
            {"StringLike": {"s3:prefix": f"{prefix}/*"}},
        ),
        _allow("WriteLogs", ["logs:CreateLogStream", "logs:PutLogEvents"], log_streams),
        _allow(
            "WriteMetrics",
            ["cloudwatch:PutMetricData"],
            "*",  # it takes no resource, only this condition
            {"StringEquals": {"cloudwatch:namespace": METRIC_NAMESPACE}},
        ),
        _allow(
            "EndLaunchHook",
            ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"],
            group,
        ),
        _allow("SessionManager", SESSION_ACTIONS, "*"),
    )


def key_policy(region: str, key_arn: str) -> dict[str, Any]:
    """Return what a machine may do with the model cache's key: decrypt what it reads through S3."""
    suffix = "amazonaws.com.cn" if partition(region) == "aws-cn" else "amazonaws.com"
    through_s3 = {"StringEquals": {"kms:ViaService": f"s3.{region}.{suffix}"}}
    return _document(_allow("DecryptModel", ["kms:Decrypt"], key_arn, through_s3))


def _trust(region: str) -> dict[str, Any]:
    service = "ec2.amazonaws.com.cn" if partition(region) == "aws-cn" else "ec2.amazonaws.com"
    principal = {"Principal": {"Service": service}}
    return _document({"Effect": "Allow", "Action": "sts:AssumeRole", **principal})


def _allow(
    sid: str, actions: Sequence[str], resource: str, condition: dict[str, Any] | None = None
) -> dict[str, Any]:
    statement = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resource}
    return {**statement, "Condition": condition} if condition else statement


def _document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}
