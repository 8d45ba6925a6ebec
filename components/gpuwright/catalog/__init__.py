"""Tables of accelerators, instance types, models, inference servers and profiles, and how to look up a row.

A file is read when a row of it is first asked for. Files are found by walking their folder, so a new cloud or
profile is a new file and no list is edited. A name must match a whole name: A10G is never taken for A10.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import yaml

from gpuwright.catalog.models import (
    Accelerator,
    Floors,
    InstanceType,
    Model,
    ModelComponent,
    Profile,
    Quantization,
    Server,
)
from gpuwright.errors import InputError, UnknownNameError

__all__ = [
    "Accelerator",
    "Floors",
    "InstanceType",
    "Model",
    "ModelComponent",
    "Profile",
    "Quantization",
    "Server",
    "accelerator",
    "accelerators",
    "clouds",
    "find_instance_type",
    "instance_type",
    "instance_types",
    "model",
    "models",
    "profile",
    "profiles",
    "server",
    "servers",
]

# The loader written in C reads the tables about eight times as fast; PyYAML may be built without it.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FEW = 12


@cache
def accelerators() -> tuple[Accelerator, ...]:
    """Return every accelerator in each of its form factors, by compute capability and memory."""
    return tuple(Accelerator.model_validate(row) for row in _rows("accelerators.yaml"))


@cache
def accelerator(name: str, form_factor: str | None = None, *, where: str = "accelerator") -> Accelerator:
    """Return one accelerator.

    Args:
        name: Its whole name, without regard to case.
        form_factor: Needed only where the name comes in more than one.
        where: Where the name was given, for the error.

    Raises:
        UnknownNameError: There is no such accelerator, or not in that form factor.
        InputError: It comes in several form factors and none was given.
    """
    named = [each for each in accelerators() if each.name.casefold() == name.casefold()]
    if not named:
        raise _unknown(where, "accelerator", name, (each.name for each in accelerators()))
    forms = {each.form_factor.casefold(): each for each in named}
    if form_factor is not None:
        if form_factor.casefold() not in forms:
            known = [each.form_factor for each in named]
            raise _unknown(where, f"form factor of {named[0].name}", form_factor, known)
        return forms[form_factor.casefold()]
    if len(named) > 1:
        choices = " and ".join(each.form_factor for each in named)
        raise InputError.of(where, f"{name!r} comes as {choices}, which differ.", "Give the form factor too.")
    return named[0]


def clouds() -> tuple[str, ...]:
    """Return the clouds that have a table of instance types, by name."""
    return tuple(_yaml_files("instance_types"))


def instance_types(cloud: str, *, where: str = "cloud") -> tuple[InstanceType, ...]:
    """Return the instance types of one cloud, by family and size.

    Raises:
        UnknownNameError: The catalog has no such cloud.
    """
    if cloud not in clouds():
        raise _unknown(where, "cloud", cloud, clouds())
    return _instance_types(cloud)


def instance_type(cloud: str, name: str, *, where: str = "instance_type") -> InstanceType:
    """Return one cloud's instance type of that name.

    Raises:
        UnknownNameError: The catalog has no such cloud, or the cloud no such instance type.
    """
    known = {each.name: each for each in instance_types(cloud)}
    if name not in known:
        raise _unknown(where, f"{cloud} instance type", name, known)
    return known[name]


def find_instance_type(name: str, *, where: str = "instance_type") -> InstanceType:
    """Return the instance type of that name, whichever cloud sells it.

    Raises:
        UnknownNameError: No cloud has it.
    """
    known = {each.name: each for cloud in clouds() for each in instance_types(cloud)}
    if name not in known:
        raise _unknown(where, "instance type", name, known)
    return known[name]


@cache
def models() -> tuple[Model, ...]:
    """Return every model, by id."""
    return tuple(_model(each) for each in _model_rows())


def model(id: str, *, where: str = "model") -> Model:  # noqa: A002  # it is what Hugging Face calls it
    """Return the model with that id, or with that name after the slash, without regard to case.

    Raises:
        UnknownNameError: There is no such model.
        InputError: Several organisations have one of that name.
    """
    wanted, known = id.casefold(), _model_rows()
    found = [each for each in known if wanted in (each.casefold(), each.casefold().rpartition("/")[2])]
    if not found:
        raise _unknown(
            where, "model", id, known, "Add its row, or give the path of its Hugging Face config.json."
        )
    if len(found) > 1:
        raise InputError.of(
            where, f"{id!r} is the name of {len(found)} models.", f"Say which: {', '.join(found)}."
        )
    return _model(found[0])


@cache
def servers() -> tuple[Server, ...]:
    """Return every version of every inference server, the oldest of each first."""
    return tuple(Server.model_validate(row) for row in _rows("servers.yaml"))


def server(name: str, version: str | None = None, *, where: str = "server") -> Server:
    """Return that version of the inference server, or the newest.

    Raises:
        UnknownNameError: There is no such server, or not in that version.
    """
    versions = {each.version: each for each in servers() if each.name == name}
    if not versions:
        raise _unknown(f"{where}.name", "inference server", name, (each.name for each in servers()))
    if version is None:
        return list(versions.values())[-1]
    if version not in versions:
        raise _unknown(f"{where}.version", f"version of {name}", version, versions)
    return versions[version]


def profiles() -> tuple[Profile, ...]:
    """Return every profile, by name."""
    return tuple(profile(name) for name in _yaml_files("profiles"))


def profile(name: str, *, where: str = "profile") -> Profile:
    """Return the profile of that name.

    Raises:
        UnknownNameError: There is no such profile.
    """
    known = _yaml_files("profiles")
    if name not in known:
        raise _unknown(where, "profile", name, known)
    return _profile(name)


def _unknown(where: str, kind: str, given: str, known: Iterable[str], fix: str = "") -> UnknownNameError:
    """Return the error of a missed look-up, which lists the names if they are few."""
    names = list(dict.fromkeys(known))
    few = len(names) <= _FEW
    return UnknownNameError(
        where, kind, given, names, fix or f"Known: {', '.join(names if few else names[:_FEW])}."
    )


@cache
def _instance_types(cloud: str) -> tuple[InstanceType, ...]:
    rows = _rows(f"instance_types/{cloud}.yaml")
    return tuple(InstanceType.model_validate({"cloud": cloud, **row}) for row in rows)


@cache
def _model(id: str) -> Model:  # noqa: A002
    return Model.model_validate(_model_rows()[id])


@cache
def _profile(name: str) -> Profile:
    return Profile.model_validate({"name": name, **_parse(_yaml_files("profiles")[name])})


@cache
def _model_rows() -> Mapping[str, dict[str, Any]]:
    """Return the models' rows by id, not yet validated: of all of them a caller mostly wants one."""
    return {row["id"]: row for row in _rows("models.yaml")}


@cache
def _yaml_files(folder: str) -> dict[str, Traversable]:
    """Return the tables of one folder of the catalog by name, sorted."""
    found = (each for each in (files(__name__) / folder).iterdir() if each.name.endswith(".yaml"))
    return {each.name.removesuffix(".yaml"): each for each in sorted(found, key=lambda each: each.name)}


def _rows(path: str) -> list[dict[str, Any]]:
    """Return the rows of a table, with the table's defaults filled in and the sources written out."""
    table = _parse(files(__name__) / path)
    return [{**table["defaults"], **_sourced(row, table["sources"])} for row in table["rows"]]


def _sourced(row: dict[str, Any], sources: Mapping[str, str]) -> dict[str, Any]:
    """Return the row with its source keys, and those of the rows inside it, replaced by the texts."""
    written = {
        column: [_sourced(item, sources) if isinstance(item, dict) else item for item in value]
        if isinstance(value, list)
        else value
        for column, value in row.items()
    }
    return {**written, "source": "; ".join(sources[key] for key in row["source"])}


def _parse(file: Traversable) -> Any:
    return yaml.load(file.read_text(encoding="utf-8"), _LOADER)  # noqa: S506  # a safe loader, in C or in Python
