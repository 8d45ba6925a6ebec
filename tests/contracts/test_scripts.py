"""The set-up scripts tell a newcomer what his machine lacks, before they change anything."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ["bash", "env", "basename", "dirname", "grep", "cat", "cmp", "rm"]

TOO_OLD = """#!/bin/sh
case "$1" in -V) echo "Python 3.9.2" ;; *) exit 1 ;; esac
"""
WITHOUT_VENV = """#!/bin/sh
case "$2" in *ensurepip*) exit 1 ;; esac
exec {python} "$@"
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone without .venv, and beside it a folder of programs that holds no Python."""
    for name in ["scripts", "requirements"]:
        shutil.copytree(ROOT / name, tmp_path / "clone" / name)
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "clone")
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found, tool
        (tmp_path / "bin" / tool).symlink_to(found)
    return tmp_path / "clone"


def run(clone: Path, script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [clone / "scripts" / script, *arguments],
        cwd=clone.parent,
        env={"PATH": str(clone.parent / "bin"), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def put_python(clone: Path, script: str, name: str = "python3") -> None:
    program = clone.parent / "bin" / name
    program.write_text(script.format(python=os.path.realpath(sys.executable)))
    program.chmod(0o755)


@pytest.mark.parametrize("script", ["try", "test"])
def test_a_machine_without_python_is_told_what_to_install(clone: Path, script: str) -> None:
    ran = run(clone, script)
    assert ran.returncode == 2
    assert "no Python 3.11 or later is on PATH; python3 is absent" in ran.stderr
    assert "apt install" in ran.stderr
    assert not (clone / ".venv").exists()


@pytest.mark.parametrize("script", ["try", "test"])
def test_a_python_that_is_too_old_is_named_with_its_version(clone: Path, script: str) -> None:
    put_python(clone, TOO_OLD)
    ran = run(clone, script)
    assert ran.returncode == 2
    assert "python3 is Python 3.9.2" in ran.stderr


def test_a_python_without_venv_is_told_the_package_that_has_it(clone: Path) -> None:
    put_python(clone, WITHOUT_VENV)
    ran = run(clone, "try")
    assert ran.returncode == 2
    assert f"apt install python{sys.version_info[0]}.{sys.version_info[1]}-venv" in ran.stderr
    assert not (clone / ".venv").exists()


def test_a_chosen_python_that_is_too_old_is_refused_whatever_else_is_there(clone: Path) -> None:
    put_python(clone, TOO_OLD, "python3.9")
    put_python(clone, WITHOUT_VENV)
    ran = run(clone, "try", PYTHON="python3.9")
    assert ran.returncode == 2
    assert "PYTHON is 'python3.9', which is no Python 3.11 or later" in ran.stderr


@pytest.mark.parametrize("script", ["try", "test"])
def test_an_argument_that_a_script_does_not_know_is_refused_before_anything_is_installed(
    clone: Path, script: str
) -> None:
    ran = run(clone, script, "--fast")
    assert ran.returncode == 2
    assert "unknown argument '--fast'" in ran.stderr
    assert not (clone / ".venv").exists()
