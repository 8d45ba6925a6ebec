"""The server of a plan: a version that can be deployed, and a model that it runs."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gpuwright.errors import InputError, NothingFitsError
from gpuwright.planning import plan_document
from gpuwright.planning.plan import Plan


def planned(**fields: Any) -> Plan:
    return plan_document({"name": "chat", "model": "llama-3.1-8b", **fields}, "chat.yaml")


def test_the_newest_version_that_can_be_deployed_is_planned_and_an_older_one_on_request() -> None:
    assert planned().server.version == "0.11.0"
    older = planned(server={"version": "0.8.5"}).server
    assert (older.version, older.image.partition("@")[0]) == ("0.8.5", "docker.io/vllm/vllm-openai")


@pytest.mark.parametrize("version", ["0.6.6.post1", "0.15.1"])
def test_a_version_whose_image_is_not_known_by_digest_is_refused_with_those_that_are(version: str) -> None:
    with pytest.raises(InputError) as caught:
        planned(server={"version": version})
    (fault,) = caught.value.faults
    assert fault.where == "chat.yaml: server.version"
    assert "digest" in fault.problem
    assert "0.8.5, 0.10.2, 0.11.0" in fault.fix


def test_weights_that_the_version_does_not_serve_are_refused_on_every_shape_with_the_reason() -> None:
    with pytest.raises(NothingFitsError, match=re.escape("vllm 0.8.5 does not serve mxfp4 weights")):
        planned(model="openai/gpt-oss-20b", server={"version": "0.8.5"})


def test_fp8_weights_are_turned_down_on_turing_with_the_reason() -> None:
    turned_down = {each.instance_type: each for each in planned(weights_precision="fp8").rejected}
    assert turned_down["g4dn.4xlarge"].rule == "precision"
    assert "fp8 on vllm 0.11.0 needs 8.0" in turned_down["g4dn.4xlarge"].detail
