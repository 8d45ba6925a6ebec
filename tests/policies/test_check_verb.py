"""``gpuwright check`` at the command line."""

from __future__ import annotations

import io
import json
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

import pytest
from policy_samples import LAUNCH_TEMPLATE, urn

from gpuwright.cli import main

SPEC = "name: chat\nmodel: meta-llama/Llama-2-7b-hf\nprofile: 7b-online\ncloud: aws\n"
Capture = pytest.CaptureFixture[str]


def check(*args: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["check", *args])
    return int(left.value.code or 0)


@pytest.fixture
def preview(tmp_path: Path, template_props: dict[str, Any]) -> Path:
    """A preview that puts a 7B model on a shape that is too small."""
    inputs = template_props | {
        "instanceType": "g5.xlarge",
        "userData": "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
    }
    new = {"urn": urn(LAUNCH_TEMPLATE, "fleet"), "type": LAUNCH_TEMPLATE, "inputs": inputs}
    stack = {"urn": "urn:pulumi:dev::shop::pulumi:pulumi:Stack::shop-dev", "type": "pulumi:pulumi:Stack"}
    steps = [{"op": "create", "newState": stack}, {"op": "create", "newState": new}]
    path = tmp_path / "preview.json"
    path.write_text(json.dumps({"steps": steps}), encoding="utf-8")
    return path


class Clock(datetime):
    """A clock that stands at a day on which every price of the catalog is old."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Clock:
        return cls(2040, 1, 1, tzinfo=tz)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "chat.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return path


def but_for_price_age(findings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the findings that do not depend on the day on which the tests run."""
    return [each for each in findings if each["rule"] != "price-age"]


def test_a_spec_whose_plan_holds_passes(spec: Path, capsys: Capture) -> None:
    assert check(str(spec), "--format", "json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["summary"]["passed"]
    assert but_for_price_age(said["findings"]) == []


def test_advice_is_refused_where_it_is_asked_to_be(
    spec: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpuwright.cli.check.datetime", Clock)
    assert check(str(spec)) == 0
    assert capsys.readouterr().out.endswith("passed: 0 mandatory and 2 advisory findings\n")
    assert check(str(spec), "--refuse", "price-age") == 1
    said = capsys.readouterr().out
    assert "mandatory: price-age (low)" in said
    assert said.endswith("FAILED: 2 mandatory and 0 advisory findings\n")


def test_a_rule_to_refuse_must_exist(spec: Path, capsys: Capture) -> None:
    assert check(str(spec), "--refuse", "price-ag") == 2
    assert "Did you mean price-age?" in capsys.readouterr().err


def test_a_violation_tells_what_is_what_must_be_why_and_what_to_do(preview: Path, capsys: Capture) -> None:
    assert check(str(preview)) == 1
    said = capsys.readouterr().out
    assert "preview, 1 of 2 resources judged" in said
    assert f"mandatory: cpu-ratio (high), {LAUNCH_TEMPLATE} fleet" in said
    assert "is       g5.xlarge has 4 vCPU for 1 × A10G" in said
    assert "must be  at least 8 vCPU" in said
    assert "why      Tokenization" in said
    assert "fix      Choose a larger size of the same family." in said
    assert said.endswith("FAILED: 2 mandatory and 1 advisory findings\n")


def test_the_json_says_all_of_it(preview: Path, spec: Path, capsys: Capture) -> None:
    assert check(str(preview), str(spec), "--format", "json") == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["summary"]["passed"], said["summary"]["mandatory"]) == (False, 2)
    assert said["summary"]["advisory"] == len(said["findings"]) - 2
    assert [each["kind"] for each in said["scanned"]] == ["preview", "spec"]
    found = but_for_price_age(said["findings"])
    levels = [(each["rule"], each["level"], each["answer"]) for each in found]
    assert levels == [
        ("cpu-ratio", "mandatory", "violates"),
        ("ram-ratio", "mandatory", "violates"),
        ("model-store", "advisory", "unknown"),
    ]
    wanted = {
        "rule",
        "severity",
        "level",
        "resource",
        "message",
        "actual",
        "expected",
        "why",
        "fix",
        "waived",
    }
    assert all(wanted <= each.keys() for each in said["findings"])


def test_a_plan_is_judged_too(spec: Path, tmp_path: Path, capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        main(["plan", str(spec), "--format", "json"])
    plan = tmp_path / "plan.json"
    plan.write_text(capsys.readouterr().out, encoding="utf-8")
    assert check(str(plan)) == 0
    assert capsys.readouterr().out.startswith(f"{plan}: plan\n")


def test_a_plan_that_was_changed_by_hand_is_judged_as_it_is(
    spec: Path, tmp_path: Path, capsys: Capture
) -> None:
    with pytest.raises(SystemExit):
        main(["plan", str(spec), "--format", "json"])
    plan = json.loads(capsys.readouterr().out)
    changed = tmp_path / "plan.json"
    changed.write_text(
        json.dumps(plan | {"instance_type": "g5.xlarge", "weights_precision": "int3"}), encoding="utf-8"
    )
    assert check(str(changed), "--format", "json") == 1
    said = json.loads(capsys.readouterr().out)
    assert {each["rule"]: each["answer"] for each in but_for_price_age(said["findings"])} == {
        "cpu-ratio": "violates",
        "ram-ratio": "violates",
        "vram-7b": "unknown",
        "vram-fits": "unknown",
    }
    changed.write_text(
        json.dumps(plan | {"instance_type": "g5.xlrage", "tensor_parallel_size": 0}), encoding="utf-8"
    )
    assert check(str(changed)) == 2
    assert "Did you mean g5.xlarge" in capsys.readouterr().err


def test_a_spec_for_which_nothing_fits_is_refused(spec: Path, capsys: Capture) -> None:
    spec.write_text(SPEC + "budget_usd_per_month: 1\n", encoding="utf-8")
    assert check(str(spec)) == 1
    assert "nothing-fits" in capsys.readouterr().out


def test_standard_input_is_read(spec: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(SPEC.encode())))
    assert check("-") == 0
    assert capsys.readouterr().out.startswith("standard input: spec\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no document that the rules can judge"),
        ("[]", "no document that the rules can judge"),
        ("a: b", "no document that the rules can judge"),
        ("{", "no valid YAML"),
        ('{"steps": []}', "holds 0 resources"),
        (
            '{"deployment": {"resources": [{"type": "aws:s3/bucket:Bucket", "urn": "u"}]}}',
            "holds 1 resources",
        ),
        ('{"schema_version": "1", "instance_type": "g5.xlarge"}', "is wrong for a plan"),
        ("name: x", "model: is missing"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_what_cannot_be_judged_is_no_pass(text: str, said: str, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "given"
    path.write_text(text, encoding="utf-8")
    assert check(str(path)) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert "Traceback" not in told.err
    assert told.out == ""


def test_all_faults_of_all_files_come_at_once(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "a.yaml").write_text("name: A\nmodel: 1\n", encoding="utf-8")
    assert check(str(tmp_path / "a.yaml"), str(tmp_path / "none.yaml"), str(tmp_path)) == 2
    told = capsys.readouterr().err
    assert "a.yaml: name" in told
    assert "none.yaml: is not there" in told
    assert f"{tmp_path}: cannot be read" in told
