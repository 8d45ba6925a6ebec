"""Pulumi programs that the tests run."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws
from pulumi import ResourceOptions


class Network(pulumi.ComponentResource):
    """A component with a child and a grandchild."""

    def __init__(self, name: str) -> None:
        super().__init__("demo:index:Network", name, {"cidr_block": "10.0.0.0/16"})
        self.vpc = aws.ec2.Vpc(
            f"{name}-vpc", cidr_block="10.0.0.0/16", tags={"team": "a"}, opts=ResourceOptions(parent=self)
        )
        self.subnet = aws.ec2.Subnet(
            f"{name}-subnet",
            vpc_id=self.vpc.id,
            cidr_block="10.0.1.0/24",
            opts=ResourceOptions(parent=self.vpc),
        )
        self.register_outputs({"vpc_id": self.vpc.id})


def network() -> None:
    """A network, a group that serves in it, and a bucket."""
    made = Network("net")
    role = aws.iam.Role("role", assume_role_policy={"Version": "2012-10-17", "Statement": []})
    template = aws.ec2.LaunchTemplate(
        "template",
        instance_type="g5.4xlarge",
        metadata_options={"http_tokens": "required", "http_put_response_hop_limit": 1},
        tag_specifications=[{"resource_type": "instance", "tags": {"role": role.name}}],
    )
    group = aws.autoscaling.Group(
        "group",
        min_size=1,
        max_size=2,
        vpc_zone_identifiers=[made.subnet.id],
        launch_template={"id": template.id, "version": template.latest_version.apply(str)},
        opts=ResourceOptions(protect=True, ignore_changes=["desiredCapacity"]),
    )
    bucket = aws.s3.Bucket("cache", opts=ResourceOptions(depends_on=[made]))
    pulumi.export("vpc_id", made.vpc.id)
    pulumi.export("bucket", bucket.bucket)
    pulumi.export("group", group.name)
