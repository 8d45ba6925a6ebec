from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pulumi.runtime.proto import provider_pb2
from sandbox_process import ProviderProcess

ROOTS = [str(Path(__file__).parents[2] / folder) for folder in ("components", "policies", "templates")]
PROGRAM = """\
import pulumi
import pulumi_aws as aws
import helper

config = pulumi.Config()
vpc = aws.ec2.Vpc(helper.NAME, cidr_block=config.require("cidr_block"))
pulumi.export("size", config.require_int("size"))
pulumi.export("vpc_id", vpc.id)
"""


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that a test starts find this project, installed or not."""
    monkeypatch.setenv("PYTHONPATH", ":".join(ROOTS))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with two stacks and a module beside its program."""
    stacks = tmp_path / "stacks"
    stacks.mkdir()
    (tmp_path / "Pulumi.yaml").write_text(
        "name: demo\nruntime: python\nmain: stacks/\nstackConfigDir: stacks/\n"
        "config:\n  size: {type: integer, default: 3}\n  cidr_block: {type: string}\n"
    )
    (stacks / "__main__.py").write_text(PROGRAM)
    (stacks / "helper.py").write_text('NAME = "vpc"\n')
    (stacks / "Pulumi.dev-aws.yaml").write_text("config:\n  # ours\n  cidr_block: 10.0.0.0/16\n")
    (stacks / "Pulumi.prod-aws.yaml").write_text("config:\n  demo:cidr_block: 10.1.0.0/16\n  size: 5\n")
    return tmp_path


@pytest.fixture(scope="module")
def aws_process() -> Iterator[ProviderProcess]:
    """One stand-in for aws for all tests of a file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", ":".join(ROOTS))
        process = ProviderProcess("aws")
    yield process
    process.close()


@pytest.fixture
def aws(aws_process: ProviderProcess) -> ProviderProcess:
    """The stand-in for aws, configured anew."""
    aws_process.stub.Configure(provider_pb2.ConfigureRequest())
    return aws_process
