"""A machine has as many accelerators as share a layer of the model on it."""

from gpuwright_policies.facts import Parallelism
from gpuwright_policies.rule import Kind, Provenance, Rule, Severity, Violation


def check(parallelism: Parallelism) -> Violation | None:
    """Compare the tensor parallel size with the accelerators of the machine."""
    if parallelism.tensor_parallel_size <= parallelism.accelerator_count:
        return None
    return Violation(
        f"{parallelism.instance_type} has {parallelism.accelerator_count} accelerators for a tensor parallel "
        f"size of {parallelism.tensor_parallel_size}",
        f"at least {parallelism.tensor_parallel_size} accelerators in one machine",
    )


RULE = Rule(
    id="parallel-size",
    title="no fewer accelerators in the machine than the tensor parallel size",
    severity=Severity.CRITICAL,
    kind=Kind.HARD,
    provenance=Provenance(
        "vLLM documentation 0.8.3, Distributed Inference and Serving",
        "The tensor parallel size is the number of GPUs you want to use in each node.",
    ),
    applies_to=Parallelism,
    check=check,
    why="The server waits for accelerators that the machine does not have, and never starts.",
    fix="Choose a shape with as many accelerators, or plan anew for this one.",
    passes=(Parallelism("p", "g5.12xlarge", 4, 4), Parallelism("p", "g5.12xlarge", 1, 4)),
    fails=(Parallelism("p", "g5.4xlarge", 4, 1), Parallelism("p", "p4d.24xlarge", 16, 8)),
)
