"""The resource monitor of the embedded engine: the part that a Pulumi program talks to."""

# ruff: noqa: N802  the methods are named like the RPCs that they answer

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.mocks import MockMonitor, Mocks
from pulumi.runtime.proto import engine_pb2, resource_pb2

from gpuwright.errors import InputError
from gpuwright.sandbox import cloud
from gpuwright.sandbox.project import StackSettings
from gpuwright.sandbox.recording import STACK_TYPE, Invocation, LogMessage, Recording, Resource
from gpuwright.sandbox.sdk import sdk_version
from gpuwright.sandbox.transforms import transform_invoke, transform_resource
from gpuwright.sandbox.wire import UNKNOWN, UNKNOWN_TEXT, Secret, from_wire, to_wire

Answer = Mapping[str, Any] | Callable[[dict[str, Any]], Mapping[str, Any]]


class RecordingMonitor(MockMonitor):
    """Records every request whole, and answers as Pulumi's engine would with a stand-in cloud behind it.

    Args:
        settings: Names of project and stack, and the stack's configuration.
        preview: Whether what only the cloud knows is unknown, instead of made up.
        place: Where providers work that the program does not make itself.
        answers: What functions and lookups return, by token.
    """

    def __init__(
        self, settings: StackSettings, *, preview: bool, place: cloud.Place, answers: Mapping[str, Answer]
    ) -> None:
        super().__init__(_NoMocks())
        self._settings, self.preview = settings, preview
        self._place, self._answers = place, answers
        self._lock = threading.Lock()
        self._resources: dict[str, Resource] = {}
        self._exports: dict[str, Any] = {}
        self._invocations: list[Invocation] = []
        self._own_transforms: dict[str, list[Any]] = {}
        self._resource_transforms: list[Any] = []
        self._invoke_transforms: list[Any] = []
        self.logs: list[LogMessage] = []
        # Set by whoever runs the program: a callback needs the program to make other requests meanwhile.
        self.expect_callbacks: Callable[[], None] = lambda: None

    def recording(self) -> Recording:
        """Return what was recorded so far."""
        settings = self._settings
        return Recording(
            project=settings.project,
            stack=settings.stack,
            preview=self.preview,
            resources=tuple(self._resources.values()),
            exports=self._exports,
            logs=tuple(self.logs),
            invocations=tuple(self._invocations),
            config={
                key: Secret(value) if key in settings.secrets else value
                for key, value in settings.config.items()
            },
        )

    def GetDeploymentInfo(self, request: Any) -> Any:
        """Say that every feature is supported that this monitor honours; SECRETS is number 0."""
        return resource_pb2.DeploymentInfo(
            project=self._settings.project,
            stack=self._settings.stack,
            dryRun=self.preview,
            supportedFeatures=resource_pb2.ResourceMonitorFeature.values(),
        )

    def SupportsFeature(self, request: Any) -> Any:
        """Say the same to SDKs that ask for features one by one."""
        return resource_pb2.SupportsFeatureResponse(hasSupport=True)

    def RegisterResource(self, request: Any) -> Any:
        """Record a resource, and answer with its URN, identifier and outputs."""
        urn = self._urn(request.parent, request.type, request.name)
        callbacks = list(self._transforms_of(request, urn))
        if callbacks:
            self.expect_callbacks()
            request = transform_resource(request, callbacks)
        identifier, outputs = self._created(request, urn) if request.custom else (None, {})
        resource = self._resource(request, urn, identifier, outputs)
        with self._lock:
            if urn in self._resources:
                raise InputError.of(
                    resource.source_position or f"{request.type} {request.name!r}",
                    f"the URN {urn} is registered already.",
                    "Give each resource of one type and parent a name of its own.",
                )
            self._resources[urn] = resource
        return resource_pb2.RegisterResourceResponse(urn=urn, id=identifier or "", object=_struct(outputs))

    def ReadResource(self, request: Any) -> Any:
        """Record the lookup of a resource that exists already; an answer tells its state."""
        urn = self._urn(request.parent, request.type, request.name)
        state = _plain_struct(request.properties)
        outputs = {**state, **(self._answer(request.type, {**state, "id": request.id}) or {})}
        if not self.preview:
            outputs = {**cloud.outputs(request.type, request.id, urn, state, self._place), **outputs}
        with self._lock:
            self._resources[urn] = Resource(
                urn=urn,
                type=request.type,
                name=request.name,
                custom=True,
                external=True,
                parent=request.parent or None,
                id=from_wire(request.id),
                inputs=from_wire(state),
                outputs=from_wire(outputs),
                dependencies=tuple(sorted(request.dependencies)),
                provider=request.provider or self._default_provider(request),
                version=request.version,
                source_position=_position(request.sourcePosition),
            )
        return resource_pb2.ReadResourceResponse(urn=urn, id=request.id, properties=_struct(outputs))

    def RegisterResourceOutputs(self, request: Any) -> Any:
        """Record a component's outputs; those of the stack are the program's exports."""
        outputs = from_wire(_plain_struct(request.outputs))
        with self._lock:
            resource = self._resources[request.urn]
            self._resources[request.urn] = replace(resource, outputs=outputs)
            if resource.type == STACK_TYPE:
                self._exports = outputs
        return empty_pb2.Empty()

    def Invoke(self, request: Any) -> Any:
        """Answer a function from the answers given; otherwise it is unknown in a preview, else made up."""
        if self._invoke_transforms:
            self.expect_callbacks()
            request = transform_invoke(request, self._invoke_transforms)
        args = _plain_struct(request.args)
        answer = self._answer(request.tok, from_wire(args))
        pending = self.preview and any(self._is_pending(urn) for urn in request.dependsOn)
        if answer is None and not self.preview:
            try:
                answer = cloud.invoke(request.tok, args, self._place)
            except cloud.NoAnswerError:
                raise InputError.of(
                    request.tok,
                    "the embedded engine has no answer for this function.",
                    f"Give one: answers={{{request.tok!r}: {{...}}}}.",
                ) from None
        answered = answer is not None and not pending
        with self._lock:
            self._invocations.append(Invocation(request.tok, from_wire(args), answered))
        if not answered:
            return resource_pb2.ResourceInvokeResponse(unknown=True)
        return resource_pb2.ResourceInvokeResponse(**{"return": _struct(dict(answer or {}))})

    def Call(self, request: Any) -> Any:
        """Refuse methods of remote components, which live in a process that is not started here."""
        raise InputError.of(
            request.tok,
            "the embedded engine does not run methods of remote components.",
            "Use Pulumi's own engine for this program: gpuwright sandbox -- pulumi preview.",
        )

    def RegisterStackTransform(self, request: Any) -> Any:
        """Take a transform of every resource that is registered from now on."""
        self._resource_transforms.append(request)
        return empty_pb2.Empty()

    def RegisterStackInvokeTransform(self, request: Any) -> Any:
        """Take a transform of every function that is called from now on."""
        self._invoke_transforms.append(request)
        return empty_pb2.Empty()

    def _transforms_of(self, request: Any, urn: str) -> Iterator[Any]:
        """Yield the callbacks in the engine's order: the resource's own, its parents', the stack's."""
        self._own_transforms[urn] = list(request.transforms)
        yield from request.transforms
        above = self._resources.get(request.parent)
        while above is not None:
            yield from self._own_transforms.get(above.urn, ())
            above = self._resources.get(above.parent or "")
        yield from self._resource_transforms

    def _resource(
        self, request: Any, urn: str, identifier: str | None, outputs: Mapping[str, Any]
    ) -> Resource:
        before_replace = request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None
        return Resource(
            urn=urn,
            type=request.type,
            name=request.name,
            custom=request.custom,
            parent=request.parent or None,
            id=None if identifier is None else from_wire(identifier) or UNKNOWN,
            inputs=from_wire(_plain_struct(request.object)),
            outputs=from_wire(dict(outputs)),
            dependencies=tuple(sorted(request.dependencies)),
            property_dependencies={
                name: tuple(sorted(dependencies.urns))
                for name, dependencies in sorted(request.propertyDependencies.items())
            },
            provider=request.provider or self._default_provider(request),
            version=request.version,
            protect=request.protect,
            delete_before_replace=before_replace,
            retain_on_delete=request.retainOnDelete,
            ignore_changes=tuple(request.ignoreChanges),
            replace_on_changes=tuple(request.replaceOnChanges),
            additional_secret_outputs=tuple(request.additionalSecretOutputs),
            aliases=tuple(_alias(alias) for alias in request.aliases) + tuple(request.aliasURNs),
            import_id=request.importId,
            deleted_with=request.deletedWith,
            custom_timeouts=json_format.MessageToDict(request.customTimeouts),
            source_position=_position(request.sourcePosition),
        )

    def _created(self, request: Any, urn: str) -> tuple[str, dict[str, Any]]:
        """Return the identifier and the outputs of a custom resource, as its provider would."""
        given = _plain_struct(request.object)
        inputs = cloud.check(request.type, request.name, given, {}, seed=urn.encode())
        place = self._place_of(request.provider)
        if request.type.startswith("pulumi:providers:"):
            return (
                UNKNOWN_TEXT if self.preview else cloud.create(request.type, urn, inputs, place)[0]
            ), inputs
        identifier = request.importId
        if self.preview:
            outputs = cloud.preview_outputs(request.type, inputs, place)
        elif identifier:
            outputs = cloud.outputs(request.type, identifier, urn, inputs, place)
        else:
            identifier, outputs = cloud.create(request.type, urn, inputs, place)
        for name in set(request.additionalSecretOutputs) & set(outputs):
            value = from_wire(outputs[name])
            outputs[name] = to_wire(value if isinstance(value, Secret) else Secret(value))
        return identifier, outputs

    def _place_of(self, provider: str) -> cloud.Place:
        made = self._resources.get(provider.rpartition("::")[0])
        return cloud.Place.of(to_wire(made.inputs)) if made else self._place

    def _default_provider(self, request: Any) -> str:
        package = request.type.partition(":")[0]
        if package == "pulumi" or not getattr(request, "custom", True):
            return ""
        version = request.version or sdk_version(package) or ""
        name = f"default_{version.replace('.', '_')}" if version else "default"
        return f"{self._urn('', f'pulumi:providers:{package}', name)}::{UNKNOWN_TEXT}"

    def _urn(self, parent: str, kind: str, name: str) -> str:
        """Chain the types of the parents as the engine does, which leaves the stack's own type out."""
        above = parent.split("::")[2] if parent else ""
        qualified = kind if above in ("", STACK_TYPE) else f"{above}${kind}"
        return f"urn:pulumi:{self._settings.stack}::{self._settings.project}::{qualified}::{name}"

    def _answer(self, token: str, args: dict[str, Any]) -> Mapping[str, Any] | None:
        answer = self._answers.get(token)
        return answer(args) if callable(answer) else answer

    def _is_pending(self, urn: str) -> bool:
        resource = self._resources.get(urn)
        return resource is not None and resource.id is UNKNOWN


class RecordingLog:
    """The engine's other service: it takes log messages, of which it keeps all but the debugging ones."""

    def __init__(self, monitor: RecordingMonitor) -> None:
        self._monitor = monitor

    def Log(self, request: Any) -> Any:
        """Record a message."""
        if request.severity != engine_pb2.DEBUG:
            severity = engine_pb2.LogSeverity.Name(request.severity).lower()
            self._monitor.logs.append(LogMessage(severity, request.message, request.urn))
        return empty_pb2.Empty()

    def RequirePulumiVersion(self, request: Any) -> Any:
        """Accept every version: there is no CLI whose version could be too old."""
        return engine_pb2.RequirePulumiVersionResponse()


class _NoMocks(Mocks):
    """The base class asks for mocks; every method that would use them is replaced."""

    def call(self, args: Any) -> Any:
        raise NotImplementedError

    def new_resource(self, args: Any) -> Any:
        raise NotImplementedError


def _plain_struct(struct: Any) -> dict[str, Any]:
    return json_format.MessageToDict(struct) if struct is not None else {}


def _struct(values: Mapping[str, Any]) -> Any:
    return json_format.ParseDict(to_wire(values), struct_pb2.Struct())


def _alias(alias: Any) -> str:
    return str(alias.urn) or ", ".join(
        f"{key}={value}" for key, value in json_format.MessageToDict(alias).items()
    )


def _position(position: Any) -> str:
    return f"{url2pathname(urlparse(position.uri).path)}:{position.line}" if position.uri else ""
