"""Frozen dataclasses that cost next to nothing to define."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, NoReturn, dataclass_transform


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Record:
    """Makes a class that derives from it a frozen dataclass, its values given by name.

    ``dataclasses`` compiles six methods for each class, about a millisecond in all, which a command would pay for
    each at every start; here all classes share the same. A default is a value; there are no factories.
    """

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]
    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  # for where a record is validated

    def __init_subclass__(cls) -> None:
        dataclasses.dataclass(init=False, repr=False, eq=False, kw_only=True)(cls)

    def __init__(self, **values: Any) -> None:
        fields = self.__dataclass_fields__
        given = {name: values.get(name, each.default) for name, each in fields.items()}
        wrong = [f"{name!r} is missing" for name, value in given.items() if value is dataclasses.MISSING]
        wrong += [f"there is no {name!r}" for name in values if name not in fields]
        if wrong:
            raise TypeError(f"{type(self).__name__}: {', '.join(wrong)}")
        self.__dict__.update(given)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")

    def __eq__(self, other: object) -> bool:
        return self._values() == other._values() if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        # Kept, as rows are keys of look-ups that every shape of every plan makes.
        known: int | None = self.__dict__.get("_hash")
        if known is None:
            known = self.__dict__["_hash"] = hash(self._values())
        return known

    def __repr__(self) -> str:
        pairs = zip(self.__dataclass_fields__, self._values(), strict=True)
        return f"{type(self).__qualname__}({', '.join(f'{name}={value!r}' for name, value in pairs)})"

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__dataclass_fields__)
