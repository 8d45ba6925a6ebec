"""Asking the tables: which rows satisfy a condition, and which row a name means."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from functools import cache
from types import MappingProxyType
from typing import Any

from gpuwright import catalog
from gpuwright.catalog import Accelerator, InstanceType, Model, Profile, Server
from gpuwright.errors import Fault, InputError, UnknownNameError, near

TableRow = Accelerator | InstanceType | Model | Profile | Server

OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = MappingProxyType(
    {
        ">=": operator.ge,
        "<=": operator.le,
        "!=": operator.ne,
        "=": operator.eq,
        ">": operator.gt,
        "<": operator.lt,
    }
)
NOTHING = "none"
"""What stands for a column that a row leaves out."""
EITHER = MappingProxyType({"true": True, "yes": True, "false": False, "no": False})


@dataclass(frozen=True)
class Condition:
    """One condition on a column.

    Args:
        column: The column's name.
        sign: One of the operators.
        value: What it is compared with, in the column's type; None: whether the row has a value at all.
    """

    column: str
    sign: str
    value: Any

    def holds(self, row: TableRow) -> bool:
        """Return whether the row satisfies it; a row without a value satisfies ``=none`` only."""
        found = _folded(getattr(row, self.column))
        if self.value is None:
            return OPERATORS[self.sign](found is None, True)
        if found is None:
            return False
        if isinstance(found, tuple):
            return (self.value in found) == (self.sign == "=")
        return OPERATORS[self.sign](found, self.value)


def table(name: str, clouds: Sequence[str] = ()) -> tuple[TableRow, ...]:
    """Return the rows of a table by the name that a user gives it; of instance types those of some clouds only.

    Raises:
        UnknownNameError: The catalog has no such cloud.
    """
    if name != "instance-types":
        whole: Mapping[str, Callable[[], tuple[TableRow, ...]]] = {
            "accelerators": catalog.accelerators,
            "models": catalog.models,
            "profiles": catalog.profiles,
            "servers": catalog.servers,
        }
        return whole[name]()
    asked = clouds or catalog.clouds()
    return tuple(row for cloud in asked for row in catalog.instance_types(cloud, where="--cloud"))


TABLES: Mapping[str, type[Any]] = MappingProxyType(
    {
        "accelerators": Accelerator,
        "models": Model,
        "instance-types": InstanceType,
        "profiles": Profile,
        "servers": Server,
    }
)


def condition(text: str, rows: Sequence[TableRow], kind: type[Any]) -> Condition:
    """Return the condition that a text such as ``memory_gib>=24`` states about rows of one kind.

    Raises:
        InputError: It is no condition, names no column, or compares what cannot be compared.
    """
    parts = re.fullmatch(r"\s*([A-Za-z_][\w-]*)\s*(>=|<=|!=|==?|>|<)\s*(.*?)\s*", text)
    where = f"--where {text!r}"
    if not parts:
        fix = f"Write column, one of {' '.join(OPERATORS)}, and a value: memory_gib>=24."
        raise InputError.of(where, "is no condition.", fix)
    column, sign, given = parts[1].replace("-", "_"), parts[2].replace("==", "="), parts[3]
    known = [each.name for each in fields(kind)]
    if column not in known:
        like = near(column, known) or _sharing_a_word(column, known)
        fix = f"Did you mean {' or '.join(like)}?" if like else f"Columns: {', '.join(known)}."
        raise InputError.of(where, f"names {column!r}, which is no column of {kind.__name__}.", fix)
    found = [value for row in rows if (value := getattr(row, column)) is not None]
    value = _typed(given, found, where)
    if sign not in ("=", "!=") and not isinstance(value, (int, float, date)):
        problem = f"asks for more or less, and {column} is no number and no date."
        raise InputError.of(where, problem, "Use = or !=.")
    return Condition(column, sign, value)


def select(name: str, clouds: Sequence[str], texts: Sequence[str]) -> tuple[TableRow, ...]:
    """Return the rows of a table that satisfy every condition.

    Raises:
        InputError: With the fault of every condition.
    """
    rows, faults, asked = table(name, clouds), list[Fault](), list[Condition]()
    for text in texts:
        try:
            asked.append(condition(text, rows, TABLES[name]))
        except InputError as error:
            faults += error.faults
    if faults:
        raise InputError(faults)
    return tuple(row for row in rows if all(each.holds(row) for each in asked))


def names(row: TableRow) -> tuple[str, ...]:
    """Return what names a row: the name that no other row has first, then shorter ones that others may share."""
    if isinstance(row, Accelerator):
        return f"{row.name} {row.form_factor}", row.name
    if isinstance(row, Model):
        return row.id, row.id.rpartition("/")[2]
    if isinstance(row, Server):
        return f"{row.name} {row.version}", row.name
    return (row.name,)


def find(name: str, where: str = "NAME") -> TableRow:
    """Return the row of any table that a name means, without regard to case.

    Raises:
        UnknownNameError: No table has it; the nearest names of all tables are named.
        InputError: Several rows have it; all of them are named.
    """
    wanted = " ".join(name.split()).casefold()
    by_name = _by_name()
    found = by_name.get(wanted, ())
    if not found:
        known = [names(row)[0] for rows in by_name.values() for row in rows]
        known += [names(row)[-1] for rows in by_name.values() for row in rows]
        fix = "`gpuwright catalog models` and the like list the names."
        raise UnknownNameError(where, "row", name, dict.fromkeys(known), fix)
    if len(found) > 1:
        choices = ", ".join(names(row)[0] for row in found)
        raise InputError.of(where, f"{name!r} is the name of {len(found)} rows.", f"Say which: {choices}.")
    return found[0]


@cache
def _by_name() -> Mapping[str, tuple[TableRow, ...]]:
    found: dict[str, tuple[TableRow, ...]] = {}
    for row in (row for name in TABLES for row in table(name)):
        for each in dict.fromkeys(each.casefold() for each in names(row)):
            found[each] = (*found.get(each, ()), row)
    return found


def _typed(text: str, found: Iterable[Any], where: str) -> Any:
    """Return the value in the type of the column's values; the text, without regard to case, where they are texts.

    Raises:
        InputError: It is not of that type.
    """
    if text.casefold() == NOTHING and not any(_folded(value) == NOTHING for value in found):
        return None
    kinds = {type(value) for value in found}
    if kinds == {bool}:
        if text.casefold() not in EITHER:
            raise InputError.of(
                where, f"compares with {text!r}, and the column is yes or no.", "Write yes or no."
            )
        return EITHER[text.casefold()]
    if kinds and kinds <= {int, float}:
        try:
            return float(text)
        except ValueError:
            problem = f"compares with {text!r}, and the column holds numbers."
            raise InputError.of(where, problem, "Give a number, without a unit.") from None
    if kinds == {date}:
        try:
            return date.fromisoformat(text)
        except ValueError:
            problem = f"compares with {text!r}, and the column holds dates."
            raise InputError.of(where, problem, "Give one as 2026-07-20.") from None
    return text.casefold()


def _sharing_a_word(column: str, known: Sequence[str]) -> list[str]:
    """Return the columns that have a word most like the one given."""
    words = near(column, {word for name in known for word in name.split("_")}, most=1)
    return [name for name in known if words and words[0] in name.split("_")][:3]


def _folded(value: Any) -> Any:
    """Return a text without case, and a list as the names of what it holds."""
    if isinstance(value, tuple):
        return tuple(str(getattr(each, "name", each)).casefold() for each in value)
    return value.casefold() if isinstance(value, str) else value
