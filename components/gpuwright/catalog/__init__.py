"""Tables of accelerators, instance types, models, inference servers and profiles, and how to look up a row.

A file is read when a row of it is first asked for. Files are found by walking their folder, so a new cloud or
profile is a new file and no list is edited. A name must match a whole name: A10G is never taken for A10.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import yaml

from gpuwright.catalog.models import (
    Accelerator,
    Commitment,
    Floors,
    InstanceType,
    Model,
    ModelComponent,
    Profile,
    Quantization,
    Server,
    ServicePrice,
)
from gpuwright.errors import InputError, UnknownNameError

__all__ = [
    "Accelerator",
    "Commitment",
    "Floors",
    "InstanceType",
    "Model",
    "ModelComponent",
    "Profile",
    "Quantization",
    "Server",
    "ServicePrice",
    "accelerator",
    "accelerator_of",
    "accelerators",
    "clouds",
    "commitment",
    "commitments",
    "deployable_server",
    "find_instance_type",
    "instance_type",
    "instance_types",
    "model",
    "models",
    "profile",
    "profiles",
    "server",
    "servers",
    "service_prices",
]

# The loader written in C reads the tables about eight times as fast; PyYAML may be built without it.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# importlib.resources would find the same folder, and takes as long to import as the tables take to read.
_FOLDER = Path(__file__).parent
_FEW = 12

R = TypeVar("R")


@cache
def accelerators() -> tuple[Accelerator, ...]:
    """Return every accelerator in each of its form factors, by compute capability and memory."""
    return tuple(_accelerator(*each) for each in _accelerator_texts()[1])


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
    known = _accelerator_texts()[1]
    named = [each for each in known if each[0].casefold() == name.casefold()]
    if not named:
        raise _unknown(where, "accelerator", name, (each for each, _ in known))
    if form_factor is not None:
        formed = [each for each in named if each[1].casefold() == form_factor.casefold()]
        if not formed:
            forms = [form for _, form in named]
            raise _unknown(where, f"form factor of {named[0][0]}", form_factor, forms)
        return _accelerator(*formed[0])
    if len(named) > 1:
        choices = " and ".join(form for _, form in named)
        raise InputError.of(where, f"{name!r} comes as {choices}, which differ.", "Give the form factor too.")
    return _accelerator(*named[0])


@cache
def accelerator_of(each: InstanceType) -> Accelerator:
    """Return the accelerator of an instance type; of a slice, that part of its memory and its peaks."""
    whole, part = accelerator(each.accelerator, each.form_factor), each.accelerator_fraction
    if part == 1:
        return whole
    return replace(
        whole,
        memory_gib=round(whole.memory_gib * part),
        usable_mib=int(whole.usable_mib * part),
        memory_bandwidth_gb_per_s=whole.memory_bandwidth_gb_per_s * part,
        fp16_dense_tflops=whole.fp16_dense_tflops * part,
        fp8_dense_tflops=whole.fp8_dense_tflops and whole.fp8_dense_tflops * part,
        int8_dense_tops=whole.int8_dense_tops and whole.int8_dense_tops * part,
    )


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
    return tuple(_model(each) for each in _model_texts()[1])


def model(id: str, *, where: str = "model") -> Model:  # noqa: A002  # it is what Hugging Face calls it
    """Return the model with that id, or with that name after the slash, without regard to case.

    Raises:
        UnknownNameError: There is no such model.
        InputError: Several organisations have one of that name.
    """
    wanted, (_, known) = id.casefold(), _model_texts()
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
    return tuple(_server(*each) for each in _server_texts()[1])


def server(name: str, version: str | None = None, *, where: str = "server") -> Server:
    """Return that version of the inference server, or the newest whose image is known by digest.

    Raises:
        UnknownNameError: There is no such server, or not in that version.
    """
    known = _server_texts()[1]
    versions = [each for named, each in known if named == name]
    if not versions:
        raise _unknown(f"{where}.name", "inference server", name, (named for named, _ in known))
    if version is None:
        newest_first = (_server(name, each) for each in reversed(versions))
        return next((each for each in newest_first if each.deployable), _server(name, versions[-1]))
    if version not in versions:
        raise _unknown(f"{where}.version", f"version of {name}", version, versions)
    return _server(name, version)


def deployable_server(name: str, version: str | None = None, *, where: str = "server") -> Server:
    """Return that version of the inference server as one that can be deployed, or the newest such.

    Raises:
        UnknownNameError: There is no such server, or not in that version.
        InputError: Its image is not known by digest, and a tag may come to mean another one.
    """
    found = server(name, version, where=where)
    if found.deployable:
        return found
    others = ", ".join(each.version for each in servers() if each.name == name and each.deployable)
    raise InputError.of(
        f"{where}.version",
        f"is {found.version!r}, and the catalog does not know the digest of that image.",
        f"Choose one that can be deployed: {others}." if others else "Add the digest to its row.",
    )


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


@cache
def service_prices(cloud: str) -> Mapping[str, ServicePrice]:
    """Return the prices of what one cloud sells beside machines, by name; none where the catalog has no table."""
    return {row["name"]: _build(ServicePrice, row) for row in _cloud_rows("prices", cloud)}


@cache
def commitments(cloud: str) -> tuple[Commitment, ...]:
    """Return the discounts that one cloud gives for a term of one or three years; the general row last."""
    return tuple(_build(Commitment, row) for row in _cloud_rows("commitments", cloud))


def commitment(each: InstanceType) -> Commitment | None:
    """Return the discounts on one instance type: its family's, or the general ones of its cloud; None without."""
    rows = commitments(each.cloud)
    of_family = (row for row in rows if each.name.startswith((f"{row.family}.", f"{row.family}-")))
    return next(of_family, rows[-1] if rows else None)


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
    return tuple(_build(InstanceType, {"cloud": cloud, **row}) for row in rows)


def _cloud_rows(folder: str, cloud: str) -> list[dict[str, Any]]:
    found = cloud in _yaml_files(folder)
    return [{"cloud": cloud, **row} for row in _rows(f"{folder}/{cloud}.yaml")] if found else []


@cache
def _model(id: str) -> Model:  # noqa: A002
    head, texts = _model_texts()
    (row,) = _filled_in({**head, "rows": _parse(texts[id])})
    return _build(Model, row, components=ModelComponent)


@cache
def _accelerator(name: str, form_factor: str) -> Accelerator:
    head, texts = _accelerator_texts()
    (row,) = _filled_in({**head, "rows": _parse(texts[name, form_factor])})
    return _build(Accelerator, row)


@cache
def _server(name: str, version: str) -> Server:
    head, texts = _server_texts()
    (row,) = _filled_in({**head, "rows": _parse(texts[name, version])})
    return _build(Server, row, quantizations=Quantization, kv_cache_dtypes=Quantization)


@cache
def _profile(name: str) -> Profile:
    columns = _parse(_read(_yaml_files("profiles")[name]))
    return _build(Profile, {"name": name, **columns}, floors=Floors)


@cache
def _model_texts() -> tuple[dict[str, Any], dict[str, str]]:
    """Return the head of the models' table, and the text of each row by id, not yet parsed.

    Of all rows a caller mostly wants one, and to parse the others takes longer than all else in the catalog.
    A row begins with its id, at the start of a line.
    """
    head, *rows = re.split(r"(?m)^(?=- \{?id: ([^\s,]+))", _read(_FOLDER / "models.yaml"))
    return _parse(head), dict(zip(rows[::2], rows[1::2], strict=True))


@cache
def _accelerator_texts() -> tuple[dict[str, Any], dict[tuple[str, str], str]]:
    """Return the head of the accelerators' table, and the text of each row by name and form factor, its beginning."""
    begin = r"(?m)^(?=- \{name: ([^,]+), form_factor: ([^,]+),)"
    head, *rows = re.split(begin, _read(_FOLDER / "accelerators.yaml"))
    keys = zip(rows[::3], rows[1::3], strict=True)
    return _parse(head), dict(zip(keys, rows[2::3], strict=True))


@cache
def _server_texts() -> tuple[dict[str, Any], dict[tuple[str, str], str]]:
    """Return the head of the servers' table, and the text of each row by name and version, which begin it."""
    head, *rows = re.split(r"(?m)^(?=- name: (\S+)\n  version: (\S+))", _read(_FOLDER / "servers.yaml"))
    keys = zip(rows[::3], rows[1::3], strict=True)
    return _parse(head), dict(zip(keys, rows[2::3], strict=True))


@cache
def _yaml_files(folder: str) -> dict[str, Path]:
    """Return the tables of one folder of the catalog by name, sorted."""
    return {each.stem: each for each in sorted((_FOLDER / folder).glob("*.yaml"))}


def _rows(path: str) -> list[dict[str, Any]]:
    """Return the rows of a table, with the table's defaults filled in and the sources written out."""
    return _filled_in(_parse(_read(_FOLDER / path)))


def _filled_in(table: Mapping[str, Any]) -> list[dict[str, Any]]:
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


def _build(cls: type[R], row: Mapping[str, Any], **nested: type[Any]) -> R:
    """Return a row of that class, whose nested columns hold rows or a list of rows; nothing is validated."""
    columns = dict(row)
    for column in _fractions(cls) & columns.keys():  # type: ignore[arg-type]  # a class is hashable
        columns[column] = None if columns[column] is None else float(columns[column])
    for column, inner in nested.items():
        value = columns.get(column)
        if isinstance(value, list):
            columns[column] = tuple(_build(inner, each) for each in value)
        elif value is not None:
            columns[column] = _build(inner, value)
    return cls(
        **{column: tuple(value) if isinstance(value, list) else value for column, value in columns.items()}
    )


@cache
def _fractions(cls: type[Any]) -> frozenset[str]:
    """Return the columns that hold a fraction even where the table writes 16.

    It matters, as a plan prints them and takes its digest of what it prints. The text of the annotation tells
    them, since to resolve all annotations would take longer than all else here.
    """
    return frozenset(each.name for each in fields(cls) if "Float" in str(each.type))


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def _parse(text: str) -> Any:
    return yaml.load(text, _LOADER)  # noqa: S506  # a safe loader, in C or in Python
