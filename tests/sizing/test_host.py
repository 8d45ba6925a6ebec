"""What a machine needs around its accelerators."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuwright.sizing import disk
from gpuwright.sizing.host import VOLUMES, HostNeed, host_need

clouds = st.sampled_from(sorted(VOLUMES))


@given(st.floats(0.1, 2000), st.floats(1, 60), clouds, st.one_of(st.none(), st.integers(1, 2000)))
def test_a_disk_holds_what_is_needed_and_never_less_than_the_documents_ask(
    weights: float, image: float, cloud: str, throughput: int | None
) -> None:
    volume = VOLUMES[cloud]
    planned = disk(weights, image, volume=volume, throughput_mib_per_s=throughput)
    assert planned.type == volume.type
    assert planned.size_gb >= max(100, planned.required_gb)
    assert planned.required_gb >= 2 * weights * 1.0737
    assert planned.iops >= volume.iops_per_mib_per_s * planned.throughput_mib_per_s, "AWS refuses fewer"
    assert volume.base_mib_per_s <= planned.throughput_mib_per_s <= volume.max_mib_per_s
    assert planned.throughput_mib_per_s > 0
    if throughput and throughput <= volume.max_mib_per_s:
        assert planned.throughput_mib_per_s >= throughput - 1


def test_a_profiles_floor_is_bought_even_where_less_is_needed() -> None:
    assert disk(12.5, 30, floor_gb=500).size_gb == 500


def test_checkpoints_of_a_training_take_room() -> None:
    # 75 + 30 + 20 + 2 · 12.5 · 1.0737 = 151.8 GB, and 200 GB of checkpoints.
    assert disk(12.5, 30).required_gb == 152
    assert disk(12.5, 30, checkpoints_gb=200).required_gb == 352


def test_aws_sells_throughput_and_gcp_a_larger_disk() -> None:
    # 600 MiB/s on pd-ssd: (600 - 240) / 0.48 = 750 GB, which bring 6,000 + 750 · 30 I/O per second.
    aws, gcp = (disk(12.5, 30, volume=VOLUMES[cloud], throughput_mib_per_s=600) for cloud in ("aws", "gcp"))
    assert (aws.size_gb, aws.iops, aws.throughput_mib_per_s) == (152, 3000, 600)
    assert (gcp.size_gb, gcp.iops, gcp.throughput_mib_per_s) == (750, 28500, 600)


def test_no_disk_is_made_larger_for_a_start_that_nobody_asked_for() -> None:
    azure = disk(12.5, 30, volume=VOLUMES["azure"])
    assert (azure.size_gb, azure.throughput_mib_per_s) == (152, 105)  # 90 + 152 · 0.1
    assert disk(12.5, 30, volume=VOLUMES["aws"]).throughput_mib_per_s == 214  # 12.5 · 1024 / 60


@pytest.mark.parametrize(
    ("accelerators", "weights_gib", "loaders", "need"),
    [
        # (2 + 1) cores of 2 vCPU; 4 GiB of system, the weights, and 4 GiB for each of 3 processes.
        (1, 12.6, 0, HostNeed(6, 4 + 12.6 + 12)),
        (8, 131.4, 0, HostNeed(20, 4 + 131.4 + 40)),
        (1, 12.6, 4, HostNeed(14, 4 + 12.6 + 28)),
    ],
)
def test_a_host_has_cores_for_each_process_and_room_to_stage_the_weights(
    accelerators: int, weights_gib: float, loaders: int, need: HostNeed
) -> None:
    found = host_need(accelerators, weights_gib, loaders)
    assert found.vcpus == need.vcpus
    assert found.memory_gib == pytest.approx(need.memory_gib)
