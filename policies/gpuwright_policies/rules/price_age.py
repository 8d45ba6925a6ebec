"""Prices that are not older than four months."""

from gpuwright_policies.facts import Prices
from gpuwright_policies.rule import Kind, Provenance, Rule, Severity, Violation

LIMIT_DAYS = 120


def check(prices: Prices) -> Violation | None:
    """Compare the age of the oldest price with the limit."""
    if prices.age_days is None:
        return Violation(
            f"a price of {prices.what} carries no date", f"a price of the last {LIMIT_DAYS} days"
        )
    if prices.age_days > LIMIT_DAYS:
        return Violation(
            f"a price of {prices.what} is {prices.age_days} days old", f"at most {LIMIT_DAYS} days"
        )
    return None


RULE = Rule(
    id="price-age",
    title="prices of the last 120 days",
    severity=Severity.LOW,
    kind=Kind.ADVICE,
    provenance=Provenance(
        "ours: clouds changed the prices of accelerators by a third and more within a year (AWS in June 2025)",
        "A plan that compares shapes by old prices may choose the wrong one.",
    ),
    applies_to=Prices,
    check=check,
    why="A shape that was the cheapest may not be any more, and a budget may be missed.",
    fix="Refresh the catalog's prices, or check the chosen shape's price with the cloud.",
    passes=(Prices("p", "machines", 0), Prices("p", "services", LIMIT_DAYS)),
    fails=(Prices("p", "machines", LIMIT_DAYS + 1), Prices("p", "services", None)),
)
