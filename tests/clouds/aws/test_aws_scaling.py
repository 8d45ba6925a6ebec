"""Scaling and alarms: what moves the number of replicas, and what wakes somebody."""

from typing import Any

import deployments

from gpuwright.clouds.aws.scaling import Scaling
from gpuwright.planning import Plan
from gpuwright.sandbox import Recording

TOPIC = "arn:aws:sns:us-east-1:123456789012:pages"


def scaling(plan: Plan | None = None, **more: Any) -> Recording:
    arguments: dict[str, Any] = {
        "plan": plan or deployments.plan(),
        "autoscaling_group_name": "chat",
        "balancer_arn_suffix": "app/chat/1",
        "target_group_arn_suffix": "targetgroup/chat/2",
    }
    return deployments.alone(lambda: Scaling("sc", **{**arguments, **more}))


def alarm(made: Recording, part: str) -> dict[str, Any]:
    return dict(made.one("MetricAlarm", f"sc-{part}").inputs)


def test_replicas_follow_the_requests_that_each_one_gets() -> None:
    plan = deployments.plan()
    policy = scaling(plan).one("aws:autoscaling:Policy").inputs
    assert policy["policyType"] == "TargetTrackingScaling"
    assert policy["autoscalingGroupName"] == "chat"
    assert policy["targetTrackingConfiguration"] == {
        "targetValue": plan.operations.requests_per_target_per_minute,
        "predefinedMetricSpecification": {
            "predefinedMetricType": "ALBRequestCountPerTarget",
            "resourceLabel": "app/chat/1/targetgroup/chat/2",
        },
    }


def test_the_policy_waits_for_the_rule_that_ties_the_target_group_to_the_balancer(dev: Recording) -> None:
    assert deployments.depends(dev, dev.one("aws:autoscaling:Policy"), dev.one("ListenerRule"))


def test_every_alarm_goes_to_the_topic_when_it_begins_and_when_it_ends() -> None:
    for each in scaling(alarm_topic_arn=TOPIC).of_type("MetricAlarm"):
        assert each.inputs["alarmActions"] == each.inputs["okActions"] == [TOPIC]
    assert not any(each.inputs["alarmActions"] for each in scaling().of_type("MetricAlarm"))


def test_no_server_at_all_is_an_alarm_even_where_the_metric_is_silent() -> None:
    made = alarm(scaling(), "no-healthy-server")
    assert (made["metricName"], made["comparisonOperator"], made["threshold"]) == (
        "HealthyHostCount",
        "LessThanThreshold",
        1,
    )
    assert made["treatMissingData"] == "breaching"
    assert made["dimensions"] == {"LoadBalancer": "app/chat/1", "TargetGroup": "targetgroup/chat/2"}


def test_an_unhealthy_server_is_an_alarm() -> None:
    made = alarm(scaling(), "unhealthy-server")
    assert (made["metricName"], made["comparisonOperator"], made["threshold"]) == (
        "UnHealthyHostCount",
        "GreaterThanThreshold",
        0,
    )


def test_answers_slower_than_the_longest_planned_for_are_an_alarm() -> None:
    plan = deployments.plan()
    made = alarm(scaling(plan), "slow-answers")
    assert (made["metricName"], made["extendedStatistic"]) == ("TargetResponseTime", "p95")
    assert made["threshold"] == plan.operations.max_request_seconds


def test_failures_are_counted_as_a_share_of_the_requests() -> None:
    made = alarm(scaling(), "server-errors")
    queries = {query["id"]: query for query in made["metricQueries"]}
    assert queries["percent"]["returnData"] is True
    assert [each for each in queries.values() if each.get("returnData")] == [queries["percent"]]
    assert queries["errors"]["metric"]["metricName"] == "HTTPCode_Target_5XX_Count"
    assert queries["requests"]["metric"]["metricName"] == "RequestCount"
    assert {name for name in queries if name in queries["percent"]["expression"]} == {"errors", "requests"}


def test_machines_that_do_not_come_are_an_alarm_after_twice_a_cold_start() -> None:
    plan = deployments.plan(replicas={"min": 2, "max": 3})
    made = alarm(scaling(plan), "too-few-servers")
    assert (made["metricName"], made["threshold"]) == ("GroupInServiceInstances", 2)
    assert made["evaluationPeriods"] * made["period"] >= 2 * plan.cold_start_seconds
    assert made["treatMissingData"] == "breaching"


def test_the_group_publishes_the_metric_that_an_alarm_is_on(dev: Recording) -> None:
    alarm_on = dev.one("MetricAlarm", "chat-scaling-too-few-servers").inputs["metricName"]
    assert alarm_on in dev.one("aws:autoscaling:Group").inputs["enabledMetrics"]
