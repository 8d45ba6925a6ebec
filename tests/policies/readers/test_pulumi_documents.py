"""Previews and states are read for what they leave or hold."""

from typing import Any

import pytest
from policy_samples import GROUP, LAUNCH_TEMPLATE, urn

from gpuwright_policies.check import check_document
from gpuwright_policies.facts import UNKNOWN
from gpuwright_policies.readers.pulumi_documents import is_preview, is_state, resources

TEMPLATE = urn(LAUNCH_TEMPLATE, "t")


def state(urn_: str, inputs: Any, **more: Any) -> dict[str, Any]:
    return {"urn": urn_, "type": LAUNCH_TEMPLATE, "custom": True, "inputs": inputs, **more}


def step(operation: str, new: Any) -> dict[str, Any]:
    return {"op": operation, "urn": TEMPLATE, "newState": new}


def test_a_preview_is_read_for_what_it_leaves() -> None:
    document = {
        "config": {},
        "steps": [
            step("create", state(TEMPLATE, {"instanceType": "g5.4xlarge"})),
            {"op": "delete", "urn": "gone", "oldState": state("gone", {"instanceType": "g5.xlarge"})},
            step("delete-replaced", state("replaced", {})),
            step("same", state("kept", {"instanceType": "04da6b54-80e4-46f7-96ec-b56ff0331ba9"})),
        ],
    }
    assert is_preview(document)
    assert not is_state(document)
    found = resources(document)
    assert [resource.urn for resource in found] == [TEMPLATE, "kept"]
    assert found[1].props == {"instanceType": UNKNOWN}


def test_a_replacement_is_judged_once() -> None:
    new = state(TEMPLATE, {"instanceType": "g5.xlarge"})
    document = {"steps": [step("create-replacement", new), step("replace", new)]}
    assert len(resources(document)) == 1


@pytest.mark.parametrize("wrap", ["deployment", "checkpoint"])
def test_a_state_is_read_for_what_the_cloud_has(wrap: str) -> None:
    held = {
        "resources": [
            state(TEMPLATE, {"instanceType": "g5.4xlarge"}, outputs={"instanceType": "g5.xlarge"}, id="lt-1"),
            state("pending", {}, delete=True),
            state(
                urn(GROUP, "g"),
                {},
                propertyDependencies={"mixedInstancesPolicy": [TEMPLATE]},
            ),
        ]
    }
    document = (
        {"version": 3, "deployment": held} if wrap == "deployment" else {"checkpoint": {"latest": held}}
    )
    assert is_state(document)
    found = resources(document)
    assert [(resource.urn, resource.id) for resource in found] == [
        (TEMPLATE, "lt-1"),
        (urn(GROUP, "g"), None),
    ]
    assert found[0].props == {"instanceType": "g5.xlarge"}
    assert found[1].references == {"mixedInstancesPolicy": (TEMPLATE,)}


def test_an_encrypted_secret_in_a_state_is_not_known() -> None:
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:x:y"}
    document = {"deployment": {"resources": [state(TEMPLATE, {"metadataOptions": secret})]}}
    report = check_document(document, "state.json")
    assert {finding.rule: finding.answer for finding in report.findings} == {"imdsv2": "unknown"}
    assert (report.kind, report.resources, report.judged) == ("state", 1, 1)


@pytest.mark.parametrize(
    "resource", [None, 1, {}, {"type": 1, "urn": 2}, {"type": LAUNCH_TEMPLATE, "urn": "u", "inputs": 3}]
)
def test_a_broken_entry_is_passed_over(resource: Any) -> None:
    document = {"deployment": {"resources": [resource, state(TEMPLATE, {})]}, "version": 3}
    assert TEMPLATE in [found.urn for found in resources(document)]
    preview = {"steps": [resource, {"op": "same", "newState": resource}, step("same", state(TEMPLATE, {}))]}
    assert TEMPLATE in [found.urn for found in resources(preview)]
