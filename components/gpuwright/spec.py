"""What the user asks for: a short document, every field described, all of its faults told at once."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr, StringConstraints, ValidationError

from gpuwright.errors import Fault, InputError, near

WeightsPrecision = Literal["bf16", "fp16", "fp32", "fp8", "int8", "awq", "gptq", "mxfp4"]
KvCachePrecision = Literal["bf16", "fp16", "fp8"]
Workload = Literal["online", "batch", "dev", "edge"]
Environment = Literal["dev", "staging", "prod"]
PurchaseOption = Literal["on-demand", "spot"]

PositiveInt = Annotated[int, Field(strict=True, gt=0)]
PositiveFloat = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, gt=0, le=1, allow_inf_nan=False)]
Name = Annotated[StrictStr, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=24)]
TagKey = Annotated[StrictStr, StringConstraints(pattern=r"^[A-Za-z0-9 +=._:/@-]{1,128}$")]
TagValue = Annotated[StrictStr, StringConstraints(pattern=r"^[A-Za-z0-9 +=._:/@-]{0,256}$")]

# Pydantic's words for a type that was not given, in the words of YAML.
_MUST_BE = {
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "text; put it in quotes",
    "bool_type": "true or false",
    "dict_type": "a mapping of names to values",
    "model_type": "a mapping of names to values",
}

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60
_SHORT.maxlevel = 2
RESERVED_TAG_PREFIXES = ("aws:", "gpuwright:")


class Document(BaseModel):
    """A part of a spec: frozen, and refusing keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), defer_build=True)


class ServerChoice(Document):
    """The inference server."""

    name: Literal["vllm"] | None = Field(default=None, description="The inference server to run.")
    version: StrictStr | None = Field(
        default=None, description="A version that the catalog has; the newest where left out."
    )


class LatencyTargets(Document):
    """What a caller must not wait longer for; a shape that is estimated slower is turned down."""

    time_to_first_token_ms: PositiveFloat | None = Field(
        default=None, description="Longest wait for the first token, in milliseconds, without queueing."
    )
    time_per_output_token_ms: PositiveFloat | None = Field(
        default=None, description="Longest time between two tokens of one answer, in milliseconds."
    )


class ReplicaRange(Document):
    """How many replicas the fleet may have."""

    min: PositiveInt | None = Field(default=None, description="Replicas that always run.")
    max: PositiveInt | None = Field(default=None, description="Replicas that the fleet may grow to.")


class Spec(Document):
    """A request to serve one model to some number of people."""

    name: Name = Field(
        description="Name of the deployment; resources are named after it. At most 24 lower-case letters, "
        "digits and single hyphens, a letter first."
    )
    model: StrictStr = Field(
        description="The model: an id of the catalog, or the path of its Hugging Face config.json."
    )
    revision: Annotated[StrictStr, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")] | None = Field(
        default=None,
        description="Revision of the model's weights: a branch, tag or commit of its repository.",
    )
    weights_precision: WeightsPrecision | None = Field(
        default=None, description="Number format of the weights, or the quantization that they are stored in."
    )
    kv_cache_precision: KvCachePrecision | None = Field(
        default=None, description="Number format of the KV cache, which may differ from the weights'."
    )
    server: ServerChoice | None = Field(default=None, description="The inference server and its version.")
    workload: Workload | None = Field(
        default=None,
        description="Load pattern: a service, offline batches, development, or a light edge deployment.",
    )
    max_model_len: PositiveInt | None = Field(
        default=None, description="Longest prompt plus answer, in tokens, that the server accepts."
    )
    prompt_tokens: PositiveInt | None = Field(default=None, description="Tokens of a typical prompt.")
    output_tokens: PositiveInt | None = Field(default=None, description="Tokens of a typical answer.")
    concurrency: PositiveInt | None = Field(
        default=None, description="Requests in flight at the same time, over all replicas."
    )
    requests_per_second: PositiveFloat | None = Field(
        default=None, description="Requests that arrive per second, over all replicas."
    )
    latency: LatencyTargets | None = Field(default=None, description="Latency targets.")
    cold_start_seconds: PositiveFloat | None = Field(
        default=None,
        description="Longest time from a machine's power-on to its first token, in seconds: decides the disk's "
        "throughput, and a shape that is estimated slower is turned down.",
    )
    duty_cycle: Share | None = Field(
        default=None,
        description="Part of the time that the load is there, above 0 to 1: 0.25 for working hours. Machines that "
        "run without load cost as much.",
    )
    request_bytes: PositiveInt | None = Field(
        default=None,
        description="Bytes of a typical request, such as an image; those of the prompt's text where left out.",
    )
    response_bytes: PositiveInt | None = Field(
        default=None, description="Bytes of a typical answer; those of its streamed tokens where left out."
    )
    profile: StrictStr | None = Field(
        default=None,
        description="A named set of defaults from the catalog, which fills in what the spec leaves out.",
    )
    cloud: StrictStr | None = Field(default=None, description="The cloud to rent from.")
    region: Annotated[StrictStr, StringConstraints(pattern=r"^[a-z]+\d*(-[a-z]+)*-?\d*$")] | None = Field(
        default=None, description="The cloud's region."
    )
    environment: Environment | None = Field(
        default=None,
        description="What the deployment is for; it decides zones, NAT gateways, replicas and protection.",
    )
    purchase_option: PurchaseOption | None = Field(
        default=None,
        description="How machines are paid for: on-demand, or spot (cheaper, interrupted at short notice).",
    )
    replicas: ReplicaRange | None = Field(
        default=None, description="Smallest and largest number of replicas."
    )
    budget_usd_per_month: PositiveFloat | None = Field(
        default=None, description="Most that the machines may cost in a month of 730 hours, in US dollars."
    )
    public: StrictBool | None = Field(
        default=None,
        description="Whether the endpoint is reachable from the internet; internal unless asked.",
    )
    tags: dict[TagKey, TagValue] | None = Field(
        default=None, description="Tags to put on every resource, beside our own."
    )


def parse_spec(document: Any, where: str = "spec") -> Spec:
    """Return the document as a spec.

    Args:
        document: The parsed YAML or JSON.
        where: Name of its origin, such as a file name, for the errors.

    Raises:
        InputError: With every fault of the document.
    """
    spec, faults = try_parse_spec(document, where)
    if spec is None or faults:
        raise InputError(faults)
    return spec


def try_parse_spec(document: Any, where: str) -> tuple[Spec | None, list[Fault]]:
    """Return the spec, or None, and every fault of the document, so that a caller can add those it finds."""
    if not isinstance(document, Mapping):
        named = {str: "text", list: "a list", int: "a number", float: "a number"}
        what = "nothing" if document is None else named.get(type(document), f"a {type(document).__name__}")
        fix = "Write at least `name:` and `model:`; `gpuwright schema spec` prints every field."
        return None, [Fault(where, f"holds {what}, and a spec is a mapping of fields to values.", fix)]
    if {"schema_version", "instance_type"} <= set(document):
        fix = "Give the spec that it was made of; `gpuwright check` judges a plan."
        return None, [Fault(where, "is a plan, and not the spec that one is made of.", fix)]
    faults = list(_inconsistencies(document, where))
    try:
        return Spec.model_validate(document), faults
    except ValidationError as error:
        return None, [_fault(problem, where) for problem in error.errors()] + faults


def _inconsistencies(document: Mapping[str, Any], where: str) -> Iterator[Fault]:
    """Find the faults that lie between fields, so far as the fields are whole numbers."""

    def number(*path: str) -> int | None:
        value: Any = document
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None

    longest, prompt, output = number("max_model_len"), number("prompt_tokens"), number("output_tokens")
    if longest and prompt and output and prompt + output > longest:
        yield Fault(
            f"{where}: max_model_len",
            f"is {longest}, but a typical request has {prompt} + {output} = {prompt + output} tokens.",
            f"Raise max_model_len to {prompt + output} or more, or lower prompt_tokens or output_tokens.",
        )
    least, most = number("replicas", "min"), number("replicas", "max")
    if least and most and least > most:
        yield Fault(
            f"{where}: replicas",
            f"min is {least} and max is {most}, and min must not be above max.",
            f"Raise replicas.max to {least}, or lower replicas.min to {most}.",
        )
    tags = document.get("tags")
    for key in tags if isinstance(tags, Mapping) else ():
        if str(key).lower().startswith(RESERVED_TAG_PREFIXES):
            yield Fault(f"{where}: tags.{key}", "begins with a reserved prefix.", "Choose another key.")


def _fault(problem: Any, where: str) -> Fault:
    """Turn one of pydantic's error records into a fault."""
    path = [part for part in problem["loc"] if part != "[key]"]
    place = f"{where}: {_dotted(path)}"
    kind, given, limits = problem["type"], problem["input"], problem.get("ctx", {})
    if kind == "extra_forbidden":
        known = _known_keys(path[:-1])
        like = near(str(path[-1]), known)
        fix = f"Did you mean {' or '.join(like)}?" if like else f"Known here are {', '.join(known)}."
        return Fault(place, f"is no field of a spec (given {_shown(given)}).", fix)
    if kind == "missing":
        return Fault(place, "is missing, and a spec needs it.", f"Add `{path[-1]}: …`: {_description(path)}")
    if kind == "literal_error":
        allowed = str(limits["expected"]).replace("'", "")
        like = near(str(given), re.split(r", | or ", allowed))
        fix = f"Did you mean {' or '.join(like)}?" if like else f"Use {allowed}."
        return Fault(place, f"is {_shown(given)}, and must be {allowed}.", fix)
    if kind == "string_pattern_mismatch":
        what = _description(path)
        return Fault(place, f"is {_shown(given)}, which does not match {limits['pattern']}.", f"{what}")
    words = f"must be {_MUST_BE[kind]}" if kind in _MUST_BE else str(problem["msg"])
    message = words.replace("Input should be", "must be").replace("String should", "must")
    message = message[0].lower() + message[1:]
    needed = len(path) == 1 and Spec.model_fields[str(path[0])].is_required()
    do = "Set it right." if needed else "Set it right or leave it out."
    return Fault(place, f"is {_shown(given)}, and {message}.", f"{do} {_description(path)}")


def _shown(value: Any) -> str:
    return _SHORT.repr(value)


def _dotted(path: list[Any]) -> str:
    return ".".join(str(part) for part in path) or "(whole document)"


def _node(path: list[Any]) -> type[Document]:
    node: type[Document] = Spec
    for part in path:
        annotation = node.model_fields[str(part)].annotation if str(part) in node.model_fields else None
        inner = next((arg for arg in getattr(annotation, "__args__", ()) if _is_document(arg)), None)
        if inner is None:
            return node
        node = inner
    return node


def _is_document(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Document)


def _known_keys(path: list[Any]) -> list[str]:
    return list(_node(path).model_fields)


def _description(path: list[Any]) -> str:
    """Return what the field of that path is for; for a tag, what tags are for."""
    for length in range(len(path), 0, -1):
        field = _node(path[: length - 1]).model_fields.get(str(path[length - 1]))
        if field is not None:
            return (field.description or "").strip()
    return ""
