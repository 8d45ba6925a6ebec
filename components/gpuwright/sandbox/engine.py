"""The embedded engine: runs a Pulumi program in this process, with no cloud, no CLI and no network."""

from __future__ import annotations

import asyncio
import contextlib
import os
import runpy
import sys
import threading
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuwright.errors import EnvironmentLackError, GpuwrightError, InputError
from gpuwright.sandbox.cloud import Place
from gpuwright.sandbox.project import (
    PROJECT_FILE,
    Project,
    StackSettings,
    find_project,
    load_project,
    load_stack,
    stack_settings,
)
from gpuwright.sandbox.recording import LogMessage, Recording

if TYPE_CHECKING:
    from gpuwright.sandbox.monitor import Answer

Program = Callable[[], Any] | str | Path

# The working directory, sys.path and sys.modules belong to the process, so one program runs at a time.
_ONE_AT_A_TIME = threading.Lock()
_NOT_THE_PROGRAM = (
    "/pulumi/",
    "/asyncio/",
    "/concurrent/futures/",
    "/gpuwright/sandbox/",
    "<frozen",
    "/runpy.py",
)


class ProgramError(GpuwrightError):
    """The program itself failed; the text ends with its own traceback, the cause is its exception."""


def preview_program(
    program: Program,
    *,
    config: Mapping[str, Any] | None = None,
    secrets: Collection[str] = (),
    project: str = "project",
    stack: str = "dev",
    organization: str = "organization",
    answers: Mapping[str, Answer] | None = None,
    preview: bool = True,
) -> Recording:
    """Run a Pulumi program on the embedded engine and return all that it asked for.

    It may be called any number of times in one process, also from a test and from where an event
    loop runs; no run sees anything of another.

    Args:
        program: A function without arguments, a file, or a folder with a ``__main__.py`` or ``Pulumi.yaml``.
        config: The stack's configuration; a key without a namespace belongs to the project.
            For a folder with a ``Pulumi.yaml``, the project's defaults fill in what is left out.
        secrets: The keys of ``config`` whose values are secret.
        project: Name of the project, unless a ``Pulumi.yaml`` names it.
        stack: Name of the stack.
        organization: Name of the organization.
        answers: What functions such as ``aws:ec2/getAmi:getAmi`` return, and what ``.get()`` of a resource
            type finds: a mapping of output properties, or a function from arguments to one.
        preview: Whether what only the cloud knows is unknown; otherwise plausible values stand in.

    Raises:
        GpuwrightError: The very error that the program raised.
        ProgramError: The program raised anything else.
        InputError: The program registered two resources under one URN, or asks for what this engine lacks.
    """
    folder = None if callable(program) else Path(program).resolve()
    if folder is not None and (folder / PROJECT_FILE).is_file():
        found = load_project(folder)
        settings = stack_settings(found, stack, config or {}, secrets)
        return _run(_python(found), settings, found.root, organization, answers or {}, preview=preview)
    settings = StackSettings.of(project, stack, config or {}, secrets)
    root = (folder if folder and folder.is_dir() else folder.parent) if folder else Path.cwd()
    target = program if callable(program) else folder
    return _run(target, settings, root, organization, answers or {}, preview=preview)


def preview_stack(
    stack: str | None = None,
    *,
    cwd: Path | None = None,
    organization: str = "organization",
    answers: Mapping[str, Answer] | None = None,
    preview: bool = True,
) -> Recording:
    """Run a project's program with the configuration of one of its stacks.

    Args:
        stack: Name of the stack; left out, the project's first development stack.
        cwd: Where to look for ``Pulumi.yaml``, upwards; left out, the working directory.
        organization: Name of the organization.
        answers: As for ``preview_program``.
        preview: As for ``preview_program``.

    Raises:
        InputError: No such project or stack, or a fault in its files.
        GpuwrightError: As for ``preview_program``.
    """
    found = find_project(cwd or Path.cwd())
    settings = load_stack(found, stack)
    return _run(_python(found), settings, found.root, organization, answers or {}, preview=preview)


def _python(project: Project) -> Path:
    """Return the project's program, provided that this engine can run it."""
    if project.runtime != "python":
        raise InputError.of(
            str(project.root / PROJECT_FILE),
            f"the runtime is {project.runtime!r}, and the embedded engine runs Python programs only.",
            "Use Pulumi's own engine for this project: gpuwright sandbox -- pulumi preview.",
        )
    return project.main


def _run(
    program: Callable[[], Any] | Path | None,
    settings: StackSettings,
    root: Path,
    organization: str,
    answers: Mapping[str, Answer],
    *,
    preview: bool,
) -> Recording:
    try:
        from gpuwright.sandbox.monitor import RecordingMonitor
    except ModuleNotFoundError as lack:
        raise EnvironmentLackError(
            f"The embedded engine needs the Pulumi SDK ({lack.name} is not installed). "
            "Install it with: pip install 'gpuwright[aws]' or 'gpuwright[gcp]'."
        ) from lack

    monitor = RecordingMonitor(settings, preview=preview, place=_place(settings), answers=answers)
    monitor.logs.extend(LogMessage("info", note) for note in settings.notes)
    entry = program if callable(program) else _entry(Path(str(program)))
    failure: list[BaseException] = []

    def run_apart() -> None:
        try:
            _run_in_own_loop(monitor, entry, settings, root, organization, preview=preview)
        except BaseException as error:  # handed to the calling thread
            failure.append(error)

    # A thread of its own has a context and an event loop of its own, so nothing of the SDK's state, which
    # lives in context variables, outlasts the run or meets a loop that runs already.
    with _ONE_AT_A_TIME, _as_pulumi_runs(None if callable(program) else Path(str(program))):
        thread = threading.Thread(target=run_apart, name=f"pulumi program {settings.stack}", daemon=True)
        thread.start()
        thread.join()
    if failure:
        _raise(failure[0], monitor.recording(), program)
    return monitor.recording()


class _Workers(ThreadPoolExecutor):
    """Sends the program's requests: one at a time, so that they keep their order, until one calls back.

    What a callback awaits may be a request that waits for its turn behind the one that called back.
    """

    def grow(self) -> None:
        """Add a worker and start it."""
        self._max_workers += 1
        self.submit(int)


def _run_in_own_loop(
    monitor: Any,
    entry: Callable[[], Any],
    settings: StackSettings,
    root: Path,
    organization: str,
    *,
    preview: bool,
) -> None:
    import pulumi
    from pulumi.runtime.mocks import MockSettings

    from gpuwright.sandbox.monitor import RecordingLog

    pulumi.runtime.set_all_config(dict(settings.config), list(settings.secrets))
    pulumi.runtime.configure(
        MockSettings(  # type: ignore[no-untyped-call]
            monitor=monitor,
            monitor_features=set(),
            engine=RecordingLog(monitor),
            project=settings.project,
            stack=settings.stack,
            organization=organization,
            root_directory=str(root),
            dry_run=preview,
            outputs=set(),
            lock=threading.Lock(),
            package_refs={},
            base_providers_by_ref={},
            callbacks=None,
        )
    )
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    workers = _Workers(max_workers=1)
    monitor.expect_callbacks = workers.grow
    loop.set_default_executor(workers)
    # After a failure many futures are left that nobody awaits; telling of each would bury the failure.
    loop.set_exception_handler(lambda *_: None)
    try:
        loop.run_until_complete(pulumi.runtime.run_in_stack(entry))
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_default_executor())
        asyncio.set_event_loop(None)
        loop.close()


def _entry(program: Path) -> Callable[[], Any]:
    file = program / "__main__.py" if program.is_dir() else program
    if not file.is_file():
        raise InputError.of(str(program), "there is no Python program.", "Put a __main__.py there.")

    def run() -> None:
        runpy.run_path(str(program), run_name="__main__")

    return run


@contextlib.contextmanager
def _as_pulumi_runs(program: Path | None) -> Iterator[None]:
    """Make the program's folder the working directory and importable, and forget its modules afterwards."""
    if program is None:
        yield
        return
    folder = program if program.is_dir() else program.parent
    before, path, cwd = set(sys.modules), list(sys.path), Path.cwd()
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        os.chdir(cwd)
        sys.path[:] = path
        for name in set(sys.modules) - before:
            if _stands_beside(folder, name):
                del sys.modules[name]


def _stands_beside(folder: Path, module: str) -> bool:
    top = module.partition(".")[0]
    origin = getattr(sys.modules.get(top), "__file__", None)
    return origin in (str(folder / f"{top}.py"), str(folder / top / "__init__.py"))


def _place(settings: StackSettings) -> Place:
    """Where default providers work: what the stack's ``aws:`` and ``gcp:`` configuration says."""
    arguments = {
        key.partition(":")[2]: value
        for key, value in settings.config.items()
        if key.partition(":")[0] in ("aws", "gcp")
    }
    return Place.of(arguments)


def _raise(error: BaseException, recording: Recording, program: object) -> None:
    for link in _chain(error):
        if isinstance(link, GpuwrightError):
            raise link
    if isinstance(error, SystemExit) and error.code in (0, None):
        return
    if isinstance(error, KeyboardInterrupt):
        raise error
    from pulumi import RunError

    name = str(program) if isinstance(program, Path) else getattr(program, "__qualname__", "program")
    unanswered = sorted({call.token for call in recording.invocations if not call.answered})
    hint = (
        f"\nThe program asked {', '.join(unanswered)}, which only the cloud can answer. Use the form of the "
        "function that ends in _output, or supply the answer by its token."
        if unanswered
        else ""
    )
    if isinstance(error, RunError):
        # What a program raises to stop with a message of its own; Pulumi shows no traceback either.
        raise ProgramError(f"The program {name} stopped: {error}{hint}") from error
    text = f"The program {name} failed: {type(error).__name__}: {error}{hint}\n\n{_own_traceback(error)}"
    raise ProgramError(text.rstrip()) from error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _own_traceback(error: BaseException) -> str:
    """Return the traceback without the frames of the SDK, of asyncio and of this engine."""
    every = traceback.extract_tb(error.__traceback__)
    frames = [
        frame
        for frame in every
        if not any(part in frame.filename.replace(os.sep, "/") for part in _NOT_THE_PROGRAM)
    ]
    last = "".join(traceback.format_exception_only(error))
    return "".join(["Traceback (most recent call last):\n", *traceback.format_list(frames or every), last])
