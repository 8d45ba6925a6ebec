"""A plan → facts: its shape, the model on it, and its system disk.

What the plan leaves to the components (the model store's bucket, volumes, metadata service, openings)
is judged on their resources.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpuwright import catalog
from gpuwright.planning.plan import Plan
from gpuwright.planning.search import WEIGHTS_BITS, host_facts
from gpuwright_policies.facts import Facts, Parallelism, Serving, SystemDisk


def facts(plan: Plan, subject: str) -> Iterator[Facts]:
    """Yield the facts of a plan.

    Args:
        subject: Who the findings name, such as the spec's file.

    Raises:
        UnknownNameError: The catalog does not have the plan's shape.
    """
    shape = catalog.instance_type(plan.cloud, plan.instance_type, where=f"{subject}: instance_type")
    yield host_facts(subject, shape)
    yield Serving(
        subject=subject,
        model=plan.model.id,
        params_billion=plan.model.params_total / 1e9,
        weights_bits=WEIGHTS_BITS[plan.weights_precision],
        accelerator=plan.accelerator.name,
        accelerator_count=plan.tensor_parallel_size,
        accelerator_memory_gib=plan.accelerator.memory_gib,
        required_gib=plan.sizing.total_gib / plan.tensor_parallel_size,
        usable_gib=plan.sizing.usable_gib / plan.tensor_parallel_size,
    )
    yield Parallelism(subject, shape.name, plan.tensor_parallel_size, shape.accelerator_count)
    yield SystemDisk(subject, plan.disk.size_gb, plan.disk.required_gb, solid_state=True)
