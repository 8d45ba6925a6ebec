"""The endpoint: who may reach what, over what, and for how long."""

import dataclasses
from typing import Any

import deployments

from gpuwright.clouds.aws.endpoint import Endpoint
from gpuwright.planning import Plan
from gpuwright.sandbox import Recording

CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/1"


def endpoint(plan: Plan | None = None, **more: Any) -> Recording:
    arguments: dict[str, Any] = {
        "plan": plan or deployments.plan(),
        "vpc_id": "vpc-1",
        "vpc_cidr": "10.8.0.0/16",
        "subnet_ids": ["subnet-1", "subnet-2"],
    }
    return deployments.alone(lambda: Endpoint("end", **{**arguments, **more}), preview=False)


def rules(made: Recording, kind: str) -> set[tuple[str, int, str, str]]:
    """Return every rule as the group it is of, the port, the protocol and the other end."""
    groups = {group.id: group.name for group in made.of_type("aws:ec2:SecurityGroup")}
    found = set()
    for rule in made.of_type(kind):
        given = rule.inputs
        assert given["fromPort"] == given["toPort"]
        other = given.get("cidrIpv4") or groups[given["referencedSecurityGroupId"]]
        found.add((groups[given["securityGroupId"]], given["fromPort"], given["ipProtocol"], other))
    return found


def test_callers_reach_the_balancer_and_only_the_balancer_reaches_the_servers() -> None:
    made = endpoint(certificate_arn=CERTIFICATE)
    assert rules(made, "SecurityGroupIngressRule") == {
        ("end-balancer", 80, "tcp", "10.8.0.0/16"),
        ("end-balancer", 443, "tcp", "10.8.0.0/16"),
        ("end-server", 8000, "tcp", "end-balancer"),
    }


def test_nobody_sends_more_than_is_needed() -> None:
    assert rules(endpoint(), "SecurityGroupEgressRule") == {
        ("end-balancer", 8000, "tcp", "end-server"),
        ("end-server", 443, "tcp", "0.0.0.0/0"),
        ("end-server", 53, "udp", "10.8.0.0/16"),
        ("end-server", 53, "tcp", "10.8.0.0/16"),
    }


def test_rules_stand_on_their_own_so_that_no_group_names_any() -> None:
    for group in endpoint().of_type("aws:ec2:SecurityGroup"):
        assert {"ingress", "egress"}.isdisjoint(group.inputs)


def test_who_may_connect_can_be_narrowed() -> None:
    made = endpoint(ingress_cidrs=["10.8.1.0/24", "10.9.0.0/16"])
    callers = {rule for rule in rules(made, "SecurityGroupIngressRule") if rule[0] == "end-balancer"}
    assert {(rule[1], rule[3]) for rule in callers} == {(80, "10.8.1.0/24"), (80, "10.9.0.0/16")}


def test_a_public_endpoint_is_open_on_web_ports_only() -> None:
    made = endpoint(deployments.plan(public=True), certificate_arn=CERTIFICATE)
    world = {rule for rule in rules(made, "SecurityGroupIngressRule") if rule[3] == "0.0.0.0/0"}
    assert world == {("end-balancer", 80, "tcp", "0.0.0.0/0"), ("end-balancer", 443, "tcp", "0.0.0.0/0")}
    assert made.one("LoadBalancer").inputs["internal"] is False
    assert endpoint().one("LoadBalancer").inputs["internal"] is True


def test_with_a_certificate_plain_http_only_points_to_tls() -> None:
    made = endpoint(certificate_arn=CERTIFICATE)
    https, http = (
        made.one("aws:lb:Listener", "end-https").inputs,
        made.one("aws:lb:Listener", "end-http").inputs,
    )
    assert (https["port"], https["protocol"], https["certificateArn"]) == (443, "HTTPS", CERTIFICATE)
    assert https["sslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-2021-06"
    (action,) = http["defaultActions"]
    assert action == {
        "type": "redirect",
        "redirect": {"port": "443", "protocol": "HTTPS", "statusCode": "HTTP_301"},
    }
    rule = made.one("ListenerRule")
    assert rule.inputs["listenerArn"] == made.one("aws:lb:Listener", "end-https").id


def test_without_a_certificate_there_is_one_listener_and_the_url_says_http() -> None:
    made = endpoint()
    listener = made.one("aws:lb:Listener")
    assert (listener.inputs["port"], listener.inputs["protocol"]) == (80, "HTTP")
    assert made.one("ListenerRule").inputs["listenerArn"] == listener.id
    assert (
        made.one("gpuwright:aws:Endpoint").outputs["url"]
        == f"http://{made.one('LoadBalancer').outputs['dnsName']}"
    )


def test_the_url_has_the_name_that_the_certificate_is_for() -> None:
    made = endpoint(certificate_arn=CERTIFICATE, host_name="llm.example.com")
    assert made.one("gpuwright:aws:Endpoint").outputs["url"] == "https://llm.example.com"


def test_only_the_api_is_passed_on() -> None:
    made = endpoint(certificate_arn=CERTIFICATE)
    rule = made.one("ListenerRule").inputs
    assert rule["conditions"] == [{"pathPattern": {"values": ["/v1/*"]}}]
    assert rule["actions"] == [{"type": "forward", "targetGroupArn": made.one("TargetGroup").id}]
    (otherwise,) = made.one("aws:lb:Listener", "end-https").inputs["defaultActions"]
    assert otherwise["type"] == "fixed-response"
    assert otherwise["fixedResponse"]["statusCode"] == "404"


def test_the_balancer_waits_as_long_as_streamed_answers_take() -> None:
    plan = deployments.plan()
    made = endpoint(plan)
    balancer, targets = made.one("LoadBalancer").inputs, made.one("TargetGroup").inputs
    assert balancer["idleTimeout"] == plan.network.idle_timeout_seconds
    assert targets["deregistrationDelay"] == plan.network.deregistration_delay_seconds


def test_servers_are_judged_by_their_own_health_path_and_given_what_they_can_take() -> None:
    targets = endpoint().one("TargetGroup").inputs
    assert (targets["port"], targets["protocol"]) == (8000, "HTTP")
    assert (targets["healthCheck"]["path"], targets["healthCheck"]["matcher"]) == ("/health", "200")
    assert targets["loadBalancingAlgorithmType"] == "least_outstanding_requests"


def test_names_of_balancer_and_target_group_are_fixed_and_within_32_characters() -> None:
    plan = deployments.plan(name="a" * 24)
    made = endpoint(plan)
    assert made.one("LoadBalancer").inputs["name"] == plan.name
    assert len(made.one("TargetGroup").inputs["name"]) <= 32
    other_port = dataclasses.replace(plan, server=dataclasses.replace(plan.server, port=65535))
    name = endpoint(other_port).one("TargetGroup").inputs["name"]
    assert len(name) <= 32
    assert name != made.one("TargetGroup").inputs["name"]


def test_a_public_balancer_waits_for_the_way_to_the_internet(prod: Recording) -> None:
    gateway = prod.one("InternetGateway")
    assert deployments.depends(prod, prod.one("LoadBalancer"), gateway, *prod.of_type("aws:ec2:Route"))


def test_only_prods_balancer_refuses_deletion(dev: Recording, prod: Recording) -> None:
    assert dev.one("LoadBalancer").inputs["enableDeletionProtection"] is False
    assert prod.one("LoadBalancer").inputs["enableDeletionProtection"] is True


def test_an_internal_balancer_stands_in_private_subnets_and_a_public_one_in_public_ones(
    deployed: Recording,
) -> None:
    private = [deployed.one("Subnet", f"chat-network-private-{index}").id for index in range(2)]
    assert deployed.one("LoadBalancer").inputs["subnets"] == private
    public = deployments.preview(deployments.PROD_SPEC, deployments.PROD_AWS, preview=False)
    expected = [public.one("Subnet", f"chat-network-public-{index}").id for index in range(3)]
    assert public.one("LoadBalancer").inputs["subnets"] == expected
    machines = public.one("aws:autoscaling:Group").inputs["vpcZoneIdentifiers"]
    assert machines == [public.one("Subnet", f"chat-network-private-{index}").id for index in range(3)]
