"""Reading what users hand us, and only reading: YAML and JSON documents, specs and the model files that
they name.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gpuwright.catalog import Model
from gpuwright.errors import InputError

STDIN = "-"


@dataclass(frozen=True)
class SpecDocument:
    """A spec as it was read, not yet checked.

    Args:
        document: The parsed YAML.
        where: Its name, for errors.
        model: The model that it names, where that is a config.json.
    """

    document: Any
    where: str
    model: Model | None


class UniqueKeyLoader(yaml.SafeLoader):
    """A safe loader that refuses a key that stands twice in one mapping.

    Not the one in C: that overflows its stack on deeply nested input, where this one raises RecursionError.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping, or raise where a key stands twice."""
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


def read_text(path: str) -> tuple[str, str]:
    """Return the text of a file, or of standard input for ``-``, and its name for errors.

    Raises:
        InputError: It is not there, cannot be read, or is no UTF-8 text.
    """
    try:
        if path == STDIN:
            # Where the caller closed it, Python has no standard input at all.
            return (sys.stdin.buffer.read().decode() if sys.stdin else ""), "standard input"
        return Path(path).read_text(encoding="utf-8"), path
    except UnicodeDecodeError as error:
        raise InputError.of(
            path, f"is no UTF-8 text ({error.reason} at byte {error.start}).", "Save it as UTF-8."
        ) from None
    except FileNotFoundError:
        raise InputError.of(path, "is not there.", "Check the path; `-` reads standard input.") from None
    except OSError as error:
        raise InputError.of(path, f"cannot be read: {error.strerror}.", "Give a readable file.") from None


def parse_yaml(text: str, where: str) -> Any:
    """Return what a YAML or JSON text says.

    Raises:
        InputError: It is neither; the line is in the error.
    """
    try:
        return yaml.load(text, UniqueKeyLoader)  # noqa: S506  # a safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{where}:{mark.line + 1}" if mark else where
        raise InputError.of(place, f"is no valid YAML: {error.problem}.", "Correct this line.") from None
    except RecursionError:
        raise InputError.of(where, "is nested too deeply.", "Give a YAML or JSON document.") from None
    except (yaml.YAMLError, ValueError) as error:
        raise InputError.of(where, f"is no valid YAML: {error}.", "Give a YAML or JSON document.") from None


def read_spec(path: str) -> SpecDocument:
    """Return the spec in a YAML file, with the model if it names a config.json; paths are relative to the
    spec.

    Raises:
        InputError: A file cannot be read, or is no YAML or JSON.
    """
    text, where = read_text(path)
    folder = Path() if path == STDIN else Path(path).parent
    return spec_document(parse_yaml(text, where), where, folder)


def spec_document(document: Any, where: str, folder: Path) -> SpecDocument:
    """Return a parsed spec with the model that it names by path, relative to a folder."""
    named = document.get("model") if isinstance(document, Mapping) else None
    model = (
        read_model(folder / named, f"{where}: model")
        if isinstance(named, str) and named.endswith(".json")
        else None
    )
    return SpecDocument(document, where, model)


def read_model(path: Path, where: str) -> Model:
    """Return the model that a Hugging Face config.json describes, named after its folder.

    Raises:
        InputError: It is not there, is no JSON, or describes no decoder.
    """
    from gpuwright.catalog.huggingface import model_from_config  # its tables are needed by few specs

    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError.of(
            where,
            f"{str(path)!r} cannot be read as JSON: {reason}.",
            "Give the path of a Hugging Face config.json.",
        ) from None
    name = path.resolve().parent.name if path.name == "config.json" else path.stem
    return model_from_config(config, name)
