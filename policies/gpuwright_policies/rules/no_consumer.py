"""No consumer card in a cloud."""

from gpuwright_policies.facts import Host
from gpuwright_policies.rule import Kind, Provenance, Rule, Severity, Violation


def check(host: Host) -> Violation | None:
    """Refuse devices whose driver may not be used in a data centre."""
    if host.datacenter_licensed:
        return None
    return Violation(
        f"{host.instance_type} has {host.accelerator}, a consumer device",
        "an accelerator whose driver is licensed for data centres",
    )


def _host(accelerator: str, licensed: bool) -> Host:
    return Host(accelerator, "machine", accelerator, 1, 24, 16, 64, datacenter_licensed=licensed)


RULE = Rule(
    id="no-consumer",
    title="no consumer accelerator in a cloud",
    severity=Severity.HIGH,
    kind=Kind.HARD,
    provenance=Provenance(
        "document A, choice of GPU: do not be misled by the high end",
        "Consumer cards (such as the RTX 40 series) are cheap, but in clouds they often suffer from driver "
        "compatibility and virtualization overhead, and are less stable over time than professional GPUs.",
    ),
    applies_to=Host,
    check=check,
    why="The GeForce driver licence excludes data centres, and such machines prove less stable over time.",
    fix="Choose a data-centre accelerator such as L4 or A10G.",
    passes=(_host("L4", licensed=True),),
    fails=(_host("RTX 4090", licensed=False),),
)
