"""Bytes on the wire, and the bandwidth for them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuwright.sizing import bandwidth_mbps
from gpuwright.sizing.network import request_bytes, required_mbps, response_bytes, transfer_seconds


@pytest.mark.parametrize(("mbps", "seconds"), [(1, 40), (100, 0.4)])
def test_an_image_of_5_mb_takes_what_the_documents_say(mbps: float, seconds: float) -> None:
    assert transfer_seconds(5_000_000, mbps) == pytest.approx(seconds)


def test_bandwidth_is_requests_times_their_bytes() -> None:
    sizes = request_bytes(512), response_bytes(256)
    assert sizes == (2048, 64_000)
    assert bandwidth_mbps(10, *sizes) == 10 * (512 * 4 + 256 * 250) * 8 / 1e6


def test_a_public_service_has_50_mbps_and_instances_have_a_gigabit_between_them() -> None:
    assert required_mbps(0.3, public=True) == 50
    assert required_mbps(0.3, public=False) == 1000
    assert required_mbps(80, public=True) == 80


@given(st.floats(0, 1e6), st.booleans())
def test_the_bandwidth_to_have_is_never_below_what_is_taken(taken: float, public: bool) -> None:
    assert required_mbps(taken, public=public) >= taken
