"""What an import may cause, seen at run time: static contracts cannot tell an early from a late one."""

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE_ROOTS = [ROOT / name for name in ("components", "policies", "templates")]
PACKAGES = ["gpuwright", "gpuwright_policies", "gpuwright_templates"]
# What is made of Pulumi resources, or runs them; everything else must import without the SDK.
MADE_OF_PULUMI = ("gpuwright.clouds", "gpuwright.inference", "gpuwright.sandbox")

IMPORT_ALL = """
import importlib, json, sys, traceback
sys.path[:0] = json.loads(sys.argv[1])
failures = {}
for name in json.loads(sys.argv[2]):
    try:
        importlib.import_module(name)
    except BaseException:
        failures[name] = traceback.format_exc(limit=-2)
sdk = ("pulumi", "grpc", "boto", "google.cloud", "opentelemetry")
loaded = sorted(name for name in sys.modules if name.startswith(sdk))
print(json.dumps({"failures": failures, "loaded": loaded}))
"""


def modules() -> list[str]:
    found = []
    for root in SOURCE_ROOTS:
        for package in PACKAGES:
            folders = [(root / package, package)] if (root / package).is_dir() else []
            while folders:
                folder, name = folders.pop()
                found.append(name)
                for module in pkgutil.iter_modules([str(folder)]):
                    child = f"{name}.{module.name}"
                    if module.ispkg:
                        folders.append((folder / module.name, child))
                    elif module.name != "__main__":
                        found.append(child)
    return sorted(found)


def import_in_fresh_process(names: list[str], cwd: Path) -> dict[str, object]:
    ran = subprocess.run(
        [
            sys.executable,
            "-I",
            "-c",
            IMPORT_ALL,
            json.dumps([str(root) for root in SOURCE_ROOTS]),
            json.dumps(names),
        ],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert ran.stderr == "", "an import wrote to stderr"
    assert ran.stdout.count("\n") == 1, "an import printed"
    answer: dict[str, object] = json.loads(ran.stdout)
    return answer


def without_pulumi() -> list[str]:
    return [name for name in modules() if not name.startswith(MADE_OF_PULUMI)]


def test_every_module_imports_in_an_empty_environment_and_folder(tmp_path: Path) -> None:
    names = modules()
    assert {"gpuwright.cli", "gpuwright.spec", "gpuwright_policies.rules"} <= set(names)
    assert import_in_fresh_process(names, tmp_path)["failures"] == {}


@pytest.mark.parametrize("first", [["gpuwright", "gpuwright.cli"], ["gpuwright.planning"]], ids=" ".join)
def test_the_command_line_and_the_planner_load_no_cloud_sdk(first: list[str], tmp_path: Path) -> None:
    assert import_in_fresh_process(first, tmp_path) == {"failures": {}, "loaded": []}


def test_no_verb_rule_or_table_loads_a_cloud_sdk_at_import(tmp_path: Path) -> None:
    names = without_pulumi()
    verbs = [name for name in names if name.startswith("gpuwright.cli.")]
    assert verbs, "no verb was found to import"
    assert import_in_fresh_process(names, tmp_path)["loaded"] == []


def test_without_pulumi_a_component_names_the_extra_that_it_needs(tmp_path: Path) -> None:
    script = (
        f"import sys; sys.path[:0] = {[str(root) for root in SOURCE_ROOTS]}; sys.modules['pulumi'] = None\n"
        "try: from gpuwright import GpuInference\n"
        "except ImportError as error: print(error)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "pip install 'gpuwright[aws]'" in ran.stdout
