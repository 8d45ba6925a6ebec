"""What a machine needs around its accelerators: disk, bandwidth, and the time from power-on to the first
token.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gpuwright.sizing.basis import Basis
from gpuwright.sizing.memory import GIB

MACHINE_IMAGE_GB = 75
"""GB of the deep learning base image's root volume. Estimate: its published root volumes are 60 to 75 GB."""

MODEL_COPIES = 2
"""Copies of the weights on the disk: the one that serves, and the next revision while it is fetched."""

CACHES_AND_LOGS_GB = 20
"""GB for compile caches and logs. Estimate."""

MINIMUM_DISK_GB = 100
"""GB of SSD that the documents ask for at least."""

DISK_READ_TARGET_SECONDS = 60
"""Seconds in which the weights should be read from the disk; decides its throughput. Our choice."""

GP3_BASE_IOPS = 3000
GP3_BASE_THROUGHPUT_MIB_PER_S = 125
GP3_MAX_THROUGHPUT_MIB_PER_S = 1000
GP3_IOPS_PER_MIB_PER_S = 4
"""Limits of AWS gp3 volumes: 0.25 MiB/s for each provisioned I/O per second (EBS user guide). AWS raised
the ceiling to
2,000 MiB/s in September 2025; older Terraform providers refuse more than 1,000."""

BOOT_SECONDS = 90
"""Seconds from launch to user data on a large GPU image. Estimate."""

IMAGE_PULL_SECONDS = 300
"""Seconds to pull and unpack a 15 to 20 GB image: 4 to 6 minutes (AWS machine learning blog on SOCI,
2026).
"""

WARM_UP_SECONDS = 60
"""Seconds to compile, capture CUDA graphs and answer the first completion. Estimate."""

PROTOCOL_BYTES_PER_TOKEN = 250
"""Bytes on the wire for one streamed token: a server-sent event with its JSON. Estimate."""

PROMPT_BYTES_PER_TOKEN = 4
"""Bytes of text for one prompt token in English. Rule of thumb of tokenizers' documentation."""

MINIMUM_PUBLIC_MBPS = 50
"""Mbit/s of public bandwidth that the documents ask of an API that many use."""


@dataclass(frozen=True)
class Disk:
    """A system disk.

    Args:
        required_gb: What has to go on it.
        size_gb: What is bought: at least 100 GB and at least what a profile asks.
        iops: Provisioned I/O per second.
        throughput_mib_per_s: Provisioned throughput.
    """

    required_gb: int
    size_gb: int
    iops: int
    throughput_mib_per_s: int


@dataclass(frozen=True)
class Step:
    """One step between power-on and the first token."""

    name: str
    seconds: int
    basis: Basis


def disk(weights_gib: float, server_image_gb: float, floor_gb: int = MINIMUM_DISK_GB) -> Disk:
    """Return the system disk for weights and an unpacked container image of those sizes."""
    weights_gb = weights_gib * GIB / 1e9
    required = math.ceil(MACHINE_IMAGE_GB + server_image_gb + CACHES_AND_LOGS_GB + MODEL_COPIES * weights_gb)
    wanted = math.ceil(weights_gib * 1024 / DISK_READ_TARGET_SECONDS)
    throughput = min(max(wanted, GP3_BASE_THROUGHPUT_MIB_PER_S), GP3_MAX_THROUGHPUT_MIB_PER_S)
    return Disk(
        required_gb=required,
        size_gb=max(required, floor_gb, MINIMUM_DISK_GB),
        iops=max(GP3_BASE_IOPS, throughput * GP3_IOPS_PER_MIB_PER_S),
        throughput_mib_per_s=throughput,
    )


def cold_start(weights_gib: float, disk_throughput_mib_per_s: float, network_gbps: float) -> tuple[Step, ...]:
    """Return the steps from power-on to the first token, in order; they add up.

    Args:
        weights_gib: Size of the weights.
        disk_throughput_mib_per_s: What the disk writes and reads.
        network_gbps: What the machine's network sustains, Gbit/s.
    """
    fetch = max(weights_gib * GIB * 8 / (network_gbps * 1e9), weights_gib * 1024 / disk_throughput_mib_per_s)
    load = weights_gib * 1024 / disk_throughput_mib_per_s
    return (
        Step("boot", BOOT_SECONDS, Basis.ESTIMATED),
        Step("pull the server's image", IMAGE_PULL_SECONDS, Basis.ESTIMATED),
        Step("fetch the model", math.ceil(fetch), Basis.DERIVED),
        Step("load the weights", math.ceil(load), Basis.DERIVED),
        Step("compile and warm up", WARM_UP_SECONDS, Basis.ESTIMATED),
    )


def bandwidth_mbps(requests_per_second: float, prompt_tokens: int, output_tokens: int) -> float:
    """Return the bandwidth that requests and streamed answers take, Mbit/s."""
    request = prompt_tokens * PROMPT_BYTES_PER_TOKEN + output_tokens * PROTOCOL_BYTES_PER_TOKEN
    return requests_per_second * request * 8 / 1e6
