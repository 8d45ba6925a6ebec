"""The repository's own stacks, on the embedded engine and through a provider process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format, struct_pb2
from pulumi.runtime.proto import provider_pb2
from sandbox_process import ProviderProcess

from gpuwright.sandbox import Recording, Resource, preview_stack
from gpuwright.sandbox.wire import from_wire, to_wire

ROOT = Path(__file__).parents[2]
STACKS = ("dev-aws", "prod-aws")


@pytest.fixture(scope="module", params=STACKS)
def deployed(request: pytest.FixtureRequest) -> Recording:
    return preview_stack(request.param, cwd=ROOT, preview=False)


def custom(recording: Recording) -> list[Resource]:
    return [resource for resource in recording.resources if resource.custom and not resource.is_provider]


def check(aws: ProviderProcess, resource: Resource, olds: Any = None) -> struct_pb2.Struct:
    news = json_format.ParseDict(to_wire(resource.inputs), struct_pb2.Struct())
    request = provider_pb2.CheckRequest(
        urn=resource.urn, news=news, olds=olds, randomSeed=resource.urn.encode()
    )
    answer = aws.stub.Check(request)
    assert not answer.failures, resource.urn
    inputs: struct_pb2.Struct = answer.inputs
    return inputs


def test_a_stack_goes_up_as_foreseen_and_shows_no_change(aws: ProviderProcess, deployed: Recording) -> None:
    provider = deployed.one("pulumi:providers:aws")
    given = json_format.ParseDict(to_wire(provider.inputs), struct_pb2.Struct())
    aws.stub.Configure(provider_pb2.ConfigureRequest(args=given))
    state = {}
    for resource in custom(deployed):
        inputs = check(aws, resource)
        made = aws.stub.Create(provider_pb2.CreateRequest(urn=resource.urn, properties=inputs))
        assert made.id == resource.id
        assert from_wire(json_format.MessageToDict(made.properties)) == resource.outputs
        state[resource.urn] = (made.id, inputs, made.properties)

    again = custom(preview_stack(deployed.stack, cwd=ROOT, preview=False))
    assert {resource.urn for resource in again} == set(state)
    for resource in again:
        identifier, inputs, outputs = state[resource.urn]
        request = provider_pb2.DiffRequest(
            id=identifier,
            urn=resource.urn,
            olds=outputs,
            old_inputs=inputs,
            news=check(aws, resource, inputs),
        )
        difference = aws.stub.Diff(request)
        assert difference.changes == provider_pb2.DiffResponse.DIFF_NONE, (resource.urn, difference)


def test_a_preview_registers_what_a_deployment_does(deployed: Recording) -> None:
    foreseen = preview_stack(deployed.stack, cwd=ROOT)
    assert {resource.urn for resource in foreseen.resources} == set(deployed.by_urn)


def test_identifiers_are_unlike_each_other(deployed: Recording) -> None:
    networked = [
        str(each.id) for each in custom(deployed) if each.type.startswith(("aws:ec2", "aws:vpc", "aws:lb"))
    ]
    assert len(networked) == len(set(networked))
