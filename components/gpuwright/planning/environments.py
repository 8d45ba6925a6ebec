"""What differs between environments, in one table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EnvironmentSettings:
    """What one environment gets.

    Args:
        zones: Availability zones.
        nat_per_zone: A NAT gateway in every zone rather than one in all.
        min_replicas: Replicas that always run, unless the spec says otherwise.
        growth: Largest fleet over the one that the load needs, unless the spec says otherwise.
        deletion_protection: Balancer and model cache refuse deletion.
        log_retention_days: Days that logs are kept.
        why: The reason, for the plan.
    """

    zones: int
    nat_per_zone: bool
    min_replicas: int
    growth: int
    deletion_protection: bool
    log_retention_days: int
    why: str


ENVIRONMENTS = {
    "dev": EnvironmentSettings(
        2,
        False,
        1,
        1,
        False,
        14,
        "dev keeps one replica and one NAT gateway: an outage costs less than a spare",
    ),
    "staging": EnvironmentSettings(
        2, False, 1, 2, False, 30, "staging has prod's shape, with one NAT gateway and one replica"
    ),
    "prod": EnvironmentSettings(
        3,
        True,
        2,
        2,
        True,
        365,
        "prod survives the loss of a zone: two replicas, and a NAT gateway in each of three zones",
    ),
}
