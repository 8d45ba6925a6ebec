"""The stand-in providers, asked as Pulumi's engine asks: processes, a port on stdout, gRPC."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import grpc
import pulumi
import pytest
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2
from sandbox_process import ProviderProcess
from sandbox_programs import network

from gpuwright.sandbox import Recording, Resource, preview_program
from gpuwright.sandbox.sdk import sdk_version
from gpuwright.sandbox.wire import SECRET_SIGNATURE, SIGNATURE_KEY, UNKNOWN_TEXT, from_wire, to_wire

ROLE = "urn:pulumi:dev::p::demo:index:Network$aws:iam/role:Role::role"
VPC = "urn:pulumi:dev::p::aws:ec2/vpc:Vpc::net"
GATEWAY = "urn:pulumi:dev::p::aws:ec2/internetGateway:InternetGateway::gateway"
SECRET = {SIGNATURE_KEY: SECRET_SIGNATURE, "value": "hunter2"}
DIFF = provider_pb2.DiffResponse


def struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    return json_format.ParseDict(dict(values), struct_pb2.Struct())


def values(message: Any) -> dict[str, Any]:
    return json_format.MessageToDict(message)


def check(
    aws: ProviderProcess, urn: str, news: Mapping[str, Any], olds: Mapping[str, Any] | None = None
) -> Any:
    request = provider_pb2.CheckRequest(
        urn=urn, news=struct(news), olds=struct(olds or {}), randomSeed=urn.encode()
    )
    return aws.stub.Check(request)


def diff(aws: ProviderProcess, urn: str, old: Mapping[str, Any], new: Mapping[str, Any], **more: Any) -> Any:
    request = provider_pb2.DiffRequest(
        id="id", urn=urn, olds=struct(old), old_inputs=struct(old), news=struct(new), **more
    )
    return aws.stub.Diff(request)


def test_the_handshake_says_what_is_understood(aws: ProviderProcess) -> None:
    answer = aws.stub.Handshake(provider_pb2.ProviderHandshakeRequest(engine_address="127.0.0.1:1"))
    assert (answer.accept_secrets, answer.accept_resources, answer.accept_outputs) == (True, False, False)


def test_configuration_agrees_with_the_handshake_and_supports_previews(aws: ProviderProcess) -> None:
    answer = aws.stub.Configure(provider_pb2.ConfigureRequest(args=struct({"region": "eu-west-1"})))
    assert (answer.acceptSecrets, answer.acceptResources, answer.supportsPreview) == (True, False, True)


def test_the_version_is_that_of_the_installed_sdk(aws: ProviderProcess) -> None:
    assert aws.stub.GetPluginInfo(empty_pb2.Empty()).version == sdk_version("aws")


def test_an_engine_may_attach(aws: ProviderProcess) -> None:
    assert aws.stub.Attach(plugin_pb2.PluginAttach(address="127.0.0.1:1")) == empty_pb2.Empty()


def test_the_schema_names_the_package(aws: ProviderProcess) -> None:
    schema = json.loads(aws.stub.GetSchema(provider_pb2.GetSchemaRequest()).schema)
    assert schema == {"name": "aws", "version": sdk_version("aws")}


def test_the_providers_own_configuration_passes_unchanged(aws: ProviderProcess) -> None:
    news = {"region": "eu-west-1", "version": "7.0.0"}
    answer = aws.stub.CheckConfig(provider_pb2.CheckRequest(urn=VPC, news=struct(news)))
    assert (values(answer.inputs), list(answer.failures)) == (news, [])


def test_a_changed_configuration_is_told_so_that_the_engine_takes_it_up(aws: ProviderProcess) -> None:
    old, new = struct({"region": "eu-west-1"}), struct({"region": "eu-west-2"})
    request = provider_pb2.DiffRequest(urn=VPC, olds=old, old_inputs=old, news=new)
    answer = aws.stub.DiffConfig(request)
    assert (answer.changes, list(answer.diffs), list(answer.replaces)) == (DIFF.DIFF_SOME, ["region"], [])
    request.news.CopyFrom(old)
    assert aws.stub.DiffConfig(request).changes == DIFF.DIFF_NONE


def test_check_names_what_has_no_name_and_keeps_the_name_afterwards(aws: ProviderProcess) -> None:
    inputs = values(check(aws, ROLE, {"assumeRolePolicy": "{}"}).inputs)
    assert inputs["name"].startswith("role-")
    again = aws.stub.Check(
        provider_pb2.CheckRequest(
            urn=ROLE, news=struct({"assumeRolePolicy": "{}"}), olds=struct(inputs), randomSeed=b"another"
        )
    )
    assert values(again.inputs) == inputs


def test_check_tells_what_is_missing(aws: ProviderProcess) -> None:
    (failure,) = check(aws, ROLE, {}).failures
    assert (failure.property, failure.reason) == (
        "assumeRolePolicy",
        "Missing required property 'assumeRolePolicy'",
    )


@pytest.mark.parametrize(
    ("mode", "name", "failures"),
    [("ENFORCE", "exact", []), ("PROPOSE", "exact", []), ("DISABLE", None, ["name"])],
)
def test_the_engines_own_way_of_naming_is_followed(
    aws: ProviderProcess, mode: str, name: str | None, failures: list[str]
) -> None:
    naming = provider_pb2.CheckRequest.AutonamingOptions(proposed_name="exact", mode=mode)
    news = struct({"assumeRolePolicy": "{}"})
    answer = aws.stub.Check(
        provider_pb2.CheckRequest(urn=ROLE, news=news, randomSeed=b"1", autonaming=naming)
    )
    assert [failure.property for failure in answer.failures] == failures
    assert name is None or values(answer.inputs)["name"] == name


def test_a_preview_leaves_the_id_empty_and_what_the_cloud_adds_unknown(aws: ProviderProcess) -> None:
    request = provider_pb2.CreateRequest(
        urn=VPC, properties=struct({"cidrBlock": "10.0.0.0/16"}), preview=True
    )
    answer = aws.stub.Create(request)
    outputs = values(answer.properties)
    assert (answer.id, outputs["cidrBlock"], outputs["arn"]) == ("", "10.0.0.0/16", UNKNOWN_TEXT)
    assert "ipv6IpamPoolId" not in outputs


def test_creation_gives_an_id_and_every_output(aws: ProviderProcess) -> None:
    aws.stub.Configure(provider_pb2.ConfigureRequest(args=struct({"region": "eu-west-1"})))
    answer = aws.stub.Create(
        provider_pb2.CreateRequest(urn=VPC, properties=struct({"cidrBlock": "10.0.0.0/16"}))
    )
    outputs = values(answer.properties)
    assert answer.id.startswith("vpc-")
    assert outputs["arn"].startswith("arn:aws:ec2:eu-west-1:")
    assert UNKNOWN_TEXT not in json.dumps(outputs)


def test_default_tags_of_the_provider_are_in_all_tags(aws: ProviderProcess) -> None:
    tags = {"region": "eu-west-1", "defaultTags": json.dumps({"tags": {"owner": "me"}})}
    aws.stub.Configure(provider_pb2.ConfigureRequest(args=struct(tags)))
    answer = aws.stub.Create(provider_pb2.CreateRequest(urn=VPC, properties=struct({"tags": {"a": "b"}})))
    assert values(answer.properties)["tagsAll"] == {"owner": "me", "a": "b"}


def test_secrets_come_back_secret(aws: ProviderProcess) -> None:
    inputs = values(check(aws, VPC, {"tags": {"password": SECRET}}).inputs)
    outputs = values(
        aws.stub.Create(provider_pb2.CreateRequest(urn=VPC, properties=struct(inputs))).properties
    )
    assert (inputs["tags"]["password"], outputs["tags"]["password"], outputs["tagsAll"]["password"]) == (
        SECRET,
        SECRET,
        SECRET,
    )


def test_no_change_is_no_difference_whatever_is_secret(aws: ProviderProcess) -> None:
    answer = diff(aws, VPC, {"tags": {"password": "hunter2"}}, {"tags": {"password": SECRET}})
    assert (answer.changes, dict(answer.detailedDiff)) == (DIFF.DIFF_NONE, {})


def test_a_resource_without_inputs_does_not_differ_from_itself(aws: ProviderProcess) -> None:
    made = aws.stub.Create(provider_pb2.CreateRequest(urn=GATEWAY, properties=struct({})))
    request = provider_pb2.DiffRequest(
        id=made.id, urn=GATEWAY, olds=made.properties, old_inputs=struct({}), news=struct({})
    )
    assert aws.stub.Diff(request).changes == DIFF.DIFF_NONE


def test_a_difference_is_told_by_path_and_kind_and_whether_it_replaces(aws: ProviderProcess) -> None:
    old = {"cidrBlock": "10.0.0.0/16", "tags": {"a": "1", "b": "2"}}
    answer = diff(aws, VPC, old, {"cidrBlock": "10.1.0.0/16", "tags": {"a": "2", "c": "3"}})
    kinds = {
        path: (provider_pb2.PropertyDiff.Kind.Name(change.kind), change.inputDiff)
        for path, change in answer.detailedDiff.items()
    }
    assert kinds == {
        "cidrBlock": ("UPDATE_REPLACE", True),
        "tags.a": ("UPDATE", True),
        "tags.b": ("DELETE", True),
        "tags.c": ("ADD", True),
    }
    assert answer.hasDetailedDiff
    assert (list(answer.diffs), list(answer.replaces)) == (["cidrBlock", "tags"], ["cidrBlock"])


@pytest.mark.parametrize("path", ["tags", "tags.a"])
def test_an_ignored_property_does_not_differ(aws: ProviderProcess, path: str) -> None:
    answer = diff(aws, VPC, {"tags": {"a": "1"}}, {"tags": {"a": "2"}}, ignoreChanges=[path])
    assert answer.changes == DIFF.DIFF_NONE


def test_an_update_takes_the_new_inputs_and_keeps_the_rest(aws: ProviderProcess) -> None:
    old = {"cidrBlock": "10.0.0.0/16", "tags": {"a": "1"}, "enableDnsSupport": True}
    made = aws.stub.Create(provider_pb2.CreateRequest(urn=VPC, properties=struct(old)))
    news = {"cidrBlock": "10.0.0.0/16", "tags": {"a": "2"}}
    answer = aws.stub.Update(
        provider_pb2.UpdateRequest(
            id=made.id, urn=VPC, olds=made.properties, old_inputs=struct(old), news=struct(news)
        )
    )
    before, after = values(made.properties), values(answer.properties)
    assert (after["tags"], after["tagsAll"]) == ({"a": "2"}, {"a": "2"})
    assert after["arn"] == before["arn"]
    assert "enableDnsSupport" not in after


def test_a_new_version_of_a_launch_template_is_counted_and_unknown_in_a_preview(aws: ProviderProcess) -> None:
    urn = "urn:pulumi:dev::p::aws:ec2/launchTemplate:LaunchTemplate::t"
    old, new = (
        struct({"name": "t", "instanceType": "g5.xlarge"}),
        struct({"name": "t", "instanceType": "g5.2xlarge"}),
    )
    made = aws.stub.Create(provider_pb2.CreateRequest(urn=urn, properties=old))
    request = {"id": made.id, "urn": urn, "olds": made.properties, "old_inputs": old, "news": new}
    updated = values(aws.stub.Update(provider_pb2.UpdateRequest(**request)).properties)
    foreseen = values(aws.stub.Update(provider_pb2.UpdateRequest(**request, preview=True)).properties)
    assert values(made.properties)["latestVersion"] == 1
    assert (updated["latestVersion"], foreseen["latestVersion"]) == (2, UNKNOWN_TEXT)


def test_a_refresh_finds_everything_as_it_was(aws: ProviderProcess) -> None:
    inputs = struct({"cidrBlock": "10.0.0.0/16"})
    made = aws.stub.Create(provider_pb2.CreateRequest(urn=VPC, properties=inputs))
    answer = aws.stub.Read(
        provider_pb2.ReadRequest(id=made.id, urn=VPC, properties=made.properties, inputs=inputs)
    )
    assert (answer.id, answer.properties, answer.inputs) == (made.id, made.properties, inputs)


def test_a_lookup_finds_a_resource_by_its_id(aws: ProviderProcess) -> None:
    answer = aws.stub.Read(provider_pb2.ReadRequest(id="vpc-1", urn=VPC))
    assert answer.id == "vpc-1"
    assert values(answer.properties)["arn"].endswith("vpc/vpc-1")


def test_deletion_succeeds(aws: ProviderProcess) -> None:
    assert aws.stub.Delete(provider_pb2.DeleteRequest(id="vpc-1", urn=VPC)) == empty_pb2.Empty()


def test_functions_of_the_cloud_are_answered(aws: ProviderProcess) -> None:
    aws.stub.Configure(provider_pb2.ConfigureRequest(args=struct({"region": "eu-west-1"})))
    token = "aws:index/getAvailabilityZones:getAvailabilityZones"
    answer = aws.stub.Invoke(provider_pb2.InvokeRequest(tok=token, args=struct({})))
    assert values(getattr(answer, "return"))["names"] == ["eu-west-1a", "eu-west-1b", "eu-west-1c"]


def test_a_provider_of_another_region_replaces_what_stands_in_the_old_one(aws: ProviderProcess) -> None:
    inputs = struct({"cidrBlock": "10.0.0.0/16"})
    made = aws.stub.Create(provider_pb2.CreateRequest(urn=VPC, properties=inputs)).properties
    request = provider_pb2.DiffRequest(id="id", urn=VPC, olds=made, old_inputs=inputs, news=inputs)
    assert aws.stub.Diff(request).changes == provider_pb2.DiffResponse.DIFF_NONE
    aws.stub.Configure(provider_pb2.ConfigureRequest(args=struct({"region": "eu-west-1"})))
    answer = aws.stub.Diff(request)
    assert (list(answer.replaces), answer.detailedDiff["region"].inputDiff) == (["region"], False)
    own = struct({**values(inputs), "region": "us-east-1"})
    stays = provider_pb2.DiffRequest(id="id", urn=VPC, olds=made, old_inputs=own, news=own)
    assert aws.stub.Diff(stays).changes == provider_pb2.DiffResponse.DIFF_NONE


def test_a_function_without_a_stand_in_fails_by_name(aws: ProviderProcess) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        aws.stub.Invoke(provider_pb2.InvokeRequest(tok="aws:none/such:such"))
    assert "aws:none/such:such has no stand-in" in caught.value.details()


def test_cancel_ends_the_process_well(importable: None) -> None:
    assert ProviderProcess("gcp").close() == 0


def test_the_process_ends_with_its_parent(importable: None) -> None:
    code = (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-P', '-u', '-m',"
        "'gpuwright.sandbox.provider', 'gcp'], stdout=subprocess.PIPE);"
        "p.stdout.readline(); print(p.pid, flush=True)"
    )
    parent = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended(int(parent.stdout))


def ended(pid: int) -> bool:
    """Wait for a process that is not our child, and end it where it does not end."""
    for _ in range(300):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
            if stat.read().rpartition(")")[2].split()[0] == "Z":
                return True
        time.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    return False


# ── a whole program, replayed ──


def changed() -> None:
    network()
    pulumi.export("more", True)


def custom(recording: Recording) -> Iterator[Resource]:
    return (resource for resource in recording.resources if resource.custom)


def wire(data: Mapping[str, Any]) -> dict[str, Any]:
    written: dict[str, Any] = to_wire(dict(data))
    return written


def test_the_embedded_engine_foresees_what_the_provider_answers_in_a_preview(aws: ProviderProcess) -> None:
    for resource in custom(preview_program(network)):
        checked = check(aws, resource.urn, wire(resource.inputs))
        assert not checked.failures
        request = provider_pb2.CreateRequest(urn=resource.urn, properties=checked.inputs, preview=True)
        assert from_wire(values(aws.stub.Create(request).properties)) == resource.outputs


def test_a_program_goes_up_shows_no_change_refreshes_and_is_destroyed(aws: ProviderProcess) -> None:
    recording = preview_program(network, preview=False)
    state = {}
    for resource in custom(recording):
        checked = check(aws, resource.urn, wire(resource.inputs)).inputs
        made = aws.stub.Create(provider_pb2.CreateRequest(urn=resource.urn, properties=checked))
        assert made.id == resource.id
        assert from_wire(values(made.properties)) == resource.outputs
        state[resource.urn] = (made.id, checked, made.properties)

    for resource in custom(preview_program(changed, preview=False)):
        identifier, inputs, outputs = state[resource.urn]
        checked = check(aws, resource.urn, wire(resource.inputs), values(inputs)).inputs
        request = provider_pb2.DiffRequest(
            id=identifier, urn=resource.urn, olds=outputs, old_inputs=inputs, news=checked
        )
        assert aws.stub.Diff(request).changes == DIFF.DIFF_NONE, resource.urn

    for urn, (identifier, inputs, outputs) in reversed(state.items()):
        read = aws.stub.Read(
            provider_pb2.ReadRequest(id=identifier, urn=urn, properties=outputs, inputs=inputs)
        )
        assert (read.properties, read.inputs) == (outputs, inputs)
        aws.stub.Delete(provider_pb2.DeleteRequest(id=identifier, urn=urn, properties=outputs))
