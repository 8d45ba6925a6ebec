"""Nothing but a web port is open to the internet."""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network

from gpuwright_policies.facts import Ingress, NotYetKnownError
from gpuwright_policies.rule import Kind, Provenance, Rule, Severity, Violation

WEB_PORTS = (80, 443)

WIDE_PREFIX_BY_VERSION = {4: 7, 6: 15}
"""Prefix lengths up to which a block counts as the internet: wider than any block that one holder has."""


def check(ingress: Ingress) -> Violation | None:
    """Let one web port be open to all, and every port to those who are named."""
    try:
        wide = _wide(ingress.sources)
    except NotYetKnownError:
        if _is_web(ingress):
            return None
        raise
    if not wide or _is_web(ingress):
        return None
    ports = " and ".join(str(port) for port in WEB_PORTS)
    return Violation(
        f"{_openings(ingress)} open to {', '.join(wide)}", f"only tcp ports {ports} open to the internet"
    )


def _wide(sources: Iterable[str]) -> list[str]:
    """Return the blocks that reach far into the internet; adjacent ones count as the block they make up."""
    networks = [network for network in map(_network, sources) if network is not None]
    v4 = collapse_addresses(network for network in networks if isinstance(network, IPv4Network))
    v6 = collapse_addresses(network for network in networks if isinstance(network, IPv6Network))
    networks = [*v4, *v6]
    return [
        str(network)
        for network in networks
        if network.prefixlen <= WIDE_PREFIX_BY_VERSION[network.version] and not network.is_private
    ]


def _network(source: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(source, strict=False)
    except ValueError:
        return None  # The cloud refuses what is no CIDR block.


def _is_web(ingress: Ingress) -> bool:
    return (
        ingress.protocol == "tcp" and ingress.from_port == ingress.to_port and ingress.from_port in WEB_PORTS
    )


def _openings(ingress: Ingress) -> str:
    if ingress.protocol == "-1":
        return "every port"
    if ingress.from_port == ingress.to_port:
        return f"{ingress.protocol} port {ingress.from_port}"
    return f"{ingress.protocol} ports {ingress.from_port} to {ingress.to_port}"


RULE = Rule(
    id="no-public-ingress",
    title="no port open to the internet except tcp 80 and 443 of a balancer",
    severity=Severity.CRITICAL,
    kind=Kind.HARD,
    provenance=Provenance(
        "AWS Control Tower, proactive control CT.EC2.PR.3",
        "Require that any Amazon EC2 security group rule does not use the source IP range 0.0.0.0/0 or "
        "::/0 for ports other than 80 and 443.",
    ),
    applies_to=Ingress,
    check=check,
    why="An inference server has no login of its own: whoever reaches its port uses it.",
    fix="Name the security group or the CIDR blocks that may connect, and reach machines by Session Manager.",
    passes=(
        Ingress("i", ("0.0.0.0/0", "::/0"), 443, 443, "tcp"),
        Ingress("i", ("0.0.0.0/0",), 80, 80, "tcp"),
        Ingress("i", ("10.0.0.0/8",), 0, 65535, "tcp"),
        Ingress("i", ("203.0.113.0/24",), 22, 22, "tcp"),
        Ingress("i", (), -1, -1, "-1"),
    ),
    fails=(
        Ingress("i", ("0.0.0.0/0",), 8000, 8000, "tcp"),
        Ingress("i", ("10.0.0.0/8", "::/0"), 22, 22, "tcp"),
        Ingress("i", ("128.0.0.0/1",), 22, 22, "tcp"),
        Ingress("i", tuple(f"{first}.0.0.0/8" for first in range(32, 64)), 22, 22, "tcp"),
        Ingress("i", ("0.0.0.0/0",), 80, 443, "tcp"),
        Ingress("i", ("0.0.0.0/0",), 443, 443, "udp"),
        Ingress("i", ("0.0.0.0/0",), -1, -1, "-1"),
    ),
)
