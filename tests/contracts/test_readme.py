"""README shows what happens: its commands run, top to bottom in one shell, and print what it shows."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# The runner of this very test; running it here would never end.
RUNNER = "./scripts/test"
# Set-up is shown at work in this clone, whose .venv it finds made; the other commands work in a copy.
SET_UP = "./scripts/try"

FENCE = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXIT_COMMENT = re.compile(r"#\s*exit (?:code )?(\d+)\b")
MARK = "\x1e"


@dataclass
class Command:
    """One command of README, what README says of it, and what came of it."""

    text: str
    expected_exit: int
    shown: list[str]
    exit: int | None = None
    printed: str = ""


def commands(markdown: str) -> Iterator[Command]:
    """Read ``console`` blocks ($ before each command, output between) and ``sh`` blocks (commands only).

    A backslash or an open heredoc continues a command; ``# exit 1`` after it states its exit code.
    """
    for language, body in FENCE.findall(markdown):
        if language not in {"console", "sh"}:
            continue
        lines = iter(body.splitlines())
        current: Command | None = None
        for line in lines:
            starts = line.startswith("$ ") if language == "console" else bool(line.strip())
            if not starts:
                if current is not None and language == "console":
                    current.shown.append(line)
                continue
            text = line.removeprefix("$ ") if language == "console" else line
            if text.lstrip().startswith("#"):
                continue
            while text.endswith("\\"):
                text += "\n" + next(lines).removeprefix("> ")
            if heredoc := re.search(r"<<-?\s*['\"]?(\w+)['\"]?", text):
                while text.splitlines()[-1].strip() != heredoc[1]:
                    text += "\n" + next(lines).removeprefix("> ")
            stated = EXIT_COMMENT.search(text)
            current = Command(text, int(stated[1]) if stated else 0, [])
            yield current


def copy_of(tree: list[Path], folder: Path) -> Path:
    """Copy the tree, with this interpreter's environment in the place of .venv."""
    for path in tree:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, folder / path)
    (folder / ".venv").symlink_to(sys.prefix, target_is_directory=True)
    return folder


@pytest.fixture(scope="module")
def readme(tree: list[Path], tmp_path_factory: pytest.TempPathFactory) -> list[Command]:
    found = list(commands((ROOT / "README.md").read_text()))
    script = ["exec 2>&1"]
    for number, command in enumerate(found):
        text = command.text
        if text.split(" #")[0].strip() == RUNNER:
            text = "true"
        elif text.split(" #")[0].strip() == SET_UP:
            text = f"(cd '{ROOT}' && {SET_UP})"
        script += [text, f"printf '\\n{MARK}{number} %d\\n' $?"]
    copy = copy_of(tree, tmp_path_factory.mktemp("readme") / "gpuwright")
    ran = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=copy,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "120"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
    )
    rest = ran.stdout
    for number, command in enumerate(found):
        if end := re.search(rf"\n{MARK}{number} (\d+)\n", rest):
            command.printed, command.exit, rest = rest[: end.start()], int(end[1]), rest[end.end() :]
        else:
            command.printed = f"README's shell ended before this command did:\n{rest}\n{ran.stderr}"
            break
    return found


def test_readme_shows_the_two_commands_that_set_everything_up(readme: list[Command]) -> None:
    shown = [command.text.split(" #")[0].strip() for command in readme]
    assert SET_UP in shown
    assert RUNNER in shown


def test_every_command_of_readme_ends_as_readme_says(readme: list[Command]) -> None:
    wrong = [
        f"$ {command.text}\nexit {command.exit}, not {command.expected_exit}\n{command.printed[-2000:]}"
        for command in readme
        if command.exit != command.expected_exit
    ]
    assert wrong == [], "\n\n".join(wrong)


def comparable(line: str) -> str:
    """Make a line equal to another that differs in a duration or in trailing blanks only."""
    return re.sub(r"\b\d+(\.\d+)? (s|ms)\b", "<duration>", line.rstrip())


def test_what_readme_shows_of_an_output_is_what_is_printed(readme: list[Command]) -> None:
    wrong = []
    for command in readme:
        if command.text.split(" #")[0].strip() == RUNNER:
            continue
        printed = iter(comparable(line) for line in command.printed.splitlines())
        # In the order shown; a line of dots stands for what was left out.
        for line in filter(str.strip, command.shown):
            if line.strip() not in {"...", "…"} and comparable(line) not in printed:
                wrong.append(f"$ {command.text}\nshown, not printed: {line}")
                break
    assert wrong == [], "\n\n".join(wrong)
