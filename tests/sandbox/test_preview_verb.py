from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gpuwright.cli import main
from gpuwright.cli.preview import check_recording, command, read_cost
from gpuwright.errors import InputError
from gpuwright.sandbox import preview_program

COST = """\
import pulumi
pulumi.export("cost_usd_per_hour", 1.624)
pulumi.export("cost_usd_per_1000_inferences", 0.01)
pulumi.export("instance_type", "g5.4xlarge")
pulumi.export("plan_digest", "abc")
"""
VIOLATION = """\
import pulumi_aws as aws
aws.ec2.LaunchTemplate("t", instance_type="g5.xlarge", metadata_options={"http_tokens": "required"})
"""


def preview(project: Path, *arguments: str) -> tuple[int, str]:
    outcome = CliRunner().invoke(command, ["--cwd", str(project), *arguments], standalone_mode=False)
    if outcome.exception:
        raise outcome.exception
    return outcome.return_value, outcome.stdout


def test_the_default_stack_is_previewed_as_a_tree(project: Path) -> None:
    code, text = preview(project)
    assert code == 0
    assert text.startswith("Preview of stack dev-aws of project demo: 2 to create\n")
    assert "└─ aws:ec2:Vpc  vpc  cidrBlock=10.0.0.0/16" in text


@pytest.mark.parametrize(("form", "start"), [("json", "{"), ("dot", "digraph"), ("mermaid", "flowchart")])
def test_every_format_is_printed_alone(project: Path, form: str, start: str) -> None:
    code, text = preview(project, "--stack", "prod-aws", "--format", form)
    assert code == 0
    assert text.startswith(start)


def test_what_the_program_prints_is_no_part_of_the_answer(project: Path) -> None:
    (project / "stacks" / "__main__.py").write_text("print('hello')\n")
    assert json.loads(preview(project, "--format", "json")[1])["changeSummary"] == {"create": 1}


def test_the_cost_is_what_the_program_exports(project: Path) -> None:
    (project / "stacks" / "__main__.py").write_text(COST)
    document = json.loads(preview(project, "--format", "json")[1])
    assert document["cost"] == {
        "usd_per_hour": 1.624,
        "usd_per_1000_inferences": 0.01,
        "instance_type": "g5.4xlarge",
        "plan_digest": "abc",
    }


def test_a_cost_that_a_component_outputs_is_found_too() -> None:
    import pulumi

    class Service(pulumi.ComponentResource):
        def __init__(self) -> None:
            super().__init__("demo:index:Service", "service")
            self.register_outputs({"cost_usd_per_hour": 2.5})

    cost = read_cost(preview_program(Service))
    assert cost is not None
    assert (cost.usd_per_hour, cost.instance_type) == (2.5, None)


def test_a_violated_policy_exits_1_and_names_rule_and_resource(project: Path) -> None:
    (project / "stacks" / "__main__.py").write_text(VIOLATION)
    code, text = preview(project, "--format", "json")
    broken = {found["rule"]: found["urn"] for found in json.loads(text)["findings"] if found["mandatory"]}
    assert code == 1
    assert broken["cpu-ratio"].endswith("::t")


def test_what_is_unknown_is_no_violation() -> None:
    import pulumi_aws as aws

    def program() -> None:
        kind = aws.ssm.get_parameter_output(name="/kind").value
        aws.ec2.LaunchTemplate("t", instance_type=kind)

    findings = check_recording(preview_program(program))
    assert "cpu-ratio" not in {found.rule for found in findings if found.mandatory}


@pytest.mark.parametrize(
    ("program", "told"),
    [("{}['missing']", "KeyError: 'missing'"), ("import pulumi; pulumi.Config().require('x')", "demo:x")],
)
def test_a_program_that_fails_exits_2_with_its_own_lines(
    project: Path, capsys: pytest.CaptureFixture[str], program: str, told: str
) -> None:
    (project / "stacks" / "__main__.py").write_text(program)
    with pytest.raises(SystemExit) as caught:
        main(["preview", "--cwd", str(project)])
    printed = capsys.readouterr()
    assert (caught.value.code, printed.out) == (2, "")
    assert told in printed.err
    assert "gpuwright/sandbox" not in printed.err


def test_an_unknown_stack_is_bad_input(project: Path) -> None:
    with pytest.raises(InputError, match="Did you mean prod-aws"):
        preview(project, "--stack", "prod-awss")
