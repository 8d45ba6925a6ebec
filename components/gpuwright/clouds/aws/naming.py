"""Names and ARNs that are known before AWS is asked, so that previews and policies see them."""

import hashlib
from collections.abc import Callable, Mapping
from typing import TypeVar

import pulumi

BUCKET_NAME_LIMIT = 63
"""Longest name of a bucket; S3 user guide, "General purpose bucket naming rules"."""

T = TypeVar("T")

_PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}


def partition(region: str) -> str:
    """Return the partition that a region lies in."""
    return next((name for prefix, name in _PARTITIONS.items() if region.startswith(prefix)), "aws")


def named(tags: Mapping[str, T], name: str) -> dict[str, T | str]:
    """Return the tags with the name that the AWS console shows."""
    return {**tags, "Name": name}


def applied(value: pulumi.Input[str], function: Callable[[str], str]) -> pulumi.Input[str]:
    """Return the function's result, as plain text where the value is: previews and policies see it then."""
    return function(value) if isinstance(value, str) else pulumi.Output.format("{0}", value).apply(function)


def bucket_name(name: str, region: str, account_id: str | None = None) -> str:
    """Return the name of a deployment's bucket, which must be unique in the world.

    Args:
        name: Name of the deployment, at most 24 characters.
        account_id: Sets apart deployments of the same name in backends that know no organization.

    Returns:
        At most 43 characters; the same for the same organization, project, stack, region, name and account.
    """
    place = (
        pulumi.get_organization() or "",  # mocks know none
        pulumi.get_project(),
        pulumi.get_stack(),
        region,
        name,
        account_id or "",
    )
    digest = hashlib.sha256("/".join(place).encode()).hexdigest()[:10]
    return f"{name}-models-{digest}"
