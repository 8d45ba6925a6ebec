"""Arithmetic from a model, a device and a load to memory, speed, disk and time; pure, and honest about its
error.
"""

from typing import TYPE_CHECKING, Any

from gpuwright.sizing.basis import Basis
from gpuwright.sizing.cold_start import Payload, Step, cold_start
from gpuwright.sizing.decoder import Decoder, decoder
from gpuwright.sizing.efficiency import RunKind
from gpuwright.sizing.host import Disk, disk
from gpuwright.sizing.memory import Load, Memory, fit
from gpuwright.sizing.network import bandwidth_mbps
from gpuwright.sizing.run import GPU_MEMORY_UTILIZATION, PREFILL_TOKENS, Run
from gpuwright.sizing.speed import Hardware, Speed, speed

if TYPE_CHECKING:
    from gpuwright.sizing.queueing import Capacity, capacity, replicas_for

__all__ = [
    "GPU_MEMORY_UTILIZATION",
    "PREFILL_TOKENS",
    "Basis",
    "Capacity",
    "Decoder",
    "Disk",
    "Hardware",
    "Load",
    "Memory",
    "Payload",
    "Run",
    "RunKind",
    "Speed",
    "Step",
    "bandwidth_mbps",
    "capacity",
    "cold_start",
    "decoder",
    "disk",
    "fit",
    "replicas_for",
    "speed",
]


def __getattr__(name: str) -> Any:
    """Load queueing when it is first asked for: a plan that must answer at once does not need it."""
    if name in ("Capacity", "capacity", "replicas_for"):
        from gpuwright.sizing import queueing

        return getattr(queueing, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
