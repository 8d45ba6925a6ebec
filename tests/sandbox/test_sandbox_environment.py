from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2_grpc

from gpuwright.cli.sandbox import command as sandbox
from gpuwright.errors import EnvironmentLackError, GpuwrightError, InputError
from gpuwright.sandbox.environment import PulumiCommand, run_in_sandbox, sandbox_environment
from gpuwright.sandbox.sdk import sdk_version

# Stands in for the CLI where there is none: it writes down how it was called, and does to the stack's file
# what the CLI does when it creates a stack.
RECORDER = """\
#!{python}
import json, os, pathlib, sys
with open(os.environ["CALLS"], "a") as calls:
    print(json.dumps(sys.argv[1:]), file=calls)
if "--show-name" in sys.argv:
    sys.exit(int(os.environ.get("SELECTED", "1")))
if "select" in sys.argv:
    name = sys.argv[sys.argv.index("--stack") + 1].rpartition("/")[2]
    path = pathlib.Path("stacks", f"Pulumi.{{name}}.yaml")
    old = path.read_text() if path.exists() else ""
    path.write_text("encryptionsalt: v1:salt\\n" + old.replace("# ours", ""))
sys.exit(int(os.environ.get("CODE", "0")))
"""


@pytest.fixture
def calls(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, project: Path) -> Path:
    """Where a recording ``pulumi`` writes its calls down; the working directory is the project's."""
    folder = tmp_path_factory.mktemp("bin")
    script = folder / "pulumi"
    script.write_text(RECORDER.format(python=sys.executable))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(folder / "calls"))
    monkeypatch.chdir(project)
    return folder / "calls"


def called(calls: Path) -> list[list[str]]:
    return [json.loads(line) for line in calls.read_text().splitlines()]


def test_a_command_finds_the_providers_first_on_its_path(tmp_path: Path) -> None:
    environment = sandbox_environment(tmp_path, {"PATH": "/usr/bin:/bin"})
    for package in ("aws", "gcp"):
        found = shutil.which(f"pulumi-resource-{package}", path=environment["PATH"])
        assert found == str(tmp_path / "bin" / f"pulumi-resource-{package}")
        assert Path(found).stat().st_mode & stat.S_IXUSR


def test_the_providers_start_from_anywhere_with_what_the_engine_gives_them(tmp_path: Path) -> None:
    environment = sandbox_environment(tmp_path / "state", {"PATH": os.environ["PATH"]})
    (tmp_path / "grpc.py").write_text("raise SystemExit('shadowed')\n")
    process = subprocess.Popen(
        ["pulumi-resource-aws", "--logtostderr", "127.0.0.1:1"],
        executable=shutil.which("pulumi-resource-aws", path=environment["PATH"]),
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    with grpc.insecure_channel(f"127.0.0.1:{int(process.stdout.readline())}") as channel:
        stub = provider_pb2_grpc.ResourceProviderStub(channel)
        assert stub.GetPluginInfo(empty_pb2.Empty()).version == sdk_version("aws")
        stub.Cancel(empty_pb2.Empty())
    assert process.wait(30) == 0
    process.stdout.close()


def test_the_environment_leads_nowhere_but_into_the_sandbox(tmp_path: Path) -> None:
    given = {
        "PULUMI_ACCESS_TOKEN": "pul-1",
        "PULUMI_DEBUG_PROVIDERS": "aws:1",
        "PULUMI_HOME": "/mine",
        "X": "y",
    }
    environment = sandbox_environment(tmp_path, given)
    assert environment["X"] == "y"
    assert environment["PULUMI_HOME"] == str(tmp_path / "home")
    assert environment["PULUMI_BACKEND_URL"] == f"file://{tmp_path}/backend"
    assert (tmp_path / "backend").is_dir()
    assert environment["PULUMI_CONFIG_PASSPHRASE"]
    assert not {"PULUMI_ACCESS_TOKEN", "PULUMI_DEBUG_PROVIDERS"} & set(environment)


def test_a_passphrase_of_the_users_is_kept(tmp_path: Path) -> None:
    assert sandbox_environment(tmp_path, {"PULUMI_CONFIG_PASSPHRASE": ""})["PULUMI_CONFIG_PASSPHRASE"] == ""
    from_file = sandbox_environment(tmp_path, {"PULUMI_CONFIG_PASSPHRASE_FILE": "f"})
    assert "PULUMI_CONFIG_PASSPHRASE" not in from_file


def test_any_command_runs_and_its_exit_code_is_passed_on(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run_in_sandbox(["sh", "-c", f'echo "$PULUMI_BACKEND_URL" > {out}; exit 7']) == 7
    assert not Path(out.read_text().strip().removeprefix("file://")).exists()
    assert run_in_sandbox(["sh", "-c", "kill -9 $$"]) == 137


def test_a_state_folder_is_kept(tmp_path: Path) -> None:
    state = tmp_path / "state"
    assert run_in_sandbox(["sh", "-c", 'touch "${PULUMI_BACKEND_URL#file://}/kept"'], state) == 0
    assert (state / "backend" / "kept").exists()


def test_without_pulumi_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    with pytest.raises(
        EnvironmentLackError, match=r"get.pulumi.com \| sh, or: brew install pulumi/tap/pulumi"
    ) as caught:
        run_in_sandbox(["pulumi", "up"])
    assert caught.value.exit_code == 2


def test_another_missing_command_is_named() -> None:
    with pytest.raises(EnvironmentLackError, match="no command 'no-such-command'"):
        run_in_sandbox(["no-such-command"])


def test_the_verb_takes_options_of_the_command_as_they_are(tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["--", "sh", "-c", f'echo "$@" > {out}', "sh", "--stack", "x", "--state", "y"]
    outcome = CliRunner().invoke(sandbox, arguments, standalone_mode=False)
    assert (outcome.exception, outcome.return_value) == (None, 0)
    assert out.read_text() == "--stack x --state y\n"


@pytest.mark.parametrize(
    ("line", "words", "stack", "needs"),
    [
        ("pulumi up --stack dev --yes", ("up",), "dev", True),
        ("pulumi -C x preview -s=dev --json", ("preview",), "dev", True),
        ("/opt/pulumi --color never destroy", ("destroy",), None, True),
        ("pulumi stack output", ("stack", "output"), None, True),
        ("pulumi stack init dev", ("stack", "init", "dev"), None, False),
        ("pulumi stack ls", ("stack", "ls"), None, False),
        ("pulumi version", ("version",), None, False),
        ("pulumi --help", (), None, False),
    ],
)
def test_the_stack_of_a_pulumi_command_is_understood(
    line: str, words: tuple[str, ...], stack: str | None, needs: bool
) -> None:
    parts = PulumiCommand.of(line.split(), Path("/here"))
    assert parts is not None
    assert (parts.words, parts.stack, parts.needs_stack) == (words, stack, needs)


def test_another_command_than_pulumi_is_left_alone() -> None:
    assert PulumiCommand.of(["make", "up"], Path("/here")) is None


def test_the_stack_that_a_command_names_is_created_before_it_runs(calls: Path) -> None:
    assert run_in_sandbox(["pulumi", "up", "--stack", "dev-aws", "--yes"]) == 0
    assert called(calls) == [
        ["stack", "select", "--create", "--stack", "dev-aws", "--non-interactive"],
        ["up", "--stack", "dev-aws", "--yes"],
    ]


def test_without_a_name_the_default_stack_is_selected_unless_one_is(
    calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_in_sandbox(["pulumi", "up"])
    assert called(calls)[1] == ["stack", "select", "--create", "--stack", "dev-aws", "--non-interactive"]
    calls.unlink()
    monkeypatch.setenv("SELECTED", "0")
    run_in_sandbox(["pulumi", "up"])
    assert called(calls) == [["stack", "--show-name", "--non-interactive"], ["up"]]


def test_a_stack_without_a_file_is_refused_by_the_nearest_name(calls: Path) -> None:
    with pytest.raises(InputError, match=r"there is no stack 'dev-awss'. Did you mean dev-aws or prod-aws\?"):
        run_in_sandbox(["pulumi", "up", "-s", "organization/demo/dev-awss"])


def test_a_stack_that_cannot_be_created_is_told(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODE", "1")
    with pytest.raises(GpuwrightError, match="could not create the stack 'dev-aws'"):
        run_in_sandbox(["pulumi", "up", "-s", "dev-aws"])


def test_the_stacks_files_are_as_before(calls: Path, project: Path) -> None:
    before = {path: path.read_bytes() for path in (project / "stacks").iterdir()}
    assert run_in_sandbox(["pulumi", "up", "-s", "dev-aws"]) == 0
    assert {path: path.read_bytes() for path in (project / "stacks").iterdir()} == before


def test_a_file_that_only_encryption_made_is_removed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    assert run_in_sandbox(["sh", "-c", "echo 'encryptionsalt: v1:x' > stacks/Pulumi.new.yaml"]) == 0
    assert not (project / "stacks" / "Pulumi.new.yaml").exists()


def test_a_file_that_the_command_only_writes_anew_is_put_back(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    stack = project / "stacks" / "Pulumi.prod-aws.yaml"
    stack.write_text("config:\n  cidr_block: 10.1.0.0/16\n  size: 5  # small\n  list: {b: 1, a: [true]}\n")
    before = stack.read_text()
    # As the CLI writes it: every key with its namespace, sorted, and scalars as text.
    config = {"demo:cidr_block": "10.1.0.0/16", "demo:list": {"a": [True], "b": 1}, "demo:size": "5"}
    written = json.dumps({"config": config, "encryptionsalt": "v1:x"})
    assert run_in_sandbox(["sh", "-c", f"printf '%s' '{written}' > {stack}"]) == 0
    assert stack.read_text() == before


def test_configuration_that_the_command_sets_is_left(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    written = "encryptionsalt: v1:x\nconfig:\n  demo:cidr_block: 10.9.0.0/16\n"
    stack = project / "stacks" / "Pulumi.dev-aws.yaml"
    assert run_in_sandbox(["sh", "-c", f"printf '{written}' > {stack}"]) == 0
    assert stack.read_text() == written
