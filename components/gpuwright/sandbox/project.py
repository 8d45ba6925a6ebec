"""A Pulumi project on disk: ``Pulumi.yaml`` and the configuration of its stacks.

Source: pulumi/pulumi, sdk/go ``common/workspace`` and pkg ``workspace/config.go``, 3.260.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from gpuwright.documents import UniqueKeyLoader
from gpuwright.errors import Fault, InputError, near
from gpuwright.sandbox.wire import UNKNOWN_TEXT

PROJECT_FILE: Final = "Pulumi.yaml"
DEFAULT_STACK: Final = "dev-aws"
_STACK_FILE = re.compile(r"Pulumi\.(?P<stack>.+)\.yaml")
_TYPES: Final[Mapping[str, type | tuple[type, ...]]] = {
    "string": (str, int, float),
    "integer": int,
    "boolean": bool,
    "array": list,
    "object": dict,
}


STACK_SETTINGS = ("config", "environment", "secretsprovider", "encryptedkey", "encryptionsalt")
"""Keys at the top of a stack's file; pulumi/pulumi sdk/go/common/workspace ``ProjectStack``, 3.260."""


@dataclass(frozen=True)
class ConfigDeclaration:
    """A configuration key that ``Pulumi.yaml`` declares, with its default where it has one."""

    key: str
    type: str | None = None
    value: Any = None
    secret: bool = False


@dataclass(frozen=True)
class Project:
    """What ``Pulumi.yaml`` says.

    Args:
        name: Name of the project, the namespace of its own configuration.
        root: Folder of ``Pulumi.yaml``.
        main: Folder or file of the program.
        stack_folder: Folder of the stacks' files.
        runtime: Language of the program.
        declarations: The configuration keys that it declares.
    """

    name: str
    root: Path
    main: Path
    stack_folder: Path
    runtime: str = "python"
    declarations: tuple[ConfigDeclaration, ...] = ()

    def stacks(self) -> list[str]:
        """Return the names of the stacks that have a file."""
        names = (_STACK_FILE.fullmatch(path.name) for path in self.stack_folder.glob("Pulumi.*.yaml"))
        return sorted(match["stack"] for match in names if match)

    def stack_file(self, stack: str) -> Path:
        """Return where the stack's configuration stands, or would stand."""
        return self.stack_folder / f"Pulumi.{stack.replace('/', '-')}.yaml"

    def default_stack(self) -> str:
        """Return the stack that is meant when none is named: ``dev-aws``, the first ``dev``, or the only one.

        Raises:
            InputError: None of these exists.
        """
        names = self.stacks()
        development = [name for name in names if name.startswith("dev")]
        choice = [DEFAULT_STACK] if DEFAULT_STACK in names else development[:1] or names
        if len(choice) == 1:
            return choice[0]
        told = f"The stacks are {', '.join(names)}." if names else f"Write {self.stack_file('dev')}."
        raise InputError.of(
            str(self.root), "no stack is named, and none is the default.", f"Use --stack. {told}"
        )


@dataclass(frozen=True)
class StackSettings:
    """The configuration of one stack as the program reads it: text by namespaced key.

    Args:
        project: Name of the project.
        stack: Name of the stack.
        config: The values; what is not text is JSON text, as Pulumi passes it.
        secrets: The keys whose values are secret.
        notes: What the user should know of how the values were read.
    """

    project: str
    stack: str
    config: Mapping[str, str] = field(default_factory=dict)
    secrets: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, project: str, stack: str, config: Mapping[str, Any], secrets: Collection[str]
    ) -> StackSettings:
        """Return the settings for values given in Python; a key without a namespace is the project's."""
        return cls(
            project=project,
            stack=stack,
            config={full_key(project, key): as_text(value) for key, value in config.items()},
            secrets=frozenset(full_key(project, key) for key in secrets),
        )


def find_project(start: Path) -> Project:
    """Return the project of the nearest ``Pulumi.yaml`` at or above a folder.

    Raises:
        InputError: There is none, or it has faults.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / PROJECT_FILE).is_file():
            return load_project(folder)
    raise InputError.of(
        str(start),
        f"there is no {PROJECT_FILE} here or above.",
        "Go to a Pulumi project, or name it with --cwd.",
    )


def load_project(root: Path) -> Project:
    """Return the project whose ``Pulumi.yaml`` stands in a folder.

    Raises:
        InputError: It is no YAML mapping, or lacks its name.
    """
    path = root / PROJECT_FILE
    document = _Document(path)
    runtime = document.data.get("runtime")
    runtime_name = runtime.get("name") if isinstance(runtime, dict) else runtime
    faults = []
    if not isinstance(document.data.get("name"), str):
        faults.append(Fault(document.where("name"), "the project has no name.", "Add: name: my-project."))
    declared = document.data.get("config")
    if declared is not None and not isinstance(declared, dict | str):
        faults.append(
            Fault(document.where("config"), "config must map keys to declarations.", "See `pulumi config`.")
        )
    if faults:
        raise InputError(faults)
    # A string in ``config`` is the old spelling of ``stackConfigDir``.
    old_folder = declared if isinstance(declared, str) else ""
    name = document.data["name"]
    return Project(
        name=name,
        root=root,
        main=(root / str(document.data.get("main") or ".")).resolve(),
        stack_folder=root / str(document.data.get("stackConfigDir") or old_folder or "."),
        runtime=str(runtime_name or "python"),
        declarations=tuple(_declarations(name, declared if isinstance(declared, dict) else {})),
    )


def load_stack(project: Project, stack: str | None) -> StackSettings:
    """Return a stack's configuration with the project's defaults; left out, that of the default stack.

    Raises:
        InputError: There is no such stack, a value has the wrong type, or a value is missing.
    """
    name = stack or project.default_stack()
    path = project.stack_file(name)
    if not path.is_file():
        names = project.stacks()
        like = near(name, names)
        hint = (
            f"Did you mean {' or '.join(like)}?" if like else f"The stacks are {', '.join(names) or 'none'}."
        )
        raise InputError.of(str(path), f"there is no stack {name!r}.", hint)
    document = _Document(path)
    faults = [_unknown_setting(document, str(key)) for key in document.data if key not in STACK_SETTINGS]
    if faults:
        raise InputError(faults)
    values = document.data.get("config") or {}
    if not isinstance(values, dict):
        raise InputError.of(document.where("config"), "config must map keys to values.", "Write: key: value.")
    return _merged(project, name, values, frozenset(), document)


def _unknown_setting(document: _Document, key: str) -> Fault:
    like = near(key, STACK_SETTINGS)
    hint = f"Did you mean {like[0]}?" if like else f"Known are {', '.join(STACK_SETTINGS)}."
    return Fault(document.where(key), f"{key!r} is no setting of a stack.", hint)


def stack_settings(
    project: Project, stack: str, config: Mapping[str, Any], secrets: Collection[str]
) -> StackSettings:
    """Return the settings of a stack from values given in Python, with the project's defaults."""
    full = frozenset(full_key(project.name, key) for key in secrets)
    return _merged(project, stack, config, full, None)


def _merged(
    project: Project,
    stack: str,
    values: Mapping[str, Any],
    secrets: frozenset[str],
    document: _Document | None,
) -> StackSettings:
    given = {full_key(project.name, str(key)): value for key, value in values.items()}
    locked = {key for key, value in given.items() if _is_locked(value)}
    declared = {each.key: each for each in project.declarations}
    faults = []
    for key, declaration in declared.items():
        where = document.where("config", key, key.rpartition(":")[2]) if document else f"config.{key}"
        if key not in given and declaration.value is None and key.startswith(f"{project.name}:"):
            short = key.rpartition(":")[2]
            faults.append(
                Fault(where, f"stack {stack!r} lacks {short!r}.", f"Add to its config: {short}: a value.")
            )
        elif key in given and key not in locked and not _has_type(given[key], declaration.type):
            faults.append(
                Fault(where, f"{given[key]!r} is no {declaration.type}.", f"Give {key} a {declaration.type}.")
            )
    if faults:
        raise InputError(faults)
    defaults = {key: each.value for key, each in declared.items() if each.value is not None}
    return StackSettings(
        project=project.name,
        stack=stack,
        config={key: as_text(_unlocked(value)) for key, value in {**defaults, **given}.items()},
        secrets=secrets | locked | {key for key, each in declared.items() if each.secret},
        notes=tuple(
            f"{key} is encrypted and cannot be read here: the program sees an unknown secret."
            for key in sorted(locked)
        ),
    )


class _Loader(UniqueKeyLoader):
    """YAML as Go's library reads it: only true and false are booleans, dates are text, and no key stands twice."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":bool", ":timestamp"))]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("true|false|True|False"), list("tfTF"))


class _Document:
    """A YAML file whose top is a mapping, and the lines on which its keys stand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            text = path.read_text(encoding="utf-8")
            data = yaml.load(text, _Loader)  # noqa: S506  a SafeLoader with fewer implicit types
            self._node = yaml.compose(text, _Loader)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise InputError.of(
                f"{path}:{line}", f"no YAML: {error.problem}.", "Correct the line."
            ) from error
        except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
            raise InputError.of(str(path), f"cannot be read: {error}.", "Give a YAML file.") from error
        if not isinstance(data, dict | None):
            raise InputError.of(f"{path}:1", "the top must be a mapping.", "Write: key: value.")
        self.data: dict[Any, Any] = data or {}

    def where(self, key: str, *inner: str) -> str:
        """Return file and line of a key, or of the first that exists of some keys below it."""
        line, below = self._find(self._node, key)
        for name in inner:
            found, _ = self._find(below, name)
            line = found or line
        return f"{self.path}:{line}" if line else str(self.path)

    @staticmethod
    def _find(node: Any, key: str) -> tuple[int, Any]:
        for name, value in node.value if isinstance(node, yaml.MappingNode) else ():
            if name.value == key:
                return name.start_mark.line + 1, value
        return 0, None


def _declarations(project: str, declared: Mapping[str, Any]) -> Iterator[ConfigDeclaration]:
    for key, given in declared.items():
        full = full_key(project, str(key))
        if not isinstance(given, dict):
            yield ConfigDeclaration(full, value=given)
            continue
        value = given.get("value", given.get("default"))
        yield ConfigDeclaration(full, given.get("type"), value, bool(given.get("secret")))


def full_key(project: str, key: str) -> str:
    """Return a configuration key with its namespace, the project where it has none."""
    return key if ":" in key else f"{project}:{key}"


def _has_type(value: Any, kind: str | None) -> bool:
    if kind == "boolean" and value in ("true", "false"):
        return True
    if kind == "integer" and (isinstance(value, bool) or re.fullmatch(r"-?\d+", str(value))):
        return not isinstance(value, bool)
    return kind is None or isinstance(value, _TYPES.get(kind, object))


def _is_locked(value: Any) -> bool:
    """Tell whether a value is encrypted, or holds an encrypted value."""
    if isinstance(value, dict):
        return set(value) == {"secure"} or any(_is_locked(item) for item in value.values())
    return isinstance(value, list) and any(_is_locked(item) for item in value)


def _unlocked(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"secure"}:
            return UNKNOWN_TEXT
        return {key: _unlocked(item) for key, item in value.items()}
    return [_unlocked(item) for item in value] if isinstance(value, list) else value


def as_text(value: Any) -> str:
    """Return a configuration value as Pulumi passes it: JSON text, unless it is text."""
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), default=str)
