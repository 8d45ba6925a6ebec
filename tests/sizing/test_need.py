"""A need: what it adds up to, and what holds it."""

from __future__ import annotations

import pytest

from gpuwright import catalog
from gpuwright.errors import InputError
from gpuwright.sizing.basis import Basis
from gpuwright.sizing.need import Need, Part, bits, positive, running, usable_gib


def a_need(gib: float, accelerators: int = 1, floor_gib: int = 0) -> Need:
    return Need((Part("weights", gib, Basis.DERIVED),), accelerators, floor_gib, (), 8, "because")


def test_a_need_over_several_accelerators_is_what_each_needs_times_their_number() -> None:
    assert a_need(10, accelerators=4).accelerator_gib == 10
    assert a_need(10, accelerators=4).total_gib == 40


def test_what_the_driver_shows_decides_and_not_the_box() -> None:
    # An A10G is sold with 24 GB; its driver shows 23,028 MiB, older ones 2 % less: 22.04 GiB.
    a10g = catalog.accelerator("A10G")
    assert usable_gib(a10g) == pytest.approx(23_028 / 1024 * 0.98)
    assert a_need(22.0).fits(a10g)
    assert not a_need(23.0).fits(a10g)
    assert "23.0 GiB are needed" in (a_need(23.0).lack(a10g) or "")


def test_a_documented_floor_holds_even_where_the_arithmetic_would_fit() -> None:
    t4 = catalog.accelerator("T4")
    assert a_need(3.0, floor_gib=16).fits(t4)
    assert a_need(3.0, floor_gib=24).lack(t4) == "T4 has 16 GB; the documents ask for 24 GB at least."


def test_a_need_is_trusted_no_further_than_its_least_certain_part() -> None:
    parts = running(Part("weights", 1, Basis.MEASURED), (Part("activations", 1, Basis.DERIVED),))
    assert Need(parts, 1, 0, (), 8, "").basis is Basis.ESTIMATED
    assert a_need(1).basis is Basis.DERIVED


def test_what_fits_by_less_than_its_uncertainty_is_called_tight() -> None:
    parts = (Part("weights", 10, Basis.DERIVED), Part("activations", 4, Basis.ESTIMATED))
    need = Need(parts, 1, 0, (), 8, "")
    # 1 % of 10 and half of 4: 14 GiB, or 16.1; a T4 shows 14.7, an A10G 22.
    assert need.uncertain_gib == pytest.approx(2.1)
    assert need.fits(catalog.accelerator("T4"))
    assert need.tight(catalog.accelerator("T4"))
    assert not need.tight(catalog.accelerator("A10G"))
    assert not a_need(100).tight(catalog.accelerator("T4"))


def test_a_process_holds_its_runtime_and_a_fifth_of_its_working_memory_beyond_what_is_alive() -> None:
    parts = running(Part("weights", 10, Basis.DERIVED), (Part("activations", 5, Basis.DERIVED),))
    assert sum(part.gib for part in parts) == pytest.approx(10 + 5 + 1.0 + 0.45)


def test_an_unknown_precision_and_what_is_not_above_zero_are_refused_all_at_once() -> None:
    with pytest.raises(InputError, match="'fp12' is no precision"):
        bits("fp12")
    with pytest.raises(InputError) as raised:
        positive(width=0, height=-1, depth=1)
    assert [fault.where for fault in raised.value.faults] == ["width", "height"]
