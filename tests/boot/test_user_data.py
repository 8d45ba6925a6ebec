"""The user data as a whole: valid, small, deterministic, and nothing decided in a template."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from boot_payload import DEPLOYMENT, contents, make_plan, render
from jinja2 import nodes

from gpuwright.boot import USER_DATA_LIMIT_BYTES, cloud_config, user_data
from gpuwright.errors import GpuwrightError, InputError, UnknownNameError
from gpuwright.planning import Plan, plan_document

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden/user_data/7b-aws.yaml"
TEMPLATES = ROOT / "templates/gpuwright_templates/cloud_init"
# A quarter of the limit is left to what is still to come.
ROOMY_BYTES = USER_DATA_LIMIT_BYTES * 3 // 4
SPECS = ROOT / "examples/specs"
URI = f"s3://chat-7b-models/{make_plan().model.store_prefix}"


def planned(spec: Path) -> Plan:
    return plan_document(yaml.safe_load(spec.read_text()), spec.name)


def test_the_payload_of_the_first_example_is_the_one_that_was_reviewed() -> None:
    payload = render(planned(SPECS / "7b-aws.yaml"))
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.parent.mkdir(parents=True, exist_ok=True)
        GOLDEN.write_text(payload)
    assert payload == GOLDEN.read_text(), "look at the difference; UPDATE_GOLDEN=1 accepts it"


@pytest.mark.parametrize("spec", sorted(SPECS.glob("*aws*.yaml")), ids=lambda spec: spec.stem)
def test_every_example_on_aws_boots_with_exactly_its_plan(spec: Path) -> None:
    plan = planned(spec)
    payload = render(plan)
    unit = contents(payload)["/etc/systemd/system/gpuwright-server.service"]
    assert f"{plan.server.image} \\\n  serve /model {' '.join(plan.server.arguments)}\n" in unit
    assert len(payload.encode()) <= ROOMY_BYTES


@pytest.mark.skipif(not shutil.which("cloud-init"), reason="needs cloud-init (package cloud-init)")
def test_cloud_init_accepts_the_payload(payload: str, tmp_path: Path) -> None:
    path = tmp_path / "user-data"
    path.write_text(payload)
    ran = subprocess.run(["cloud-init", "schema", "--config-file", path], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "Valid" in ran.stdout
    path.write_text(payload.replace("  content: |", "  contents: |", 1))
    ran = subprocess.run(["cloud-init", "schema", "--config-file", path], capture_output=True, text=True)
    assert "contents" in ran.stderr, "it would not see a misspelt key"


def test_the_payload_is_a_cloud_config(payload: str) -> None:
    assert payload.startswith("#cloud-config\n")
    document = yaml.safe_load(payload)
    assert sorted(document) == ["runcmd", "write_files"]
    for entry in document["write_files"]:
        executable = entry["content"].startswith("#!")
        assert entry.get("permissions", "0644") == ("0755" if executable else "0644"), entry["path"]
        assert entry["content"].endswith("\n")


def test_every_program_that_a_unit_starts_is_written(payload: str) -> None:
    files = contents(payload)
    started = {
        match
        for text in files.values()
        for match in re.findall(r"^ExecStart=(/opt/\S+)", text, flags=re.MULTILINE)
    }
    assert started == {path for path, text in files.items() if text.startswith("#!")}


def test_everything_is_started_without_holding_up_cloud_init(payload: str) -> None:
    *_, last = yaml.safe_load(payload)["runcmd"]
    assert last == "systemctl enable --now --no-block gpuwright-server.service gpuwright-ready.service"
    for name in ("server", "ready"):
        assert (
            "WantedBy=multi-user.target" in contents(payload)[f"/etc/systemd/system/gpuwright-{name}.service"]
        )


def test_the_units_learn_the_instance_from_cloud_init(payload: str, tmp_path: Path) -> None:
    first, *_ = yaml.safe_load(payload)["runcmd"]
    for folder in ("var/lib/cloud/data", "etc/gpuwright"):
        (tmp_path / folder).mkdir(parents=True)
        first = first.replace(f"/{folder}", f"{tmp_path}/{folder}")
    (tmp_path / "var/lib/cloud/data/instance-id").write_text("i-0123456789abcdef0\n")
    subprocess.run(["sh", "-c", first], check=True)
    assert (tmp_path / "etc/gpuwright/instance").read_text() == "INSTANCE_ID=i-0123456789abcdef0\n"
    for name in ("server", "ready"):
        unit = contents(payload)[f"/etc/systemd/system/gpuwright-{name}.service"]
        assert "EnvironmentFile=/etc/gpuwright/instance\n" in unit


def test_hostile_arguments_leave_every_other_file_as_it_is(payload: str) -> None:
    plan = make_plan(server__arguments=["\n- path: /etc/shadow\n  content: x", "\x85", "\u2028", "' \" | >"])
    before = contents(payload)
    changed = {path for path, text in contents(render(plan)).items() if text != before.get(path)}
    assert changed == {"/etc/systemd/system/gpuwright-server.service"}


@pytest.mark.parametrize(
    "changes",
    [
        {"replicas__max": 12},
        {"tags": {"team": "search"}},
        {"cost__usd_per_hour": 2.0},
        {"operations__log_retention_days": 90},
        {"purchase_option": "spot"},
        {"cold_start": [{"name": "all", "seconds": 500, "basis": "derived"}]},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_the_machine_does_not_need_never_rolls_the_fleet(payload: str, changes: dict[str, Any]) -> None:
    assert render(make_plan(**changes)) == payload


# --- size


def test_the_limit_counts_bytes_and_says_so() -> None:
    room = USER_DATA_LIMIT_BYTES - len(render(make_plan(server__arguments=[""])).encode()) + len('""')
    assert len(render(make_plan(server__arguments=["x" * (room - 1)])).encode()) == USER_DATA_LIMIT_BYTES - 1
    with pytest.raises(GpuwrightError, match=r"chat-7b.*16384 bytes.*less than 16384.*Shorten"):
        render(make_plan(server__arguments=["x" * room]))


# --- templates print


def test_an_undefined_name_is_an_error_and_no_value_goes_unused() -> None:
    plan = make_plan()
    values = {"model_store_uri": URI, **DEPLOYMENT, **cloud_config.values(plan)}
    template = cloud_config.environment().get_template("aws.yaml.j2")
    assert template.render(values) == render(plan)
    for name in values:
        with pytest.raises(jinja2.UndefinedError, match=name):
            template.render({key: value for key, value in values.items() if key != name})


def test_no_template_decides() -> None:
    templates = list(TEMPLATES.glob("*.j2"))
    assert len(templates) > 5
    for template in templates:
        syntax = cloud_config.environment().parse(template.read_text())
        decisions = (nodes.If, nodes.CondExpr, nodes.Compare, nodes.And, nodes.Or, nodes.Not, nodes.Test)
        assert list(syntax.find_all(decisions)) == [], template.name


def test_every_template_is_a_part_of_the_payload(payload: str) -> None:
    environment = cloud_config.environment()
    source = (TEMPLATES / "aws.yaml.j2").read_text()
    for template in environment.list_templates():
        stem = template.removesuffix(".j2")
        assert template == "aws.yaml.j2" or stem in source, template


def test_the_payload_holds_nothing_like_a_secret(payload: str) -> None:
    suspicious = r"password|passwd|secret|credential|api[-_]?key|private key|AKIA|hf_[a-z]{8}|Bearer"
    assert re.findall(suspicious, payload, flags=re.IGNORECASE) == []


def test_more_accelerators_change_what_the_machine_is_compared_with() -> None:
    text = contents(render(make_plan(accelerator__count=8)))["/opt/gpuwright/bin/verify"]
    assert "PLANNED = 8\n" in text


# --- what cannot be used


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model_store_uri", "gs://chat-7b-models/" + make_plan().model.store_prefix),
        ("model_store_uri", URI + "/"),
        ("model_store_uri", "s3://chat-7b-models"),
        ("model_store_uri", "s3://chat-7b-models/models/other/main"),
        ("model_store_uri", "s3://chat 7b/" + make_plan().model.store_prefix),
        ("log_group", ""),
        ("log_group", "two words"),
        ("autoscaling_group_name", "line\nbreak"),
        ("lifecycle_hook_name", "a b"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(name: str, value: str) -> None:
    with pytest.raises(InputError, match=name):
        user_data(make_plan(), **{"model_store_uri": URI, **DEPLOYMENT, name: value})


def test_all_faults_come_at_once() -> None:
    with pytest.raises(InputError) as caught:
        user_data(
            make_plan(cloud="gcp"),
            model_store_uri="x",
            log_group="",
            autoscaling_group_name="",
            lifecycle_hook_name="",
        )
    named = [fault.where for fault in caught.value.faults]
    assert set(named) == {"cloud", "model_store_uri", *DEPLOYMENT}


def test_a_server_without_a_payload_is_named() -> None:
    with pytest.raises(UnknownNameError, match="triton"):
        render(make_plan(server__name="triton"))


@pytest.mark.parametrize(
    "prefix", ["models/../../etc", "models/a b/main", "/models/x", "models//x", "models/.hidden/main", "a\n"]
)
def test_a_prefix_that_is_no_plain_path_never_becomes_a_folder(prefix: str) -> None:
    with pytest.raises(InputError, match="no plain path"):
        render(make_plan(model__store_prefix=prefix))
