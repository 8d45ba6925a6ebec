"""Arithmetic from a model, a device and a load to memory, speed, disk and time; pure, and honest about its
error.
"""

from gpuwright.sizing.basis import Basis
from gpuwright.sizing.cold_start import Payload, Step, cold_start
from gpuwright.sizing.decoder import Decoder, decoder
from gpuwright.sizing.efficiency import RunKind
from gpuwright.sizing.host import Disk, disk
from gpuwright.sizing.memory import Load, Memory, fit
from gpuwright.sizing.network import bandwidth_mbps
from gpuwright.sizing.queueing import Capacity, capacity, replicas_for
from gpuwright.sizing.run import GPU_MEMORY_UTILIZATION, PREFILL_TOKENS, Run
from gpuwright.sizing.speed import Hardware, Speed, speed

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
