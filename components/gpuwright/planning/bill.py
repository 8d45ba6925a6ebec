"""The bill of a plan: all of its parts, the ways to pay for the machines, and how far the sum may be off."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date

from gpuwright import catalog
from gpuwright.planning.environments import ENVIRONMENTS
from gpuwright.planning.plan import PlannedBand, PlannedCost, PlannedPart, PlannedPurchase
from gpuwright.planning.resolve import Request
from gpuwright.planning.search import Priced
from gpuwright.sizing import Basis
from gpuwright.sizing.cost import (
    GENERATION_MONTHS,
    HOURS_PER_MONTH,
    Deployment,
    Doubt,
    band,
    oldest,
    outdated,
    parts,
    per_1000_inferences,
    per_million_tokens,
    purchases,
)
from gpuwright.sizing.memory import GIB
from gpuwright_policies.rules.price_age import LIMIT_DAYS

OTHER_REGION = 1.25
"""Most that a price in another region is above the one that is known. Estimate: often by 5 to 25 %."""

SPOT_FALLS_TO = 0.7
"""Part of the snapshot that a spot price falls to in the good case. Estimate; in the bad case it rises to on-demand."""

SPOT_DOUBLES = 2.0
"""Factor in the bad case where no on-demand price bounds a spot price. Estimate."""

OLD_PRICE = 0.1
"""Part by which a price older than the limit may have moved. Estimate."""

SPEED_OFF_BY = 1 / 3
"""Part by which the estimated speed may be off: docs/sizing.md, speed."""

TRAFFIC_OFF_BY = 0.5
"""Part by which estimated bytes may be off."""

UNDATED = "undated"


def planned_cost(request: Request, winner: Priced, today: date | None) -> PlannedCost:
    """Return what the winner costs, with everything around it.

    Args:
        request: What was asked.
        winner: The shape with its fleet, priced.
        today: The day on which the age of prices is judged; it is not where left out.
    """
    instance = winner.candidate.instance
    spot = request.purchase_option == "spot"
    measured = instance.priced_in(request.region) and not spot
    deployed = deployment(request, winner)
    prices = catalog.service_prices(request.cloud)
    bill = parts(deployed, prices)
    hourly, hour = sum(part.usd_per_hour for part in bill), deployed.requests_per_hour
    tokens = request.prompt_tokens + request.output_tokens
    machines_date = None if spot else instance.price_date
    services_date = oldest(price.price_date for price in prices.values())
    old = [outdated(machines_date, today, LIMIT_DAYS)]
    old += [outdated(services_date, today, LIMIT_DAYS)] if prices else []
    doubts = tuple(_doubts(request, winner, bool(old[0])))
    low, high = band(bill, doubts)
    slow, fast = _rate_factors(request)
    return PlannedCost(
        usd_per_hour=round(winner.usd_per_hour, 4),
        usd_per_month=round(winner.usd_per_hour * HOURS_PER_MONTH, 2),
        usd_per_1000_inferences=round(winner.usd_per_1000_inferences, 4),
        requests_per_second=round(winner.requests_per_second, 4),
        instance_usd_per_hour=winner.instance_usd_per_hour,
        price_region=instance.price_region,
        price_date=machines_date.isoformat() if machines_date else UNDATED,
        basis=Basis.MEASURED if measured else Basis.ESTIMATED,
        usd_per_million_tokens=round(
            per_million_tokens(winner.usd_per_hour, winner.requests_per_second * 3600, tokens), 4
        ),
        duty_cycle=request.duty_cycle,
        idle_share=round(deployed.idle_share, 4),
        usd_per_hour_all_in=round(hourly, 4),
        usd_per_month_all_in=round(hourly * HOURS_PER_MONTH, 2),
        usd_per_1000_inferences_all_in=round(per_1000_inferences(hourly, hour), 4),
        usd_per_million_tokens_all_in=round(per_million_tokens(hourly, hour, tokens), 4),
        parts=tuple(
            PlannedPart(name=part.name, usd_per_month=round(part.usd_per_hour * HOURS_PER_MONTH, 2))
            for part in bill
        ),
        purchases=_purchases(deployed),
        band=PlannedBand(
            usd_per_month_low=round(low * HOURS_PER_MONTH, 2),
            usd_per_month_high=round(high * HOURS_PER_MONTH, 2),
            usd_per_1000_inferences_low=round(per_1000_inferences(low, hour * fast), 4),
            usd_per_1000_inferences_high=round(per_1000_inferences(high, hour * slow), 4),
            reasons=tuple(doubt.why for doubt in doubts),
        ),
        services_price_date=(services_date.isoformat() if services_date else UNDATED) if prices else None,
        prices_outdated=None if today is None else any(old),
    )


def deployment(request: Request, winner: Priced) -> Deployment:
    """Return what is billed; where replicas.min is below what the load needs, the fleet shrinks without load."""
    chosen, settings = winner.candidate, ENVIRONMENTS[request.environment]
    return Deployment(
        instance=chosen.instance,
        instance_usd_per_hour=winner.instance_usd_per_hour,
        replicas=chosen.fleet.replicas,
        idle_replicas=min(chosen.replicas_min, chosen.fleet.replicas),
        duty_cycle=request.duty_cycle,
        disk=chosen.disk,
        zones=settings.zones,
        nat_gateways=settings.zones if settings.nat_per_zone else 1,
        public=request.public,
        requests_per_second=winner.requests_per_second,
        request_bytes=request.request_bytes,
        response_bytes=request.response_bytes,
        stored_gb=chosen.stored_weights_gib * GIB / 1e9,
    )


def cost_reasons(cost: PlannedCost) -> Iterator[str]:
    """Yield why the whole bill is what it is, and when a commitment pays."""
    if cost.idle_share:
        yield (
            f"idle: the load is there {cost.duty_cycle:.0%} of the time, and {cost.idle_share:.0%} of what is paid "
            "for machines is for the rest"
        )
    for each in cost.purchases:
        if each.option == "reserved-3-years":
            yield _commitment(each)


def cost_warnings(request: Request, cost: PlannedCost) -> Iterator[str]:
    """Yield what is wrong with the prices."""
    if cost.services_price_date is None:
        yield f"prices of disks, balancer, NAT, traffic and logs are not known for {request.cloud}: machines only"
    if cost.prices_outdated:
        services = f", of services of {cost.services_price_date}" if cost.services_price_date else ""
        yield (
            f"prices are older than {LIMIT_DAYS} days or undated (of machines of {cost.price_date}{services} at "
            "the oldest): compare them with the cloud's"
        )


def _commitment(each: PlannedPurchase) -> str:
    if each.break_even_months is None:
        return "commitment: for three years it is never cheaper than on-demand at this duty cycle"
    return (
        f"commitment: three years cost {each.instance_usd_per_hour:.3f} USD an hour and are cheaper than on-demand "
        f"from {each.break_even_months:.0f} months of use; weigh that against the next generation of accelerators, "
        f"which comes about every {GENERATION_MONTHS}"
    )


def _purchases(deployed: Deployment) -> tuple[PlannedPurchase, ...]:
    rows = catalog.commitments(deployed.instance.cloud)
    general = rows[-1] if rows else None
    return tuple(
        PlannedPurchase(
            option=each.option,
            instance_usd_per_hour=round(each.instance_usd_per_hour, 4),
            usd_per_month=round(each.usd_per_month, 2),
            break_even_months=None if each.break_even_months is None else round(each.break_even_months, 1),
            basis=each.basis,
        )
        for each in purchases(deployed, catalog.commitment(deployed.instance), general)
    )


def _rate_factors(request: Request) -> tuple[float, float]:
    """Return by how much fewer and more requests there may be: of a batch as many as the fleet does."""
    if request.requests_per_second or request.workload != "batch":
        return 1, 1
    return 1 - SPEED_OFF_BY, 1 + SPEED_OFF_BY


def _doubts(request: Request, winner: Priced, old: bool) -> Iterator[Doubt]:
    fleet, instance = winner.candidate.fleet, winner.candidate.instance
    if not instance.priced_in(request.region):
        yield Doubt(f"prices are those of {instance.price_region}", 1, OTHER_REGION)
    if request.purchase_option == "spot":
        on_demand = instance.on_demand_usd_per_hour
        rise = max(1, on_demand / winner.instance_usd_per_hour) if on_demand else SPOT_DOUBLES
        yield Doubt("spot prices move, up to the on-demand price", SPOT_FALLS_TO, rise)
    elif old:
        yield Doubt(f"the machines' price is older than {LIMIT_DAYS} days", 1 - OLD_PRICE, 1 + OLD_PRICE)
    if fleet.fewer_lack is not None:
        fewer, more = _fleet_bounds(fleet.replicas)
        yield Doubt(
            f"{fewer} to {more} replicas, as speed is off by up to a third",
            fewer / fleet.replicas,
            more / fleet.replicas,
        )
    if _rate_factors(request) != (1, 1):
        yield Doubt("the rate of a batch is estimated, to a third", 1, 1)
    yield Doubt(
        "bytes and logs are estimated, to a half", 1 - TRAFFIC_OFF_BY, 1 + TRAFFIC_OFF_BY, traffic=True
    )


def _fleet_bounds(replicas: int) -> tuple[int, int]:
    fewer = max(1, math.floor(replicas * (1 - SPEED_OFF_BY)))
    return fewer, math.ceil(replicas * (1 + SPEED_OFF_BY))
