"""Instance metadata by session token only, one hop far."""

from gpuwright_policies.facts import MetadataService
from gpuwright_policies.rule import Kind, Provenance, Rule, Severity, Violation

EXPECTED = "httpTokens required and httpPutResponseHopLimit 1"


def check(service: MetadataService) -> Violation | None:
    """Ask for tokens, then for the hop limit; what is unset counts as not asked for."""
    if service.http_tokens != "required":
        return Violation(f"httpTokens is {service.http_tokens or 'unset'}", EXPECTED)
    if service.hop_limit != 1:
        return Violation(f"httpPutResponseHopLimit is {service.hop_limit or 'unset'}", EXPECTED)
    return None


RULE = Rule(
    id="imdsv2",
    title="instance metadata with session tokens only (IMDSv2) and a hop limit of 1",
    severity=Severity.HIGH,
    kind=Kind.HARD,
    provenance=Provenance(
        "AWS Control Tower, proactive controls CT.EC2.PR.1 and CT.EC2.PR.2",
        "Require an Amazon EC2 launch template to have IMDSv2 configured. Require that Amazon EC2 launch "
        "templates restrict the token hop limit to a maximum of one.",
    ),
    applies_to=MetadataService,
    check=check,
    why="Without tokens a forged request reads the role's credentials; with more hops a container does. "
    "Unset, the image decides, and images that ask for IMDSv2 set 2 hops.",
    fix="Set metadataOptions to httpTokens 'required' and httpPutResponseHopLimit 1.",
    passes=(MetadataService("t", "required", 1),),
    fails=(
        MetadataService("t", "optional", 1),
        MetadataService("t", "", 0),
        MetadataService("t", "required", 2),
        MetadataService("t", "required", 0),
    ),
)
