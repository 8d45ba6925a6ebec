"""The policy pack as Pulumi's engine runs it: a process of its own, spoken to over gRPC."""

import os
import select
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from policy_samples import GROUP, LAUNCH_TEMPLATE, urn

pytest.importorskip("pulumi_policy", reason="the policy extra is not installed")

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from gpuwright.sandbox import preview_stack
from gpuwright.sandbox.recording import Recording
from gpuwright.sandbox.wire import to_wire
from gpuwright_policies.evaluate import rules
from gpuwright_policies.facts import Prices
from gpuwright_policies.readers.pulumi_resources import Resource, facts

# pulumi_aws marks names of its own that it imports itself.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:pulumi_aws")

REPOSITORY = Path(__file__).parents[2]
PACK = REPOSITORY / "policies"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
START_SECONDS = 60


@pytest.fixture(scope="module")
def pack() -> Iterator[analyzer_pb2_grpc.AnalyzerStub]:
    """Start the pack as the engine's language host does, and connect to the port that it prints."""
    environment = os.environ | {
        "PYTHONPATH": str(REPOSITORY / "components"),  # The pack finds gpuwright_policies beside itself.
        "PULUMI_ORGANIZATION": "organization",
        "PULUMI_PROJECT": "shop",
        "PULUMI_STACK": "dev",
        "PULUMI_DRY_RUN": "true",
        "PULUMI_CONFIG": "{}",
    }
    command = [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:0", "."]
    with subprocess.Popen(command, cwd=PACK, env=environment, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
            assert ready, "the pack printed no port"
            port = int(process.stdout.readline())
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield analyzer_pb2_grpc.AnalyzerStub(channel)
        finally:
            process.kill()


def struct(props: Mapping[str, Any]) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    made.update(props)
    return made


Analyze = Callable[..., list[tuple[str, int]]]


@pytest.fixture
def analyze(pack: analyzer_pb2_grpc.AnalyzerStub) -> Analyze:
    """Return rule and level of every finding of one resource."""

    def run(props: Mapping[str, Any], type_: str = LAUNCH_TEMPLATE) -> list[tuple[str, int]]:
        request = analyzer_pb2.AnalyzeRequest(
            type=type_, name="one", urn=urn(type_, "one"), properties=struct(props)
        )
        diagnostics = pack.Analyze(request).diagnostics
        assert all(each.urn == urn(type_, "one") for each in diagnostics)
        return sorted(told(each) for each in diagnostics)

    return run


def told(diagnostic: Any) -> tuple[str, int]:
    message = diagnostic.message.partition("\n")[2]
    assert message.startswith("["), diagnostic.message
    return message[1:].partition("]")[0], diagnostic.enforcementLevel


MANDATORY, ADVISORY = analyzer_pb2.MANDATORY, analyzer_pb2.ADVISORY


def test_the_pack_has_the_version_of_the_distribution() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (
        yaml.safe_load((PACK / "PulumiPolicy.yaml").read_text(encoding="utf-8"))["version"]
        == project["version"]
    )


def test_the_pack_has_few_policies_and_says_how_bad_they_are(pack: analyzer_pb2_grpc.AnalyzerStub) -> None:
    info = pack.GetAnalyzerInfo(empty_pb2.Empty())
    assert info.name == "gpuwright"
    assert {policy.name: policy.enforcementLevel for policy in info.policies} == {
        "gpuwright-rules": MANDATORY,
        "gpuwright-advice": ADVISORY,
        "gpuwright-stack-rules": MANDATORY,
        "gpuwright-stack-advice": ADVISORY,
    }
    assert all(policy.severity for policy in info.policies)


def test_a_sound_launch_template_passes(analyze: Analyze, template_props: dict[str, Any]) -> None:
    assert analyze(template_props) == []


def test_a_smaller_size_in_its_place_is_rejected(analyze: Analyze, template_props: dict[str, Any]) -> None:
    found = analyze(template_props | {"instanceType": "g5.xlarge"})
    assert found == [("cpu-ratio", MANDATORY), ("ram-ratio", MANDATORY)]


def test_a_model_of_32b_on_one_a10g_is_rejected(
    analyze: Analyze, template_props: dict[str, Any], serving_tags: dict[str, str]
) -> None:
    tags = serving_tags | {"gpuwright:model": "Qwen/Qwen2.5-32B"}
    specifications = [{"resourceType": "instance", "tags": tags}]
    assert analyze(template_props | {"tags": tags, "tagSpecifications": specifications}) == [
        ("vram-fits", MANDATORY)
    ]


def test_what_is_not_known_yet_is_reported_and_hides_nothing(
    analyze: Analyze, template_props: dict[str, Any]
) -> None:
    unknown = {"metadataOptions": UNKNOWN, "userData": UNKNOWN, "instanceType": "g5.xlarge"}
    assert analyze(template_props | unknown) == [
        ("cpu-ratio", MANDATORY),
        ("imdsv2", ADVISORY),
        ("model-store", ADVISORY),
        ("ram-ratio", MANDATORY),
    ]


def test_a_resource_of_another_kind_is_nobodys_business(analyze: Analyze) -> None:
    assert analyze({"bucket": UNKNOWN}, "aws:s3/bucketV2:BucketV2") == []


def test_a_policy_that_is_switched_off_is_silent(
    pack: analyzer_pb2_grpc.AnalyzerStub, analyze: Analyze, template_props: dict[str, Any]
) -> None:
    off = analyzer_pb2.PolicyConfig(enforcementLevel=analyzer_pb2.DISABLED)
    pack.Configure(analyzer_pb2.ConfigureAnalyzerRequest(policyConfig={"gpuwright-rules": off}))
    try:
        assert analyze(template_props | {"instanceType": "g5.xlarge"}) == []
    finally:
        pack.Configure(analyzer_pb2.ConfigureAnalyzerRequest())


def resource(type_: str, name: str, props: Mapping[str, Any], **more: Any) -> analyzer_pb2.AnalyzerResource:
    return analyzer_pb2.AnalyzerResource(
        type=type_, name=name, urn=urn(type_, name), properties=struct(props), **more
    )


def fleet(number: int, props: Mapping[str, Any]) -> list[analyzer_pb2.AnalyzerResource]:
    """Return a template and a group that adds a shape to it, tied by what the engine knows of them."""
    template = resource(LAUNCH_TEMPLATE, f"template{number}", props)
    policy = {
        "launchTemplate": {
            "launchTemplateSpecification": {"launchTemplateId": UNKNOWN},
            "overrides": [{"instanceType": "g5.4xlarge"}],
        }
    }
    tied = {"mixedInstancesPolicy": analyzer_pb2.AnalyzerPropertyDependencies(urns=[template.urn])}
    return [
        template,
        resource(GROUP, f"group{number}", {"mixedInstancesPolicy": policy}, propertyDependencies=tied),
    ]


def test_a_shape_that_a_group_adds_is_judged_with_the_templates_model(
    pack: analyzer_pb2_grpc.AnalyzerStub, template_props: dict[str, Any], serving_tags: dict[str, str]
) -> None:
    sharded = serving_tags | {"gpuwright:model": "Qwen/Qwen2.5-32B", "gpuwright:tensor-parallel-size": "4"}
    larger = template_props | {
        "name": UNKNOWN,
        "instanceType": "g5.12xlarge",
        "tags": sharded,
        "tagSpecifications": [],
    }
    response = pack.AnalyzeStack(analyzer_pb2.AnalyzeStackRequest(resources=fleet(0, larger)))
    found = [("parallel-size", MANDATORY), ("vram-fits", MANDATORY)]
    assert sorted(told(each) for each in response.diagnostics) == found
    assert {each.urn for each in response.diagnostics} == {urn(GROUP, "group0")}


def test_a_stack_of_300_resources_is_judged_whole(
    pack: analyzer_pb2_grpc.AnalyzerStub, analyze: Analyze, template_props: dict[str, Any]
) -> None:
    resources = [
        each for number in range(150) for each in fleet(number, template_props | {"name": f"t{number}"})
    ]
    assert list(pack.AnalyzeStack(analyzer_pb2.AnalyzeStackRequest(resources=resources)).diagnostics) == []
    found = [analyze(template_props | {"instanceType": "g5.xlarge"}) for _ in resources]
    assert found == [[("cpu-ratio", MANDATORY), ("ram-ratio", MANDATORY)]] * 300


# ── the stacks of this repository, as the embedded engine records them ──


@pytest.fixture(scope="module", params=["dev-aws", "prod-aws"])
def recording(request: pytest.FixtureRequest) -> Recording:
    """What the program in stacks/ asks its engine for."""
    pytest.importorskip("pulumi_aws", reason="the aws extra is not installed")
    recorded: Recording = preview_stack(request.param, cwd=REPOSITORY)
    return recorded


def replayed(recording: Recording, **changes: Any) -> list[analyzer_pb2.AnalyzerResource]:
    """Return the recorded resources as the engine tells them, launch templates with some inputs changed."""
    return [
        analyzer_pb2.AnalyzerResource(
            type=each.type,
            name=each.name,
            urn=each.urn,
            parent=each.parent or "",
            properties=struct(to_wire(each.inputs) | (changes if each.type == LAUNCH_TEMPLATE else {})),
            propertyDependencies={
                name: analyzer_pb2.AnalyzerPropertyDependencies(urns=urns)
                for name, urns in each.property_dependencies.items()
            },
        )
        for each in recording.resources
    ]


def judged(pack: analyzer_pb2_grpc.AnalyzerStub, resources: Sequence[Any]) -> list[tuple[str, int]]:
    """Return what the pack says of a whole deployment: of each resource, then of all."""
    answers = [
        pack.Analyze(
            analyzer_pb2.AnalyzeRequest(
                type=each.type, name=each.name, urn=each.urn, properties=each.properties
            )
        )
        for each in resources
    ]
    answers.append(pack.AnalyzeStack(analyzer_pb2.AnalyzeStackRequest(resources=resources)))
    return sorted(told(diagnostic) for answer in answers for diagnostic in answer.diagnostics)


def test_our_own_stacks_have_no_finding(pack: analyzer_pb2_grpc.AnalyzerStub, recording: Recording) -> None:
    assert judged(pack, replayed(recording)) == []


def test_our_own_stacks_are_judged_by_every_rule(recording: Recording) -> None:
    resources = [
        Resource.of(each.type, each.urn, to_wire(each.inputs), references=dict(each.property_dependencies))
        for each in recording.resources
    ]
    told_of = {type(fact) for fact in facts(resources)}
    assert told_of == {rule.applies_to for rule in rules().values()} - {Prices}, "which only a plan has"


def test_a_smaller_shape_in_our_own_stack_is_rejected(
    pack: analyzer_pb2_grpc.AnalyzerStub, recording: Recording
) -> None:
    found = judged(pack, replayed(recording, instanceType="g5.xlarge"))
    assert {("cpu-ratio", MANDATORY), ("ram-ratio", MANDATORY)} <= set(found)


def test_an_open_metadata_service_in_our_own_stack_is_rejected(
    pack: analyzer_pb2_grpc.AnalyzerStub, recording: Recording
) -> None:
    found = judged(pack, replayed(recording, metadataOptions={"httpTokens": "optional"}))
    assert found == [("imdsv2", MANDATORY)]


def test_a_pack_without_gpuwright_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "__main__.py").write_bytes((PACK / "__main__.py").read_bytes())
    (tmp_path / "gpuwright_policies.py").write_text("raise ImportError('not here')", encoding="utf-8")
    command = [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:0", "."]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=START_SECONDS, check=False
    )
    assert done.returncode == 1
    assert "Install 'gpuwright[policy]'" in done.stderr
    assert "Traceback" not in done.stderr
