"""What counts as open to the internet."""

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuwright_policies.facts import UNKNOWN, Ingress
from gpuwright_policies.rules.no_public_ingress import check


@pytest.mark.parametrize("source", ["0.0.0.0/0", "::/0", "0.0.0.0/1", "8000::/1", "2000::/3", "10.0.0.0/7"])
@pytest.mark.parametrize(("first", "last"), [(22, 22), (8000, 8000), (0, 65535), (80, 443), (443, 8443)])
def test_no_port_but_a_web_port_may_be_open_to_the_internet(source: str, first: int, last: int) -> None:
    assert check(Ingress("i", (source,), first, last, "tcp")) is not None


@pytest.mark.parametrize(
    "source", ["10.0.0.0/8", "172.16.0.0/12", "fc00::/7", "203.0.113.7/32", "no block at all"]
)
def test_named_sources_may_reach_every_port(source: str) -> None:
    assert check(Ingress("i", (source,), 0, 65535, "-1")) is None


def test_a_web_port_passes_even_where_its_sources_are_not_known() -> None:
    assert check(Ingress("i", UNKNOWN, 443, 443, "tcp")) is None


@settings(deadline=None)
@given(st.integers(1, 8))
def test_cutting_the_internet_into_blocks_never_hides_it(prefix: int) -> None:
    blocks = ipaddress.ip_network("0.0.0.0/0").subnets(new_prefix=prefix)
    assert check(Ingress("i", tuple(map(str, blocks)), 22, 22, "tcp")) is not None
