"""The user data of a machine: a cloud-config that fetches the model, serves it, and says when it does."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from gpuwright.boot.budget import ready_budget_seconds, stop_grace_seconds
from gpuwright.boot.container import CONTAINER_NAME, MODEL_MOUNT, container
from gpuwright.boot.quoting import systemd_command, systemd_word
from gpuwright.errors import Fault, GpuwrightError, InputError
from gpuwright.planning.plan import Plan

if TYPE_CHECKING:
    import jinja2

# AWS counts the raw text, before base64; EC2 user guide, "Run commands at launch" (16 KB).
USER_DATA_LIMIT_BYTES = 16_384

_STATE = "/opt/gpuwright"
# A part of a path that needs no care in a shell, a unit file or an option of Docker.
_PREFIX = re.compile(r"[A-Za-z0-9][\w.@=+-]*(/[A-Za-z0-9][\w.@=+-]*)*", re.ASCII)
# What each service allows; the API references of CloudWatch Logs and Auto Scaling.
_NAMES = {
    "log_group": re.compile(r"[.\w/#-]{1,512}", re.ASCII),
    "autoscaling_group_name": re.compile(r"[ -~]{1,255}"),
    "lifecycle_hook_name": re.compile(r"[\w/-]{1,255}", re.ASCII),
}


def user_data(
    plan: Plan,
    *,
    model_store_uri: str,
    log_group: str,
    autoscaling_group_name: str,
    lifecycle_hook_name: str,
) -> str:
    """Return the cloud-config that a machine of this plan boots with; the same text for the same input.

    Args:
        plan: Uses the server, the model, the accelerator, the cold start and the region.
        model_store_uri: Prefix that holds the model's files, ``s3://<bucket>/<plan.model.store_prefix>``.
        log_group: CloudWatch log group that the machine's role may write.
        autoscaling_group_name: The group that launches the machine.
        lifecycle_hook_name: The group's launch hook, which the machine completes after its first completion.

    Raises:
        InputError: A value cannot be used, or the plan is for a cloud or server without a boot payload.
        GpuwrightError: The text has 16,384 bytes or more.
    """
    given = {
        "model_store_uri": model_store_uri,
        "log_group": log_group,
        "autoscaling_group_name": autoscaling_group_name,
        "lifecycle_hook_name": lifecycle_hook_name,
    }
    if faults := list(_faults(plan, given)):
        raise InputError(faults)
    text = environment().get_template("aws.yaml.j2").render(**given, **values(plan))
    size = len(text.encode())
    if size >= USER_DATA_LIMIT_BYTES:
        raise GpuwrightError(
            f"plan {plan.name}: its user data has {size} bytes, AWS takes less than {USER_DATA_LIMIT_BYTES}. "
            "Shorten the server's arguments."
        )
    return text


def _faults(plan: Plan, given: dict[str, str]) -> Iterator[Fault]:
    if plan.cloud != "aws":
        yield Fault("cloud", f"{plan.cloud!r} has no boot payload.", "Use aws.")
    prefix = plan.model.store_prefix
    uri = re.compile(rf"s3://[a-z0-9][a-z0-9.-]*[a-z0-9]/{re.escape(prefix)}", re.ASCII)
    if not _PREFIX.fullmatch(prefix):
        yield Fault(
            "model",
            f"Its prefix in the model cache, {prefix!r}, is no plain path.",
            "Rename model or revision.",
        )
    if not uri.fullmatch(given["model_store_uri"]):
        problem = f"{given['model_store_uri']!r} is not where this model is kept."
        yield Fault("model_store_uri", problem, f"Give s3://<bucket>/{prefix}.")
    for name, pattern in _NAMES.items():
        if not pattern.fullmatch(given[name]):
            yield Fault(name, f"{given[name]!r} does not match {pattern.pattern}.", "Give another name.")
    if any("\0" in argument for argument in plan.server.arguments):
        yield Fault("server.arguments", "An argument holds a NUL.", "Leave it out; no program can take it.")


def values(plan: Plan) -> dict[str, Any]:
    """Return what the templates take from the plan, by name."""
    return {
        "accelerator_count": plan.accelerator.count,
        "budget_seconds": ready_budget_seconds(plan),
        "container": container(plan),
        "container_name": CONTAINER_NAME,
        "health_path": plan.server.health_path,
        "image": plan.server.image,
        "model_directory": f"{_STATE}/{plan.model.store_prefix}",
        "model_mount": MODEL_MOUNT,
        "port": plan.server.port,
        "region": plan.region,
        "state": _STATE,
        "stop_grace_seconds": stop_grace_seconds(plan),
    }


def environment() -> jinja2.Environment:
    """Return the templates, in which an undefined name is an error."""
    # Imported here, so that a command that renders nothing does not wait for it.
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.PackageLoader("gpuwright_templates", "cloud_init"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - shell, Python and unit files, each with its own filter below
    )
    made.filters["shell"] = lambda value: shlex.quote(str(value))
    made.filters["python"] = lambda value: ascii(str(value))
    made.filters["systemd"] = systemd_word
    made.filters["systemd_command"] = systemd_command
    return made
