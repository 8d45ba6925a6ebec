"""Names that the tests of policies share."""

LAUNCH_TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
GROUP = "aws:autoscaling/group:Group"
STORE = "s3://models-bucket/qwen2.5-7b/main"


def urn(type_: str, name: str) -> str:
    """Return the URN that a resource of the stack dev in the project shop has."""
    return f"urn:pulumi:dev::shop::{type_}::{name}"
