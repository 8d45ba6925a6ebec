"""A solid-state system disk with room for images and model copies."""

from gpuwright_policies.facts import SystemDisk
from gpuwright_policies.rule import Kind, Provenance, Rule, Severity, Violation

LEAST_GB = 100


def check(disk: SystemDisk) -> Violation | None:
    """Compare kind and size with the documented floor and with what the plan needs."""
    if not disk.solid_state:
        return Violation("the system disk is magnetic", f"an SSD of at least {LEAST_GB} GB")
    if disk.size_gb < LEAST_GB:
        return Violation(f"the system disk has {disk.size_gb:g} GB", f"at least {LEAST_GB} GB of SSD")
    if disk.size_gb < disk.required_gb:
        return Violation(
            f"the system disk has {disk.size_gb:g} GB",
            f"at least the {disk.required_gb:g} GB that images, model copies and caches need",
        )
    return None


RULE = Rule(
    id="disk",
    title="an SSD system disk of at least 100 GB, with room for images and model copies",
    severity=Severity.HIGH,
    kind=Kind.HARD,
    provenance=Provenance(
        "document A, network and storage: they decide concurrency and cold start",
        "The system disk should be an SSD cloud disk of no less than 100 GB, so that Docker images and "
        "libraries load fast.",
    ),
    applies_to=SystemDisk,
    check=check,
    why="A full or slow disk stops the image pull or the copy of the model, and the machine never serves.",
    fix="Enlarge the system disk to the size named, on gp3, pd-ssd or another SSD.",
    passes=(SystemDisk("d", 100, 0, True), SystemDisk("d", 500, 320, True)),
    fails=(SystemDisk("d", 99, 0, True), SystemDisk("d", 200, 320, True), SystemDisk("d", 500, 0, False)),
)
