"""What a machine needs around its accelerators."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gpuwright.sizing import bandwidth_mbps, cold_start, disk


@given(st.floats(0.1, 2000), st.floats(1, 60))
def test_a_disk_holds_what_is_needed_and_never_less_than_the_documents_ask(
    weights: float, image: float
) -> None:
    planned = disk(weights, image)
    assert planned.size_gb >= max(100, planned.required_gb)
    assert planned.required_gb >= 2 * weights * 1.0737
    assert planned.iops >= 4 * planned.throughput_mib_per_s, "AWS refuses more than 0.25 MiB/s for each IOPS"
    assert 125 <= planned.throughput_mib_per_s <= 1000


def test_a_profiles_floor_is_bought_even_where_less_is_needed() -> None:
    assert disk(12.5, 30, floor_gb=500).size_gb == 500


def test_a_model_is_fetched_at_the_slower_of_network_and_disk() -> None:
    steps = {
        step.name: step.seconds for step in cold_start(10, disk_throughput_mib_per_s=1024, network_gbps=5)
    }
    assert steps["fetch the model"] == 18, "10 GiB · 8 / 5 Gbit/s are 17.2 s; the disk takes 10 s"
    assert steps["load the weights"] == 10


def test_bandwidth_is_requests_times_their_bytes() -> None:
    assert bandwidth_mbps(10, prompt_tokens=512, output_tokens=256) == 10 * (512 * 4 + 256 * 250) * 8 / 1e6
