"""The shipped stacks and the example: real deployments, told apart, and clear about bad configuration."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from gpuwright.errors import GpuwrightError, InputError, NothingFitsError
from gpuwright.sandbox import Recording, preview_program, preview_stack
from gpuwright.sandbox.wire import UNKNOWN_TEXT

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "import-from-python"
STACKS = ("dev-aws", "prod-aws")
SPEC = {"name": "chat", "model": "meta-llama/Llama-2-7b-hf", "profile": "7b-online"}
LLAMA_CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "num_hidden_layers": 32,
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "intermediate_size": 11008,
    "vocab_size": 32000,
    "max_position_embeddings": 4096,
    "torch_dtype": "float16",
    "tie_word_embeddings": False,
}
EXPORTS = {
    "endpoint",
    "bucket",
    "instance_type",
    "cost_usd_per_hour",
    "cost_usd_per_1000_inferences",
    "plan_digest",
}


@pytest.fixture(scope="module")
def previews() -> dict[str, Recording]:
    return {stack: preview_stack(stack, cwd=ROOT) for stack in STACKS}


def run_python(script: str, cwd: Path) -> str:
    roots = ":".join(str(ROOT / name) for name in ("components", "policies", "templates"))
    command = [sys.executable, "-c", script]
    ran = subprocess.run(
        command, cwd=cwd, env={"PYTHONPATH": roots}, capture_output=True, text=True, check=True
    )
    return ran.stdout


def refusal(config: dict[str, Any], root: Path = ROOT) -> GpuwrightError:
    with pytest.raises(GpuwrightError) as raised:
        preview_program(root, config=config, stack="bad")
    return raised.value


def test_every_stack_exports_what_its_users_need(previews: dict[str, Recording]) -> None:
    for preview in previews.values():
        assert set(preview.exports) == EXPORTS


def test_the_stacks_are_different_deployments(previews: dict[str, Recording]) -> None:
    dev, prod = (previews[stack].one("GpuInference").inputs for stack in STACKS)
    for intent in ("model", "weightsPrecision", "region", "environment", "instanceType", "replicasMin"):
        assert dev[intent] != prod[intent], intent
    assert previews["dev-aws"].export("bucket") != previews["prod-aws"].export("bucket")
    assert len(previews["dev-aws"].of_type("NatGateway")) == 1
    assert len(previews["prod-aws"].of_type("NatGateway")) == 3
    zones = {subnet.inputs["availabilityZone"] for subnet in previews["prod-aws"].of_type("Subnet")}
    assert len(zones) == 3
    assert previews["dev-aws"].one("LoadBalancer").inputs["internal"] is True
    assert previews["prod-aws"].one("LoadBalancer").inputs["internal"] is False


def test_the_dev_stack_serves_a_7b_model_on_one_24_gb_accelerator(previews: dict[str, Recording]) -> None:
    intent = previews["dev-aws"].one("GpuInference").inputs
    assert intent["model"] == "meta-llama/Llama-2-7b-hf"
    assert (intent["instanceType"], intent["acceleratorName"], intent["acceleratorCount"]) == (
        "g5.4xlarge",
        "A10G",
        1,
    )


def test_only_what_holds_data_in_prod_is_protected(previews: dict[str, Recording]) -> None:
    protected = {
        stack: {resource.short_type for resource in preview.resources if resource.protect}
        for stack, preview in previews.items()
    }
    assert protected == {"dev-aws": set(), "prod-aws": {"aws:s3:Bucket", "aws:kms:Key"}}


def test_every_resource_is_of_the_region_of_the_plan_and_tagged_with_the_project(
    previews: dict[str, Recording],
) -> None:
    for stack, region in (("dev-aws", "us-east-1"), ("prod-aws", "us-west-2")):
        preview = previews[stack]
        provider = preview.one("pulumi:providers:aws")
        assert provider.plain_inputs["region"] == region
        assert "gpuwright:project" in str(provider.plain_inputs["defaultTags"])
        of_aws = [resource for resource in preview.resources if resource.type.startswith("aws:")]
        assert all(resource.provider.startswith(f"{provider.urn}::") for resource in of_aws)


def test_prod_is_deployed_to_its_own_account_only(previews: dict[str, Recording]) -> None:
    allowed = previews["prod-aws"].one("pulumi:providers:aws").plain_inputs["allowedAccountIds"]
    assert "123456789012" in str(allowed)


def test_a_preview_of_a_stack_says_the_same_twice(previews: dict[str, Recording]) -> None:
    again = preview_stack("dev-aws", cwd=ROOT)
    assert {each.urn: each.inputs for each in again.resources} == {
        each.urn: each.inputs for each in previews["dev-aws"].resources
    }


def test_all_faults_of_the_configuration_come_at_once() -> None:
    error = refusal(
        {
            "gpuwright:spec": {"name": "Chat", "modle": "x"},
            "gpuwright:aws": {"availability_zone": ["us-east-1a"]},
            "gpuwright:speck": {},
            "gpuwrigth:aws": {},
        }
    )
    assert isinstance(error, InputError)
    told = str(error)
    for fault in (
        "gpuwright:spec: name: is 'Chat'",
        "gpuwright:spec: modle: is no field of a spec",
        "gpuwright:spec: model: is missing",
        "gpuwright:aws: availability_zone: is no input of a deployment on AWS.",
        "Did you mean availability_zones?",
        "gpuwright:speck: is no configuration of this program. Did you mean gpuwright:spec?",
        "gpuwrigth:aws: is nobody's configuration. Did you mean gpuwright:aws?",
    ):
        assert fault in told


def test_a_stack_without_configuration_is_told_what_to_write() -> None:
    error = refusal({})
    assert isinstance(error, InputError)
    assert "gpuwright:spec: holds nothing" in str(error)


def test_configuration_that_is_no_mapping_is_refused_by_its_key() -> None:
    assert "gpuwright:spec: is 'chat', and must be a mapping." in str(refusal({"gpuwright:spec": "chat"}))
    told = str(refusal({"gpuwright:spec": SPEC, "gpuwright:aws": ["us-east-1a"]}))
    assert "gpuwright:aws: is a list, and must map names to values." in told


def test_an_encrypted_value_is_called_so_and_its_stand_in_is_never_shown() -> None:
    region, zones = {**SPEC, "region": UNKNOWN_TEXT}, {"availability_zones": ["us-east-1a", UNKNOWN_TEXT]}
    told = str(refusal({"gpuwright:spec": region, "gpuwright:aws": zones}))
    assert "gpuwright:spec: region: is encrypted" in told
    assert "gpuwright:aws: availability_zones: is encrypted" in told
    assert "gpuwright:spec: is encrypted" in str(refusal({"gpuwright:spec": UNKNOWN_TEXT}))
    assert UNKNOWN_TEXT not in told


def test_a_cloud_without_components_is_refused_before_its_zones_are() -> None:
    other = {**SPEC, "cloud": "gcp", "region": "us-central1"}
    told = str(
        refusal(
            {"gpuwright:spec": other, "gpuwright:aws": {"availability_zones": ["us-east-1a", "us-east-1b"]}}
        )
    )
    assert told.startswith("gpuwright:spec: cloud: is 'gcp'")


def test_a_certificate_is_asked_for_by_its_key() -> None:
    error = refusal({"gpuwright:spec": {**SPEC, "environment": "prod"}})
    assert "gpuwright:aws: certificate_arn: is missing, and a prod endpoint answers over TLS only." in str(
        error
    )


def test_a_spec_that_nothing_fits_is_refused_as_such() -> None:
    error = refusal({"gpuwright:spec": {**SPEC, "budget_usd_per_month": 1}})
    assert isinstance(error, NothingFitsError)


def test_pulumi_prints_a_fault_of_the_configuration_without_a_traceback() -> None:
    """The language host prints the text of a RunError, and the traceback of anything else."""
    script = (
        "import runpy, pulumi; pulumi.runtime.set_mocks(pulumi.runtime.Mocks)\n"
        "try: runpy.run_path('.', run_name='__main__')\n"
        "except pulumi.RunError as error: print(error)"
    )
    ran = run_python(script, ROOT / "stacks")
    assert "gpuwright:spec: holds nothing" in ran


def test_a_models_path_is_relative_to_the_project(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "stacks", tmp_path / "stacks")
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path)
    error = refusal({"gpuwright:spec": {**SPEC, "model": "models/ours/config.json"}}, tmp_path)
    assert "gpuwright:spec: model: " in str(error)
    assert str(tmp_path / "models/ours/config.json") in str(error)
    (tmp_path / "models/ours").mkdir(parents=True)
    (tmp_path / "models/ours/config.json").write_text(json.dumps(LLAMA_CONFIG))
    preview = preview_program(
        tmp_path, config={"gpuwright:spec": {**SPEC, "model": "models/ours/config.json"}}, stack="ours"
    )
    assert preview.one("GpuInference").inputs["model"] == "ours"


def test_the_project_names_the_stacks_folder_and_the_environment() -> None:
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
    assert project["main"] == project["stackConfigDir"] == "stacks/"
    assert project["runtime"] == {"name": "python", "options": {"toolchain": "pip", "virtualenv": ".venv"}}


def test_another_repositorys_program_uses_the_component_as_one_resource_among_its_own() -> None:
    preview = preview_stack("dev", cwd=EXAMPLE)
    tops = [resource.short_type for resource in preview.children(preview.root)]
    assert "gpuwright:index:GpuInference" in tops
    assert "aws:sns:Topic" in tops
    assert preview.of_type("aws:ec2:Vpc") == ()
    assert set(preview.exports) == {"endpoint", "bucket", "cost_usd_per_hour"}


def test_the_example_finds_the_library_under_its_name_alone(tmp_path: Path) -> None:
    for file in EXAMPLE.iterdir():
        if file.is_file():
            shutil.copy(file, tmp_path)
    script = (
        "from gpuwright.sandbox import preview_stack; print(preview_stack('dev').one('GpuInference').name)"
    )
    assert run_python(script, tmp_path).strip() == "summaries"
