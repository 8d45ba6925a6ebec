"""The sandbox of ``gpuwright sandbox``: Pulumi's own engine over stand-in providers and a throw-away backend.

POSIX only: the providers are found on PATH as shell scripts.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from gpuwright.errors import EnvironmentLackError, GpuwrightError, InputError, near
from gpuwright.sandbox.project import Project, as_text, find_project, full_key
from gpuwright.sandbox.sdk import sdk_version

PACKAGES: Final = ("aws", "gcp")
HOW_TO_INSTALL: Final = "curl -fsSL https://get.pulumi.com | sh, or: brew install pulumi/tap/pulumi"

# What the CLI writes into a stack's file when it meets the stack for the first time.
_SECRETS_KEYS: Final = frozenset({"encryptionsalt", "secretsprovider", "encryptedkey"})
# Settings of the user's: those that are kept, and those that would lead the engine past the sandbox.
_PASSPHRASES: Final = frozenset({"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"})
_LEFT_OUT: Final = ("PULUMI_DEBUG_PROVIDERS", "PULUMI_IGNORE_AMBIENT_PLUGINS", "PULUMI_ACCESS_TOKEN")
_STACK_VERBS: Final = frozenset(
    {
        "up",
        "update",
        "preview",
        "pre",
        "destroy",
        "down",
        "dn",
        "refresh",
        "config",
        "stack",
        "state",
        "import",
    }
)
_NO_STACK_NEEDED: Final = frozenset({("stack", "init"), ("stack", "select"), ("stack", "ls")})
_WITH_VALUE: Final = frozenset({"-C", "--cwd", "-s", "--stack", "--color", "-v", "--verbose"})


@dataclass(frozen=True)
class PulumiCommand:
    """The parts of a ``pulumi`` command line that decide which stack must exist before it runs."""

    words: tuple[str, ...]
    stack: str | None
    folder: Path

    @classmethod
    def of(cls, command: Sequence[str], folder: Path) -> PulumiCommand | None:
        """Return the parts of a command, or ``None`` where it does not start ``pulumi``."""
        if not command or Path(command[0]).name != "pulumi":
            return None
        words, options, awaiting = [], {}, ""
        for argument in command[1:]:
            if awaiting:
                options[awaiting], awaiting = argument, ""
            elif argument in _WITH_VALUE:
                awaiting = argument
            elif argument.startswith("-"):
                name, _, value = argument.partition("=")
                options[name] = value
            else:
                words.append(argument)
        cwd = options.get("-C") or options.get("--cwd") or "."
        return cls(tuple(words), options.get("-s") or options.get("--stack") or None, folder / cwd)

    @property
    def needs_stack(self) -> bool:
        """Whether the command works on a stack, which has to exist."""
        return (
            self.words[:1] != () and self.words[0] in _STACK_VERBS and self.words[:2] not in _NO_STACK_NEEDED
        )


def run_in_sandbox(command: Sequence[str], state: Path | None = None) -> int:
    """Run a command whose Pulumi finds stand-in providers and a local backend, and return its exit code.

    A ``pulumi`` command that works on a stack finds that stack created and selected. What the CLI writes of
    its encryption into the stacks' files is taken out again, so that the tree stays as it was.

    Args:
        command: The program and its arguments.
        state: A folder that keeps what was deployed for the next command; left out, nothing is kept.

    Raises:
        EnvironmentLackError: The command, or an SDK to stand in for, is not installed.
        InputError: The stack that the command names has no file in the project.
    """
    with _state_folder(state) as folder:
        environment = sandbox_environment(folder, os.environ)
        _require(command[0], environment)
        pulumi = PulumiCommand.of(command, Path.cwd())
        project = _project(pulumi.folder if pulumi else Path.cwd())
        with _stack_files_kept(project):
            if pulumi and pulumi.needs_stack and project:
                _select_stack(command[0], pulumi, project, environment)
            return _run(command, environment)


def sandbox_environment(folder: Path, base: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a sandbox, and write its providers and folders below ``folder``.

    The user's passphrase is kept, where one is set, for stack files that were encrypted with it.
    """
    folder = folder.resolve()
    for name in ("bin", "backend", "home"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    _write_providers(folder / "bin")
    kept = {key: value for key, value in base.items() if key not in _LEFT_OUT}
    return {
        "PULUMI_PYTHON_CMD": sys.executable,
        **kept,
        **({} if _PASSPHRASES & set(kept) else {"PULUMI_CONFIG_PASSPHRASE": "sandbox"}),
        "PATH": os.pathsep.join([str(folder / "bin"), kept.get("PATH", os.defpath)]),
        "PULUMI_BACKEND_URL": (folder / "backend").as_uri(),
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_SKIP_CONFIRMATIONS": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_DISABLE_REGISTRY_RESOLVE": "true",
        # A stack whose file carries no encryption settings uses those that its state carries.
        "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
    }


def _write_providers(folder: Path) -> None:
    installed = [package for package in PACKAGES if sdk_version(package)]
    if not installed:
        raise EnvironmentLackError(
            "There is no SDK to stand in for. Install one: pip install 'gpuwright[aws]' or 'gpuwright[gcp]'."
        )
    root = str(Path(__file__).resolve().parents[2])
    for package in installed:
        script = folder / f"pulumi-resource-{package}"
        # -P: the engine starts a provider in the program's folder, whose modules must not shadow ours.
        script.write_text(
            "#!/bin/sh\n"
            f'PYTHONPATH={shlex.quote(root)}"${{PYTHONPATH:+:$PYTHONPATH}}"\n'
            "export PYTHONPATH\n"
            f'exec {shlex.quote(sys.executable)} -P -u -m gpuwright.sandbox.provider {package} "$@"\n',
            encoding="utf-8",
        )
        script.chmod(0o755)


@contextlib.contextmanager
def _state_folder(state: Path | None) -> Iterator[Path]:
    if state is not None:
        state.mkdir(parents=True, exist_ok=True)
        yield state
        return
    with tempfile.TemporaryDirectory(prefix="gpuwright-sandbox-") as folder:
        yield Path(folder)


def _require(program: str, environment: Mapping[str, str]) -> None:
    if shutil.which(program, path=environment["PATH"]):
        return
    if Path(program).name == "pulumi":
        raise EnvironmentLackError(
            f"There is no pulumi on PATH. Install it with: {HOW_TO_INSTALL}. "
            "Without it, `gpuwright preview` shows the same resources."
        )
    raise EnvironmentLackError(f"There is no command {program!r} on PATH.")


def _project(folder: Path) -> Project | None:
    """Return the project around a folder; a command that is not about one may run anywhere."""
    try:
        return find_project(folder)
    except InputError:
        return None


def _select_stack(
    program: str, command: PulumiCommand, project: Project, environment: Mapping[str, str]
) -> None:
    """Create the stack that the command works on, where it is not there, and select it."""
    name = command.stack or environment.get("PULUMI_STACK")
    if not name:
        selected = _quiet([program, "stack", "--show-name"], command.folder, environment)
        if selected.returncode == 0:
            return
        name = project.default_stack()
    known = project.stacks()
    short = name.rpartition("/")[2]
    if known and short not in known:
        like = near(short, known) or known
        raise InputError.of(
            str(project.stack_file(short)),
            f"there is no stack {short!r}.",
            f"Did you mean {' or '.join(like)}?",
        )
    made = _quiet([program, "stack", "select", "--create", "--stack", name], command.folder, environment)
    if made.returncode != 0:
        raise GpuwrightError(f"pulumi could not create the stack {name!r}: {made.stderr.strip()}")


def _quiet(
    command: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, "--non-interactive"],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def _run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run the command in the foreground; it is the one to act on an interrupt, and we wait for it."""
    process = subprocess.Popen(list(command), env=dict(environment))
    with _passed_on(process):
        while True:
            with contextlib.suppress(KeyboardInterrupt):
                code = process.wait()
                return code if code >= 0 else 128 - code


@contextlib.contextmanager
def _passed_on(process: subprocess.Popen[bytes]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _stack_files_kept(project: Project | None) -> Iterator[None]:
    """Take out of the stacks' files again what the CLI adds to them when it first meets a stack.

    A file that the command changed in any other way, as ``pulumi config set`` does, is left as it is.
    """
    if project is None:
        yield
        return
    before = {path: path.read_bytes() for path in _stack_files(project)}
    try:
        yield
    finally:
        for path in _stack_files(project):
            old = before.get(path)
            new = path.read_bytes()
            if old == new or _settings(new, project) != _settings(old or b"", project):
                continue
            if old is None:
                path.unlink()
            else:
                path.write_bytes(old)


def _stack_files(project: Project) -> list[Path]:
    return [path for stack in project.stacks() if (path := project.stack_file(stack)).is_file()]


def _settings(text: bytes, project: Project) -> dict[Any, Any]:
    """Return what a stack's file says apart from its encryption, however the CLI writes it.

    It writes the namespace of every key, and numbers and flags as text.
    """
    data = yaml.safe_load(text) or {}
    config = {
        full_key(project.name, key): value if isinstance(value, dict | list) else as_text(value)
        for key, value in (data.pop("config", None) or {}).items()
    }
    rest = {key: value for key, value in data.items() if key not in _SECRETS_KEYS and value}
    return {**rest, "config": config}
