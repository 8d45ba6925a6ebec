"""What the installed Pulumi SDKs say of a resource type, read from their source without importing them.

Importing ``pulumi_aws.ec2`` takes over a second and 100 MiB; parsing the one file that defines a
resource takes about 50 ms, so that a provider process starts at once and pays for what it is asked.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Literal

Kind = Literal["string", "integer", "number", "boolean", "list", "map", "object"]

_KINDS: Mapping[str, Kind] = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "Sequence": "list",
    "Mapping": "map",
}


@dataclass(frozen=True)
class ResourceFacts:
    """The properties of one resource type, by the provider's names.

    Args:
        inputs: Every input and what it holds.
        required: The inputs without which the provider refuses.
        outputs: Every output and what it holds.
        computed: The outputs that always have a value, given by the user or else by the cloud.
    """

    token: str
    inputs: Mapping[str, Kind] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    outputs: Mapping[str, Kind] = field(default_factory=dict)
    computed: frozenset[str] = frozenset()


def sdk_version(package: str) -> str | None:
    """Return the version of the installed SDK of a provider, or ``None`` where there is none."""
    try:
        return installed_version(f"pulumi_{package.replace('-', '_')}")
    except PackageNotFoundError:
        return None


@cache
def resource_facts(token: str) -> ResourceFacts | None:
    """Return what the installed SDK says of a resource type, or ``None`` for a type it does not have."""
    for path in _candidates(token):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
        for node in classes.values():
            if token in _tokens(node):
                return _facts(token, node, classes.get(f"{node.name}Args"))
    return None


def _candidates(token: str) -> Iterator[Path]:
    """Yield the files that hold the token's text, the one of the expected name first."""
    root = _package_root(token.partition(":")[0])
    if root is None:
        return
    _, module, name = ([*token.split(":"), "", ""])[:3]
    folder = root / _snake(module.partition("/")[0]).replace("index", "")
    if not folder.is_dir():
        folder = folder.with_name(f"{folder.name}_")  # a module named like a keyword, such as ``lambda_``
    guess = folder / f"{_snake(name)}.py"
    others = sorted(folder.glob("*.py")) if folder.is_dir() else []
    marker = f'type_token("{token}")'
    for path in [guess, *(path for path in others if path != guess)]:
        if path.is_file() and marker in path.read_text(encoding="utf-8"):
            yield path
            return


@cache
def _package_root(package: str) -> Path | None:
    found = importlib.util.find_spec(f"pulumi_{package.replace('-', '_')}")
    return Path(found.origin).parent if found and found.origin else None


def _tokens(node: ast.ClassDef) -> list[str]:
    return [
        str(ast.literal_eval(call.args[0]))
        for call in node.decorator_list
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pulumi.type_token"
    ]


def _facts(token: str, resource: ast.ClassDef, args: ast.ClassDef | None) -> ResourceFacts:
    outputs = dict(_properties(resource))
    inputs = dict(_properties(args)) if args else {}
    names = {python: name for python, name, _ in _getters(args)} if args else {}
    return ResourceFacts(
        token=token,
        inputs={name: _kind(annotation) for name, annotation in inputs.items()},
        required=frozenset(names.get(python, python) for python in _without_default(args)),
        outputs={name: _kind(annotation) for name, annotation in outputs.items()},
        computed=frozenset(
            name
            for name, annotation in outputs.items()
            if not annotation.startswith("pulumi.Output[Optional[")
        ),
    )


def _getters(node: ast.ClassDef) -> Iterator[tuple[str, str, str]]:
    """Yield the Python name, the provider's name and the annotation of every property."""
    for method in node.body:
        if not isinstance(method, ast.FunctionDef) or method.returns is None:
            continue
        for decorator in method.decorator_list:
            call = decorator if isinstance(decorator, ast.Call) else None
            if ast.unparse(call.func if call else decorator) != "pulumi.getter":
                continue
            given = [keyword.value for keyword in call.keywords if keyword.arg == "name"] if call else []
            name = str(ast.literal_eval(given[0])) if given else method.name
            yield method.name, name, ast.unparse(method.returns)


def _properties(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for _, name, annotation in _getters(node):
        yield name, annotation


def _without_default(args: ast.ClassDef | None) -> Iterator[str]:
    for method in args.body if args else ():
        if isinstance(method, ast.FunctionDef) and method.name == "__init__":
            for argument, default in zip(method.args.kwonlyargs, method.args.kw_defaults, strict=True):
                if default is None:
                    yield argument.arg


def _kind(annotation: str) -> Kind:
    """Return what an annotation such as ``pulumi.Output[Optional[_builtins.str]]`` holds."""
    for word in re.findall(r"\w+", annotation):
        if word in _KINDS:
            return _KINDS[word]
        if word == "outputs" or word.endswith("Args"):
            return "object"
    return "string"


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
