"""The endpoint: a balancer, what it listens to, and the security groups that let only it reach servers."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from gpuwright.clouds.aws.naming import named
from gpuwright.planning import Plan

HTTP_PORT, HTTPS_PORT = 80, 443
TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06"
"""TLS 1.3 and 1.2 with forward secrecy; Elastic Load Balancing user guide, "Security policies"."""

ANSWERED_PATHS = ("/v1/*",)
"""The OpenAI API. vLLM has more paths; some of them stop it, or change its weights, without a key."""

ANYWHERE = "0.0.0.0/0"


class Endpoint(pulumi.ComponentResource):
    """A load balancer that answers over TLS and passes the API on, nothing else."""

    url: pulumi.Output[str]
    target_group_arn: pulumi.Output[str]
    server_security_group_id: pulumi.Output[str]
    balancer_arn_suffix: pulumi.Output[str]
    target_group_arn_suffix: pulumi.Output[str]
    listener: pulumi.Resource

    def __init__(
        self,
        name: str,
        *,
        plan: Plan,
        vpc_id: pulumi.Input[str],
        vpc_cidr: pulumi.Input[str],
        subnet_ids: Sequence[pulumi.Input[str]],
        certificate_arn: pulumi.Input[str] | None = None,
        host_name: str | None = None,
        ingress_cidrs: Sequence[pulumi.Input[str]] | None = None,
        tags: Mapping[str, str] | None = None,
        after: Sequence[pulumi.Resource] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Register the endpoint.

        Args:
            subnet_ids: Public ones for a public endpoint, private ones otherwise; in two zones or more.
            certificate_arn: ACM certificate in the plan's region; plain HTTP where left out.
            host_name: Name that the certificate is for and that points at the balancer.
            ingress_cidrs: Who may connect; the VPC, or the world for a public endpoint, where left out.
            after: What must stand before the balancer: a public one is refused before an internet gateway.
        """
        props = {"public": plan.network.public, "tls": certificate_arn is not None, "port": plan.server.port}
        super().__init__("gpuwright:aws:Endpoint", name, props, opts)
        self._name, self._plan, self._tags = name, plan, dict(tags or {})
        self._child = pulumi.ResourceOptions(parent=self)
        ports = [HTTP_PORT] if certificate_arn is None else [HTTP_PORT, HTTPS_PORT]
        sources = list(ingress_cidrs or [ANYWHERE if plan.network.public else vpc_cidr])
        balancer_group, server_group = self._security_groups(vpc_id, vpc_cidr, ports, sources)
        balancer = self._balancer(balancer_group.id, subnet_ids, after)
        targets = self._target_group(vpc_id)
        self.listener = self._listeners(balancer, targets, certificate_arn)
        scheme = "http" if certificate_arn is None else "https"
        self.url = pulumi.Output.format("{0}://{1}", scheme, host_name or balancer.dns_name)
        self.target_group_arn, self.target_group_arn_suffix = targets.arn, targets.arn_suffix
        self.server_security_group_id, self.balancer_arn_suffix = server_group.id, balancer.arn_suffix
        self.register_outputs(
            {
                "url": self.url,
                "target_group_arn": targets.arn,
                "server_security_group_id": server_group.id,
                "dns_name": balancer.dns_name,
            }
        )

    def _security_groups(
        self,
        vpc_id: pulumi.Input[str],
        vpc_cidr: pulumi.Input[str],
        ports: Sequence[int],
        sources: Sequence[pulumi.Input[str]],
    ) -> "tuple[aws.ec2.SecurityGroup, aws.ec2.SecurityGroup]":
        """Register the chain: callers reach the balancer, it the servers, and they what they fetch."""
        balancer = self._security_group("balancer", vpc_id)
        server = self._security_group("server", vpc_id)
        service = self._plan.server.port
        for port in ports:
            for index, source in enumerate(sources):
                self._ingress(f"balancer-{port}-{index}", balancer, port, cidr_ipv4=source)
        self._egress("balancer-server", balancer, service, referenced_security_group_id=server.id)
        self._ingress("server-balancer", server, service, referenced_security_group_id=balancer.id)
        # Image, model, logs and the AWS APIs; whatever address they have.
        self._egress("server-https", server, HTTPS_PORT, cidr_ipv4=ANYWHERE)
        # AWS's own resolver needs no rule; one that the VPC's owner runs does.
        for protocol in ("udp", "tcp"):
            self._egress(f"server-dns-{protocol}", server, 53, protocol, cidr_ipv4=vpc_cidr)
        return balancer, server

    def _security_group(self, part: str, vpc_id: pulumi.Input[str]) -> "aws.ec2.SecurityGroup":
        return aws.ec2.SecurityGroup(
            f"{self._name}-{part}",
            description=f"{part} of {self._plan.name}",
            vpc_id=vpc_id,
            tags=named(self._tags, f"{self._plan.name}-{part}"),
            opts=self._child,
        )

    def _ingress(self, part: str, group: "aws.ec2.SecurityGroup", port: int, **source: Any) -> None:
        aws.vpc.SecurityGroupIngressRule(
            f"{self._name}-{part}", opts=self._child, **self._rule(group, port, source)
        )

    def _egress(
        self, part: str, group: "aws.ec2.SecurityGroup", port: int, protocol: str = "tcp", **target: Any
    ) -> None:
        aws.vpc.SecurityGroupEgressRule(
            f"{self._name}-{part}", opts=self._child, **self._rule(group, port, target, protocol)
        )

    def _rule(
        self, group: "aws.ec2.SecurityGroup", port: int, other_end: dict[str, Any], protocol: str = "tcp"
    ) -> dict[str, Any]:
        ends = {"security_group_id": group.id, "from_port": port, "to_port": port, **other_end}
        return {"ip_protocol": protocol, "tags": self._tags, **ends}

    def _balancer(
        self,
        security_group_id: pulumi.Input[str],
        subnet_ids: Sequence[pulumi.Input[str]],
        after: Sequence[pulumi.Resource],
    ) -> "aws.lb.LoadBalancer":
        network = self._plan.network
        return aws.lb.LoadBalancer(
            f"{self._name}-balancer",
            name=self._plan.name,
            load_balancer_type="application",
            internal=not network.public,
            security_groups=[security_group_id],
            subnets=subnet_ids,
            idle_timeout=network.idle_timeout_seconds,
            drop_invalid_header_fields=True,
            enable_deletion_protection=self._plan.operations.deletion_protection,
            tags=named(self._tags, self._plan.name),
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(after)),
        )

    def _target_group(self, vpc_id: pulumi.Input[str]) -> "aws.lb.TargetGroup":
        server, network = self._plan.server, self._plan.network
        return aws.lb.TargetGroup(
            f"{self._name}-servers",
            # With the port, which cannot be changed: a new port makes a new group before the old one goes.
            name=f"{self._plan.name}-{server.port}",
            vpc_id=vpc_id,
            port=server.port,
            protocol="HTTP",
            target_type="instance",
            deregistration_delay=network.deregistration_delay_seconds,
            # Answers differ in length a hundredfold; taking turns would pile up the long ones.
            load_balancing_algorithm_type="least_outstanding_requests",
            health_check={
                "path": server.health_path,
                "port": "traffic-port",
                "protocol": "HTTP",
                "matcher": "200",
                "interval": 10,
                "timeout": 5,
                "healthy_threshold": 2,
                "unhealthy_threshold": 3,
            },
            tags=named(self._tags, self._plan.name),
            opts=self._child,
        )

    def _listeners(
        self,
        balancer: "aws.lb.LoadBalancer",
        targets: "aws.lb.TargetGroup",
        certificate_arn: pulumi.Input[str] | None,
    ) -> pulumi.Resource:
        """Register what the balancer listens to, and return what ties the target group to it."""
        nothing_here = {
            "type": "fixed-response",
            "fixed_response": {
                "content_type": "text/plain",
                "message_body": "Not found",
                "status_code": "404",
            },
        }
        if certificate_arn is None:
            listener = self._listener("http", balancer, HTTP_PORT, "HTTP", nothing_here)
        else:
            to_https = {"port": str(HTTPS_PORT), "protocol": "HTTPS", "status_code": "HTTP_301"}
            self._listener("http", balancer, HTTP_PORT, "HTTP", {"type": "redirect", "redirect": to_https})
            tls = {"certificate_arn": certificate_arn, "ssl_policy": TLS_POLICY}
            listener = self._listener("https", balancer, HTTPS_PORT, "HTTPS", nothing_here, **tls)
        rule: pulumi.Resource = aws.lb.ListenerRule(
            f"{self._name}-api",
            listener_arn=listener.arn,
            priority=1,
            conditions=[{"path_pattern": {"values": list(ANSWERED_PATHS)}}],
            actions=[{"type": "forward", "target_group_arn": targets.arn}],
            tags=self._tags,
            opts=self._child,
        )
        return rule

    def _listener(
        self,
        part: str,
        balancer: "aws.lb.LoadBalancer",
        port: int,
        protocol: str,
        action: dict[str, Any],
        **tls: Any,
    ) -> "aws.lb.Listener":
        return aws.lb.Listener(
            f"{self._name}-{part}",
            load_balancer_arn=balancer.arn,
            port=port,
            protocol=protocol,
            default_actions=[action],
            tags=self._tags,
            opts=self._child,
            **tls,
        )
