"""gpuwright: from a short spec to GPU serving infrastructure that is right the first time.

from gpuwright import GpuInference

Names are loaded when they are used: the planner never waits for Pulumi, nor is it needed for planning.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpuwright.errors import GpuwrightError, InputError, NothingFitsError
    from gpuwright.inference import AwsInputs, GpuInference, GpuInferenceArgs
    from gpuwright.planning import Plan, plan_document
    from gpuwright.spec import Spec, parse_spec

__all__ = [
    "AwsInputs",
    "GpuInference",
    "GpuInferenceArgs",
    "GpuwrightError",
    "InputError",
    "NothingFitsError",
    "Plan",
    "Spec",
    "parse_spec",
    "plan_document",
]

_HOMES = {
    "AwsInputs": "inference",
    "GpuInference": "inference",
    "GpuInferenceArgs": "inference",
    "GpuwrightError": "errors",
    "InputError": "errors",
    "NothingFitsError": "errors",
    "Plan": "planning",
    "Spec": "spec",
    "parse_spec": "spec",
    "plan_document": "planning",
}


def __getattr__(name: str) -> Any:
    """Load a name of the public API from the module where it lives."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] != "pulumi":
            raise
        needs = f"gpuwright.{name} needs Pulumi. Install it with: pip install 'gpuwright[aws]'."
        raise ModuleNotFoundError(needs, name=error.name) from None


def __dir__() -> list[str]:
    """Return the public API."""
    return __all__
