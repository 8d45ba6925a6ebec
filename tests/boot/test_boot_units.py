"""The units, read by systemd itself where it is installed."""

import configparser
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from boot_payload import contents, make_plan, render, write
from hypothesis import given
from hypothesis import strategies as st

from gpuwright.boot.quoting import systemd_command, systemd_word
from gpuwright.errors import InputError

UNITS = Path("/etc/systemd/system")
NAMES = [f"gpuwright-{name}.service" for name in ("image", "model", "verify", "server", "ready")]
HOSTILE = [
    "two words",
    "",
    ";",
    "50%",
    "%n",
    "$HOME",
    "${INSTANCE_ID}",
    "$$",
    'say "hi"',
    "it's",
    "back\\slash",
    "\\x41",
    "tab\tnew\nline\r",
    "naïve \u2028 \x85 \x07",
    '--compilation-config={"level": 3}',
    "{{ jinja }}",
    "{% raw %}",
    "#",
    "&&",
    "`id`",
    "$(id)",
    "*",
    "~",
    "- path: /etc/passwd",
    "-",
    "@x",
    "!x",
    "\\",
]

SYSTEMD = Path("/lib/systemd/systemd")
needs_analyze = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="needs systemd-analyze (package systemd)"
)
needs_systemd = pytest.mark.skipif(not SYSTEMD.exists(), reason=f"needs {SYSTEMD} (package systemd)")


def unit(payload: str, name: str) -> str:
    return contents(payload)[str(UNITS / name)]


def directives(text: str) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(interpolation=None, delimiters=["="], strict=True)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text.replace("\\\n", " "))
    return {section: dict(parser[section]) for section in parser.sections()}


# --- systemd's own reading


@pytest.fixture
def machine_root() -> Iterator[Path]:
    """A root folder with systemd's own units and what the machine image has, readable by everybody."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        shutil.copytree("/usr/lib/systemd/system", root / "usr/lib/systemd/system", symlinks=True)
        (root / "lib").symlink_to("usr/lib")
        docker = root / "usr/bin/docker"
        docker.parent.mkdir(parents=True)
        docker.write_text("#!/bin/sh\n")
        docker.chmod(0o755)
        service = root / "usr/lib/systemd/system/docker.service"
        service.write_text("[Unit]\nDescription=Docker\n[Service]\nExecStart=/usr/bin/docker\n")
        yield root


@needs_analyze
@pytest.mark.parametrize("arguments", [None, HOSTILE], ids=["planned", "hostile"])
def test_systemd_finds_nothing_wrong_with_the_units(machine_root: Path, arguments: list[str] | None) -> None:
    plan = make_plan(server__arguments=arguments) if arguments else make_plan()
    write(render(plan), machine_root)
    ran = subprocess.run(
        ["systemd-analyze", f"--root={machine_root}", "verify", *NAMES], capture_output=True, text=True
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


@needs_analyze
def test_systemd_would_find_a_misspelt_directive(machine_root: Path) -> None:
    write(render(make_plan()), machine_root)
    path = machine_root / UNITS.relative_to("/") / "gpuwright-server.service"
    path.write_text(path.read_text().replace("Restart=always", "Restart=evermore"))
    ran = subprocess.run(
        ["systemd-analyze", f"--root={machine_root}", "verify", "gpuwright-server.service"],
        capture_output=True,
        text=True,
    )
    assert "evermore" in ran.stderr


def dumped_words(line: str) -> list[str]:
    """Return the words of a command line as systemd prints it after its own parsing."""
    escapes = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
    words = []
    for quoted, bare in re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', line):
        text = bare or re.sub(r"\\(.)", lambda match: escapes.get(match[1], match[1]), quoted)
        words.append(text)
    return words


def as_executed(word: str) -> str:
    """Return what the program gets: when it starts it, systemd turns $$ into $."""
    assert not re.search(r"\$", word.replace("$$", "")), f"{word} would be expanded"
    return word.replace("$$", "$")


@needs_systemd
def test_systemd_reads_exactly_the_planned_arguments(machine_root: Path) -> None:
    # It prints words with blanks between, in quotes only where ASCII asks for them.
    arguments = [re.sub("[\u2028\x85\x07]", "", word) for word in HOSTILE]
    plan = make_plan(server__arguments=arguments)
    write(render(plan), machine_root)
    runtime = machine_root / "run"
    runtime.mkdir()
    runtime.chmod(0o777)
    path = f"{machine_root}{UNITS}:{machine_root}/usr/lib/systemd/system"
    ran = subprocess.run(
        # Its test mode refuses to run as root.
        [SYSTEMD, "--test", "--user", "--log-target=console", "--unit=gpuwright-server.service"],
        env={"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(runtime), "SYSTEMD_UNIT_PATH": path},
        user="nobody" if os.geteuid() == 0 else None,
        capture_output=True,
        text=True,
    )
    lines = [line for line in ran.stdout.splitlines() if "Command Line: /usr/bin/docker run" in line]
    assert len(lines) == 1, ran.stderr
    words = dumped_words(lines[0].partition("Command Line: ")[2])
    after_image = words[words.index(plan.server.image) + 1 :]
    assert [as_executed(word) for word in after_image] == ["serve", "/model", *arguments]


# --- the same, without systemd


def parsed(line: str) -> list[str]:
    """Return the words that systemd passes on, as man systemd.service and systemd.syntax describe it."""
    words = []
    for match in re.finditer(r'"((?:[^"\\]|\\.)*)"|([^\s"]+)', line):
        data = b""
        text = match[1] if match[1] is not None else match[2]
        for escape, plain in re.findall(r"\\(x[0-9a-f]{2}|.)|([^\\]+)", text):
            if plain:
                data += plain.encode()
            elif escape.startswith("x"):
                data += bytes([int(escape[1:], 16)])
            else:
                data += {"n": b"\n", "t": b"\t", "r": b"\r", '"': b'"', "\\": b"\\"}[escape]
        word = re.sub(r"%(.)", lambda found: {"%": "%"}[found[1]], data.decode())
        words.append(as_executed(word))
    return words


def test_the_unit_starts_exactly_the_planned_arguments() -> None:
    plan = make_plan(server__arguments=HOSTILE)
    start = directives(unit(render(plan), NAMES[3]))["Service"]["ExecStart"]
    image = start.index(plan.server.image)
    assert parsed(start[image:]) == [plan.server.image, "serve", "/model", *HOSTILE]


@given(st.lists(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"))))
def test_quoting_a_command_for_systemd_loses_nothing(words: list[str]) -> None:
    line = systemd_command(words)
    assert line.isascii()
    assert line.isprintable()
    assert parsed(line) == words


def test_a_nul_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        systemd_word("a\0b")
    with pytest.raises(InputError, match="NUL"):
        render(make_plan(server__arguments=["a\0b"]))


# --- what the units promise


def test_the_server_waits_for_its_image_its_model_and_the_check(payload: str) -> None:
    section = directives(unit(payload, "gpuwright-server.service"))["Unit"]
    for needed in ("image", "model", "verify"):
        assert f"gpuwright-{needed}.service" in section["Requires"].split()
        assert f"gpuwright-{needed}.service" in section["After"].split()


def test_image_and_model_are_fetched_side_by_side(payload: str) -> None:
    for name, other in (("image", "model"), ("model", "image")):
        section = directives(unit(payload, f"gpuwright-{name}.service"))["Unit"]
        assert f"gpuwright-{other}" not in " ".join(section.values())


def test_every_unit_is_bounded_by_the_budget_of_the_plan() -> None:
    cold_start = [{"name": "weights", "seconds": 1000, "basis": "derived"}]
    payload = render(make_plan(cold_start=cold_start))
    for name in ("image", "model", "verify"):
        assert directives(unit(payload, f"gpuwright-{name}.service"))["Service"]["TimeoutStartSec"] == "2100"
    assert directives(unit(payload, "gpuwright-server.service"))["Unit"]["StartLimitIntervalSec"] == "2100"


def test_a_server_that_ends_is_started_again_but_not_for_ever(payload: str) -> None:
    sections = directives(unit(payload, "gpuwright-server.service"))
    assert (sections["Service"]["Restart"], sections["Unit"]["StartLimitBurst"]) == ("always", "5")
    # Five quick crashes fall into one interval, or the limit is never met.
    assert 5 * int(sections["Service"]["RestartSec"]) < int(sections["Unit"]["StartLimitIntervalSec"])


@pytest.mark.parametrize(("delay", "grace"), [(30, 30), (120, 120), (3600, 600)])
def test_open_answers_get_the_deregistration_delay_within_bounds(delay: int, grace: int) -> None:
    payload = render(make_plan(network__deregistration_delay_seconds=delay))
    section = directives(unit(payload, "gpuwright-server.service"))["Service"]
    assert section["ExecStop"] == f"/usr/bin/docker stop -t {grace} gpuwright-server"
    assert int(section["TimeoutStopSec"]) > grace


def test_the_server_sees_the_model_read_only_and_never_asks_the_hub(payload: str) -> None:
    start = parsed(
        directives(unit(payload, "gpuwright-server.service"))["Service"]["ExecStart"].replace(
            "${INSTANCE_ID}", "i-0"
        )
    )
    prefix = make_plan().model.store_prefix
    assert f"--mount=type=bind,source=/opt/gpuwright/{prefix},target=/model,readonly" in start
    assert "--env=HF_HUB_OFFLINE=1" in start
    assert "--publish=8000:8000" in start
    assert not any(word.startswith("--network") for word in start), "on the host's network it had the role"
    assert "--log-opt=awslogs-group=/gpuwright/chat-7b" in start
