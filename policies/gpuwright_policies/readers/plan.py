"""A plan → facts: its shape, the model on it, and its system disk.

The memory is computed anew, as for a machine with the plan's tags, so that a plan changed by hand is caught.

What the plan leaves to the components (the model store's bucket, volumes, metadata service, openings)
is judged on their resources.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from gpuwright import catalog
from gpuwright.planning.plan import Plan
from gpuwright.planning.search import host_facts
from gpuwright.planning.tags import read_tags, to_tags
from gpuwright_policies.facts import Facts, Prices, SystemDisk
from gpuwright_policies.readers.machines import serving_facts


def facts(plan: Plan, subject: str, today: date | None = None) -> Iterator[Facts]:
    """Yield the facts of a plan.

    Args:
        subject: Who the findings name, such as the spec's file.
        today: The day on which the age of prices is judged; it is not where left out.

    Raises:
        UnknownNameError: The catalog does not have the plan's shape.
    """
    shape = catalog.instance_type(plan.cloud, plan.instance_type, where=f"{subject}: instance_type")
    yield host_facts(subject, shape)
    yield from serving_facts(subject, shape, read_tags(to_tags(plan)), plan.model.architecture)
    yield SystemDisk(subject, plan.disk.size_gb, plan.disk.required_gb, solid_state=True)
    if today is not None:
        yield Prices(subject, "machines", _age_days(plan.cost.price_date, today))
        if plan.cost.services_price_date is not None:
            yield Prices(subject, "services", _age_days(plan.cost.services_price_date, today))


def _age_days(price_date: str, today: date) -> int | None:
    """Return the age of a price; None where its date is none, as `undated`."""
    try:
        return (today - date.fromisoformat(price_date)).days
    except ValueError:
        return None
