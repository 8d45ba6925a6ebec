"""A stack: its configuration, through spec and plan, to a deployment and its exports."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pulumi
import pulumi_aws as aws
from pulumi.runtime.config import CONFIG, get_config_env
from pulumi.runtime.rpc import UNKNOWN

from gpuwright.clouds.aws.deployment import prepare
from gpuwright.clouds.aws.inputs import AwsInputs
from gpuwright.errors import Fault, GpuwrightError, InputError, near
from gpuwright.inference import GpuInference, plan_of_program
from gpuwright.planning import Plan

T = TypeVar("T")

KEYS = ("spec", "aws")
ENCRYPTED = "is encrypted, and cannot be read here."
EXPORTS = (
    "endpoint",
    "bucket",
    "instance_type",
    "cost_usd_per_hour",
    "cost_usd_per_1000_inferences",
    "plan_digest",
)


def deploy() -> None:
    """Deploy what the stack's configuration asks for, and export what its users need."""
    plan, inputs = read_configuration()
    provider = aws.Provider(
        "aws",
        region=plan.region,
        allowed_account_ids=[inputs.account_id] if inputs.account_id else None,
        default_tags={"tags": {"gpuwright:project": pulumi.get_project()}},
    )
    opts = pulumi.ResourceOptions(providers=[provider])
    inference = GpuInference(plan.name, plan=plan, aws=inputs, opts=opts)
    for name in EXPORTS:
        pulumi.export(name, getattr(inference, name))


def read_configuration() -> tuple[Plan, AwsInputs]:
    """Return the plan and what goes with it, or raise every fault of both."""
    faults = list(_unknown_keys())
    spec, given = (_value(key, faults) for key in KEYS)
    faults += [
        fault for key, value in zip(KEYS, (spec, given), strict=True) for fault in _encrypted(value, key)
    ]
    if any(fault.problem == ENCRYPTED for fault in faults):
        raise InputError(faults)  # what depends on the encrypted value would be judged wrongly
    plan = _read(lambda: plan_of_program(spec, "gpuwright:spec"), faults)
    inputs = _read(lambda: AwsInputs.of(given, "gpuwright:aws"), faults)
    if faults or plan is None or inputs is None:
        raise InputError(faults)
    if plan.cloud != "aws":
        problem = f"is {plan.cloud!r}, for which there are plans, but no components yet."
        raise InputError.of(
            "gpuwright:spec: cloud", problem, "Use aws here; `gpuwright plan` plans for others."
        )
    return plan, prepare(plan, inputs, "gpuwright:aws")


def _read(read: Callable[[], T], faults: list[Fault]) -> T | None:
    """Return what is read; keep its faults where it cannot be, so that those of the rest come with them."""
    try:
        return read()
    except InputError as error:
        faults += error.faults
        return None


def _value(key: str, faults: list[Fault]) -> Any:
    config = pulumi.Config("gpuwright")
    try:
        return config.get_object(key)
    except pulumi.ConfigTypeError:
        if config.get(key) == UNKNOWN:
            return UNKNOWN
        problem = f"is {config.get(key)!r}, and must be a mapping."
        faults.append(Fault(f"gpuwright:{key}", problem, "Write its fields below it, one a line."))
        return {}


def _encrypted(value: Any, where: str) -> Iterator[Fault]:
    """Find what is encrypted, and unknown therefore where nobody can decrypt it."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _encrypted(inner, f"{where}: {name}" if where in KEYS else f"{where}.{name}")
    elif isinstance(value, list):
        for inner in value:
            yield from _encrypted(inner, where)
    elif value == UNKNOWN:
        yield Fault(f"gpuwright:{where}", ENCRYPTED, "Write it in the open: nothing of a plan is secret.")


def _unknown_keys() -> Iterator[Fault]:
    for full in {**get_config_env(), **CONFIG.get()}:
        namespace, _, key = full.partition(":")
        if namespace == "gpuwright" and key not in KEYS:
            fix = f"Did you mean gpuwright:{(near(key, KEYS) or KEYS)[0]}?"
            yield Fault(full, "is no configuration of this program.", fix)
        elif namespace != "gpuwright" and near(namespace, ["gpuwright"]):
            yield Fault(full, "is nobody's configuration.", f"Did you mean gpuwright:{key}?")


try:
    deploy()
except GpuwrightError as error:
    # A fault of the configuration is told, not traced.
    raise pulumi.RunError(str(error)) from error
