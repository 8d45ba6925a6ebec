"""The programs of the payload, run for real with stand-ins for Docker, the AWS CLI and the devices."""

import ast
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from boot_machine import Machine, option
from boot_payload import DEPLOYMENT, contents, make_plan

PLAN = make_plan()
BIN = "/opt/gpuwright/bin/"
FILES = {"config.json": b"{}", "model-00001.safetensors": b"x" * 4096, "tokenizer/merges.txt": b"a b\n"}


# --- what is checked before it is run


def test_every_shell_program_passes_shellcheck(payload: str, tmp_path: Path) -> None:
    checked = []
    for path, text in contents(payload).items():
        if text.startswith("#!/bin/bash"):
            script = tmp_path / Path(path).name
            script.write_text(text)
            command = [Path(sys.executable).with_name("shellcheck"), "--severity=style", script]
            ran = subprocess.run(command, capture_output=True, text=True)
            assert ran.stdout + ran.stderr == ""
            assert "set -euo pipefail" in text
            checked.append(path)
    assert checked == [BIN + "fetch-image", BIN + "fetch-model"]


def test_every_python_program_is_sound_for_the_python_of_the_machine_image(
    payload: str, tmp_path: Path
) -> None:
    checked = []
    for path, text in contents(payload).items():
        if text.startswith("#!/usr/bin/python3"):
            ast.parse(text, feature_version=(3, 10))
            script = tmp_path / f"{Path(path).name}.py"
            script.write_text(text)
            ruff = [Path(sys.executable).with_name("ruff"), "check", "--isolated", "--target-version=py310"]
            ran = subprocess.run(
                [*ruff, "--select=E4,E7,E9,F,B,PLE", "--ignore=B905", script], capture_output=True
            )
            assert ran.returncode == 0, ran.stdout.decode()
            checked.append(path)
    assert checked == [BIN + "verify", BIN + "ready"]


# --- fetch-model


@pytest.fixture
def store(machine: Machine) -> Path:
    """The model's prefix in the cache, filled."""
    folder = Path(machine.environment["STORE"]) / "chat-7b-models" / PLAN.model.store_prefix
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def model(machine: Machine) -> dict[str, bytes]:
    folder = machine.root / "opt/gpuwright" / PLAN.model.store_prefix
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def downloads(machine: Machine) -> list[str]:
    log = machine.root / "downloads"
    return sorted(log.read_text().split()) if log.exists() else []


def test_the_first_start_copies_the_whole_model(machine: Machine, store: Path) -> None:
    ran = machine.run("fetch-model")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert model(machine) == FILES


def test_a_restart_asks_the_cache_nothing(machine: Machine, store: Path) -> None:
    machine.run("fetch-model")
    before = machine.calls("aws")
    ran = machine.run("fetch-model")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "model here" in ran.stdout
    assert machine.calls("aws") == before


def test_a_cut_copy_goes_on_where_it_was(machine: Machine, store: Path) -> None:
    ran = machine.run("fetch-model", FAIL_SYNC="2")
    assert ran.returncode == 0
    assert ran.stderr.count("of 5 failed") == 2
    assert model(machine) == FILES, "what a cut copy left behind must go"
    assert downloads(machine) == sorted(FILES), "each file is fetched once"


def test_a_damaged_copy_is_fetched_again(machine: Machine, store: Path) -> None:
    machine.run("fetch-model")
    folder = machine.root / "opt/gpuwright" / PLAN.model.store_prefix
    (folder / "model-00001.safetensors").write_bytes(b"x")
    (folder / "config.json").unlink()
    assert machine.run("fetch-model").returncode == 0
    assert model(machine) == FILES
    assert downloads(machine) == sorted([*FILES, "model-00001.safetensors", "config.json"])


def test_an_empty_cache_is_named_at_once(machine: Machine) -> None:
    ran = machine.run("fetch-model")
    assert ran.returncode == 1
    assert f"holds nothing at s3://chat-7b-models/{PLAN.model.store_prefix}/" in ran.stderr
    assert len(machine.calls("aws")) == 1, "no retry helps"


def test_a_refusal_is_not_taken_for_an_empty_cache(machine: Machine, store: Path) -> None:
    ran = machine.run("fetch-model", DENIED="1")
    assert ran.returncode == 1
    assert "AccessDenied" in ran.stderr
    assert "holds nothing" not in ran.stderr
    assert ran.stderr.endswith("Check the role's permissions and the disk.\n")


def test_a_copy_that_never_ends_well_is_not_taken_for_a_model(machine: Machine, store: Path) -> None:
    assert machine.run("fetch-model", FAIL_SYNC="9").returncode == 1
    assert machine.run("fetch-model").returncode == 0
    assert model(machine) == FILES


def test_the_cli_that_talks_to_aws_knows_the_region_and_tries_again(payload: str) -> None:
    files = contents(payload)
    config = files["/etc/gpuwright/aws.config"]
    assert f"region = {PLAN.region}\n" in config
    assert "max_attempts = 10\n" in config
    for name in ("model", "ready"):
        unit = files[f"/etc/systemd/system/gpuwright-{name}.service"]
        assert "Environment=AWS_CONFIG_FILE=/etc/gpuwright/aws.config\n" in unit


# --- fetch-image


def test_the_image_is_pulled_once(machine: Machine) -> None:
    assert machine.run("fetch-image").returncode == 0
    assert machine.run("fetch-image", NO_REGISTRY="1").returncode == 0
    pulls = [call for call in machine.calls("docker") if call[0] == "pull"]
    assert pulls == [["pull", "--quiet", PLAN.server.image]]


def test_an_image_that_cannot_be_pulled_is_named(machine: Machine) -> None:
    ran = machine.run("fetch-image", NO_REGISTRY="1")
    assert ran.returncode == 1
    assert f"The image {PLAN.server.image} could not be pulled." in ran.stderr
    assert "toomanyrequests" in ran.stderr


# --- verify


def evidence(machine: Machine) -> dict[str, object]:
    document: dict[str, object] = json.loads((machine.root / "var/log/gpuwright/verify.json").read_text())
    return document


def test_a_machine_as_planned_passes_and_leaves_evidence(machine: Machine) -> None:
    ran = machine.run("verify", ACCELERATORS="1")
    assert ran.returncode == 0, ran.stderr
    seen = evidence(machine)
    assert seen["accelerators"] == ["NVIDIA A10G, 23028 MiB, 580.126.09"]
    assert seen["torch"] == {"version": "2.8.0+cu128", "cuda": "12.8", "available": True, "count": 1}
    assert (seen["planned"], seen["faults"]) == (1, [])
    assert json.loads(ran.stdout) == seen, "the journal holds it too"
    assert machine.calls("nvidia-smi")[0] == ["--persistence-mode=1"]


@pytest.mark.parametrize(
    ("around", "faults"),
    [
        ({"ACCELERATORS": "0"}, ["nvidia-smi sees 0 of 1 accelerators", "torch sees 0 of 1 accelerators"]),
        ({"ACCELERATORS": "8"}, ["nvidia-smi sees 8 of 1 accelerators", "torch sees 8 of 1 accelerators"]),
        ({"ACCELERATORS": "1", "TORCH_SEES": "0"}, ["torch sees 0 of 1 accelerators"]),
        ({"ACCELERATORS": "1", "NO_CUDA": "1"}, ["torch sees 0 of 1 accelerators"]),
        ({}, ["nvidia-smi sees 0 of 1 accelerators", "torch sees 0 of 1 accelerators"]),
    ],
    ids=["none", "too many", "torch sees none", "no CUDA", "no driver"],
)
def test_a_machine_that_contradicts_its_plan_fails_and_leaves_evidence(
    machine: Machine, around: dict[str, str], faults: list[str]
) -> None:
    assert machine.run("verify", **around).returncode == 1
    assert evidence(machine)["faults"] == faults


def test_what_could_not_be_looked_at_stays_unknown(machine: Machine) -> None:
    machine.run("verify")
    seen = evidence(machine)
    assert (seen["accelerators"], seen["torch"]) == (None, None)
    assert "nvcc" in seen


# --- ready


@dataclass
class Server:
    """A small server with the OpenAI paths that answers 503 to the first ``busy`` questions of each path."""

    address: str
    busy: dict[str, int] = field(default_factory=dict)
    tokens: int = 1
    asked: list[tuple[str, object]] = field(default_factory=list)

    def answer(self, path: str, body: object) -> tuple[int, object]:
        self.asked.append((path, body))
        if self.busy.get(path, 0) > 0:
            self.busy[path] -= 1
            return 503, {"error": "not yet"}
        return 200, {
            "/health": {},
            "/v1/models": {"object": "list", "data": [{"id": "qwen2.5-7b-instruct"}]},
            "/v1/completions": {"choices": [{"text": " a"}], "usage": {"completion_tokens": self.tokens}},
        }[path]


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            status, document = state.answer(self.path, json.loads(self.rfile.read(length) or "null"))
            data = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Server(f"http://127.0.0.1:{http.server_port}")
    thread = threading.Thread(target=http.serve_forever, args=(0.02,))
    thread.start()
    yield state
    http.shutdown()
    thread.join()
    http.server_close()


def verdicts(machine: Machine) -> list[str]:
    calls = [call for call in machine.calls("aws") if call[0] == "autoscaling"]
    for call in calls:
        assert option(call, "--auto-scaling-group-name") == DEPLOYMENT["autoscaling_group_name"]
        assert option(call, "--lifecycle-hook-name") == DEPLOYMENT["lifecycle_hook_name"]
        assert option(call, "--instance-id") == machine.environment["INSTANCE_ID"]
    return [option(call, "--lifecycle-action-result") for call in calls]


def reported(machine: Machine) -> str:
    (event,) = json.loads((machine.root / "events.json").read_text())
    return str(event["message"])


def test_a_completion_lets_the_machine_into_service(machine: Machine, server: Server) -> None:
    server.busy = {"/health": 3, "/v1/completions": 2}
    ran = machine.run("ready", SERVER=server.address)
    assert ran.returncode == 0, ran.stderr
    assert verdicts(machine) == ["CONTINUE"]
    assert [path for path, _ in server.asked].count("/v1/completions") == 3
    assert server.asked[-1][1] == {"model": "qwen2.5-7b-instruct", "prompt": "Hello", "max_tokens": 1}


def test_a_server_that_is_healthy_but_completes_nothing_is_given_up(machine: Machine, server: Server) -> None:
    server.tokens = 0
    ran = machine.run("ready", SERVER=server.address, BUDGET_SECONDS="0.3", RETRY_SECONDS="0.1")
    assert ran.returncode == 1
    assert verdicts(machine) == ["ABANDON"]
    assert "an empty completion" in reported(machine)


def test_a_server_that_never_answers_is_given_up(machine: Machine) -> None:
    # Port 9 is discard's; nothing listens there.
    ran = machine.run("ready", SERVER="http://127.0.0.1:9", BUDGET_SECONDS="0.3", RETRY_SECONDS="0.1")
    assert ran.returncode == 1
    assert verdicts(machine) == ["ABANDON"]
    assert "no completion within" in reported(machine)


@pytest.mark.parametrize(
    "unit", ["gpuwright-image", "gpuwright-model", "gpuwright-verify", "gpuwright-server"]
)
def test_a_failed_unit_gives_the_machine_up_without_waiting_for_the_budget(
    machine: Machine, unit: str
) -> None:
    ran = machine.run("ready", SERVER="http://127.0.0.1:9", FAILED=unit)
    assert ran.returncode == 1
    assert verdicts(machine) == ["ABANDON"]
    assert f"failed: {unit}" in reported(machine)


def test_the_journal_is_kept_in_the_log_group_before_the_machine_is_given_up(machine: Machine) -> None:
    machine.run("ready", SERVER="http://127.0.0.1:9", FAILED="gpuwright-model")
    calls = machine.calls("aws")
    assert [call[1] for call in calls] == [
        "create-log-stream",
        "put-log-events",
        "complete-lifecycle-action",
    ]
    for call in calls[:2]:
        assert option(call, "--log-group-name") == DEPLOYMENT["log_group"]
        assert option(call, "--log-stream-name") == "boot/i-0123456789abcdef0"
    assert "model fetched" in reported(machine)


def test_a_hook_that_refuses_fails_the_unit(machine: Machine, server: Server) -> None:
    ran = machine.run("ready", SERVER=server.address, FAIL_HOOK="1", HOOK_ERROR="AccessDenied")
    assert ran.returncode == 1
    assert verdicts(machine) == ["CONTINUE"]
    assert "AccessDenied" in ran.stderr


def test_after_a_reboot_no_hook_waits_and_that_is_no_failure(machine: Machine, server: Server) -> None:
    error = "An error occurred (ValidationError): No active Lifecycle Action found with instance ID i-0123"
    ran = machine.run("ready", SERVER=server.address, FAIL_HOOK="1", HOOK_ERROR=error)
    assert ran.returncode == 0
    assert verdicts(machine) == ["CONTINUE"]


def test_the_verdict_is_given_even_where_the_log_group_cannot_be_written(
    machine: Machine, server: Server
) -> None:
    programs = Path(machine.environment["PATH"].split(os.pathsep)[0])
    (programs / "journalctl").unlink()
    ran = machine.run("ready", SERVER=server.address)
    assert ran.returncode == 0
    assert verdicts(machine) == ["CONTINUE"]
