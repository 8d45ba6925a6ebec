"""Pulumi resources → facts: what the policy pack, a preview, an exported state or a recorded run registers.

A machine's shape is judged with the model that its tags name (``gpuwright.planning.tags``), so that a swapped
instance type is caught whatever else the program says. What is no GPU machine of the catalog and has no such
tag is judged for its metadata service, volumes and openings only.
"""

from __future__ import annotations

import base64
import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gpuwright.planning import tags as tag_names
from gpuwright.planning.tags import ServingTags, read_tags
from gpuwright_policies.facts import (
    UNKNOWN,
    Facts,
    Ingress,
    MetadataService,
    ModelStore,
    SystemDisk,
    Volume,
)
from gpuwright_policies.readers.machines import find_shape, machine_facts, serving_facts
from gpuwright_policies.readers.pulumi_values import is_unknown, plain

LAUNCH_TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
GROUP = "aws:autoscaling/group:Group"
COMPONENT = "gpuwright:index:GpuInference"

ROOT_DEVICES = ("/dev/xvda", "/dev/sda1")
MAGNETIC = ("standard", "st1", "sc1")
ALL_PORTS = (0, 65535)
GZIP_MAGIC = b"\x1f\x8b"
PROTOCOL_NAMES = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "all": "-1"}


@dataclass(frozen=True)
class Resource:
    """A registered resource.

    Args:
        type: Its type token, such as ``aws:ec2/launchTemplate:LaunchTemplate``.
        urn: Its URN, or a name where there is none; findings name it.
        props: Properties under their wire names (camelCase); plain, with UNKNOWN for what is not known.
        id: The cloud's id, where it has one.
        references: URNs of the resources that each property was computed from.
    """

    type: str
    urn: str
    props: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None
    references: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        type: str,  # noqa: A002  # the engine's word
        urn: str,
        props: Any,
        *,
        id: Any = None,  # noqa: A002  # the engine's word
        references: Any = None,
    ) -> Resource:
        """Return the resource with its properties made plain, whatever they are."""
        known = plain(props)
        urns = plain(references)
        return cls(
            type=type,
            urn=urn,
            props=known if isinstance(known, dict) else {},
            id=id if isinstance(id, str) and not is_unknown(plain(id)) else None,
            references={key: tuple(map(str, _list(value))) for key, value in urns.items()}
            if isinstance(urns, dict)
            else {},
        )


def facts(resources: Iterable[Resource]) -> Iterator[Facts]:
    """Yield the facts of all resources, one by one and together; linear in their number."""
    known = list(resources)
    for resource in known:
        yield from facts_of_one(resource)
    yield from facts_together(known)


def facts_of_one(resource: Resource) -> Iterator[Facts]:
    """Yield what a resource tells on its own."""
    reader = _READERS.get(resource.type)
    if reader is not None:
        yield from reader(resource)


def facts_together(resources: Iterable[Resource]) -> Iterator[Facts]:
    """Yield what only several resources tell: a launch template's model on the shapes that a group adds."""
    known = list(resources)
    groups = [resource for resource in known if resource.type == GROUP]
    templates = [resource for resource in known if resource.type == LAUNCH_TEMPLATE] if groups else []
    finder = _TemplateFinder(templates)
    for group in groups:
        for specification, shapes in _overridden(group):
            template = finder.find(group, specification)
            tags = _tags(template) if template is not None else ServingTags()
            if tags.model is None or _own_tags(group).model is not None:
                continue  # No model, or judged with the group's own tags already.
            for shape in shapes:
                yield from serving_facts(group.urn, find_shape(shape), tags)


# ── machines ──


def _launch_template(resource: Resource) -> Iterator[Facts]:
    mappings = _list(resource.props.get("blockDeviceMappings"), UNKNOWN)
    named = [(None, each) if is_unknown(each) else _name_and_disk(_dict(each)) for each in mappings]
    disks = [(name, disk) for name, disk in named if disk is not None]
    only = disks[0][1] if len(disks) == 1 else None
    root = next((ebs for name, ebs in disks if name in ROOT_DEVICES), only)
    yield from _machine(resource, [ebs for _, ebs in disks], root)


def _name_and_disk(mapping: Mapping[str, Any]) -> tuple[Any, Any]:
    return mapping.get("deviceName"), mapping.get("ebs")


def _instance(resource: Resource) -> Iterator[Facts]:
    root = resource.props.get("rootBlockDevice")
    others = _list(resource.props.get("ebsBlockDevices"), UNKNOWN)
    yield from _machine(resource, [*([root] if root is not None else []), *others], root)


def _machine(resource: Resource, disks: list[Any], root: Any) -> Iterator[Facts]:
    """Yield the facts of a machine or its template.

    What an instance leaves to its launch template is judged there; a template without a shape leaves it to
    whoever starts machines from it.
    """
    props, tags = resource.props, _tags(resource)
    shape, inherits = props.get("instanceType"), props.get("launchTemplate") is not None
    if shape is not None:
        yield from machine_facts(resource.urn, shape, tags)
    if props.get("metadataOptions") is not None or not inherits:
        yield from _metadata_service(resource)
    for disk in disks:
        yield Volume(resource.urn, UNKNOWN if is_unknown(disk) else _true(_dict(disk).get("encrypted")))
    if find_shape(shape) is None and tags.model is None:
        return
    if root is None and not inherits:
        yield Volume(resource.urn, UNKNOWN)  # The image decides.
    if root is not None or not inherits:
        yield _system_disk(resource.urn, _dict(root), tags)
    if tags.model is not None and (_has_user_data(props) or not inherits):
        yield _model_store(resource, tags)


def _metadata_service(resource: Resource) -> Iterator[Facts]:
    options = resource.props.get("metadataOptions")
    if is_unknown(options):
        yield MetadataService(resource.urn, UNKNOWN, UNKNOWN)
        return
    known = _dict(options)
    if known.get("httpEndpoint") == "disabled":
        return
    tokens = known.get("httpTokens", "")
    hops = _number(known.get("httpPutResponseHopLimit"), 0)
    yield MetadataService(resource.urn, tokens if is_unknown(tokens) else str(tokens or ""), hops)


def _system_disk(urn: str, root: Mapping[str, Any], tags: ServingTags) -> SystemDisk:
    kind = root.get("volumeType", "")
    return SystemDisk(
        subject=urn,
        size_gb=_number(root.get("volumeSize"), UNKNOWN),
        required_gb=tags.disk_required_gb or 0,
        solid_state=UNKNOWN if is_unknown(kind) else kind not in MAGNETIC,
    )


def _model_store(resource: Resource, tags: ServingTags) -> ModelStore:
    """Return where the machine takes its model from; a boot script that names the place keeps a copy."""
    uri = "" if tags.model_store is None else tags.model_store
    script = _user_data(resource.props)
    cached = UNKNOWN if UNKNOWN in (uri, script) else bool(uri) and uri.rstrip("/") in script
    return ModelStore(resource.urn, uri, cached)


def _has_user_data(props: Mapping[str, Any]) -> bool:
    return any(props.get(key) is not None for key in ("userData", "userDataBase64"))


def _user_data(props: Mapping[str, Any]) -> Any:
    """Return the boot script as text, decoded and unpacked where need be."""
    value = props.get("userData") or props.get("userDataBase64") or ""
    if not isinstance(value, str):
        return UNKNOWN
    try:
        content = base64.b64decode(value, validate=True)
        if content[:2] == GZIP_MAGIC:
            content = gzip.decompress(content)
    except ValueError:  # It is no base64.
        return value
    except (OSError, EOFError, zlib.error):
        return UNKNOWN
    return f"{value}\n{content.decode(errors='replace')}"  # A plain script may look like base64.


def _tags(resource: Resource) -> ServingTags:
    """Return what the tags say, those of the machines that a template starts before the template's own."""
    merged = {**_dict(resource.props.get("tagsAll")), **_dict(resource.props.get("tags"))}
    for specification in map(_dict, _list(resource.props.get("tagSpecifications"))):
        if specification.get("resourceType") == "instance":
            merged |= _dict(specification.get("tags"))
    return _serving_tags(merged)


def _own_tags(group: Resource) -> ServingTags:
    """Return what the tags say that a group puts on its machines."""
    listed = [_dict(tag) for tag in _list(group.props.get("tags"))]
    return _serving_tags({str(tag.get("key")): tag.get("value") for tag in listed})


def _serving_tags(tags: Mapping[str, Any]) -> ServingTags:
    ours = {key: value for key, value in tags.items() if key.startswith(tag_names.PREFIX)}
    return read_tags({key: value if is_unknown(value) else str(value) for key, value in ours.items()})


# ── autoscaling groups ──


def _group(resource: Resource) -> Iterator[Facts]:
    """Yield the shapes that a group starts instead of its template's, each a machine of its own."""
    tags = _own_tags(resource)
    for _, shapes in _overridden(resource):
        for shape in shapes:
            yield from machine_facts(resource.urn, shape, tags)


def _overridden(group: Resource) -> Iterator[tuple[Mapping[str, Any], list[Any]]]:
    """Yield each launch template of a mixed-instances policy with the shapes that override its own."""
    template = _dict(_dict(group.props.get("mixedInstancesPolicy")).get("launchTemplate"))
    common = _dict(template.get("launchTemplateSpecification"))
    by_own: list[tuple[Mapping[str, Any], list[Any]]] = []
    shared: list[Any] = []
    for override in _list(template.get("overrides"), UNKNOWN):
        shape = UNKNOWN if is_unknown(override) else _dict(override).get("instanceType")
        own = _dict(_dict(override).get("launchTemplateSpecification"))
        if shape is not None and own:
            by_own.append((own, [shape]))
        elif shape is not None:
            shared.append(shape)
    if shared:
        yield common, shared
    yield from by_own


class _TemplateFinder:
    """Finds the template that a group names: by id, by name, or by what the property was computed from."""

    def __init__(self, templates: Iterable[Resource]) -> None:
        self._by_key: dict[str, Resource] = {}
        self._by_urn = {template.urn: template for template in templates}
        for template in self._by_urn.values():
            for key in (template.id, template.props.get("id"), template.props.get("name")):
                if isinstance(key, str):
                    self._by_key[key] = template

    def find(self, group: Resource, specification: Mapping[str, Any]) -> Resource | None:
        for key in ("launchTemplateId", "launchTemplateName"):
            named = specification.get(key)
            if isinstance(named, str) and named in self._by_key:
                return self._by_key[named]
        from_policy = {urn for urn in group.references.get("mixedInstancesPolicy", ()) if urn in self._by_urn}
        return self._by_urn[from_policy.pop()] if len(from_policy) == 1 else None


# ── the component ──


def _component(resource: Resource) -> Iterator[Facts]:
    """Yield what the component intends; its parts tell the rest themselves."""
    props = resource.props
    tags = ServingTags(
        model=_text(props.get("model")),
        weights_precision=_text(props.get("weightsPrecision")),
        kv_cache_precision=_text(props.get("kvCachePrecision")),
        max_model_len=_count(props.get("maxModelLen")),
        prompt_tokens=_count(props.get("promptTokens")),
        output_tokens=_count(props.get("outputTokens")),
        concurrency=_count(props.get("concurrency")),
        tensor_parallel_size=_count(props.get("tensorParallelSize")),
    )
    yield from machine_facts(resource.urn, props.get("instanceType"), tags)


# ── volumes and openings ──


def _volume(resource: Resource) -> Iterator[Facts]:
    yield Volume(resource.urn, _true(resource.props.get("encrypted")))


def _security_group(resource: Resource) -> Iterator[Facts]:
    for rule in _list(resource.props.get("ingress"), UNKNOWN):
        if is_unknown(rule):
            yield Ingress(resource.urn, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)
        else:
            yield from _opening(resource.urn, _dict(rule), "protocol", ("cidrBlocks", "ipv6CidrBlocks"))


def _security_group_rule(resource: Resource) -> Iterator[Facts]:
    if resource.props.get("type") == "ingress":
        yield from _opening(resource.urn, resource.props, "protocol", ("cidrBlocks", "ipv6CidrBlocks"))


def _ingress_rule(resource: Resource) -> Iterator[Facts]:
    yield from _opening(resource.urn, resource.props, "ipProtocol", ("cidrIpv4", "cidrIpv6"))


def _opening(
    urn: str, rule: Mapping[str, Any], protocol_key: str, source_keys: Iterable[str]
) -> Iterator[Facts]:
    """Yield one opening for the sources that are known, and one for those that are not."""
    protocol = rule.get(protocol_key, "-1")
    if not is_unknown(protocol):
        protocol = PROTOCOL_NAMES.get(str(protocol).lower(), str(protocol).lower())
    first = _number(rule.get("fromPort"), ALL_PORTS[0])
    last = _number(rule.get("toPort"), ALL_PORTS[1])
    sources = [source for key in source_keys for source in _list(rule.get(key), UNKNOWN)]
    known = tuple(str(source) for source in sources if not is_unknown(source))
    if known:
        yield Ingress(urn, known, first, last, protocol)
    if len(known) < len(sources):
        yield Ingress(urn, UNKNOWN, first, last, protocol)


# ── values ──


def _dict(value: Any) -> Mapping[str, Any]:
    """Return the object; a list of one, as a provider's output may be, is taken for its item."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, dict) else {}


def _list(value: Any, unknown: Any = None) -> list[Any]:
    """Return the list; a single value becomes a list of one, nothing or what is unknown an empty one."""
    if is_unknown(value):
        return [] if unknown is None else [unknown]
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _text(value: Any) -> Any:
    """Return a text or UNKNOWN, or None where it is neither."""
    return value if isinstance(value, str) or is_unknown(value) else None


def _count(value: Any) -> int | None:
    """Return a whole number above zero, or None where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _true(value: Any) -> Any:
    """Return a flag, which launch templates write as text."""
    return UNKNOWN if is_unknown(value) else value is True or value == "true"


def _number(value: Any, unset: Any) -> Any:
    """Return a number, which may be written as text, or what holds where it is unset."""
    if value is None:
        return unset
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    try:
        return int(value)
    except (TypeError, ValueError):
        return UNKNOWN


_READERS: dict[str, Callable[[Resource], Iterator[Facts]]] = {
    LAUNCH_TEMPLATE: _launch_template,
    GROUP: _group,
    COMPONENT: _component,
    "aws:ec2/instance:Instance": _instance,
    "aws:ec2/spotInstanceRequest:SpotInstanceRequest": _instance,
    "aws:ec2/launchConfiguration:LaunchConfiguration": _instance,
    "aws:ebs/volume:Volume": _volume,
    "aws:ec2/securityGroup:SecurityGroup": _security_group,
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": _security_group,
    "aws:ec2/securityGroupRule:SecurityGroupRule": _security_group_rule,
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _ingress_rule,
}

JUDGED_TYPES = frozenset(_READERS)
"""Types of which a resource alone tells facts."""

JUDGED_TOGETHER = frozenset({LAUNCH_TEMPLATE, GROUP})
"""Types that tell more in each other's company."""
