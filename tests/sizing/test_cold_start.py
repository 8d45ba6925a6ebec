"""The time from power-on to the first token."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gpuwright.sizing import Payload, cold_start
from gpuwright.sizing.cold_start import cold_start_seconds, replacement_gap_seconds, throughput_for

payloads = st.builds(Payload, st.floats(0.1, 1500), st.floats(1, 20), st.floats(1, 60))
throughputs = st.integers(50, 2000)
networks = st.floats(1, 400)


def steps(payload: Payload, throughput: float, network: float) -> dict[str, int]:
    return {step.name: step.seconds for step in cold_start(payload, throughput, network)}


def test_each_step_is_as_slow_as_its_slowest_part() -> None:
    found = steps(Payload(10, 12, 30), 1024, 5)
    # 12 GB of image at 0.058 GB/s; 42 GB written at 1,024 MiB/s take 39.1 s, 12 GB at 5 Gbit/s 19.2 s.
    assert found["pull the server's image"] == 207
    # 10 GiB: 19.5 s at the client's 0.55 GB/s, 17.2 s at 5 Gbit/s, 10 s at 1,024 MiB/s.
    assert found["fetch the model"] == 20
    assert found["load the weights"] == 10


def test_a_slow_disk_holds_up_the_image_and_the_model() -> None:
    found = steps(Payload(10, 12, 30), 125, 25)
    assert found["pull the server's image"] == 321, "42 GB at 125 MiB/s"
    assert found["fetch the model"] == found["load the weights"] == 82, "10,240 MiB at 125 MiB/s"


def test_a_slow_network_holds_up_the_model() -> None:
    assert steps(Payload(10, 12, 30), 1000, 1)["fetch the model"] == 86, "10 GiB · 8 / 1 Gbit/s"


def test_the_timeline_goes_from_boot_to_warm_up_and_each_step_says_how_it_is_known() -> None:
    made = cold_start(Payload(10, 12, 30), 500, 10)
    assert [step.name for step in made] == [
        "boot",
        "load the driver",
        "pull the server's image",
        "fetch the model",
        "load the weights",
        "compile and capture graphs",
        "warm up",
    ]
    assert {step.basis for step in made} == {"estimated", "derived"}


@given(payloads, throughputs, networks)
def test_the_sum_is_that_of_the_steps(payload: Payload, throughput: int, network: float) -> None:
    assert cold_start_seconds(payload, throughput, network) == sum(
        steps(payload, throughput, network).values()
    )


@given(payloads, throughputs, networks)
def test_a_faster_disk_never_starts_later(payload: Payload, throughput: int, network: float) -> None:
    slower = cold_start_seconds(payload, throughput, network)
    assert cold_start_seconds(payload, throughput + 1, network) <= slower


@given(payloads, networks, st.integers(100, 5000))
def test_the_throughput_for_a_target_is_the_least_that_meets_it(
    payload: Payload, network: float, target: int
) -> None:
    found = throughput_for(target, payload, network, 125, 1000)
    if found is None:
        assert cold_start_seconds(payload, 1000, network) > target
        return
    assert cold_start_seconds(payload, found, network) <= target
    assert found == 125 or cold_start_seconds(payload, found - 1, network) > target


def test_a_spot_machines_place_is_empty_from_its_end_to_its_replacements_first_token() -> None:
    assert replacement_gap_seconds(500, "aws") == 380
    assert replacement_gap_seconds(500, "gcp") == 470
    assert replacement_gap_seconds(60, "aws") == 0
