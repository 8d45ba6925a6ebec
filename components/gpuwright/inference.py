"""GpuInference: the component resource that others import; a spec or a plan in, an endpoint out."""

import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
from pydantic import ValidationError

from gpuwright.clouds.aws.inputs import AwsInputs
from gpuwright.errors import EnvironmentLackError, Fault, InputError
from gpuwright.planning import Plan, plan_document
from gpuwright.planning.tags import PLAN_DIGEST, PREFIX
from gpuwright.spec import Spec

__all__ = ["AwsInputs", "GpuInference", "GpuInferenceArgs", "common_tags", "plan_of_program"]


@dataclass(frozen=True)
class GpuInferenceArgs:
    """What GpuInference is given: a spec or a plan, and what only the cloud knows.

    Args:
        spec: The request, as in a spec file.
        plan: A plan made before, as ``gpuwright plan --format json`` prints it.
        aws: Inputs of a deployment on AWS.
    """

    spec: Mapping[str, Any] | None = None
    plan: Mapping[str, Any] | None = None
    aws: AwsInputs | None = None


_NOTHING = GpuInferenceArgs()


class GpuInference(pulumi.ComponentResource):
    """A model served at an endpoint: network, model cache, identity, fleet, balancer, scaling and alarms."""

    endpoint: pulumi.Output[str]
    bucket: pulumi.Output[str]
    instance_type: pulumi.Output[str]
    cost_usd_per_hour: pulumi.Output[float]
    cost_usd_per_1000_inferences: pulumi.Output[float]
    plan_digest: pulumi.Output[str]
    plan: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: GpuInferenceArgs = _NOTHING,  # not optional: component packages take a class and nothing else
        opts: pulumi.ResourceOptions | None = None,
        *,
        spec: Any = None,
        plan: Any = None,
        aws: Any = None,
    ) -> None:
        """Register the deployment.

        Args:
            args: The inputs as one object; or give them by keyword.
            spec: A mapping as in a spec file, or a Spec.
            plan: A Plan, or its JSON mapping.
            aws: AwsInputs, or a mapping of them.

        Raises:
            InputError: With every fault; nothing is registered then.
            NothingFitsError: No shape of the cloud satisfies the spec.
        """
        given = {**_fields(args), **_present(spec=spec, plan=plan, aws=aws)}
        decided = _decided(given)
        cloud = _cloud(decided.cloud)
        inputs = cloud.prepare(decided, given.get(decided.cloud), decided.cloud)
        store = cloud.model_store_uri(decided, inputs)
        super().__init__("gpuwright:index:GpuInference", name, _intent(decided, store), opts)
        for warning in decided.warnings:
            pulumi.log.warn(warning, self)
        deployment = cloud.deploy(self, name, decided, inputs, common_tags(decided))
        self.endpoint, self.bucket = deployment.endpoint, deployment.bucket
        self.instance_type = pulumi.Output.from_input(decided.instance_type)
        self.cost_usd_per_hour = pulumi.Output.from_input(decided.cost.usd_per_hour)
        self.cost_usd_per_1000_inferences = pulumi.Output.from_input(decided.cost.usd_per_1000_inferences)
        self.plan_digest = pulumi.Output.from_input(decided.digest)
        self.plan = pulumi.Output.from_input(json.dumps(decided.to_json()))
        self.register_outputs({key: getattr(self, key) for key in GpuInference.__annotations__})


def plan_of_program(document: Any, where: str = "spec") -> Plan:
    """Return the plan for a spec that a program holds; a model's path is relative to the project's root.

    Raises:
        InputError: With every fault of the spec.
        NothingFitsError: No shape of the cloud satisfies it.
    """
    from gpuwright.documents import spec_document

    read = spec_document(document, where, Path(pulumi.get_root_directory()))
    return plan_document(read.document, read.where, read.model)


def common_tags(plan: Plan) -> dict[str, str]:
    """Return the tags of everything that belongs to a deployment, the user's own included."""
    ours = {"deployment": plan.name, "environment": plan.environment, "stack": pulumi.get_stack()}
    return {**plan.tags, **{f"{PREFIX}{key}": value for key, value in ours.items()}, PLAN_DIGEST: plan.digest}


def _decided(given: Mapping[str, Any]) -> Plan:
    """Return the plan given, or the one made of the spec given."""
    spec, plan = given.get("spec"), given.get("plan")
    if (spec is None) == (plan is None):
        what = "neither spec nor plan is" if spec is None else "both spec and plan are"
        raise InputError.of("GpuInference", f"{what} given.", "Give one of them.")
    if isinstance(plan, Plan):
        return plan
    if plan is not None:
        return _plan_from_json(plan)
    return plan_of_program(spec if isinstance(spec, Spec) else _whole_numbers(spec))


def _plan_from_json(document: Any) -> Plan:
    try:
        return Plan.from_json(_whole_numbers(document))
    except ValidationError as error:
        fix = "Give what `gpuwright plan --format json` prints."
        faults = [
            Fault(f"plan: {'.'.join(map(str, each['loc']))}", f"{each['msg'].lower()}.", fix)
            for each in error.errors()
        ]
        raise InputError(faults) from None
    except AttributeError:
        problem = f"is a {type(document).__name__}, and must map names to values."
        raise InputError.of("plan", problem, "Give a Plan, or its JSON mapping.") from None


def _cloud(name: str) -> Any:
    """Return the module that deploys to a cloud, found by the cloud's name."""
    try:
        return importlib.import_module(f"gpuwright.clouds.{name}.deployment")
    except ModuleNotFoundError as error:
        if str(error.name).startswith("gpuwright"):
            problem = f"is {name!r}, for which there are plans, but no component yet."
            raise InputError.of("cloud", problem, "Use aws.") from None
        text = f"A deployment to {name} needs {error.name}. Install it with: pip install 'gpuwright[{name}]'."
        raise EnvironmentLackError(text) from error


def _intent(plan: Plan, model_store_uri: pulumi.Input[str]) -> dict[str, Any]:
    """Return what policies judge in a preview; it goes through untranslated, so in Pulumi's own case."""
    return {
        "model": plan.model.id,
        "weightsPrecision": plan.weights_precision,
        "kvCachePrecision": plan.kv_cache_precision,
        "maxModelLen": plan.max_model_len,
        "promptTokens": plan.prompt_tokens,
        "outputTokens": plan.output_tokens,
        "concurrency": plan.performance.concurrency_per_replica,
        "cloud": plan.cloud,
        "region": plan.region,
        "environment": plan.environment,
        "instanceType": plan.instance_type,
        "acceleratorName": plan.accelerator.name,
        "acceleratorCount": plan.accelerator.count,
        "tensorParallelSize": plan.tensor_parallel_size,
        "replicasMin": plan.replicas.min,
        "replicasMax": plan.replicas.max,
        "purchaseOption": plan.purchase_option,
        "diskGb": plan.disk.size_gb,
        "modelStore": model_store_uri,
        "planDigest": plan.digest,
    }


def _fields(args: Any) -> dict[str, Any]:
    """Return the arguments by name: a component package hands over a dict, whatever the annotation."""
    return _present(**(args if isinstance(args, Mapping) else vars(args)))


def _present(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _whole_numbers(value: Any) -> Any:
    """Return the document with whole numbers as integers: the engine's wire knows floats only."""
    if isinstance(value, Mapping):
        return {key: _whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_whole_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
