"""A stand-in resource provider: a process that Pulumi's engine starts in place of a cloud's own.

``python -m gpuwright.sandbox.provider aws`` prints the port on which it serves the engine over gRPC,
and serves until it is told to stop or its parent is gone. It keeps no state: the engine does, and the
answers follow from what it sends (see ``gpuwright.sandbox.cloud``).

Source: pulumi/pulumi, proto/pulumi/provider.proto and sdk/go ``resource/plugin/provider_plugin.go``, 3.260.
"""

# ruff: noqa: N802  the methods are named like the RPCs that they answer

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from gpuwright.sandbox import cloud
from gpuwright.sandbox.sdk import sdk_version
from gpuwright.sandbox.wire import UNKNOWN_TEXT

PARENT_CHECK_SECONDS: Final = 1.0
# The engine sends user data and policies in one message; its own limit is the same 400 MB.
_MESSAGE_LIMIT_BYTES: Final = 400 * 1024 * 1024

_KINDS: Final[Mapping[tuple[cloud.Change, bool], provider_pb2.PropertyDiff.Kind.ValueType]] = {
    (cloud.Change.ADD, False): provider_pb2.PropertyDiff.ADD,
    (cloud.Change.ADD, True): provider_pb2.PropertyDiff.ADD_REPLACE,
    (cloud.Change.DELETE, False): provider_pb2.PropertyDiff.DELETE,
    (cloud.Change.DELETE, True): provider_pb2.PropertyDiff.DELETE_REPLACE,
    (cloud.Change.UPDATE, False): provider_pb2.PropertyDiff.UPDATE,
    (cloud.Change.UPDATE, True): provider_pb2.PropertyDiff.UPDATE_REPLACE,
}


class StandInProvider(provider_pb2_grpc.ResourceProviderServicer):
    """Answers the engine for one package, ``aws`` or ``gcp``, as that cloud's provider would.

    The methods are the RPCs of Pulumi's ``ResourceProvider`` service.
    """

    def __init__(self, package: str) -> None:
        self._package = package
        self._version = sdk_version(package) or "0.0.0"
        self._place = cloud.Place()
        self.stopped = threading.Event()

    def Handshake(self, request: Any, context: Any) -> Any:
        """Say what is understood: secrets and unknown values, but plain identifiers for resources."""
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=True,
            accept_resources=False,
            accept_outputs=False,
            supports_autonaming_configuration=True,
        )

    def Attach(self, request: Any, context: Any) -> Any:
        """Accept an engine that found this process running."""
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        """Give the version of the installed SDK, so that the engine sees a provider that fits it."""
        return plugin_pb2.PluginInfo(version=self._version)

    def GetSchema(self, request: Any, context: Any) -> Any:
        """Give the package's name and version; the types are the installed SDK's, not this process's."""
        return provider_pb2.GetSchemaResponse(
            schema=json.dumps({"name": self._package, "version": self._version})
        )

    def CheckConfig(self, request: Any, context: Any) -> Any:
        """Accept every configuration of the provider."""
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        """Say what of the configuration changed: where nothing did, the engine keeps the old one at work."""
        old = _values(request.old_inputs if request.HasField("old_inputs") else request.olds)
        changed = sorted({change.property for change in cloud.differences("", old, _values(request.news))})
        some, none = provider_pb2.DiffResponse.DIFF_SOME, provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=some if changed else none, diffs=changed)

    def Configure(self, request: Any, context: Any) -> Any:
        """Take region, project and default tags from the provider's configuration."""
        self._place = cloud.Place.of(_values(request.args))
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True,
            supportsPreview=True,
            acceptResources=False,
            acceptOutputs=False,
            supports_autonaming_configuration=True,
        )

    def Check(self, request: Any, context: Any) -> Any:
        """Complete the inputs, and refuse those that lack what the type requires."""
        token, name = _type_and_name(request.urn)
        news = _values(request.news)
        naming = request.autonaming if request.HasField("autonaming") else None
        proposed = naming.proposed_name if naming else None
        inputs = cloud.check(token, name, news, _values(request.olds), request.randomSeed, proposed)
        lacks = cloud.missing(token, inputs)
        if naming and naming.mode == provider_pb2.CheckRequest.AutonamingOptions.DISABLE:
            lacks += sorted(set(inputs) - set(news))
        failures = [
            provider_pb2.CheckFailure(property=lack, reason=f"Missing required property '{lack}'")
            for lack in lacks
        ]
        return provider_pb2.CheckResponse(inputs=_struct(inputs), failures=failures)

    def Diff(self, request: Any, context: Any) -> Any:
        """Compare the inputs of the deployed resource with the new ones, property by property."""
        token, _ = _type_and_name(request.urn)
        old = _values(request.old_inputs if request.HasField("old_inputs") else request.olds)
        new = _values(request.news)
        ignored = tuple(request.ignoreChanges)
        changes = {
            change.path: change
            for change in (
                *cloud.moves(token, _values(request.olds), new, self._place),
                *cloud.differences(token, old, new),
            )
            if not any(_covers(path, change.path) for path in ignored)
        }.values()
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if changes else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=sorted({change.property for change in changes}),
            replaces=sorted({change.property for change in changes if change.replace}),
            hasDetailedDiff=True,
            detailedDiff={
                change.path: provider_pb2.PropertyDiff(
                    kind=_KINDS[change.kind, change.replace], inputDiff=change.property in {*old, *new}
                )
                for change in changes
            },
        )

    def Create(self, request: Any, context: Any) -> Any:
        """Make a resource up; in a preview, leave its identifier and what the cloud adds unknown."""
        token, _ = _type_and_name(request.urn)
        inputs = _values(request.properties)
        if request.preview:
            outputs = cloud.preview_outputs(token, inputs, self._place)
            return provider_pb2.CreateResponse(id="", properties=_struct(outputs))
        identifier, outputs = cloud.create(token, request.urn, inputs, self._place)
        return provider_pb2.CreateResponse(id=identifier, properties=_struct(outputs))

    def Read(self, request: Any, context: Any) -> Any:
        """Find a resource as the engine last saw it, or, for a lookup, as its identifier says."""
        state, inputs = _values(request.properties), _values(request.inputs)
        if not request.HasField("inputs"):
            token, _ = _type_and_name(request.urn)
            inputs = state
            state = cloud.outputs(token, request.id, request.urn, state, self._place)
        return provider_pb2.ReadResponse(id=request.id, properties=_struct(state), inputs=_struct(inputs))

    def Update(self, request: Any, context: Any) -> Any:
        """Take over the new inputs and keep every other output as it is."""
        token, _ = _type_and_name(request.urn)
        news, olds, old_inputs = _values(request.news), _values(request.olds), _values(request.old_inputs)
        dropped = set(old_inputs) - set(news)
        kept = {key: value for key, value in olds.items() if key not in dropped}
        fresh = cloud.outputs(token, request.id, request.urn, news, self._place)
        counted = {key: olds[key] + 1 for key in fresh if key == "latestVersion" and not request.preview}
        outputs = {
            **fresh,
            **kept,
            **news,
            **{key: fresh[key] for key in fresh if key == "tagsAll"},
            **counted,
        }
        if request.preview and "latestVersion" in outputs:
            outputs["latestVersion"] = UNKNOWN_TEXT
        return provider_pb2.UpdateResponse(properties=_struct(outputs))

    def Delete(self, request: Any, context: Any) -> Any:
        """Let the resource go: the engine forgets it."""
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        """Answer a function, or fail with the name of the one that has no stand-in."""
        try:
            answer = cloud.invoke(request.tok, _values(request.args), self._place)
        except cloud.NoAnswerError:
            context.abort(
                grpc.StatusCode.UNIMPLEMENTED,
                f"{request.tok} has no stand-in: the gpuwright sandbox cannot answer for the cloud. "
                "Give the value as configuration of the stack instead.",
            )
        return provider_pb2.InvokeResponse(**{"return": _struct(answer)})

    def Cancel(self, request: Any, context: Any) -> Any:
        """Stop serving, once this answer is out."""
        self.stopped.set()
        return empty_pb2.Empty()


def serve(package: str) -> None:
    """Serve one package on a free port, printed to stdout, until cancelled or until the parent is gone."""
    options = [
        ("grpc.max_receive_message_length", _MESSAGE_LIMIT_BYTES),
        ("grpc.max_send_message_length", _MESSAGE_LIMIT_BYTES),
    ]
    provider = StandInProvider(package)
    server = grpc.server(ThreadPoolExecutor(max_workers=8), options=options)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    parent = os.getppid()
    while not provider.stopped.wait(PARENT_CHECK_SECONDS) and os.getppid() == parent:
        pass
    server.stop(grace=PARENT_CHECK_SECONDS).wait()


def _type_and_name(urn: str) -> tuple[str, str]:
    _, _, qualified, name = urn.split("::", 3)
    return qualified.rpartition("$")[2], name


def _values(struct: Any) -> dict[str, Any]:
    values: dict[str, Any] = json_format.MessageToDict(struct)
    return values


def _struct(values: Mapping[str, Any]) -> Any:
    return json_format.ParseDict(values, struct_pb2.Struct())


def _covers(ignored: str, path: str) -> bool:
    """Tell whether an ignored path is that path or one above it."""
    return path == ignored or path.startswith((f"{ignored}.", f"{ignored}["))


if __name__ == "__main__":
    # The engine adds its own address and, at times, logging flags; the package is the first argument.
    serve(sys.argv[1])
