"""At least eight vCPUs for each accelerator."""

from gpuwright_policies.facts import Host
from gpuwright_policies.rule import Kind, Provenance, Rule, Severity, Violation

VCPUS_PER_ACCELERATOR = 8


def check(host: Host) -> Violation | None:
    """Compare vCPUs with the accelerators that they feed."""
    needed = VCPUS_PER_ACCELERATOR * host.accelerator_count
    if host.vcpus >= needed:
        return None
    return Violation(
        f"{host.instance_type} has {host.vcpus} vCPU for {host.accelerator_count} × {host.accelerator}",
        f"at least {needed} vCPU ({VCPUS_PER_ACCELERATOR} for each accelerator)",
    )


def _host(name: str, vcpus: int, count: int = 1) -> Host:
    return Host(name, name, "A10G", count, 24, vcpus, 64, datacenter_licensed=True)


RULE = Rule(
    id="cpu-ratio",
    title="at least 8 vCPU for each accelerator",
    severity=Severity.HIGH,
    kind=Kind.RATIO,
    provenance=Provenance(
        "document A, CPU and memory ratio: do not let the GPU wait for you",
        "A GPU to CPU ratio of no less than 1:8 is recommended; one A10, for example, with 8 or more vCPU.",
    ),
    applies_to=Host,
    check=check,
    why="Tokenization and batching run on the CPU; too few of them leave the accelerator waiting.",
    fix="Choose a larger size of the same family.",
    passes=(_host("g5.4xlarge", 16), _host("g5.2xlarge", 8), _host("g5.12xlarge", 48, 4)),
    fails=(_host("g5.xlarge", 4), _host("many", 31, 4)),
)
