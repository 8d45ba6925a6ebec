"""Scaling and alarms: how many replicas there are, and what wakes somebody."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from gpuwright.planning import Plan

PERIOD_SECONDS = 60
ERROR_PERCENT = 1.0
"""Share of requests that may fail on a server before the alarm sounds."""


class Scaling(pulumi.ComponentResource):
    """Target tracking on requests per replica, and alarms on what users would notice."""

    policy_arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        plan: Plan,
        autoscaling_group_name: pulumi.Input[str],
        balancer_arn_suffix: pulumi.Input[str],
        target_group_arn_suffix: pulumi.Input[str],
        alarm_topic_arn: pulumi.Input[str] | None = None,
        tags: Mapping[str, str] | None = None,
        after: Sequence[pulumi.Resource] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Register the scaling policy and the alarms.

        Args:
            alarm_topic_arn: SNS topic that alarms are sent to; they only show in CloudWatch where left out.
            after: What ties the target group to the balancer; AWS refuses the policy before it stands.
        """
        target = plan.operations.requests_per_target_per_minute
        super().__init__("gpuwright:aws:Scaling", name, {"requestsPerTargetPerMinute": target}, opts)
        self._name, self._plan, self._tags = name, plan, dict(tags or {})
        self._actions = [] if alarm_topic_arn is None else [alarm_topic_arn]
        self._child = pulumi.ResourceOptions(parent=self)
        policy = aws.autoscaling.Policy(
            f"{name}-requests-per-target",
            name="requests-per-target",
            autoscaling_group_name=autoscaling_group_name,
            policy_type="TargetTrackingScaling",
            target_tracking_configuration={
                "target_value": target,
                "predefined_metric_specification": {
                    "predefined_metric_type": "ALBRequestCountPerTarget",
                    "resource_label": pulumi.Output.format(
                        "{0}/{1}", balancer_arn_suffix, target_group_arn_suffix
                    ),
                },
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(after)),
        )
        self._alarm_on_targets(balancer_arn_suffix, target_group_arn_suffix)
        self._alarm_on_capacity(autoscaling_group_name)
        self.policy_arn = policy.arn
        self.register_outputs({"policy_arn": policy.arn})

    def _alarm_on_targets(self, balancer: pulumi.Input[str], targets: pulumi.Input[str]) -> None:
        dimensions = {"LoadBalancer": balancer, "TargetGroup": targets}
        on_balancer = {"namespace": "AWS/ApplicationELB", "dimensions": dimensions, "period": PERIOD_SECONDS}
        self._alarm(
            "no-healthy-server",
            "No server is healthy: every request fails.",
            metric_name="HealthyHostCount",
            statistic="Minimum",
            comparison_operator="LessThanThreshold",
            threshold=1,
            evaluation_periods=3,
            treat_missing_data="breaching",
            **on_balancer,
        )
        self._alarm(
            "unhealthy-server",
            "A server has failed its health check for five minutes.",
            metric_name="UnHealthyHostCount",
            statistic="Maximum",
            comparison_operator="GreaterThanThreshold",
            threshold=0,
            evaluation_periods=5,
            treat_missing_data="notBreaching",
            **on_balancer,
        )
        # The balancer's clock stops at the first byte, which an answer that is not streamed sends last.
        longest = self._plan.operations.max_request_seconds
        self._alarm(
            "slow-answers",
            f"One answer in twenty takes longer than the {longest} s of the longest one planned for.",
            metric_name="TargetResponseTime",
            extended_statistic="p95",
            comparison_operator="GreaterThanThreshold",
            threshold=longest,
            evaluation_periods=5,
            treat_missing_data="notBreaching",
            **on_balancer,
        )
        self._alarm(
            "server-errors",
            f"More than {ERROR_PERCENT:g} % of the requests fail on a server.",
            metric_queries=_error_percent(dimensions),
            comparison_operator="GreaterThanThreshold",
            threshold=ERROR_PERCENT,
            evaluation_periods=5,
            datapoints_to_alarm=3,
            treat_missing_data="notBreaching",
        )

    def _alarm_on_capacity(self, autoscaling_group_name: pulumi.Input[str]) -> None:
        """Tell what an update does not wait for: machines that AWS does not have, or that never get ready."""
        patience = math.ceil(2 * self._plan.cold_start_seconds / PERIOD_SECONDS)
        self._alarm(
            "too-few-servers",
            f"Fewer than {self._plan.replicas.min} in service for {patience} minutes, twice a cold start.",
            namespace="AWS/AutoScaling",
            dimensions={"AutoScalingGroupName": autoscaling_group_name},
            metric_name="GroupInServiceInstances",
            statistic="Minimum",
            period=PERIOD_SECONDS,
            comparison_operator="LessThanThreshold",
            threshold=self._plan.replicas.min,
            evaluation_periods=patience,
            treat_missing_data="breaching",
        )

    def _alarm(self, part: str, description: str, **condition: Any) -> None:
        aws.cloudwatch.MetricAlarm(
            f"{self._name}-{part}",
            name=f"{self._plan.name}-{part}",
            alarm_description=description,
            alarm_actions=self._actions,
            ok_actions=self._actions,
            tags=self._tags,
            opts=self._child,
            **condition,
        )


def _error_percent(dimensions: Mapping[str, pulumi.Input[str]]) -> list[dict[str, Any]]:
    """Return the metric: errors of the servers in percent of the requests, and 0 where there were none."""

    def count(name: str, metric: str) -> dict[str, Any]:
        of = {"namespace": "AWS/ApplicationELB", "metric_name": metric, "dimensions": dimensions}
        return {"id": name, "metric": {**of, "stat": "Sum", "period": PERIOD_SECONDS}}

    expression = "IF(requests > 0, 100 * FILL(errors, 0) / requests, 0)"
    percent = {"id": "percent", "expression": expression, "label": "errors, %", "return_data": True}
    return [percent, count("errors", "HTTPCode_Target_5XX_Count"), count("requests", "RequestCount")]
