"""What a machine needs around its accelerators: CPUs, memory and disk."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gpuwright.sizing.memory import GIB

CORES_OF_A_SERVER = 2
"""Physical cores of a vLLM server beside one for each accelerator: API server with tokenizer, and scheduler
(docs.vllm.ai, configuration/optimization: 2 + N cores for N accelerators)."""

VCPUS_PER_CORE = 2
"""Threads of a core, which clouds sell as vCPUs."""

PROCESS_GIB = 4
"""GiB of memory of one server process: Python, PyTorch, CUDA's host side and pinned buffers. Estimate."""

SYSTEM_GIB = 4
"""GiB of memory of operating system, agents and container runtime. Estimate."""

MACHINE_IMAGE_GB = 75
"""GB of the deep learning base image's root volume. Estimate: its published root volumes are 60 to 75 GB."""

MODEL_COPIES = 2
"""Copies of the weights on the disk: the one that serves, and the next revision while it is fetched."""

CACHES_AND_LOGS_GB = 20
"""GB for compile caches and logs. Estimate."""

MINIMUM_DISK_GB = 100
"""GB of SSD that the documents ask for at least."""

DISK_READ_TARGET_SECONDS = 60
"""Seconds in which the weights should be read from the disk where no cold start is asked for. Our choice."""


@dataclass(frozen=True)
class HostNeed:
    """What the processes of a server need of a machine; the documented ratios may ask more.

    Args:
        vcpus: Virtual CPUs.
        memory_gib: System memory.
    """

    vcpus: int
    memory_gib: float


@dataclass(frozen=True)
class Volume:
    """What can be bought of a type of volume.

    Args:
        type: The cloud's name.
        base_iops: I/O per second that come with it.
        base_mib_per_s: Throughput that comes with it.
        max_mib_per_s: Most throughput.
        iops_per_mib_per_s: I/O per second to provision for each MiB/s; 0 where none are.
        iops_per_gb: I/O per second that come with each GB.
        mib_per_s_per_gb: Throughput that comes with each GB; more is had by a larger disk.
    """

    type: str
    base_iops: int
    base_mib_per_s: int
    max_mib_per_s: int
    iops_per_mib_per_s: int = 0
    iops_per_gb: float = 0
    mib_per_s_per_gb: float = 0


VOLUMES = {
    "aws": Volume("gp3", 3000, 125, 1000, iops_per_mib_per_s=4),
    "gcp": Volume("pd-ssd", 6000, 240, 1200, iops_per_gb=30, mib_per_s_per_gb=0.48),
    "azure": Volume("Premium_LRS", 500, 90, 250, iops_per_gb=5, mib_per_s_per_gb=0.1),
    "oci": Volume("balanced", 0, 0, 458, iops_per_gb=60, mib_per_s_per_gb=0.46),
    "alibaba": Volume("cloud_essd", 1800, 114, 334, iops_per_gb=50, mib_per_s_per_gb=0.48),
}
"""AWS: 0.25 MiB/s for each provisioned I/O per second (EBS user guide); AWS raised the ceiling to 2,000 MiB/s in
September 2025, older Terraform providers refuse more than 1,000. GCP: zonal SSD persistent disk, what comes with
machine and size (cloud.google.com/compute/docs/disks/performance). The others are known and not looked up, Azure's
steps taken as a line."""


@dataclass(frozen=True)
class Disk:
    """A system disk.

    Args:
        type: The cloud's type of volume.
        required_gb: What has to go on it.
        size_gb: What is bought: at least 100 GB, what a profile asks, and what the throughput takes.
        iops: I/O per second that it does.
        throughput_mib_per_s: Throughput that it does.
    """

    type: str
    required_gb: int
    size_gb: int
    iops: int
    throughput_mib_per_s: int


def host_need(accelerators: int, weights_gib: float, loaders: int = 0) -> HostNeed:
    """Return what a server's processes need: cores for each, and memory that holds the weights while they load.

    Args:
        accelerators: Accelerators of the machine, each with a worker.
        weights_gib: Size of the weights, staged in memory once.
        loaders: Processes that load data, as in fine-tuning.
    """
    processes = CORES_OF_A_SERVER + accelerators + loaders
    return HostNeed(processes * VCPUS_PER_CORE, SYSTEM_GIB + weights_gib + processes * PROCESS_GIB)


def disk(
    weights_gib: float,
    server_image_gb: float,
    floor_gb: int = MINIMUM_DISK_GB,
    *,
    volume: Volume = VOLUMES["aws"],
    checkpoints_gb: float = 0,
    throughput_mib_per_s: int | None = None,
) -> Disk:
    """Return the system disk for a model and a server.

    Args:
        weights_gib: Size of the weights.
        server_image_gb: Size of the unpacked container image.
        floor_gb: The least that is bought.
        volume: Type of volume.
        checkpoints_gb: Checkpoints that a training keeps.
        throughput_mib_per_s: Throughput to have; where left out, what reads the weights in a minute if throughput is
            sold by itself, and what comes with the disk if not.
    """
    weights_gb = weights_gib * GIB / 1e9
    wanted = throughput_mib_per_s or math.ceil(weights_gib * 1024 / DISK_READ_TARGET_SECONDS)
    wanted = min(max(wanted, volume.base_mib_per_s), volume.max_mib_per_s)
    required = math.ceil(
        MACHINE_IMAGE_GB + server_image_gb + CACHES_AND_LOGS_GB + MODEL_COPIES * weights_gb + checkpoints_gb
    )
    # A minute is our choice and worth no larger disk; a cold start that is asked for is.
    grows = volume.mib_per_s_per_gb and throughput_mib_per_s
    grown = (wanted - volume.base_mib_per_s) / volume.mib_per_s_per_gb if grows else 0
    size = max(required, floor_gb, MINIMUM_DISK_GB, math.ceil(grown))
    with_size = int(volume.base_mib_per_s + size * volume.mib_per_s_per_gb)
    sold = wanted if volume.iops_per_mib_per_s else 0
    throughput = min(max(sold, with_size), volume.max_mib_per_s)
    return Disk(
        type=volume.type,
        required_gb=required,
        size_gb=size,
        iops=max(int(volume.base_iops + size * volume.iops_per_gb), throughput * volume.iops_per_mib_per_s),
        throughput_mib_per_s=throughput,
    )
