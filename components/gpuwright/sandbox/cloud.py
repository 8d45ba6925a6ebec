"""The stand-in for a cloud: what a provider answers when there is none, the same for the same question.

Everything here works on wire values (see ``gpuwright.sandbox.wire``) and touches nothing outside. The
facts on resource types come from the installed SDK; what the SDK does not tell (identifiers, which
change replaces a resource) stands in the tables below, for the resource types that the stacks use.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from gpuwright.sandbox.sdk import Kind, ResourceFacts, resource_facts
from gpuwright.sandbox.wire import SECRET_SIGNATURE, SIGNATURE_KEY, UNKNOWN_TEXT, reveal

ACCOUNT_ID: Final = "123456789012"
CREATED: Final = "2025-01-01T00:00:00Z"
_ZONES: Final = ("a", "b", "c")

# Prefixes of identifiers, from the EC2 API reference; other types are known by their name, or by their ARN.
_ID_PREFIXES: Final[Mapping[str, str]] = {
    "aws:ec2/vpc:Vpc": "vpc",
    "aws:ec2/subnet:Subnet": "subnet",
    "aws:ec2/internetGateway:InternetGateway": "igw",
    "aws:ec2/natGateway:NatGateway": "nat",
    "aws:ec2/eip:Eip": "eipalloc",
    "aws:ec2/routeTable:RouteTable": "rtb",
    "aws:ec2/routeTableAssociation:RouteTableAssociation": "rtbassoc",
    "aws:ec2/route:Route": "r-rtb",
    "aws:ec2/securityGroup:SecurityGroup": "sg",
    "aws:ec2/securityGroupRule:SecurityGroupRule": "sgrule",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": "sgr",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": "sgr",
    "aws:ec2/launchTemplate:LaunchTemplate": "lt",
    "aws:ec2/vpcEndpoint:VpcEndpoint": "vpce",
    "aws:ec2/instance:Instance": "i",
    "aws:ebs/volume:Volume": "vol",
}
_ID_IS_ARN: Final = frozenset(
    {
        "aws:lb/loadBalancer:LoadBalancer",
        "aws:lb/targetGroup:TargetGroup",
        "aws:lb/listener:Listener",
        "aws:lb/listenerRule:ListenerRule",
        "aws:alb/loadBalancer:LoadBalancer",
        "aws:alb/targetGroup:TargetGroup",
        "aws:alb/listener:Listener",
        "aws:iam/policy:Policy",
        "aws:sns/topic:Topic",
        "aws:acm/certificate:Certificate",
    }
)

# The property that names a resource, where it is not ``name``; and the longest name allowed.
_NAME_PROPERTY: Final[Mapping[str, str]] = {
    "aws:s3/bucket:Bucket": "bucket",
    "aws:s3/bucketV2:BucketV2": "bucket",
}
_NAME_LIMIT: Final[Mapping[str, int]] = {"bucket": 63, "lb": 32, "alb": 32, "iam": 64, "gcp": 61}
_SUFFIX_LENGTH: Final = 7

# Changes that no API call can make: Terraform's ForceNew, https://registry.terraform.io/providers/hashicorp/aws
_REPLACES: Final[Mapping[str, frozenset[str]]] = {
    "aws:ec2/vpc:Vpc": frozenset({"cidrBlock", "ipv4IpamPoolId", "ipv4NetmaskLength"}),
    "aws:ec2/subnet:Subnet": frozenset({"vpcId", "cidrBlock", "availabilityZone", "availabilityZoneId"}),
    "aws:ec2/natGateway:NatGateway": frozenset({"allocationId", "subnetId", "connectivityType", "privateIp"}),
    "aws:ec2/eip:Eip": frozenset({"domain", "networkBorderGroup", "publicIpv4Pool"}),
    "aws:ec2/routeTable:RouteTable": frozenset({"vpcId"}),
    "aws:ec2/route:Route": frozenset(
        {"routeTableId", "destinationCidrBlock", "destinationIpv6CidrBlock", "destinationPrefixListId"}
    ),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": frozenset({"subnetId", "gatewayId"}),
    "aws:ec2/vpcEndpoint:VpcEndpoint": frozenset({"vpcId", "serviceName", "vpcEndpointType"}),
    "aws:ec2/securityGroup:SecurityGroup": frozenset({"vpcId", "description"}),
    "aws:ec2/securityGroupRule:SecurityGroupRule": frozenset(
        {
            "securityGroupId",
            "type",
            "protocol",
            "fromPort",
            "toPort",
            "cidrBlocks",
            "sourceSecurityGroupId",
            "self",
        }
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": frozenset({"securityGroupId"}),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": frozenset({"securityGroupId"}),
    "aws:ec2/instance:Instance": frozenset(
        {"ami", "availabilityZone", "subnetId", "userDataReplaceOnChange"}
    ),
    "aws:lb/loadBalancer:LoadBalancer": frozenset({"internal", "loadBalancerType"}),
    "aws:lb/targetGroup:TargetGroup": frozenset(
        {"port", "protocol", "protocolVersion", "vpcId", "targetType", "ipAddressType"}
    ),
    "aws:lb/listener:Listener": frozenset({"loadBalancerArn"}),
    "aws:iam/role:Role": frozenset({"path"}),
    "aws:iam/policy:Policy": frozenset({"path", "description"}),
    "aws:iam/rolePolicy:RolePolicy": frozenset({"role"}),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": frozenset({"role", "policyArn"}),
    "aws:iam/instanceProfile:InstanceProfile": frozenset({"path"}),
    "aws:kms/key:Key": frozenset({"customerMasterKeySpec", "keyUsage", "multiRegion"}),
    "aws:autoscaling/policy:Policy": frozenset({"autoscalingGroupName"}),
    "aws:autoscaling/lifecycleHook:LifecycleHook": frozenset({"autoscalingGroupName"}),
    "aws:s3/bucket:Bucket": frozenset({"objectLockEnabled"}),
}
_ALWAYS_REPLACES: Final = frozenset({"namePrefix", "bucketPrefix", "region", "project"})

_ARN_SERVICES: Final[Mapping[str, str]] = {
    "lb": "elasticloadbalancing",
    "alb": "elasticloadbalancing",
    "vpc": "ec2",
    "ebs": "ec2",
    "lambda": "lambda",
}


@dataclass(frozen=True)
class Place:
    """Where a provider was told to work."""

    region: str = "us-east-1"
    project: str = "sandbox-project"
    default_tags: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Place:
        """Return the place that a provider's arguments name, the defaults where they name none."""
        given = {key: _parsed(value) for key, value in reveal(dict(arguments)).items()}
        tags = given.get("defaultTags")
        return cls(
            region=str(given.get("region") or cls.region),
            project=str(given.get("project") or cls.project),
            default_tags=tags.get("tags") or {} if isinstance(tags, dict) else {},
        )


class Change(Enum):
    """How a property differs."""

    ADD = "add"
    DELETE = "delete"
    UPDATE = "update"


@dataclass(frozen=True)
class PropertyChange:
    """One difference between the inputs of two runs, and whether the resource must be replaced for it."""

    path: str
    kind: Change
    replace: bool

    @property
    def property(self) -> str:
        """The property that the path begins with."""
        return self.path.partition(".")[0].partition("[")[0]


class NoAnswerError(Exception):
    """There is no stand-in answer for that function."""


def name_property(token: str) -> str | None:
    """Return the input that names resources of a type, or ``None`` where names are not the user's to give."""
    facts = resource_facts(token)
    named = _NAME_PROPERTY.get(token, "name")
    return named if facts and named in facts.inputs and named in facts.outputs else None


def check(
    token: str,
    name: str,
    news: Mapping[str, Any],
    olds: Mapping[str, Any],
    seed: bytes,
    proposed_name: str | None = None,
) -> dict[str, Any]:
    """Return the inputs as the provider completes them: named where they had no name, documents as JSON text.

    Args:
        token: Type of the resource.
        name: Its name in the program.
        news: The inputs that the program gave.
        olds: The checked inputs of the deployed resource, whose given name is kept; empty for a new one.
        seed: Makes the name of a new resource, the same for the same seed.
        proposed_name: What the engine wants it named instead.
    """
    inputs = {key: _document(token, key, value) for key, value in news.items() if value is not None}
    named = name_property(token)
    if named and not inputs.get(named) and not inputs.get(f"{named}Prefix"):
        kept = olds.get(named)
        inputs[named] = kept or proposed_name or _auto_name(token, name, named, seed)
    return inputs


def missing(token: str, inputs: Mapping[str, Any]) -> list[str]:
    """Return the inputs that the SDK's class requires and that are absent."""
    facts = resource_facts(token)
    return sorted(name for name in (facts.required if facts else ()) if inputs.get(name) is None)


def differences(token: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[PropertyChange]:
    """Return what changed between two sets of inputs, the deepest paths, in order.

    A value that is unknown in the new inputs counts as changed, as every provider counts it.
    """
    named = name_property(token)
    replaces = _REPLACES.get(token, frozenset()) | _ALWAYS_REPLACES | ({named} if named else set())
    if token.startswith("aws:s3/bucket"):
        replaces |= {"bucket"}
    changes = []
    for name in sorted({*old, *new} - {"__defaults"}):
        for path, kind in _walk(name, reveal(old.get(name)), reveal(new.get(name))):
            changes.append(PropertyChange(path, kind, name in replaces))
    return changes


def moves(token: str, olds: Mapping[str, Any], new: Mapping[str, Any], place: Place) -> list[PropertyChange]:
    """Return the change of a deployed resource that stays behind when its provider goes to another region.

    Source: Amazon Web Services provider 6, "Enhanced Region Support": a resource without a region of its own
    is in the provider's, and a resource cannot change region.
    """
    facts = resource_facts(token)
    if facts is None or "region" not in facts.outputs or not token.startswith("aws:"):
        return []
    was = reveal(olds.get("region"))
    stays = new.get("region") is not None or not was or was == place.region
    return [] if stays else [PropertyChange("region", Change.UPDATE, replace=True)]


def preview_outputs(token: str, inputs: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """Return the outputs of a resource not there yet: its inputs, and what the cloud adds, unknown."""
    facts = resource_facts(token)
    unknown = dict.fromkeys(sorted(facts.computed), UNKNOWN_TEXT) if facts else {}
    return {**unknown, **_echoed(inputs), **_all_tags(facts, inputs, place)}


def create(token: str, urn: str, inputs: Mapping[str, Any], place: Place) -> tuple[str, dict[str, Any]]:
    """Return the identifier and the outputs of a resource, the same for the same URN and inputs."""
    digest = hashlib.sha256(json.dumps([urn, reveal(dict(inputs))], sort_keys=True).encode()).hexdigest()
    identifier = _identifier(token, urn, inputs, place, digest)
    return identifier, outputs(token, identifier, urn, inputs, place)


def outputs(token: str, identifier: str, urn: str, inputs: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """Return the outputs of an existing resource: its inputs, and what the cloud adds, made up."""
    facts = resource_facts(token)
    if facts is None:
        return _echoed(inputs)
    known = reveal(dict(inputs))
    made = {
        name: _plausible(name, facts.outputs[name], token, identifier, urn, known, place)
        for name in sorted(facts.computed)
        if known.get(name) is None
    }
    return {**made, **_echoed(inputs), **_all_tags(facts, inputs, place)}


def invoke(token: str, args: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """Return what a function of the provider answers.

    Raises:
        NoAnswerError: The function is not among those that the stand-in knows.
    """
    given = reveal(dict(args))
    region = str(given.get("region") or place.region)
    zones = [f"{region}{zone}" for zone in _ZONES]
    answers: dict[str, Any] = {
        "aws:index/getRegion:getRegion": {
            "id": region,
            "name": region,
            "region": region,
            "description": region,
        },
        "aws:index/getPartition:getPartition": {
            "id": "aws",
            "partition": "aws",
            "dnsSuffix": "amazonaws.com",
            "reverseDnsPrefix": "com.amazonaws",
        },
        "aws:index/getCallerIdentity:getCallerIdentity": {
            "id": ACCOUNT_ID,
            "accountId": ACCOUNT_ID,
            "arn": f"arn:aws:iam::{ACCOUNT_ID}:user/sandbox",
            "userId": "AIDASANDBOXSANDBOXSANDB",
        },
        "aws:index/getAvailabilityZones:getAvailabilityZones": {
            "id": region,
            "region": region,
            "names": zones,
            "zoneIds": [f"{_short_region(region)}-az{index}" for index, _ in enumerate(zones, start=1)],
            "groupNames": [region],
        },
        "gcp:organizations/getClientConfig:getClientConfig": {
            "id": "sandbox",
            "project": place.project,
            "region": region,
            "zone": f"{region}-a",
            "accessToken": {SIGNATURE_KEY: SECRET_SIGNATURE, "value": "sandbox"},
            "defaultLabels": {},
        },
        "gcp:organizations/getProject:getProject": {
            "id": f"projects/{place.project}",
            "projectId": place.project,
            "name": place.project,
            "number": ACCOUNT_ID,
        },
    }
    if token in answers:
        return {**given, **answers[token]}
    if token == "aws:ssm/getParameter:getParameter":  # noqa: S105  a function, not a password
        return _parameter(given, region)
    if token == "aws:ec2/getAmi:getAmi":  # noqa: S105
        image = _image_id(json.dumps(given, sort_keys=True))
        return {**given, "id": image, "imageId": image, "architecture": "x86_64", "name": "sandbox-image"}
    if token == "aws:iam/getPolicyDocument:getPolicyDocument":  # noqa: S105
        text = json.dumps(_policy_document(given), separators=(",", ":"))
        return {**given, "id": _digits(text, 10), "json": text, "minifiedJson": text}
    if token == "aws:ec2/getVpc:getVpc":  # noqa: S105
        vpc = given.get("id") or f"vpc-{_hex(json.dumps(given, sort_keys=True))}"
        return {**given, "id": vpc, "cidrBlock": "10.0.0.0/16", "arn": _arn("ec2", f"vpc/{vpc}", region)}
    raise NoAnswerError(token)


def _parsed(value: Any) -> Any:
    """Provider arguments that are not text travel as JSON text."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _document(token: str, name: str, value: Any) -> Any:
    """A policy may be given as an object, and is kept as text, which is what every provider does."""
    facts = resource_facts(token)
    if (
        facts
        and facts.outputs.get(name) == "string"
        and isinstance(value, dict)
        and SIGNATURE_KEY not in value
    ):
        return json.dumps(value, separators=(",", ":"), sort_keys=True)
    return value


def _auto_name(token: str, name: str, named: str, seed: bytes) -> str:
    package, _, rest = token.partition(":")
    service = rest.partition("/")[0]
    limit = _NAME_LIMIT.get(named) or _NAME_LIMIT.get(service) or _NAME_LIMIT.get(package) or 255
    suffix = hashlib.sha256(seed or name.encode()).hexdigest()[:_SUFFIX_LENGTH]
    base = name.lower().replace("_", "-") if named == "bucket" or package == "gcp" else name
    return f"{base[: limit - _SUFFIX_LENGTH - 1]}-{suffix}"


def _walk(path: str, old: Any, new: Any) -> Iterator[tuple[str, Change]]:
    if old == new:
        return
    if old is None:
        yield path, Change.ADD
    elif new is None:
        yield path, Change.DELETE
    elif isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from _walk(_step(path, key), old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            pair = [side[index] if index < len(side) else None for side in (old, new)]
            yield from _walk(f"{path}[{index}]", *pair)
    else:
        yield path, Change.UPDATE


def _step(path: str, key: str) -> str:
    return f"{path}.{key}" if key.isidentifier() else f"{path}[{json.dumps(key)}]"


def _echoed(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in inputs.items() if key != "__defaults"}


def _all_tags(facts: ResourceFacts | None, inputs: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """Return ``tagsAll``: the provider's default tags under the resource's own, secrets kept secret."""
    if facts is None or "tagsAll" not in facts.outputs:
        return {}
    tags = inputs.get("tags") or {}
    if not isinstance(tags, dict) or SIGNATURE_KEY in tags:
        return {"tagsAll": tags}
    return {"tagsAll": {**place.default_tags, **tags}}


def _identifier(token: str, urn: str, inputs: Mapping[str, Any], place: Place, digest: str) -> str:
    known = reveal(dict(inputs))
    if token in _ID_PREFIXES:
        return f"{_ID_PREFIXES[token]}-{digest[:17]}"
    if token in _ID_IS_ARN:
        return _resource_arn(token, digest[:16], urn, known, place)
    if token == "aws:kms/key:Key":  # noqa: S105
        return str(uuid.UUID(digest[:32]))
    named = name_property(token)
    if named and known.get(named):
        return f"projects/{place.project}/{known[named]}" if token.startswith("gcp:") else str(known[named])
    if token.startswith("aws:s3/bucket") and known.get("bucket"):
        return str(known["bucket"])
    return f"{urn.rpartition('::')[2]}-{digest[:8]}"


def _plausible(
    name: str, kind: Kind, token: str, identifier: str, urn: str, known: Mapping[str, Any], place: Place
) -> Any:
    if kind == "list":
        return []
    if kind in ("map", "object"):
        return {}
    if kind == "boolean":
        return False
    if kind in ("integer", "number"):
        return 1 if name.endswith("Version") else 0
    if name == "arn":
        return identifier if token in _ID_IS_ARN else _resource_arn(token, identifier, urn, known, place)
    if name == "arnSuffix":
        return _resource_arn(token, identifier, urn, known, place).rpartition(":")[2].partition("/")[2]
    bucket = known.get("bucket") or known.get("name") or identifier
    by_name = {
        "region": place.region,
        "project": place.project,
        "zone": f"{place.region}-a",
        "availabilityZone": f"{place.region}a",
        "ownerId": ACCOUNT_ID,
        "accountId": ACCOUNT_ID,
        "creationTimestamp": CREATED,
        "createDate": CREATED,
        "createdDate": CREATED,
        "publicIp": f"203.0.113.{int(_digits(urn, 2)) + 1}",
        "privateIp": f"10.0.0.{int(_digits(urn, 2)) + 4}",
        "dnsName": f"{known.get('name', identifier)}-{_digits(urn, 10)}.{place.region}.elb.amazonaws.com",
        "bucketDomainName": f"{bucket}.s3.amazonaws.com",
        "bucketRegionalDomainName": f"{bucket}.s3.{place.region}.amazonaws.com",
        "bucketRegion": place.region,
        "selfLink": f"https://www.googleapis.com/compute/v1/{identifier}",
        "keyId": identifier,
        "allocationId": identifier,
        "namePrefix": "",
        "bucketPrefix": "",
    }
    return by_name.get(name, f"{name}-{_hex(urn + name)}")


def _resource_arn(token: str, identifier: str, urn: str, known: Mapping[str, Any], place: Place) -> str:
    _, module, class_name = token.split(":")
    service = module.partition("/")[0]
    service = _ARN_SERVICES.get(service, service)
    named = name_property(token)
    label = known.get(named) if named else None
    if service == "s3":
        return f"arn:aws:s3:::{known.get('bucket') or identifier}"
    if service == "iam":
        kind = {"InstanceProfile": "instance-profile"}.get(class_name, class_name.lower())
        return f"arn:aws:iam::{ACCOUNT_ID}:{kind}/{label or identifier}"
    if service == "cloudwatch" and class_name == "LogGroup":
        return _arn("logs", f"log-group:{label}", place.region)
    if service == "cloudwatch" and class_name == "MetricAlarm":
        return _arn("cloudwatch", f"alarm:{label}", place.region)
    if service == "sns":
        return _arn("sns", str(label or identifier), place.region)
    if service == "elasticloadbalancing":
        kind = {"LoadBalancer": "loadbalancer/app"}.get(class_name, class_name.lower())
        return _arn(service, f"{kind}/{label or _hex(urn)}/{_hex(urn, 16)}", place.region)
    kind = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in class_name).lstrip("-")
    return _arn(service, f"{kind}/{identifier}", place.region)


def _arn(service: str, rest: str, region: str) -> str:
    return f"arn:aws:{service}:{region}:{ACCOUNT_ID}:{rest}"


def _parameter(given: Mapping[str, Any], region: str) -> dict[str, Any]:
    """Public parameters that end in an image are image ids; every other one is text."""
    name = str(given.get("name", ""))
    image = any(word in name.lower() for word in ("ami", "image"))
    value = _image_id(name) if image else f"sandbox value of {name}"
    return {
        **given,
        "id": name,
        "arn": _arn("ssm", f"parameter{name}", region),
        "type": "String",
        "value": {SIGNATURE_KEY: SECRET_SIGNATURE, "value": value},
        "insecureValue": value,
        "version": 1,
    }


def _short_region(region: str) -> str:
    """Return a region as AWS's zone ids shorten it: ``apse2`` for ``ap-southeast-2``."""
    area, direction, number = ([*region.split("-"), "", ""])[:3]
    letters = re.findall("north|south|east|west|central", direction)
    return area + "".join(letter[0] for letter in letters) + number


def _policy_document(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the IAM document that a list of statements describes."""
    statements = [_statement(statement) for statement in given.get("statements") or ()]
    return {"Version": given.get("version") or "2012-10-17", "Statement": statements}


def _statement(given: Mapping[str, Any]) -> dict[str, Any]:
    statement: dict[str, Any] = {"Sid": given["sid"]} if given.get("sid") else {}
    statement["Effect"] = given.get("effect") or "Allow"
    for key, word in (
        ("actions", "Action"),
        ("notActions", "NotAction"),
        ("resources", "Resource"),
        ("notResources", "NotResource"),
    ):
        if given.get(key):
            statement[word] = _one_or_many(given[key])
    for key, word in (("principals", "Principal"), ("notPrincipals", "NotPrincipal")):
        if given.get(key):
            statement[word] = {who["type"]: _one_or_many(who["identifiers"]) for who in given[key]}
            if any(who["type"] == "*" for who in given[key]):
                statement[word] = "*"
    conditions: dict[str, dict[str, Any]] = {}
    for condition in given.get("conditions") or ():
        conditions.setdefault(condition["test"], {})[condition["variable"]] = _one_or_many(
            condition["values"]
        )
    return {**statement, "Condition": conditions} if conditions else statement


def _one_or_many(values: Sequence[Any]) -> Any:
    return values[0] if len(values) == 1 else list(values)


def _image_id(text: str) -> str:
    return f"ami-{_hex(text, 17)}"


def _hex(text: str, length: int = 8) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def _digits(text: str, length: int) -> str:
    return str(int(_hex(text, 16), 16))[:length]
