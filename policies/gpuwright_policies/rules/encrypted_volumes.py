"""Block volumes are encrypted at rest."""

from gpuwright_policies.facts import Volume
from gpuwright_policies.rule import Kind, Provenance, Rule, Severity, Violation


def check(volume: Volume) -> Violation | None:
    """Refuse a volume that does not ask for encryption itself."""
    return None if volume.encrypted else Violation("the volume is not encrypted", "encrypted: true")


RULE = Rule(
    id="encrypted-volumes",
    title="block volumes encrypted at rest",
    severity=Severity.HIGH,
    kind=Kind.HARD,
    provenance=Provenance(
        "AWS Control Tower, proactive control CT.EC2.PR.7",
        "Require an Amazon EBS volume resource to be encrypted at rest when defined by means of the "
        "AWS::EC2::Instance BlockDeviceMappings property or AWS::EC2::Volume resource type.",
    ),
    applies_to=Volume,
    check=check,
    why="The disk holds weights, prompts in logs and credentials; a snapshot of it would be readable.",
    fix="Set encrypted to true on the volume.",
    passes=(Volume("v", True),),
    fails=(Volume("v", False),),
)
