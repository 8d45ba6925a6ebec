"""How long a machine may take to get ready, derived from the plan's cold start."""

from __future__ import annotations

import math

from gpuwright.planning.plan import Plan

# The cold start is an estimate; twice of it tells a slow machine from one that will never serve.
SLACK_FACTOR = 2
LEAST_SECONDS = 900
# Coarse, since the budget stands in the user data: a finer estimate must not roll a fleet.
STEP_SECONDS = 300
# The hook's clock starts at launch, the machine's when its units start; the machine must speak first.
HEARTBEAT_MARGIN_SECONDS = 300
# Longest heartbeat timeout of a lifecycle hook; Auto Scaling API reference, PutLifecycleHook (30 to 7200).
HEARTBEAT_LIMIT_SECONDS = 7200
# A stop must not hold up the replacement of a machine for longer than this.
STOP_LIMIT_SECONDS = 600


def ready_budget_seconds(plan: Plan) -> int:
    """Return the time in which a machine must answer a first completion before it gives itself up.

    Returns:
        Seconds from the start of its units; 900 to 6900, in steps of 300.
    """
    wanted = math.ceil(SLACK_FACTOR * plan.cold_start_seconds / STEP_SECONDS) * STEP_SECONDS
    return min(max(wanted, LEAST_SECONDS), HEARTBEAT_LIMIT_SECONDS - HEARTBEAT_MARGIN_SECONDS)


def lifecycle_heartbeat_seconds(plan: Plan) -> int:
    """Return the heartbeat timeout of the launch lifecycle hook, which outlives the machine's own budget.

    Returns:
        Seconds from launch; at most 7200.
    """
    return ready_budget_seconds(plan) + HEARTBEAT_MARGIN_SECONDS


def stop_grace_seconds(plan: Plan) -> int:
    """Return the time that open answers get when the server is stopped.

    Returns:
        Seconds; the balancer's deregistration delay, at most 600.
    """
    return min(plan.network.deregistration_delay_seconds, STOP_LIMIT_SECONDS)
