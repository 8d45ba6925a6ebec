"""A row of the models' table as text, from what a model's repository publishes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import date
from typing import Any

import yaml

from gpuwright.catalog import Model
from gpuwright.errors import InputError

INDEX = "model.safetensors.index.json"


def with_index(model: Model, index: Any, where: str) -> Model:
    """Return the model with the size of its weights as a safetensors index gives it.

    Raises:
        InputError: It is no such index.
    """
    metadata = index.get("metadata") if isinstance(index, Mapping) else None
    size = metadata.get("total_size") if isinstance(metadata, Mapping) else None
    if isinstance(size, bool) or not isinstance(size, int) or size <= 0:
        problem = "holds no metadata.total_size, and a safetensors index has it."
        raise InputError.of(where, problem, f"Give the {INDEX} that lies beside the weights.")
    return replace(model, weights_bytes=size, source=f"{model.source}; size: {INDEX}")


def columns(model: Model) -> dict[str, Any]:
    """Return the columns of a model that its row has to give: those that differ from what is left out."""
    defaults = {each.name: each.default for each in fields(model)}
    # A row begins with its id, by which the loader finds it, and ends with where it came from.
    names = sorted(defaults, key=lambda name: (name != "id", name in ("source", "notes")))
    return {name: value for name in names if (value := getattr(model, name)) != defaults[name]}


def table_text(model: Model, read: date) -> str:
    """Return a table with the model as its one row, in the form of ``models.yaml``, to paste from or to keep."""
    key = re.sub(r"[^a-z0-9.]+", "-", f"{model.id.rpartition('/')[2].casefold()}-config").strip("-")
    row = {**columns(model), "source": [key]}
    row.pop("read", None)
    pairs = ", ".join(f"{name}: {_scalar(value)}" for name, value in row.items())
    return (
        f"sources:\n  {key}: {_quoted(model.source)}\n"
        f"defaults: {{read: {read.isoformat()}}}\nrows:\n- {{{pairs}}}\n"
    )


def _scalar(value: Any) -> str:
    """Return a value as YAML writes it inside a row on one line."""
    if isinstance(value, str):
        plain = (
            yaml.safe_load(f"{{x: {value}}}")
            if value and not set(value) & set(",{}[]:#&*!|>'\"%@`\n")
            else None
        )
        return value if plain == {"x": value} else json.dumps(value, ensure_ascii=False)
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
