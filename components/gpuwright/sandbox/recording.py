"""What a Pulumi program asked its engine for: resources, exports, invokes and log messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from gpuwright.errors import InputError, near
from gpuwright.sandbox.wire import UNKNOWN, Secret, Unknown, contains, plain

STACK_TYPE = "pulumi:pulumi:Stack"


@dataclass(frozen=True)
class Resource:
    """One registered resource, with its request as the program sent it.

    Property names are the provider's (``cidrBlock``), except in components, whose inputs are
    recorded as the component gave them. ``UNKNOWN`` stands for what only the cloud can tell,
    ``Secret`` wraps what is secret.
    """

    urn: str
    type: str
    name: str
    custom: bool
    parent: str | None = None
    id: str | Unknown | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    dependencies: tuple[str, ...] = ()
    property_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    provider: str = ""
    version: str = ""
    protect: bool = False
    external: bool = False
    delete_before_replace: bool | None = None
    retain_on_delete: bool = False
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()
    additional_secret_outputs: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    import_id: str = ""
    deleted_with: str = ""
    custom_timeouts: Mapping[str, str] = field(default_factory=dict)
    source_position: str = ""

    @property
    def short_type(self) -> str:
        """The type as Pulumi's own display shortens it: ``aws:ec2:Vpc`` for ``aws:ec2/vpc:Vpc``."""
        package, _, rest = self.type.partition(":")
        module, _, name = rest.rpartition(":")
        return ":".join(part for part in (package, module.partition("/")[0], name) if part)

    @property
    def plain_inputs(self) -> dict[str, Any]:
        """The inputs with secrets unwrapped."""
        return {key: plain(value) for key, value in self.inputs.items()}

    @property
    def is_provider(self) -> bool:
        """Whether this is an explicitly made provider."""
        return self.type.startswith("pulumi:providers:")

    def is_secret(self, name: str) -> bool:
        """Tell whether an input or output of that name is secret, or holds a secret."""
        value = self.inputs.get(name, self.outputs.get(name))
        return contains(value, Secret) or name in self.additional_secret_outputs

    def is_unknown(self, name: str) -> bool:
        """Tell whether an input of that name is unknown, or holds an unknown value."""
        return contains(self.inputs.get(name), Unknown)


@dataclass(frozen=True)
class Invocation:
    """A function of a provider that the program called."""

    token: str
    args: Mapping[str, Any]
    answered: bool


@dataclass(frozen=True)
class LogMessage:
    """A message that the program, or the SDK on its behalf, sent to the engine."""

    severity: str
    text: str
    urn: str = ""


@dataclass(frozen=True)
class Recording:
    """Everything that one run of a Pulumi program asked for, in the order of registration."""

    project: str
    stack: str
    preview: bool
    resources: tuple[Resource, ...]
    exports: Mapping[str, Any]
    logs: tuple[LogMessage, ...] = ()
    invocations: tuple[Invocation, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def by_urn(self) -> Mapping[str, Resource]:
        """The resources by URN."""
        return {resource.urn: resource for resource in self.resources}

    @property
    def root(self) -> Resource:
        """The stack itself."""
        return next(resource for resource in self.resources if resource.type == STACK_TYPE)

    def of_type(self, kind: str | type) -> tuple[Resource, ...]:
        """Return the resources of a type: its class, its token, or the token's last part (``Vpc``)."""
        wanted = kind if isinstance(kind, str) else str(getattr(kind, "pulumi_type", kind.__name__))
        return tuple(
            resource
            for resource in self.resources
            if wanted in (resource.type, resource.short_type, resource.type.rpartition(":")[2])
        )

    def named(self, name: str) -> tuple[Resource, ...]:
        """Return the resources of a name, of which there may be one a type and parent."""
        return tuple(resource for resource in self.resources if resource.name == name)

    def one(self, kind: str | type, name: str | None = None) -> Resource:
        """Return the only resource of a type, and of a name where one is given.

        Raises:
            InputError: There is none, or more than one; the message lists what there is.
        """
        of_type = self.of_type(kind)
        found = [resource for resource in of_type if name in (None, resource.name)]
        if len(found) == 1:
            return found[0]
        wanted = f"{kind if isinstance(kind, str) else kind.__name__}{f' named {name!r}' if name else ''}"
        if found:
            raise InputError.of(wanted, f"there are {len(found)} of them.", f"Name one: {_names(of_type)}.")
        like = _names(of_type) or ", ".join(near(wanted, {resource.type for resource in self.resources}))
        raise InputError.of(wanted, "the program registered none.", f"Nearest: {like or 'nothing like it'}.")

    def parent(self, resource: Resource) -> Resource | None:
        """Return the resource's parent; the stack has none."""
        return self.by_urn.get(resource.parent) if resource.parent else None

    def children(self, resource: Resource) -> tuple[Resource, ...]:
        """Return the resources whose parent this one is."""
        return self._children.get(resource.urn, ())

    def descendants(self, resource: Resource) -> Iterator[Resource]:
        """Yield everything below the resource, parents before their children."""
        for child in self.children(resource):
            yield child
            yield from self.descendants(child)

    @cached_property
    def _children(self) -> Mapping[str, tuple[Resource, ...]]:
        below: dict[str, list[Resource]] = {}
        for resource in self.resources:
            below.setdefault(resource.parent or "", []).append(resource)
        return {urn: tuple(children) for urn, children in below.items()}

    def export(self, name: str) -> Any:
        """Return an export with secrets unwrapped, or ``None`` where there is none of that name."""
        return plain(self.exports.get(name))


def _names(resources: tuple[Resource, ...]) -> str:
    return ", ".join(repr(resource.name) for resource in resources)


__all__ = ["UNKNOWN", "Invocation", "LogMessage", "Recording", "Resource", "Secret"]
