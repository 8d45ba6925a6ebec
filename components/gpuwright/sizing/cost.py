"""What a deployment costs: its parts, its purchase options, and how far the sum can be trusted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from gpuwright.catalog import Commitment, InstanceType, ServicePrice
from gpuwright.sizing.basis import Basis
from gpuwright.sizing.host import VOLUMES, Disk

HOURS_PER_MONTH = 730
"""Hours that clouds bill as a month: 365 × 24 / 12."""

LOG_BYTES_PER_REQUEST = 1000
"""Bytes of logs that a request leaves: one line of the server, one of the balancer. Estimate."""

UNIT_GB = 1
CONNECTIONS_PER_UNIT = 25
"""What one capacity unit of an AWS application load balancer carries: 1 GB an hour, or 25 new connections a second;
the larger of the two is billed (Elastic Load Balancing pricing)."""

NAT_MACHINES = 32
"""Machines up to which a GCP NAT gateway is billed by the machine (Cloud NAT pricing)."""

GENERATION_MONTHS = 24
"""Months from one generation of data-centre accelerators to the next: Ampere 2020-05, Hopper 2022-03, Blackwell
2024-03 (NVIDIA's announcements; known, not looked up)."""

TERMS = {
    "reserved-1-year": (12, "one_year_discount"),
    "reserved-3-years": (36, "three_years_discount"),
}
"""Months of a commitment, and the column of its discount."""


@dataclass(frozen=True)
class Deployment:
    """What is billed.

    Args:
        instance: The machine's shape.
        instance_usd_per_hour: Its price as planned.
        replicas: Machines while the load is there.
        idle_replicas: Machines that run without load.
        duty_cycle: Part of the time that the load is there, above 0 to 1.
        disk: The system disk of a machine.
        zones: Availability zones.
        nat_gateways: NAT gateways.
        public: Whether the balancer has public addresses and answers leave to the internet.
        requests_per_second: Over all machines, while the load is there.
        request_bytes: What a request weighs on the wire.
        response_bytes: What an answer weighs.
        stored_gb: What the model cache holds.
    """

    instance: InstanceType
    instance_usd_per_hour: float
    replicas: int
    idle_replicas: int
    duty_cycle: float
    disk: Disk
    zones: int
    nat_gateways: int
    public: bool
    requests_per_second: float
    request_bytes: float
    response_bytes: float
    stored_gb: float

    @property
    def machines(self) -> float:
        """Return how many machines run on average."""
        return self.duty_cycle * self.replicas + (1 - self.duty_cycle) * self.idle_replicas

    @property
    def idle_share(self) -> float:
        """Return the part of what is paid for machines in which no load is there."""
        return (1 - self.duty_cycle) * self.idle_replicas / self.machines

    @property
    def requests_per_hour(self) -> float:
        """Return the requests of an average hour."""
        return self.requests_per_second * self.duty_cycle * 3600


@dataclass(frozen=True)
class Part:
    """One line of the bill.

    Args:
        name: What is billed.
        usd_per_hour: For an average hour.
        follows_traffic: Whether it grows with bytes that are estimated.
    """

    name: str
    usd_per_hour: float
    follows_traffic: bool = False


@dataclass(frozen=True)
class Purchase:
    """One way to pay for the machines.

    Args:
        option: on-demand, spot, reserved-1-year or reserved-3-years.
        instance_usd_per_hour: One machine for an hour.
        usd_per_month: All machines for an average month; a reserved machine is paid for whether it runs or not.
        break_even_months: Months of use from which it is cheaper than on-demand; None where that is never.
        basis: How far the price can be trusted.
    """

    option: str
    instance_usd_per_hour: float
    usd_per_month: float
    break_even_months: float | None
    basis: Basis


@dataclass(frozen=True)
class Doubt:
    """One reason why a bill may turn out lower or higher.

    Args:
        why: The reason.
        low: Factor on what it touches in the good case, at most 1.
        high: Factor in the bad case, at least 1.
        traffic: Whether it touches what follows traffic, or else the machines.
    """

    why: str
    low: float
    high: float
    traffic: bool = False


def parts(deployment: Deployment, prices: Mapping[str, ServicePrice]) -> tuple[Part, ...]:
    """Return the lines of the bill; those that cost nothing, or have no known price, are left out.

    Traffic between zones, requests to the model cache and key management are not in it: cents for a model server.

    Args:
        deployment: What is billed.
        prices: The cloud's prices by name.
    """
    usd = {name: price.usd for name, price in prices.items()}

    def priced(name: str, quantity: float) -> float:
        return usd.get(name, 0) * quantity

    d, volume = deployment, VOLUMES[deployment.instance.cloud]
    disk = (
        priced("disk-gb-month", d.disk.size_gb)
        + priced("disk-iops-month", max(0, d.disk.iops - volume.base_iops))
        + priced("disk-mib-per-s-month", max(0, d.disk.throughput_mib_per_s - volume.base_mib_per_s))
    )
    carried_gb = d.requests_per_hour * (d.request_bytes + d.response_bytes) / 1e9
    connections = d.requests_per_second * d.duty_cycle / CONNECTIONS_PER_UNIT
    logged_gb = d.requests_per_hour * LOG_BYTES_PER_REQUEST / 1e9
    answered_gb = d.requests_per_hour * d.response_bytes / 1e9 if d.public else 0
    # Models come through the storage's own endpoint, so what passes NAT is logs.
    lines = (
        Part("machines", d.machines * d.instance_usd_per_hour),
        Part("disks", d.machines * disk / HOURS_PER_MONTH),
        Part("load balancer", priced("load-balancer-hour", 1)),
        Part(
            "load balancer's traffic",
            priced("load-balancer-gb", carried_gb)
            + priced("load-balancer-unit-hour", max(carried_gb / UNIT_GB, connections)),
            follows_traffic=True,
        ),
        Part(
            "NAT gateways",
            priced("nat-gateway-hour", d.nat_gateways)
            + priced("nat-machine-hour", min(d.machines, NAT_MACHINES)),
        ),
        Part("NAT traffic", priced("nat-gb", logged_gb), follows_traffic=True),
        Part("public addresses", priced("public-address-hour", _addresses(d))),
        Part("traffic to the internet", priced("egress-gb", answered_gb), follows_traffic=True),
        Part("model cache", priced("object-storage-gb-month", d.stored_gb) / HOURS_PER_MONTH),
        Part("logs", priced("log-gb", logged_gb), follows_traffic=True),
    )
    return tuple(part for part in lines if part.usd_per_hour > 0)


def _addresses(deployment: Deployment) -> int:
    return deployment.nat_gateways + (deployment.zones if deployment.public else 0)


def purchases(
    deployment: Deployment, own: Commitment | None, general: Commitment | None
) -> tuple[Purchase, ...]:
    """Return the ways to pay for the machines whose price is known, on-demand first.

    Args:
        deployment: What is paid for.
        own: The discounts of the shape's family.
        general: Those that stand in where the family has none for a term.
    """
    instance, hours, found = deployment.instance, HOURS_PER_MONTH * deployment.machines, []
    on_demand, spot = instance.on_demand_usd_per_hour, instance.spot_usd_per_hour
    if on_demand:
        found.append(Purchase("on-demand", on_demand, on_demand * hours, None, Basis.MEASURED))
    if spot:
        found.append(Purchase("spot", spot, spot * hours, None, Basis.ESTIMATED))
    for option, (months, column) in TERMS.items():
        row = own if own and getattr(own, column) else general
        if on_demand and row:
            price = on_demand * (1 - getattr(row, column))
            monthly = price * HOURS_PER_MONTH * deployment.replicas
            even = months * monthly / (on_demand * hours)
            basis = Basis.ESTIMATED if row.general else Basis.DERIVED
            found.append(Purchase(option, price, monthly, even if even < months else None, basis))
    return tuple(found)


def band(bill: Sequence[Part], doubts: Iterable[Doubt]) -> tuple[float, float]:
    """Return the bill of an hour in the good and in the bad case, US dollars; the doubts multiply."""
    machines = sum(part.usd_per_hour for part in bill if part.name == "machines")
    traffic = sum(part.usd_per_hour for part in bill if part.follows_traffic)
    low = high = sum(part.usd_per_hour for part in bill) - machines - traffic
    machine_factors, traffic_factors = [1.0, 1.0], [1.0, 1.0]
    for doubt in doubts:
        factors = traffic_factors if doubt.traffic else machine_factors
        factors[0] *= doubt.low
        factors[1] *= doubt.high
    return (
        low + machines * machine_factors[0] + traffic * traffic_factors[0],
        high + machines * machine_factors[1] + traffic * traffic_factors[1],
    )


def per_1000_inferences(usd_per_hour: float, requests_per_hour: float) -> float:
    """Return the price of 1,000 requests."""
    return usd_per_hour / requests_per_hour * 1000


def per_million_tokens(usd_per_hour: float, requests_per_hour: float, tokens: float) -> float:
    """Return the price of a million tokens where a request has that many, prompt and answer together."""
    return usd_per_hour / (requests_per_hour * tokens) * 1e6


def oldest(dates: Iterable[date | None]) -> date | None:
    """Return the oldest of the dates; None where one of them is not known."""
    known = list(dates)
    return None if None in known or not known else min(each for each in known if each is not None)


def outdated(price_date: date | None, today: date | None, limit_days: int) -> bool | None:
    """Return whether a price is older than the limit, or of an unknown date; None where today is not known."""
    if today is None:
        return None
    return price_date is None or (today - price_date).days > limit_days
