"""The network: subnets that fit, ways out and no way in."""

import ipaddress
from typing import Any

import deployments
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuwright.clouds.aws.network import Network, lay_out
from gpuwright.errors import InputError
from gpuwright.sandbox import Recording


def network(**arguments: Any) -> Recording:
    return deployments.alone(lambda: Network("net", region="us-east-1", **arguments), preview=False)


@given(st.integers(16, 23), st.integers(1, 8), st.integers(0, 255))
def test_subnets_lie_in_the_vpc_apart_from_each_other_and_large_enough_for_a_balancer(
    prefix: int, zones: int, second: int
) -> None:
    vpc = ipaddress.IPv4Network(f"10.{second}.0.0/{prefix}")
    layout = lay_out(str(vpc), zones)
    blocks = [ipaddress.IPv4Network(block) for block in (*layout.private, *layout.public)]
    assert len(layout.private) == len(layout.public) == zones
    assert all(block.subnet_of(vpc) and block.prefixlen <= 27 for block in blocks)
    assert not any(one.overlaps(other) for one in blocks for other in blocks if one != other)
    assert len(set(blocks)) == 2 * zones


@given(st.integers(1, 7))
def test_another_zone_moves_no_subnet(zones: int) -> None:
    fewer, more = lay_out("10.0.0.0/16", zones), lay_out("10.0.0.0/16", zones + 1)
    assert more.private[:zones] == fewer.private
    assert more.public[:zones] == fewer.public


@pytest.mark.parametrize(
    ("cidr", "told"),
    [
        ("10.0.0.0/24", "vpc_cidr: is 10.0.0.0/24, and subnets for a balancer fit in /16 to /23."),
        ("10.0.0.0/8", "vpc_cidr: is 10.0.0.0/8"),
        ("10.0.0.1/16", "has host bits set"),
        ("fd00::/56", "vpc_cidr: is 'fd00::/56'"),
        ("ten", "vpc_cidr: is 'ten'"),
    ],
)
def test_a_block_that_cannot_hold_the_subnets_is_refused(cidr: str, told: str) -> None:
    with pytest.raises(InputError, match=told.replace("(", r"\(")):
        network(cidr=cidr)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"zones": 9}, "zones: is 9"),
        ({"nat_gateways": 0}, "nat_gateways: is 0. Use 1 to 2"),
        ({"nat_gateways": 3}, "nat_gateways: is 3. Use 1 to 2"),
        (
            {"availability_zones": ["us-east-1a"]},
            "availability_zones: names 1, and the network spans 2 zones.",
        ),
    ],
)
def test_numbers_that_do_not_go_together_are_refused(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as refusal:
        network(**arguments)
    assert told in str(refusal.value)


def test_each_zone_has_a_private_and_a_public_subnet() -> None:
    made = network(zones=3, availability_zones=["us-east-1a", "us-east-1b", "us-east-1d"])
    subnets = {subnet.name: subnet.inputs for subnet in made.of_type("Subnet")}
    zones = {name: inputs["availabilityZone"][-1] for name, inputs in subnets.items()}
    assert zones == {
        f"net-{kind}-{index}": zone
        for kind in ("private", "public")
        for index, zone in enumerate(("a", "b", "d"))
    }
    assert not any(inputs["mapPublicIpOnLaunch"] for inputs in subnets.values())


def test_zones_left_out_are_those_that_aws_lists_first() -> None:
    subnets = network().of_type("Subnet")
    assert {subnet.inputs["availabilityZone"] for subnet in subnets} == {"us-east-1a", "us-east-1b"}


def test_private_subnets_reach_out_through_the_nat_gateway_of_their_zone_or_the_only_one() -> None:
    for count, expected in ((1, [0, 0, 0]), (3, [0, 1, 2])):
        made = network(zones=3, nat_gateways=count)
        gateways = [made.one("NatGateway", f"net-nat-{index}").id for index in range(count)]
        used = [
            made.one("aws:ec2:Route", f"net-private-{index}-default").inputs["natGatewayId"]
            for index in range(3)
        ]
        assert used == [gateways[index] for index in expected]
        for index in range(count):
            gateway = made.one("NatGateway", f"net-nat-{index}")
            assert gateway.inputs["subnetId"] == made.one("Subnet", f"net-public-{index}").id
        assert len(made.of_type("Eip")) == len(made.of_type("NatGateway")) == count


def test_only_public_subnets_have_a_route_to_the_internet_gateway() -> None:
    made = network()
    to_internet = [route for route in made.of_type("aws:ec2:Route") if "gatewayId" in route.inputs]
    assert [route.name for route in to_internet] == ["net-public-default"]
    table = to_internet[0].inputs["routeTableId"]
    associated = {
        each.inputs["subnetId"]
        for each in made.of_type("RouteTableAssociation")
        if each.inputs["routeTableId"] == table
    }
    assert associated == {made.one("Subnet", f"net-public-{index}").id for index in range(2)}


def test_a_nat_gateway_waits_for_the_way_to_the_internet() -> None:
    made = network()
    route = made.one("aws:ec2:Route", "net-public-default")
    assert deployments.depends(made, made.one("NatGateway"), route)
    assert deployments.depends(made, made.one("Eip"), route)


def test_private_subnets_reach_s3_without_nat() -> None:
    made = network()
    endpoint = made.one("VpcEndpoint").inputs
    assert endpoint["serviceName"] == "com.amazonaws.us-east-1.s3"
    assert endpoint["vpcEndpointType"] == "Gateway"
    tables = {made.one("RouteTable", f"net-private-{index}").id for index in range(2)}
    assert set(endpoint["routeTableIds"]) == tables


def test_the_default_security_group_admits_nothing() -> None:
    group = network().one("DefaultSecurityGroup").inputs
    assert "ingress" not in group
    assert "egress" not in group


def test_names_resolve_in_the_vpc() -> None:
    vpc = network().one("aws:ec2:Vpc").inputs
    assert (vpc["enableDnsSupport"], vpc["enableDnsHostnames"]) == (True, True)
