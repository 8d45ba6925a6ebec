"""A deployment on AWS: all parts, in the order in which each finds what it needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from gpuwright.boot import user_data
from gpuwright.clouds.aws.endpoint import Endpoint
from gpuwright.clouds.aws.fleet import ROOT_DEVICE, Fleet, group_name, hook_name, log_group_name
from gpuwright.clouds.aws.identity import Identity
from gpuwright.clouds.aws.inputs import AwsInputs, check
from gpuwright.clouds.aws.model_cache import ModelCache
from gpuwright.clouds.aws.naming import BUCKET_NAME_LIMIT, applied, bucket_name
from gpuwright.clouds.aws.network import DEFAULT_CIDR, ExistingNetwork, Network
from gpuwright.clouds.aws.scaling import Scaling
from gpuwright.planning import Plan
from gpuwright.planning.tags import MODEL_STORE, to_tags


@dataclass(frozen=True)
class Deployment:
    """What a deployment tells its users."""

    endpoint: pulumi.Output[str]
    bucket: pulumi.Output[str]


def prepare(plan: Plan, given: Any, where: str = "aws") -> AwsInputs:
    """Return the inputs once everything that can go wrong before AWS is asked has been tried.

    Raises:
        InputError: With every fault of the inputs, or of inputs and plan together.
        GpuwrightError: The plan's boot script is too long for AWS.
    """
    inputs = AwsInputs.of(given, where)
    check(plan, inputs, where)
    _user_data(plan, f"s3://{'x' * BUCKET_NAME_LIMIT}/{plan.model.store_prefix}")
    return inputs


def model_store_uri(plan: Plan, inputs: AwsInputs) -> pulumi.Input[str]:
    """Return where the model's files are kept; plain text unless the bucket's name is an output."""
    return applied(_bucket(plan, inputs), lambda bucket: f"s3://{bucket}/{plan.model.store_prefix}")


def deploy(
    parent: pulumi.Resource, name: str, plan: Plan, inputs: AwsInputs, tags: Mapping[str, str]
) -> Deployment:
    """Register every part below a parent, from inputs that were prepared."""
    child = pulumi.ResourceOptions(parent=parent, provider=_provider(parent, name, plan, inputs))
    if inputs.certificate_arn is None:
        pulumi.log.warn("The endpoint answers over plain HTTP. Give certificate_arn for TLS.", parent)
    bucket, store = _bucket(plan, inputs), model_store_uri(plan, inputs)
    network, ways = _network(child, name, plan, inputs, tags)
    cache = ModelCache(
        f"{name}-model-cache",
        region=plan.region,
        bucket_name=bucket,
        protected=plan.operations.deletion_protection,
        tags=tags,
        opts=child,
    )
    identity = Identity(
        f"{name}-identity",
        region=plan.region,
        bucket_name=bucket,
        prefix=plan.model.store_prefix,
        key_arn=cache.key_arn,
        account_id=inputs.account_id,
        log_group_name=log_group_name(plan),
        autoscaling_group_name=group_name(plan),
        tags=tags,
        opts=child,
    )
    endpoint = Endpoint(
        f"{name}-endpoint",
        plan=plan,
        vpc_id=network.vpc_id,
        vpc_cidr=network.vpc_cidr,
        subnet_ids=network.public_subnet_ids if plan.network.public else network.private_subnet_ids,
        certificate_arn=inputs.certificate_arn,
        host_name=inputs.host_name,
        ingress_cidrs=inputs.ingress_cidrs,
        tags=tags,
        after=ways,
        opts=child,
    )
    fleet = Fleet(
        f"{name}-fleet",
        plan=plan,
        user_data=applied(store, lambda uri: _user_data(plan, uri)),
        instance_profile_name=identity.instance_profile_name,
        security_group_id=endpoint.server_security_group_id,
        subnet_ids=network.private_subnet_ids,
        target_group_arn=endpoint.target_group_arn,
        image_id=inputs.image_id,
        root_device=inputs.root_device or ROOT_DEVICE,
        tags={**tags, **to_tags(plan), MODEL_STORE: store},
        after=[*ways, cache, endpoint],
        opts=child,
    )
    Scaling(
        f"{name}-scaling",
        plan=plan,
        autoscaling_group_name=fleet.autoscaling_group_name,
        balancer_arn_suffix=endpoint.balancer_arn_suffix,
        target_group_arn_suffix=endpoint.target_group_arn_suffix,
        alarm_topic_arn=inputs.alarm_topic_arn,
        tags=tags,
        after=[endpoint.listener],
        opts=child,
    )
    return Deployment(endpoint.url, cache.bucket_name)


def _provider(parent: pulumi.Resource, name: str, plan: Plan, inputs: AwsInputs) -> pulumi.ProviderResource:
    """Return the provider that the program gave the component, or one for the plan's region.

    Never the default provider, whose region is the program's business and may be another one.
    """
    given = parent.get_provider("aws:ec2/vpc:Vpc")
    if given is not None:
        return given
    made: pulumi.ProviderResource = aws.Provider(
        f"{name}-aws",
        region=plan.region,
        profile=pulumi.Config("aws").get("profile"),
        allowed_account_ids=[inputs.account_id] if inputs.account_id else None,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return made


def _network(
    child: pulumi.ResourceOptions, name: str, plan: Plan, inputs: AwsInputs, tags: Mapping[str, str]
) -> tuple[Network | ExistingNetwork, list[pulumi.Resource]]:
    """Return the network, made or existing, and what of it must stand before balancer and machines."""
    if inputs.vpc_id is not None:
        cidr = inputs.vpc_cidr or aws.ec2.get_vpc_output(id=inputs.vpc_id, opts=_asking(child)).cidr_block
        private, public = inputs.private_subnet_ids or (), inputs.public_subnet_ids or ()
        return ExistingNetwork(inputs.vpc_id, cidr, private, public), []
    network = Network(
        f"{name}-network",
        region=plan.region,
        zones=plan.network.zones,
        nat_gateways=plan.network.nat_gateways,
        cidr=str(inputs.vpc_cidr or DEFAULT_CIDR),
        availability_zones=inputs.availability_zones,
        tags=tags,
        opts=child,
    )
    return network, [network]


def _bucket(plan: Plan, inputs: AwsInputs) -> pulumi.Input[str]:
    return inputs.bucket_name or bucket_name(plan.name, plan.region, inputs.account_id)


def _asking(child: pulumi.ResourceOptions) -> pulumi.InvokeOptions:
    return pulumi.InvokeOptions(parent=child.parent, provider=child.provider)


def _user_data(plan: Plan, model_store_uri: str) -> str:
    return user_data(
        plan,
        model_store_uri=model_store_uri,
        log_group=log_group_name(plan),
        autoscaling_group_name=group_name(plan),
        lifecycle_hook_name=hook_name(plan),
    )
