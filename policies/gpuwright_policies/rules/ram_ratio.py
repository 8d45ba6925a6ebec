"""System memory of at least twice the accelerators'."""

from gpuwright_policies.facts import Host
from gpuwright_policies.rule import Kind, Provenance, Rule, Severity, Violation

RAM_PER_ACCELERATOR_MEMORY = 2


def check(host: Host) -> Violation | None:
    """Compare system memory with the memory of all accelerators."""
    accelerators_gib = host.accelerator_count * host.accelerator_memory_gib
    needed_gib = RAM_PER_ACCELERATOR_MEMORY * accelerators_gib
    if host.memory_gib >= needed_gib:
        return None
    return Violation(
        f"{host.instance_type} has {host.memory_gib:g} GiB of system memory for {accelerators_gib:g} GiB "
        f"on {host.accelerator_count} × {host.accelerator}",
        f"at least {needed_gib:g} GiB ({RAM_PER_ACCELERATOR_MEMORY} × the accelerators')",
    )


def _host(name: str, memory_gib: float, count: int = 1) -> Host:
    return Host(name, name, "A10G", count, 24, 192, memory_gib, datacenter_licensed=True)


RULE = Rule(
    id="ram-ratio",
    title="system memory of at least 2 × the accelerators' in all",
    severity=Severity.HIGH,
    kind=Kind.RATIO,
    provenance=Provenance(
        "document A, CPU and memory ratio: do not let the GPU wait for you",
        "Memory should be 2 to 3 times the accelerator memory, so that vocabularies, LoRA weights and "
        "temporary tensors can be cached; 16 GB of accelerator memory, for example, with 32 to 48 GB of "
        "system memory.",
    ),
    applies_to=Host,
    check=check,
    why="Loading, pinned buffers and page cache compete for it; too little slows or kills the server.",
    fix="Choose a larger size of the same family.",
    passes=(_host("g5.4xlarge", 64), _host("exactly", 48), _host("g5.12xlarge", 192, 4)),
    fails=(_host("g5.xlarge", 16), _host("g5.2xlarge", 32), _host("many", 191, 4)),
)
