from __future__ import annotations

import json
import re
from dataclasses import dataclass

import pytest
from sandbox_programs import network

from gpuwright.sandbox import UNKNOWN, Recording, Resource, Secret, preview_program
from gpuwright.sandbox.render import Cost, Report, as_dot, as_json, as_mermaid, as_text, shown
from gpuwright.sandbox.wire import UNKNOWN_TEXT


@dataclass(frozen=True)
class Found:
    rule: str = "imdsv2"
    severity: str = "high"
    subject: str = "urn:pulumi:dev::project::aws:ec2/launchTemplate:LaunchTemplate::template"
    actual: str = "httpTokens is optional"
    expected: str = "httpTokens required"
    why: str = "Forged requests read credentials."
    fix: str = "Set httpTokens."
    mandatory: bool = True


@pytest.fixture(scope="module")
def recording() -> Recording:
    return preview_program(network)


def test_the_tree_nests_as_the_components_do(recording: Recording) -> None:
    text = as_text(Report(recording))
    tree = text[text.index("project-dev") : text.index("\n\nExports")]
    assert tree == (
        "project-dev\n"
        "├─ demo:index:Network  net  cidrBlock=10.0.0.0/16\n"
        "│  └─ aws:ec2:Vpc  net-vpc  cidrBlock=10.0.0.0/16\n"
        "│     └─ aws:ec2:Subnet  net-subnet  cidrBlock=10.0.1.0/24\n"
        "├─ aws:iam:Role  role\n"
        "├─ aws:ec2:LaunchTemplate  template  instanceType=g5.4xlarge\n"
        "├─ aws:s3:Bucket  cache\n"
        "└─ aws:autoscaling:Group  group  minSize=1  maxSize=2  protected"
    )


def test_text_tells_exports_cost_and_findings(recording: Recording) -> None:
    report = Report(recording, [Found()], Cost(1.624, 0.0123, "g5.4xlarge", "abc"))
    text = as_text(report)
    assert text.startswith("Preview of stack dev of project project: 8 to create\n")
    assert re.search(r"^  vpc_id +known after apply$", text, re.MULTILINE)
    assert re.search(r"^  USD per hour +1.62$", text, re.MULTILINE)
    assert re.search(r"^  USD per 1,000 inferences +0.0123$", text, re.MULTILINE)
    assert "imdsv2 (high, mandatory)  aws:ec2:LaunchTemplate template" in text
    assert "Set httpTokens." in text


def test_no_finding_and_no_cost_are_told_as_that(recording: Recording) -> None:
    text = as_text(Report(recording))
    assert "Findings\n  none" in text
    assert "\nCost\n" not in text


def test_json_has_the_steps_of_pulumi(recording: Recording) -> None:
    document = json.loads(as_json(Report(recording, [Found()], Cost(1.0))))
    steps = {step["urn"].rpartition("::")[2]: step for step in document["steps"]}
    subnet = steps["net-subnet"]
    assert document["changeSummary"] == {"create": 8}
    assert subnet["op"] == "create"
    assert subnet["newState"]["type"] == "aws:ec2/subnet:Subnet"
    assert subnet["newState"]["custom"] is True
    assert subnet["newState"]["inputs"] == {"cidrBlock": "10.0.1.0/24", "vpcId": UNKNOWN_TEXT}
    assert subnet["newState"]["parent"] == steps["net-vpc"]["urn"]
    assert subnet["newState"]["propertyDependencies"] == {"vpcId": [steps["net-vpc"]["urn"]]}
    assert steps["group"]["newState"]["protect"] is True
    assert document["exports"]["vpc_id"] == UNKNOWN_TEXT
    assert document["findings"][0]["rule"] == "imdsv2"
    assert document["cost"]["usd_per_hour"] == 1.0


def test_a_preview_in_json_is_read_by_the_reader_of_pulumis(recording: Recording) -> None:
    from gpuwright_policies.readers.pulumi_documents import is_preview, resources

    document = json.loads(as_json(Report(recording)))
    assert is_preview(document)
    assert [resource.urn for resource in resources(document)] == [each.urn for each in recording.resources]


def test_nothing_that_is_printed_tells_a_secret() -> None:
    root = Resource(urn="urn:s", type="pulumi:pulumi:Stack", name="s", custom=False)
    child = Resource(
        urn="urn:c", type="a:b:C", name="c", custom=True, parent="urn:s", inputs={"model": Secret("hunter2")}
    )
    secret = {"password": Secret("hunter2"), "deep": {"list": [Secret("hunter2"), UNKNOWN]}}
    recording = Recording("p", "s", True, (root, child), secret, config=secret)
    report = Report(recording)
    for printed in (as_text(report), as_json(report), as_dot(report), as_mermaid(report)):
        assert "hunter2" not in printed
    assert shown(secret["deep"]) == '{"list": ["[secret]", "known after apply"]}'


def test_graphs_have_every_resource_once_and_a_line_for_every_parent_and_dependency(
    recording: Recording,
) -> None:
    dot, mermaid = as_dot(Report(recording)), as_mermaid(Report(recording))
    parents = sum(resource.parent is not None for resource in recording.resources)
    others = sum(urn != resource.parent for resource in recording.resources for urn in resource.dependencies)
    assert len(re.findall(r"^  n\d+ \[label", dot, re.MULTILINE)) == len(recording.resources)
    assert dot.count("->") == parents + others
    assert dot.count("style=dashed") == others > 0
    assert (mermaid.count(" --> "), mermaid.count(" -.-> ")) == (parents, others)
