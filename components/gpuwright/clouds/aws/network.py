"""A VPC over several zones, with a private and a public subnet in each, NAT, and a private way to S3."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from gpuwright.clouds.aws.naming import named
from gpuwright.errors import InputError

DEFAULT_CIDR = "10.0.0.0/16"
BLOCK_BITS = 4
"""A VPC is cut into 2⁴ equal blocks: the first half for private subnets, the second for public ones."""
MOST_ZONES = 2 ** (BLOCK_BITS - 1)
LARGEST_VPC, SMALLEST_VPC = 16, 27 - BLOCK_BITS
"""Prefix lengths: AWS makes no VPC above /16, and a balancer wants subnets of /27 or more (ALB guide)."""


@dataclass(frozen=True)
class Layout:
    """CIDR blocks of the subnets, one a zone; adding a zone moves none of the others."""

    private: tuple[str, ...]
    public: tuple[str, ...]


@dataclass(frozen=True)
class ExistingNetwork:
    """A VPC that somebody else made.

    Its private subnets must reach S3, the container registry and the AWS APIs that machines call.

    Args:
        private_subnet_ids: For the machines and an internal balancer; in two zones or more.
        public_subnet_ids: For a public balancer; in two zones or more.
    """

    vpc_id: pulumi.Input[str]
    vpc_cidr: pulumi.Input[str]
    private_subnet_ids: Sequence[pulumi.Input[str]]
    public_subnet_ids: Sequence[pulumi.Input[str]] = ()


def lay_out(cidr: str, zones: int, where: str = "vpc_cidr") -> Layout:
    """Return the blocks of the subnets.

    Raises:
        InputError: The block is no IPv4 network between /16 and /23, or there are more than 8 zones.
    """
    try:
        vpc = ipaddress.IPv4Network(cidr)
    except ValueError as error:
        raise InputError.of(
            where, f"is {cidr!r}: {error}.", f"Give a network such as {DEFAULT_CIDR}."
        ) from None
    if not LARGEST_VPC <= vpc.prefixlen <= SMALLEST_VPC:
        problem = f"is {cidr}, and subnets for a balancer fit in /{LARGEST_VPC} to /{SMALLEST_VPC}."
        raise InputError.of(where, problem, f"Give a network such as {vpc.network_address}/{LARGEST_VPC}.")
    if not 0 < zones <= MOST_ZONES:
        raise InputError.of("zones", f"is {zones}.", f"Use 1 to {MOST_ZONES} zones.")
    blocks = [str(block) for block in vpc.subnets(prefixlen_diff=BLOCK_BITS)]
    return Layout(tuple(blocks[:zones]), tuple(blocks[MOST_ZONES : MOST_ZONES + zones]))


class Network(pulumi.ComponentResource):
    """A VPC whose private subnets reach out through NAT and S3 directly, and are reached from inside only."""

    vpc_id: pulumi.Output[str]
    vpc_cidr: str
    private_subnet_ids: list[pulumi.Output[str]]
    public_subnet_ids: list[pulumi.Output[str]]

    def __init__(
        self,
        name: str,
        *,
        region: str,
        zones: int = 2,
        nat_gateways: int = 1,
        cidr: str = DEFAULT_CIDR,
        availability_zones: Sequence[pulumi.Input[str]] | None = None,
        tags: Mapping[str, str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Register the network.

        Args:
            nat_gateways: One for all zones, up to one in every zone.
            cidr: IPv4 block of the VPC, /16 to /23.
            availability_zones: Names of the zones; those that AWS lists first where left out.

        Raises:
            InputError: The numbers do not fit together; nothing is registered then.
        """
        layout = lay_out(cidr, zones)
        _check_counts(zones, nat_gateways, availability_zones)
        props = {"region": region, "zones": zones, "natGateways": nat_gateways, "cidrBlock": cidr}
        super().__init__("gpuwright:aws:Network", name, props, opts)
        self._name, self._tags, self._child = name, dict(tags or {}), pulumi.ResourceOptions(parent=self)
        self.vpc_cidr = cidr
        self.vpc_id = self._vpc(cidr)
        places = list(availability_zones or self._first_zones(region, zones))
        public = [self._subnet(f"public-{i}", places[i], block) for i, block in enumerate(layout.public)]
        private = [self._subnet(f"private-{i}", places[i], block) for i, block in enumerate(layout.private)]
        gateways = self._way_out(public, nat_gateways)
        tables = [self._private_table(i, subnet, gateways) for i, subnet in enumerate(private)]
        self._s3_endpoint(region, tables)
        self.public_subnet_ids = [subnet.id for subnet in public]
        self.private_subnet_ids = [subnet.id for subnet in private]
        self.register_outputs(
            {
                "vpc_id": self.vpc_id,
                "private_subnet_ids": self.private_subnet_ids,
                "public_subnet_ids": self.public_subnet_ids,
            }
        )

    def _named(self, part: str) -> dict[str, str]:
        return named(self._tags, f"{self._name}-{part}")

    def _vpc(self, cidr: str) -> pulumi.Output[str]:
        vpc = aws.ec2.Vpc(
            f"{self._name}-vpc",
            cidr_block=cidr,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags=named(self._tags, self._name),
            opts=self._child,
        )
        # Adopted without rules: what is put into the default group by accident reaches nothing.
        aws.ec2.DefaultSecurityGroup(
            f"{self._name}-default", vpc_id=vpc.id, tags=self._named("default"), opts=self._child
        )
        vpc_id: pulumi.Output[str] = vpc.id
        return vpc_id

    def _first_zones(self, region: str, zones: int) -> list[pulumi.Output[str]]:
        """Return the zones that AWS lists first, local and wavelength zones left out."""
        found = aws.get_availability_zones_output(
            region=region,
            state="available",
            filters=[{"name": "opt-in-status", "values": ["opt-in-not-required"]}],
            opts=pulumi.InvokeOptions(parent=self),
        )
        return [found.names[index] for index in range(zones)]

    def _subnet(self, part: str, zone: pulumi.Input[str], cidr: str) -> "aws.ec2.Subnet":
        return aws.ec2.Subnet(
            f"{self._name}-{part}",
            vpc_id=self.vpc_id,
            availability_zone=zone,
            cidr_block=cidr,
            # Not even in public subnets: balancers and NAT gateways bring their own addresses.
            map_public_ip_on_launch=False,
            tags=self._named(part),
            opts=self._child,
        )

    def _way_out(self, public: "list[aws.ec2.Subnet]", count: int) -> "list[aws.ec2.NatGateway]":
        """Register the internet gateway, the public routes, and the NAT gateways behind them."""
        internet = aws.ec2.InternetGateway(
            f"{self._name}-internet", vpc_id=self.vpc_id, tags=self._named("internet"), opts=self._child
        )
        table = self._table("public")
        route = aws.ec2.Route(
            f"{self._name}-public-default",
            route_table_id=table.id,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=internet.id,
            opts=self._child,
        )
        for index, subnet in enumerate(public):
            self._associate(f"public-{index}", subnet, table)
        # A NAT gateway fails where its subnet has no way to the internet yet (EC2 API, CreateNatGateway).
        after = pulumi.ResourceOptions(parent=self, depends_on=[route])
        return [self._nat_gateway(index, public[index], after) for index in range(count)]

    def _nat_gateway(
        self, index: int, subnet: "aws.ec2.Subnet", after: pulumi.ResourceOptions
    ) -> "aws.ec2.NatGateway":
        part = f"nat-{index}"
        address = aws.ec2.Eip(f"{self._name}-{part}", domain="vpc", tags=self._named(part), opts=after)
        return aws.ec2.NatGateway(
            f"{self._name}-{part}",
            allocation_id=address.allocation_id,
            subnet_id=subnet.id,
            tags=self._named(part),
            opts=after,
        )

    def _private_table(
        self, index: int, subnet: "aws.ec2.Subnet", gateways: "list[aws.ec2.NatGateway]"
    ) -> "aws.ec2.RouteTable":
        table = self._table(f"private-{index}")
        self._associate(f"private-{index}", subnet, table)
        aws.ec2.Route(
            f"{self._name}-private-{index}-default",
            route_table_id=table.id,
            destination_cidr_block="0.0.0.0/0",
            nat_gateway_id=gateways[index % len(gateways)].id,
            opts=self._child,
        )
        return table

    def _table(self, part: str) -> "aws.ec2.RouteTable":
        return aws.ec2.RouteTable(
            f"{self._name}-{part}", vpc_id=self.vpc_id, tags=self._named(part), opts=self._child
        )

    def _associate(self, part: str, subnet: "aws.ec2.Subnet", table: "aws.ec2.RouteTable") -> None:
        aws.ec2.RouteTableAssociation(
            f"{self._name}-{part}", subnet_id=subnet.id, route_table_id=table.id, opts=self._child
        )

    def _s3_endpoint(self, region: str, tables: "list[aws.ec2.RouteTable]") -> None:
        # Model files bypass NAT, which charges by the gigabyte. No endpoint policy: the registries that serve
        # container layers keep them in S3 buckets of their own, and the role bounds what machines may read.
        aws.ec2.VpcEndpoint(
            f"{self._name}-s3",
            vpc_id=self.vpc_id,
            service_name=f"com.amazonaws.{region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[table.id for table in tables],
            tags=self._named("s3"),
            opts=self._child,
        )


def _check_counts(
    zones: int, nat_gateways: int, availability_zones: Sequence[pulumi.Input[str]] | None
) -> None:
    if not 1 <= nat_gateways <= zones:
        raise InputError.of("nat_gateways", f"is {nat_gateways}.", f"Use 1 to {zones}, the number of zones.")
    if availability_zones is not None and len(availability_zones) != zones:
        problem = f"names {len(availability_zones)}, and the network spans {zones} zones."
        raise InputError.of("availability_zones", problem, f"Name {zones} zones, or none.")
