"""A provider that answers nothing but what it was given: the least that any stand-in does."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import pulumi

class Echo(pulumi.runtime.Mocks):
    def new_resource(self, args):
        return f"{args.name}-id", dict(args.inputs)

    def call(self, args):
        return {"id": "x", "names": ["us-east-1a", "us-east-1b"], "insecure_value": "ami-0", "insecureValue": "ami-0"}

pulumi.runtime.set_mocks(Echo(), preview=False)

from gpuwright import GpuInference

@pulumi.runtime.test
def run():
    made = GpuInference("chat", spec={"name": "chat", "model": "meta-llama/Llama-2-7b-hf", "profile": "7b-online"})
    return pulumi.Output.all(made.endpoint, made.bucket).apply(lambda told: print("made", *told))

run()
"""


def test_a_deployment_registers_even_where_the_provider_computes_no_output() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "made http" in done.stdout
