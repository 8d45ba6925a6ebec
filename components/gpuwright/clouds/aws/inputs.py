"""What only AWS knows or the user owns: networks, certificates, images, names."""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from gpuwright.clouds.aws.network import MOST_ZONES, lay_out
from gpuwright.errors import Fault, InputError, near
from gpuwright.planning import Plan

LEAST_ZONES = 2
"""An application balancer wants subnets in two zones or more."""

RESERVED_NAME_PREFIXES = ("internal-", "sg-", "sthree-")
"""What names of balancers, security groups and buckets must not begin with."""


_ARN = r"arn:aws[a-z-]*:{}:[a-z0-9-]+:\d{{12}}:{}.+"
_CIDR = r"\d{1,3}(\.\d{1,3}){3}/\d{1,2}"
_SUBNET = r"subnet-[0-9a-f]{8,17}"

_FORMS = {
    "account_id": (r"\d{12}", '"123456789012"'),
    "availability_zones": (r"[a-z0-9-]+[0-9][a-z]", "[us-east-1a, us-east-1b]"),
    "vpc_cidr": (_CIDR, "10.0.0.0/16"),
    "vpc_id": (r"vpc-[0-9a-f]{8,17}", "vpc-0123456789abcdef0"),
    "private_subnet_ids": (_SUBNET, "[subnet-0123456789abcdef0, …]"),
    "public_subnet_ids": (_SUBNET, "[subnet-0123456789abcdef0, …]"),
    "certificate_arn": (
        _ARN.format("acm", "certificate/"),
        "arn:aws:acm:us-east-1:123456789012:certificate/…",
    ),
    "host_name": (r"[a-z0-9-]+(\.[a-z0-9-]+)+", "llm.example.com"),
    "ingress_cidrs": (_CIDR, "[10.0.0.0/8]"),
    "image_id": (r"ami-[0-9a-f]{8,17}", "ami-0123456789abcdef0"),
    "root_device": (r"/dev/[a-z0-9]+", "/dev/sda1"),
    "bucket_name": (r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", "example-models"),
    "alarm_topic_arn": (_ARN.format("sns", ""), "arn:aws:sns:us-east-1:123456789012:pages"),
}
"""The form of each input, and an example of it; an example in brackets is a list."""


@dataclass(frozen=True)
class AwsInputs:
    """What a deployment on AWS may be given; every field may be left out.

    Args:
        account_id: The account; nothing is deployed to another one, and the bucket is named after it too.
        availability_zones: Zones to span, as many as the plan says and such as offer the instance type.
        vpc_cidr: IPv4 block of the VPC to make, /16 to /23, or of the existing one.
        vpc_id: An existing VPC to use; none is made then.
        private_subnet_ids: Its subnets for machines and an internal balancer, in two zones or more.
        public_subnet_ids: Its subnets for a public balancer, in two zones or more.
        certificate_arn: ACM certificate of the endpoint, in the plan's region.
        host_name: Name that the certificate is for; a DNS record for it must point at the balancer.
        ingress_cidrs: Who may connect to the balancer; the VPC where left out, or the world if it is public.
        image_id: Machine image; the newest deep learning base image where left out.
        root_device: The image's root device; that of Ubuntu where left out.
        bucket_name: Name of the model cache's bucket.
        alarm_topic_arn: SNS topic that alarms are sent to.
    """

    account_id: str | None = None
    availability_zones: Sequence[pulumi.Input[str]] | None = None
    vpc_cidr: pulumi.Input[str] | None = None
    vpc_id: pulumi.Input[str] | None = None
    private_subnet_ids: Sequence[pulumi.Input[str]] | None = None
    public_subnet_ids: Sequence[pulumi.Input[str]] | None = None
    certificate_arn: pulumi.Input[str] | None = None
    host_name: str | None = None
    ingress_cidrs: Sequence[pulumi.Input[str]] | None = None
    image_id: pulumi.Input[str] | None = None
    root_device: str | None = None
    bucket_name: pulumi.Input[str] | None = None
    alarm_topic_arn: pulumi.Input[str] | None = None

    @classmethod
    def of(cls, given: "AwsInputs | Mapping[str, Any] | None", where: str = "aws") -> "AwsInputs":
        """Return the inputs from what a program or a stack's configuration gives.

        Args:
            where: Their origin, for the errors, such as ``gpuwright:aws``.

        Raises:
            InputError: With every unknown key and every value of the wrong form.
        """
        if isinstance(given, cls):
            given = {field.name: getattr(given, field.name) for field in dataclasses.fields(cls)}
        if given is None:
            return cls()
        if not isinstance(given, Mapping):
            problem = f"is a {type(given).__name__}, and must map names to values."
            raise InputError.of(where, problem, f"Known are {', '.join(_FORMS)}.")
        if faults := [fault for key, value in given.items() for fault in _faults(str(key), value, where)]:
            raise InputError(faults)
        return cls(**given)


def check(plan: Plan, inputs: AwsInputs, where: str = "aws") -> None:
    """Refuse inputs that do not go with each other or with the plan.

    Raises:
        InputError: With everything that does not.
    """
    faults = [
        *_name_faults(plan),
        *_network_faults(plan, inputs, where),
        *_tls_faults(plan, inputs, where),
        *_arn_faults(plan, inputs, where),
    ]
    if faults:
        raise InputError(faults)


def _name_faults(plan: Plan) -> Iterator[Fault]:
    if plan.name.startswith(RESERVED_NAME_PREFIXES):
        prefix = next(prefix for prefix in RESERVED_NAME_PREFIXES if plan.name.startswith(prefix))
        yield Fault("name", f"is {plan.name!r}, and AWS keeps names in {prefix!r}.", "Choose another name.")


def _network_faults(plan: Plan, inputs: AwsInputs, where: str) -> Iterator[Fault]:
    if inputs.vpc_id is None:
        for name in ("private_subnet_ids", "public_subnet_ids"):
            if getattr(inputs, name) is not None:
                yield Fault(
                    f"{where}: {name}", "is of a VPC that is not named.", "Give vpc_id too, or neither."
                )
        yield from _made_network_faults(plan, inputs, where)
        return
    needed = ("private_subnet_ids", *(("public_subnet_ids",) if plan.network.public else ()))
    for name in needed:
        given = getattr(inputs, name) or ()
        if len(given) < LEAST_ZONES:
            problem = (
                f"names {len(given)} of the VPC's subnets, and the deployment needs {LEAST_ZONES} or more."
            )
            yield Fault(f"{where}: {name}", problem, "Name subnets in different zones.")
    if inputs.availability_zones is not None:
        problem = "is given, but the subnets of an existing VPC lie in zones already."
        yield Fault(f"{where}: availability_zones", problem, "Leave it out.")


def _made_network_faults(plan: Plan, inputs: AwsInputs, where: str) -> Iterator[Fault]:
    zones, wanted = inputs.availability_zones, plan.network.zones
    if zones is not None and len(zones) != wanted:
        problem = f"names {len(zones)}, and a plan for {plan.environment} spans {wanted} zones."
        yield Fault(f"{where}: availability_zones", problem, f"Name {wanted}, or leave it out.")
    for zone in zones or ():
        if isinstance(zone, str) and not zone.startswith(plan.region):
            yield Fault(
                f"{where}: availability_zones", f"{zone!r} is not in {plan.region}.", "Name its own zones."
            )
    if zones is not None and len(set(map(str, zones))) != len(zones):
        yield Fault(f"{where}: availability_zones", "names a zone twice.", "Name each once.")
    if isinstance(inputs.vpc_cidr, str):
        try:
            lay_out(inputs.vpc_cidr, min(wanted, MOST_ZONES), f"{where}: vpc_cidr")
        except InputError as error:
            yield from error.faults
    elif inputs.vpc_cidr is not None:
        problem = "is known only when it is deployed, and the subnets of a new VPC are computed from it."
        yield Fault(f"{where}: vpc_cidr", problem, "Give it as text.")


def _tls_faults(plan: Plan, inputs: AwsInputs, where: str) -> Iterator[Fault]:
    place = f"{where}: certificate_arn"
    if inputs.certificate_arn is None:
        if plan.network.public or plan.environment != "dev":
            what = "a public endpoint" if plan.network.public else f"a {plan.environment} endpoint"
            yield Fault(
                place, f"is missing, and {what} answers over TLS only.", "Give an ACM certificate's ARN."
            )
        if inputs.host_name is not None:
            yield Fault(
                f"{where}: host_name", "needs a certificate.", "Give certificate_arn too, or neither."
            )


def _arn_faults(plan: Plan, inputs: AwsInputs, where: str) -> Iterator[Fault]:
    """Yield the ARNs that the deployment cannot use; a topic may be another account's, a certificate not."""
    for name in ("certificate_arn", "alarm_topic_arn"):
        arn = getattr(inputs, name)
        if not isinstance(arn, str):
            continue
        region, account = arn.split(":")[3:5]
        if region != plan.region:
            problem = f"is of {region}, and the deployment stands in {plan.region}."
            yield Fault(f"{where}: {name}", problem, f"Give one of {plan.region}.")
        if name == "certificate_arn" and inputs.account_id not in (None, account):
            problem = f"is of account {account}, and account_id is {inputs.account_id}."
            yield Fault(f"{where}: {name}", problem, "Give one of that account.")


def _faults(key: str, value: Any, where: str) -> Iterator[Fault]:
    """Yield what is wrong with one value, so far as it is known before deployment."""
    if key not in _FORMS:
        like = near(key, _FORMS)
        fix = f"Did you mean {' or '.join(like)}?" if like else f"Known are {', '.join(_FORMS)}."
        yield Fault(f"{where}: {key}", "is no input of a deployment on AWS.", fix)
        return
    pattern, example = _FORMS[key]
    many = example.startswith("[")
    if value is None or isinstance(value, pulumi.Output):
        return
    if many and (isinstance(value, str) or not isinstance(value, Sequence)):
        yield Fault(f"{where}: {key}", f"is {value!r}, and must be a list.", f"Write {example}.")
        return
    for item in value if many else [value]:
        if isinstance(item, pulumi.Output):
            continue
        if not isinstance(item, str) or not re.fullmatch(pattern, item):
            yield Fault(f"{where}: {key}", f"{item!r} has not the form of one.", f"Write {example}.")
