"""The wheel holds everything that runs, and its core runs where no cloud SDK is installed."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from email import message_from_bytes
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ["components/gpuwright", "policies/gpuwright_policies", "templates/gpuwright_templates"]

# Runs the command line of the installed wheel where importing a cloud SDK fails as if it were absent.
CORE_ONLY = """
import importlib.abc, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"pulumi", "pulumi_aws", "pulumi_gcp", "pulumi_policy", "grpc"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
sys.path.insert(0, sys.argv.pop(1))
import gpuwright
assert gpuwright.__file__.startswith(sys.path[0]), gpuwright.__file__
from gpuwright.cli import main
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=120)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    command += ["--no-deps", "--no-index", "--no-compile", "--target", str(folder), str(wheel)]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    return folder


def run_core(installed: Path, arguments: Sequence[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-c", CORE_ONLY, str(installed), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60)


def test_the_wheel_holds_exactly_the_files_of_the_three_packages(wheel: Path) -> None:
    expected = {
        str(path.relative_to((ROOT / package).parent))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    names = zipfile.ZipFile(wheel).namelist()
    assert {name for name in names if ".dist-info/" not in name} == expected
    assert {"gpuwright/py.typed", "gpuwright_policies/py.typed", "gpuwright_templates/py.typed"} <= expected
    assert any(name.startswith("gpuwright/catalog/") and name.endswith(".yaml") for name in names)
    assert any(name.startswith("gpuwright_templates/") and name.endswith(".j2") for name in names)


def test_the_wheel_carries_its_licence(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for name in ["LICENSE", *(path.name for path in ROOT.glob("NOTICE*"))]:
        assert any(entry.endswith(f".dist-info/licenses/{name}") for entry in names), name


def test_only_the_extras_ask_for_pulumi(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (entry,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = message_from_bytes(archive.read(entry))
    assert set(metadata.get_all("Provides-Extra", [])) == {"aws", "gcp", "hub", "policy", "all"}
    asked = metadata.get_all("Requires-Dist", [])
    assert [need for need in asked if need.startswith("pulumi") and "extra ==" not in need] == []
    assert any(need.startswith("pulumi-aws") for need in asked)


def test_the_core_plans_without_a_cloud_sdk(installed: Path, tmp_path: Path) -> None:
    ran = run_core(
        installed, ["plan", str(ROOT / "examples/specs/7b-aws.yaml"), "--format", "json"], tmp_path
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert json.loads(ran.stdout)["cloud"] == "aws"


def test_the_core_checks_a_spec_without_a_cloud_sdk(installed: Path, tmp_path: Path) -> None:
    ran = run_core(
        installed, ["check", str(ROOT / "examples/specs/7b-aws.yaml"), "--format", "json"], tmp_path
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    json.loads(ran.stdout)


def test_the_core_prints_the_schema_of_a_spec_without_a_cloud_sdk(installed: Path, tmp_path: Path) -> None:
    ran = run_core(installed, ["schema", "spec"], tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "model" in json.loads(ran.stdout)["properties"]


def test_a_verb_that_needs_pulumi_says_which_extra_to_install(installed: Path) -> None:
    ran = run_core(installed, ["preview", "--stack", "dev-aws"], ROOT)
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
    assert "gpuwright[aws" in ran.stderr
