"""Transforms: functions of the program that the engine calls back before it registers a resource.

Source: pulumi/pulumi, pkg ``resource/deploy/source_eval.go``, 3.260.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import grpc
from pulumi.runtime.proto import callback_pb2, callback_pb2_grpc, resource_pb2

# A resource's options: their names in a transform, and in the request to register the resource.
_OPTIONS: Final[Mapping[str, str]] = {
    "additional_secret_outputs": "additionalSecretOutputs",
    "aliases": "aliases",
    "custom_timeouts": "customTimeouts",
    "delete_before_replace": "deleteBeforeReplace",
    "deleted_with": "deletedWith",
    "depends_on": "dependencies",
    "ignore_changes": "ignoreChanges",
    "import": "importId",
    "plugin_download_url": "pluginDownloadURL",
    "protect": "protect",
    "provider": "provider",
    "providers": "providers",
    "replace_on_changes": "replaceOnChanges",
    "retain_on_delete": "retainOnDelete",
    "version": "version",
}


def transform_resource(request: Any, callbacks: Iterable[Any]) -> Any:
    """Return the request to register a resource as the callbacks, one after the other, change it."""
    for callback in callbacks:
        options = resource_pb2.TransformResourceOptions()
        _copy(request, options, {theirs: ours for ours, theirs in _OPTIONS.items()})
        asked = resource_pb2.TransformRequest(
            type=request.type,
            name=request.name,
            custom=request.custom,
            parent=request.parent,
            properties=request.object,
            options=options,
        )
        answer = resource_pb2.TransformResponse.FromString(_call(callback, asked))
        changed: Any = resource_pb2.RegisterResourceRequest()
        changed.CopyFrom(request)
        if answer.HasField("properties"):
            changed.object.CopyFrom(answer.properties)
        if answer.HasField("options"):
            for name in _OPTIONS.values():
                changed.ClearField(name)
            _copy(answer.options, changed, _OPTIONS)
            changed.deleteBeforeReplaceDefined = answer.options.HasField("delete_before_replace")
        request = changed
    return request


def transform_invoke(request: Any, callbacks: Iterable[Any]) -> Any:
    """Return the request to call a function with its arguments as the callbacks change them."""
    for callback in callbacks:
        asked = resource_pb2.TransformInvokeRequest(token=request.tok, args=request.args)
        answer = resource_pb2.TransformInvokeResponse.FromString(_call(callback, asked))
        changed = resource_pb2.ResourceInvokeRequest()
        changed.CopyFrom(request)
        if answer.HasField("args"):
            changed.args.CopyFrom(answer.args)
        request = changed
    return request


def _call(callback: Any, asked: Any) -> bytes:
    """Call the program's function, which its SDK serves over gRPC, and return its answer."""
    with grpc.insecure_channel(callback.target) as channel:
        stub = callback_pb2_grpc.CallbacksStub(channel)
        request = callback_pb2.CallbackInvokeRequest(token=callback.token, request=asked.SerializeToString())
        response: bytes = stub.Invoke(request).response
        return response


def _copy(source: Any, target: Any, names: Mapping[str, str]) -> None:
    """Copy fields of one message to those of other names in another; what is unset stays unset."""
    for field, value in source.ListFields():
        name = names.get(field.name)
        if name is None:
            continue
        if hasattr(value, "MergeFrom"):
            getattr(target, name).MergeFrom(value)
        else:
            setattr(target, name, value)
