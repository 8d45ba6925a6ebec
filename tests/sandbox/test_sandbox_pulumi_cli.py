"""The sandbox under Pulumi's own engine; runs where the pulumi command is."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.pulumi_cli,
    pytest.mark.skipif(shutil.which("pulumi") is None, reason="there is no pulumi command on PATH"),
]

PROGRAM = """\
import pulumi
import pulumi_aws as aws
from pulumi import ResourceOptions

config = pulumi.Config()
vpc = aws.ec2.Vpc("vpc", cidr_block=config.require("cidr_block"), tags={"v": config.get("tag") or "1"})
zones = aws.get_availability_zones()
subnet = aws.ec2.Subnet(
    "subnet",
    vpc_id=vpc.id,
    cidr_block="10.0.1.0/24",
    availability_zone=zones.names[0],
    opts=ResourceOptions(parent=vpc),
)
gateway = aws.ec2.InternetGateway("gateway", vpc_id=vpc.id)
role = aws.iam.Role("role", assume_role_policy={"Version": "2012-10-17", "Statement": []})
template = aws.ec2.LaunchTemplate(
    "template",
    image_id=aws.ssm.get_parameter_output(name="/aws/service/ami").value,
    instance_type="g5.4xlarge",
    tag_specifications=[{"resource_type": "instance", "tags": {"role": role.name}}],
)
group = aws.autoscaling.Group(
    "group",
    min_size=1,
    max_size=2,
    vpc_zone_identifiers=[subnet.id],
    launch_template={"id": template.id, "version": template.latest_version.apply(str)},
)
pulumi.export("arn", vpc.arn)
pulumi.export("secret", pulumi.Output.secret("hunter2"))
"""


@pytest.fixture
def program(project: Path, importable: None) -> Path:
    (project / "stacks" / "__main__.py").write_text(PROGRAM)
    return project


def pulumi(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    state = str(project.parent / f"{project.name}-state")
    return subprocess.run(
        [sys.executable, "-m", "gpuwright", "sandbox", "--state", state, "--", "pulumi", *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )


def done(run: subprocess.CompletedProcess[str]) -> str:
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_a_stack_goes_up_shows_no_change_refreshes_and_is_destroyed(program: Path) -> None:
    before = {path: path.read_bytes() for path in (program / "stacks").glob("*.yaml")}
    done(pulumi(program, "up", "--stack", "dev-aws", "--yes", "--skip-preview"))
    outputs = json.loads(done(pulumi(program, "stack", "output", "--json", "--stack", "dev-aws")))
    assert outputs["arn"].startswith("arn:aws:ec2:")
    done(pulumi(program, "preview", "--stack", "dev-aws", "--expect-no-changes"))
    done(pulumi(program, "refresh", "--stack", "dev-aws", "--yes", "--expect-no-changes"))
    done(pulumi(program, "destroy", "--stack", "dev-aws", "--yes"))
    state = json.loads(done(pulumi(program, "stack", "export", "--stack", "dev-aws")))
    assert state["deployment"].get("resources", []) == []
    assert {path: path.read_bytes() for path in (program / "stacks").glob("*.yaml")} == before


def test_a_change_is_previewed_as_an_update_and_a_replacement(program: Path) -> None:
    done(pulumi(program, "up", "--stack", "dev-aws", "--yes", "--skip-preview"))
    stack = program / "stacks" / "Pulumi.dev-aws.yaml"
    stack.write_text(stack.read_text() + '  tag: "2"\n')
    assert operations(done(pulumi(program, "preview", "--stack", "dev-aws", "--json"))) == {"vpc": {"update"}}
    stack.write_text(stack.read_text().replace("10.0.0.0/16", "10.1.0.0/16"))
    ops = operations(done(pulumi(program, "preview", "--stack", "dev-aws", "--json")))
    replaced = {name for name, found in ops.items() if any("replace" in op for op in found)}
    assert replaced == {"vpc", "subnet"}


def operations(preview: str) -> dict[str, set[str]]:
    """Return what happens to each resource to which anything happens."""
    ops: dict[str, set[str]] = {}
    for step in json.loads(preview)["steps"]:
        if step["op"] != "same":
            ops.setdefault(step["urn"].rpartition("::")[2], set()).add(step["op"])
    return ops


def test_a_first_preview_tells_what_the_embedded_engine_tells(program: Path) -> None:
    from gpuwright.sandbox import preview_stack

    answers = {"aws:index/getAvailabilityZones:getAvailabilityZones": {"names": ["us-east-1a"]}}
    foreseen = {resource.urn for resource in preview_stack("dev-aws", cwd=program, answers=answers).resources}
    steps = json.loads(done(pulumi(program, "preview", "--stack", "dev-aws", "--json")))["steps"]
    assert {step["urn"] for step in steps if "::pulumi:providers:" not in step["urn"]} == foreseen


def test_up_alone_deploys_the_default_stack(program: Path) -> None:
    assert "vpc" in done(pulumi(program, "up"))
