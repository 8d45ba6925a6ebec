"""The time from power-on to the first token, step by step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from gpuwright.sizing.basis import Basis
from gpuwright.sizing.memory import GIB, MIB

BOOT_SECONDS = 80
"""Seconds from launch to user data on a large GPU image. Estimate."""

DRIVER_SECONDS = 10
"""Seconds to load a driver that the machine image carries and to start its services. Estimate."""

IMAGE_PULL_GB_PER_S = 0.058
"""GB of a compressed image that a plain pull unpacks in a second: images of 15 to 20 GB take 4 to 6 minutes (AWS
machine learning blog on SOCI, 2026). An image on the machine's own disk or a lazy index is faster.
"""

FETCH_GB_PER_S = 0.55
"""GB a second of boto3's transfer manager as it comes, the one behind `aws s3 sync`. Measured once, on local disks."""

COMPILE_SECONDS = 40
"""Seconds to compile the graphs and capture CUDA graphs of an 8B model: 20 to 35 and 10 to 20 (start-up logs in
vllm-project/vllm#11005, #20264 and kubernetes-sigs/gateway-api-inference-extension#550). Larger ones take longer.
"""

WARM_UP_SECONDS = 20
"""Seconds to start the server's processes and to answer the first completion. Estimate."""

SPOT_NOTICE_SECONDS = {"aws": 120, "gcp": 30}
"""Seconds between the notice of an interruption and the machine's end (AWS and GCP documentation on spot)."""


@dataclass(frozen=True)
class Step:
    """One step between power-on and the first token."""

    name: str
    seconds: int
    basis: Basis


@dataclass(frozen=True)
class Payload:
    """What a machine has to bring in before it can serve.

    Args:
        weights_gib: Size of the weights.
        image_gb: Size of the server's image to download.
        unpacked_gb: Its size on the disk.
    """

    weights_gib: float
    image_gb: float
    unpacked_gb: float


def cold_start(payload: Payload, disk_throughput_mib_per_s: float, network_gbps: float) -> tuple[Step, ...]:
    """Return the steps from power-on to the first token, in order; they add up.

    Args:
        payload: What is brought in.
        disk_throughput_mib_per_s: What the disk writes and reads.
        network_gbps: What the machine's network sustains, Gbit/s.
    """
    pull, fetch, load = _transfers(payload, disk_throughput_mib_per_s, network_gbps)
    return (
        Step("boot", BOOT_SECONDS, Basis.ESTIMATED),
        Step("load the driver", DRIVER_SECONDS, Basis.ESTIMATED),
        Step("pull the server's image", pull, Basis.ESTIMATED),
        Step("fetch the model", fetch, Basis.DERIVED),
        Step("load the weights", load, Basis.DERIVED),
        Step("compile and capture graphs", COMPILE_SECONDS, Basis.ESTIMATED),
        Step("warm up", WARM_UP_SECONDS, Basis.ESTIMATED),
    )


def cold_start_seconds(payload: Payload, disk_throughput_mib_per_s: float, network_gbps: float) -> int:
    """Return the sum of the steps."""
    fixed = BOOT_SECONDS + DRIVER_SECONDS + COMPILE_SECONDS + WARM_UP_SECONDS
    return fixed + sum(_transfers(payload, disk_throughput_mib_per_s, network_gbps))


@lru_cache(maxsize=256)
def throughput_for(
    target_seconds: float, payload: Payload, network_gbps: float, least: int, most: int
) -> int | None:
    """Return the least disk throughput with which the cold start meets the target, MiB/s; None where none does.

    Args:
        target_seconds: Longest cold start.
        payload: What is brought in.
        network_gbps: What the machine's network sustains, Gbit/s.
        least: Least throughput that can be bought, above 0.
        most: Most that can be bought.
    """

    def meets(throughput: int) -> bool:
        return cold_start_seconds(payload, throughput, network_gbps) <= target_seconds

    if not meets(most):
        return None
    low, high = least, most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if meets(middle) else (middle + 1, high)
    return low


def _transfers(payload: Payload, throughput: float, network_gbps: float) -> tuple[int, int, int]:
    """Return the seconds to pull the image, to fetch the model and to load the weights."""
    disk, network = throughput * MIB, network_gbps * 1e9 / 8
    image, weights = payload.image_gb * 1e9, payload.weights_gib * GIB
    # Layers are written as they come, and written again unpacked.
    written = (payload.image_gb + payload.unpacked_gb) * 1e9
    pull = max(image / (IMAGE_PULL_GB_PER_S * 1e9), written / disk, image / network)
    fetch = max(weights / (FETCH_GB_PER_S * 1e9), weights / disk, weights / network)
    return math.ceil(pull), math.ceil(fetch), math.ceil(weights / disk)


def replacement_gap_seconds(cold_start_seconds: int, cloud: str) -> int:
    """Return how long a spot machine's place stays empty: its replacement starts at the notice."""
    return max(0, cold_start_seconds - SPOT_NOTICE_SECONDS.get(cloud, 0))
