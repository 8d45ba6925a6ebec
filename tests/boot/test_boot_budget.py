"""The time a machine gets, from the plan's cold start."""

import pytest
from boot_payload import contents, make_plan, render
from hypothesis import given
from hypothesis import strategies as st

from gpuwright.boot import lifecycle_heartbeat_seconds, ready_budget_seconds


@pytest.mark.parametrize(
    ("cold_start", "budget"), [(0, 900), (450, 900), (451, 1200), (600, 1200), (9000, 6900)]
)
def test_the_budget_is_twice_the_cold_start_within_bounds(cold_start: int, budget: int) -> None:
    plan = make_plan(cold_start=[{"name": "all", "seconds": cold_start, "basis": "derived"}])
    assert ready_budget_seconds(plan) == budget
    assert f'"BUDGET_SECONDS", "{budget}"' in contents(render(plan))["/opt/gpuwright/bin/ready"]


@given(st.integers(0, 1_000_000))
def test_the_hook_outlives_the_machine_and_auto_scaling_accepts_it(cold_start: int) -> None:
    plan = make_plan(cold_start=[{"name": "all", "seconds": cold_start, "basis": "derived"}])
    assert ready_budget_seconds(plan) < lifecycle_heartbeat_seconds(plan)
    assert 30 <= lifecycle_heartbeat_seconds(plan) <= 7200
