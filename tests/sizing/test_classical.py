"""Gradient-boosted trees: no accelerator, the arithmetic by hand, and what must hold for all."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuwright import catalog
from gpuwright.errors import InputError
from gpuwright.sizing.classical import Classical, classical_need
from gpuwright.sizing.servers.budget import GIB


def test_trees_need_no_accelerator_and_say_why() -> None:
    need = classical_need(Classical())
    assert (need.accelerators, need.parts, need.total_gib) == (0, (), 0)
    assert "comparisons, not multiplied" in need.reason
    assert need.fits(catalog.accelerator("T4"))
    assert catalog.model("xgboost").kind == "classical"


def test_a_node_takes_73_bytes_in_every_process() -> None:
    # 500 trees of 2⁹ - 1 nodes in two processes of half a GiB each, and two rows of 50 values.
    need = classical_need(Classical())
    assert need.vcpus == 2
    assert need.host_gib * GIB == pytest.approx(2 * 500 * 511 * 73 + 2 * 50 * 4 + 2 * 0.5 * GIB)


def test_vcpu_are_the_busy_seconds_of_a_second_over_the_part_that_may_be_busy() -> None:
    # 5,000 requests · (0.45 ms + 10 rows · 500 trees · 8 levels · 2.5 ns = 0.1 ms) = 2.75 s; / 0.6 = 4.58.
    assert classical_need(Classical(requests_per_second=5000, rows_per_request=10)).vcpus == 5


def test_training_holds_ten_bytes_of_each_value_and_takes_the_vcpu_of_its_deadline() -> None:
    # 10 million rows · 50 features · 500 trees · 8 levels · 22 ns = 44,000 s: 13 vCPU for an hour.
    need = classical_need(Classical("training", rows=10_000_000))
    assert need.vcpus == 13
    assert need.host[1].gib * GIB == pytest.approx(10_000_000 * 50 * 10)
    assert need.accelerators == 0


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (Classical("clustering"), "not known"),
        (Classical(trees=0), "above zero"),
        (Classical(depth=64), "too many nodes"),
    ],
)
def test_what_cannot_be_sized_is_refused_with_what_to_do(work: Classical, said: str) -> None:
    with pytest.raises(InputError, match=said):
        classical_need(work)


works = st.builds(
    Classical,
    task=st.sampled_from(["inference", "training"]),
    trees=st.integers(1, 5000),
    depth=st.integers(1, 16),
    features=st.integers(1, 2000),
    requests_per_second=st.floats(0.1, 50_000),
    rows_per_request=st.integers(1, 10_000),
    rows=st.integers(1, 10**9),
    training_seconds=st.floats(60, 86_400),
)


@given(works, st.floats(1, 10), st.integers(1, 10))
def test_more_to_do_never_needs_less(work: Classical, faster: float, times: int) -> None:
    more = replace(
        work,
        requests_per_second=work.requests_per_second * faster,
        rows_per_request=work.rows_per_request * times,
        rows=work.rows * times,
        trees=work.trees * times,
    )
    now, then = classical_need(work), classical_need(more)
    assert then.vcpus >= now.vcpus
    assert then.host_gib >= now.host_gib
