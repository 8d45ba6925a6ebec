"""A record is a dataclass like any other, only cheaper to define."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from gpuwright.catalog.record import Record


class Device(Record):
    """A record with and without a default."""

    name: str
    watts: int = 70


class Bundle(Device):
    """A record with more than its parent has, and records inside."""

    parts: tuple[Device, ...]


T4 = Device(name="T4")
PAIR = Bundle(name="pair", watts=140, parts=(T4, Device(name="L4", watts=72)))


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({}, "Device: 'name' is missing"),
        ({"name": "T4", "volts": 12}, "Device: there is no 'volts'"),
        ({"volts": 12}, "Device: 'name' is missing, there is no 'volts'"),
    ],
)
def test_a_record_takes_the_values_that_it_names_and_no_others(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(TypeError, match=problem):
        Device(**values)


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError, match="watts"):
        T4.watts = 75  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError, match="watts"):
        del T4.watts
    assert T4.watts == 70


def test_records_of_one_class_are_equal_where_their_values_are() -> None:
    assert Device(name="T4", watts=70) == T4
    assert len({T4, Device(name="T4"), Device(name="T4", watts=75)}) == 2
    assert Device(name="pair", watts=140) != PAIR


def test_what_is_done_with_dataclasses_can_be_done_with_records() -> None:
    assert dataclasses.replace(T4, watts=75) == Device(name="T4", watts=75)
    parts = ({"name": "T4", "watts": 70}, {"name": "L4", "watts": 72})
    assert dataclasses.asdict(PAIR) == {"name": "pair", "watts": 140, "parts": parts}
    assert pickle.loads(pickle.dumps(PAIR)) == copy.deepcopy(PAIR) == PAIR  # noqa: S301  # our own bytes
    assert repr(T4) == "Device(name='T4', watts=70)"


def test_a_validator_makes_a_record_of_its_values_and_refuses_others() -> None:
    adapter = TypeAdapter(Bundle)
    assert adapter.validate_python(dataclasses.asdict(PAIR)) == PAIR
    assert adapter.dump_python(PAIR) == dataclasses.asdict(PAIR)
    with pytest.raises(ValidationError, match=r"parts\.0\.volts"):
        adapter.validate_python({"name": "one", "parts": [{"name": "T4", "volts": 12}]})
