"""The fleet: log group, launch template and autoscaling group, one machine a replica."""

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from gpuwright.boot import lifecycle_heartbeat_seconds
from gpuwright.clouds.aws.naming import applied, named
from gpuwright.planning import Plan
from gpuwright.planning.tags import PLAN_DIGEST

IMAGE_PARAMETER = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-22.04/latest/ami-id"
"""Public SSM parameter of the newest Deep Learning Base OSS Nvidia Driver image on Ubuntu 22.04."""

ROOT_DEVICE = "/dev/sda1"
"""Root device of Ubuntu images; Amazon Linux has /dev/xvda."""

GROUP_METRICS = (
    "GroupDesiredCapacity",
    "GroupInServiceInstances",
    "GroupPendingInstances",
    "GroupTerminatingInstances",
    "GroupTotalInstances",
)


def group_name(plan: Plan) -> str:
    """Return the group's name, fixed before it is made: boot scripts and the role's policy refer to it."""
    return plan.name


def hook_name(plan: Plan) -> str:
    """Return the name of the launch hook, which a machine completes after its first completion."""
    return f"{plan.name}-ready"


def log_group_name(plan: Plan) -> str:
    """Return the name of the log group that the machines write."""
    return f"/gpuwright/{plan.name}"


class Fleet(pulumi.ComponentResource):
    """Machines of one shape behind a target group; each is in service once it has answered a completion."""

    autoscaling_group_name: pulumi.Output[str]
    launch_template_id: pulumi.Output[str]
    log_group_name: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        plan: Plan,
        user_data: pulumi.Input[str],
        instance_profile_name: pulumi.Input[str],
        security_group_id: pulumi.Input[str],
        subnet_ids: Sequence[pulumi.Input[str]],
        target_group_arn: pulumi.Input[str],
        image_id: pulumi.Input[str] | None = None,
        root_device: str = ROOT_DEVICE,
        tags: Mapping[str, pulumi.Input[str]] | None = None,
        after: Sequence[pulumi.Resource] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Register the fleet.

        Args:
            user_data: What machines boot with, as raw text.
            image_id: The newest deep learning base image where left out.
            root_device: Name of the image's root device, whose size the plan decides.
            tags: For the machines and volumes too.
            after: What must stand before the first machine boots, such as routes and the listener.
        """
        props = {
            "instanceType": plan.instance_type,
            "purchaseOption": plan.purchase_option,
            "replicasMin": plan.replicas.min,
            "replicasMax": plan.replicas.max,
        }
        super().__init__("gpuwright:aws:Fleet", name, props, opts)
        self._name, self._plan, self._tags = name, plan, dict(tags or {})
        self._child = pulumi.ResourceOptions(parent=self)
        logs = self._logs()
        template = aws.ec2.LaunchTemplate(
            f"{name}-launch-template",
            opts=self._child,
            **launch_template_arguments(
                plan,
                image_id=image_id or self._newest_image(),
                user_data=applied(user_data, _base64),
                instance_profile_name=instance_profile_name,
                security_group_id=security_group_id,
                root_device=root_device,
                tags=self._tags,
            ),
        )
        group = self._group(template, subnet_ids, target_group_arn, [logs, *after])
        self.autoscaling_group_name, self.launch_template_id = group.name, template.id
        self.log_group_name = logs.name
        outputs = ("autoscaling_group_name", "launch_template_id", "log_group_name")
        self.register_outputs({key: getattr(self, key) for key in outputs})

    def _logs(self) -> "aws.cloudwatch.LogGroup":
        # Encrypted with CloudWatch's own key; one of ours would need a policy for that service.
        return aws.cloudwatch.LogGroup(
            f"{self._name}-logs",
            name=log_group_name(self._plan),
            retention_in_days=self._plan.operations.log_retention_days,
            tags=self._tags,
            opts=self._child,
        )

    def _group(
        self,
        template: "aws.ec2.LaunchTemplate",
        subnet_ids: Sequence[pulumi.Input[str]],
        target_group_arn: pulumi.Input[str],
        after: Sequence[pulumi.Resource],
    ) -> "aws.autoscaling.Group":
        group = aws.autoscaling.Group(
            f"{self._name}-group",
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=list(after),
                # Target tracking moves it between the limits; an update must not move it back.
                ignore_changes=["desiredCapacity"],
                # Machines drain before they end, one deregistration delay after the other at worst.
                custom_timeouts=pulumi.CustomTimeouts(delete="60m"),
            ),
            vpc_zone_identifiers=subnet_ids,
            target_group_arns=[target_group_arn],
            mixed_instances_policy=_instances_policy(self._plan, template),
            tags=[
                {"key": key, "value": self._tags[key], "propagate_at_launch": True}
                for key in sorted(self._tags)
            ],
            **group_arguments(self._plan),
        )
        # The group has the hook from its first machine on, but takes no later change of it; this one does.
        aws.autoscaling.LifecycleHook(
            f"{self._name}-ready",
            autoscaling_group_name=group.name,
            opts=self._child,
            **launch_hook(self._plan),
        )
        return group

    def _newest_image(self) -> pulumi.Output[str]:
        parameter = aws.ssm.get_parameter_output(
            name=IMAGE_PARAMETER, region=self._plan.region, opts=pulumi.InvokeOptions(parent=self)
        )
        # Every parameter comes as a secret; this one is public, and previews should show which image it is.
        return pulumi.Output.unsecret(parameter.insecure_value)


def launch_template_arguments(
    plan: Plan,
    *,
    image_id: pulumi.Input[str],
    user_data: pulumi.Input[str],
    instance_profile_name: pulumi.Input[str],
    security_group_id: pulumi.Input[str],
    root_device: str,
    tags: Mapping[str, pulumi.Input[str]],
) -> dict[str, Any]:
    """Return the machine: its shape, image, disk, identity, and what it boots with (in base64)."""
    return {
        "instance_type": plan.instance_type,
        "image_id": image_id,
        "user_data": user_data,
        "update_default_version": True,
        # By name, which is known before it is deployed.
        "iam_instance_profile": {"name": instance_profile_name},
        "metadata_options": {
            "http_endpoint": "enabled",
            "http_tokens": "required",
            # One hop ends at the machine: a container that is talked into a request gets no credentials.
            "http_put_response_hop_limit": 1,
        },
        "network_interfaces": [
            {
                "device_index": 0,
                "associate_public_ip_address": "false",
                "delete_on_termination": "true",
                "security_groups": [security_group_id],
            }
        ],
        "block_device_mappings": [{"device_name": root_device, "ebs": _disk(plan)}],
        "monitoring": {"enabled": True},
        "tags": tags,
        "tag_specifications": [
            {"resource_type": kind, "tags": named(_lasting(tags), plan.name)}
            for kind in ("instance", "volume")
        ],
    }


def _lasting(tags: Mapping[str, pulumi.Input[str]]) -> dict[str, pulumi.Input[str]]:
    """Return the tags that a template may carry: a digest that changed with a replica limit would roll the fleet.

    Machines get the digest all the same, from the group, when they are launched.
    """
    return {key: value for key, value in tags.items() if key != PLAN_DIGEST}


def group_arguments(plan: Plan) -> dict[str, Any]:
    """Return how the group runs: its limits, how it judges health, and how it replaces machines."""
    return {
        "name": group_name(plan),
        "min_size": plan.replicas.min,
        "max_size": plan.replicas.max,
        "desired_capacity": plan.replicas.min,
        "health_check_type": "ELB",
        "health_check_grace_period": plan.cold_start_seconds,
        "default_instance_warmup": plan.cold_start_seconds,
        "capacity_rebalance": True,
        "termination_policies": ["OldestLaunchTemplate", "Default"],
        "enabled_metrics": list(GROUP_METRICS),
        "initial_lifecycle_hooks": [launch_hook(plan)],
        "instance_refresh": {"strategy": "Rolling", "preferences": _refresh(plan)},
        # Do not wait for machines: where AWS has none left, waiting fails, taints the group, and the next
        # update would destroy it with every machine that did come. The capacity alarm tells instead.
        "wait_for_capacity_timeout": "0",
    }


def launch_hook(plan: Plan) -> dict[str, Any]:
    """Return the hook that keeps a machine out of service until it has answered a completion."""
    return {
        "name": hook_name(plan),
        "lifecycle_transition": "autoscaling:EC2_INSTANCE_LAUNCHING",
        "heartbeat_timeout": lifecycle_heartbeat_seconds(plan),
        "default_result": "ABANDON",
    }


def _disk(plan: Plan) -> dict[str, Any]:
    return {
        "volume_type": plan.disk.type,
        "volume_size": plan.disk.size_gb,
        "iops": plan.disk.iops,
        "throughput": plan.disk.throughput_mib_per_s,
        # With the account's default key: one of ours would need a grant for the service that starts machines.
        "encrypted": "true",
        "delete_on_termination": "true",
    }


def _refresh(plan: Plan) -> dict[str, Any]:
    """Return the pace of a refresh: one machine more than usual, and none fewer, until all are new."""
    return {
        "min_healthy_percentage": 100,
        "max_healthy_percentage": 100 + math.ceil(100 / plan.replicas.min),
        "instance_warmup": str(plan.cold_start_seconds),
        "auto_rollback": True,
        "skip_matching": True,
    }


def _instances_policy(plan: Plan, template: "aws.ec2.LaunchTemplate") -> dict[str, Any]:
    """Return what is bought; the same policy for both options, so that changing it replaces no group."""
    spot = plan.purchase_option == "spot"
    return {
        "instances_distribution": {
            "on_demand_base_capacity": 0,
            "on_demand_percentage_above_base_capacity": 0 if spot else 100,
            "spot_allocation_strategy": "price-capacity-optimized",
        },
        "launch_template": {
            "launch_template_specification": {
                "launch_template_id": template.id,
                # A number, since a refresh does not start for $Latest.
                "version": template.latest_version.apply(str),
            }
        },
    }


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
