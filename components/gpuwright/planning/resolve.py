"""From a spec to a complete request: the user's word first, then the profile's, then a default; and which
it was.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from gpuwright import catalog
from gpuwright.catalog import Model, Profile, Server
from gpuwright.errors import Fault, InputError
from gpuwright.sizing import Decoder, decoder
from gpuwright.sizing.network import request_bytes, response_bytes
from gpuwright.spec import Spec, try_parse_spec

T = TypeVar("T")

DEFAULTS: Mapping[str, Any] = {
    "server": {"name": "vllm"},
    "workload": "online",
    "cloud": "aws",
    "environment": "dev",
    "concurrency": 8,
    "prompt_tokens": 512,
    "output_tokens": 256,
    "duty_cycle": 1.0,
    "public": False,
    "revision": "main",
    "tags": {},
}
DEFAULT_REGION = {
    "aws": "us-east-1",
    "gcp": "us-central1",
    "azure": "eastus",
    "oci": "us-ashburn-1",
    "alibaba": "cn-beijing",
}
REGION_FORM = {
    "aws": r"[a-z]{2}(-[a-z]+)+-[0-9]+",
    "gcp": r"[a-z]+-[a-z]+[0-9]+",
    "azure": r"[a-z]+[0-9]?",
    "oci": r"[a-z]{2}-[a-z]+-[0-9]+",
    "alibaba": r"[a-z]{2}-[a-z]+(-[0-9]+)?",
}
"""How each cloud writes its regions; whether there is such a region, the cloud knows."""
DEFAULT_MAX_MODEL_LEN = 4096
MOST_REQUESTS_PER_SECOND = 1e9
READING_PACE_MS_PER_TOKEN = 100.0
PATIENCE_MS = 2000.0
"""How long a person's request is in flight where the spec sets no targets: two seconds to the first token,
then ten tokens a second, the pace of fast reading. Our choice."""
WORKLOAD_PURCHASE = {"online": "on-demand", "batch": "spot", "dev": "on-demand", "edge": "on-demand"}
"""Source: document A, choice of instance by load pattern: batch work runs on spot."""


@dataclass(frozen=True)
class Request:
    """A spec with nothing left out; every name looked up.

    Args:
        architecture: The model as read from a config.json; None where it is a row of the catalog.
        origins: For each field, where its value came from.
    """

    name: str
    model: Decoder
    architecture: Model | None
    revision: str
    weights_precision: str
    kv_cache_precision: str
    server: Server
    workload: str
    max_model_len: int
    prompt_tokens: int
    output_tokens: int
    concurrency: int
    requests_per_second: float | None
    time_to_first_token_ms: float | None
    time_per_output_token_ms: float | None
    cold_start_seconds: float | None
    duty_cycle: float
    request_bytes: int
    response_bytes: int
    profile: Profile | None
    cloud: str
    region: str
    environment: str
    purchase_option: str
    replicas_min: int | None
    replicas_max: int | None
    budget_usd_per_month: float | None
    public: bool
    tags: dict[str, str]
    origins: dict[str, str]


def resolve(document: Any, where: str = "spec", model: Model | None = None) -> Request:
    """Return the complete request that a spec document makes.

    Args:
        document: The parsed spec, or a Spec.
        where: Name of its origin, for the errors.
        model: The model that `model` names, where it was read from a config.json.

    Raises:
        InputError: With every fault of the document and every name that the catalog lacks.
    """
    if isinstance(document, Spec):
        document = document.model_dump(mode="json", exclude_unset=True)
    spec, faults = try_parse_spec(document, where)
    given = document if isinstance(document, Mapping) else {}
    rows = _Rows(where, given, faults)
    profile = rows.find("profile", lambda name: catalog.profile(name, where=f"{where}: profile"))
    values = _Values(given, profile)
    cloud = values.take("cloud")
    rows.find("cloud", lambda name: catalog.instance_types(name, where=f"{where}: cloud"))
    row = model or rows.find("model", lambda name: catalog.model(name, where=f"{where}: model"))
    told = {fault.where.removeprefix(f"{where}: ").partition(".")[0] for fault in faults}
    server = None
    if "server" not in told:
        server = rows.look_up(
            lambda: catalog.deployable_server(
                values.take("server.name"), values.take("server.version"), where=f"{where}: server"
            )
        )
    if "region" not in told:
        faults += _region_faults(cloud, values.take("region"), where)
    if row is not None:
        faults += _length_faults(row, values, where)
    sized = rows.look_up(lambda: decoder(row, f"{where}: model")) if row is not None else None
    if spec is None or faults or row is None or sized is None or server is None:
        raise InputError(faults)
    region = values.take("region") or values.note("region", DEFAULT_REGION[cloud], f"default for {cloud}")
    weights = values.take("weights_precision") or values.note(
        "weights_precision", row.dtype or "bf16", "the published weights"
    )
    cache = values.take("kv_cache_precision") or values.note(
        "kv_cache_precision", "fp16" if weights == "fp16" else "bf16", "the weights' 16-bit format"
    )
    return Request(
        name=spec.name,
        model=sized,
        architecture=model,
        revision=values.take("revision"),
        weights_precision=weights,
        kv_cache_precision=cache,
        server=server,
        workload=values.take("workload"),
        max_model_len=_max_model_len(values, row),
        prompt_tokens=values.take("prompt_tokens"),
        output_tokens=values.take("output_tokens"),
        concurrency=_concurrency(values),
        requests_per_second=values.take("requests_per_second"),
        time_to_first_token_ms=values.take("latency.time_to_first_token_ms"),
        time_per_output_token_ms=values.take("latency.time_per_output_token_ms"),
        cold_start_seconds=values.take("cold_start_seconds"),
        duty_cycle=values.take("duty_cycle"),
        request_bytes=values.take("request_bytes") or request_bytes(values.take("prompt_tokens")),
        response_bytes=values.take("response_bytes") or response_bytes(values.take("output_tokens")),
        profile=profile,
        cloud=cloud,
        region=region,
        environment=values.take("environment"),
        purchase_option=values.take("purchase_option")
        or values.note(
            "purchase_option", WORKLOAD_PURCHASE[values.take("workload")], "default for the workload"
        ),
        replicas_min=values.take("replicas.min"),
        replicas_max=values.take("replicas.max"),
        budget_usd_per_month=values.take("budget_usd_per_month"),
        public=values.take("public"),
        tags=dict(values.take("tags")),
        origins=values.origins,
    )


def answer_seconds(first_ms: float | None, token_ms: float | None, output_tokens: int) -> float:
    """Return how long an answer may take: by the latency targets, or by a reader's patience where there are none."""
    token = token_ms or READING_PACE_MS_PER_TOKEN
    return ((first_ms or PATIENCE_MS) + output_tokens * token) / 1000


def _concurrency(values: _Values) -> int:
    """Return the requests in flight: the spec's word, else what its rate keeps in flight (Little's law), else a
    default.
    """
    rate: float | None = values.take("requests_per_second")
    given: int = values.take("concurrency")
    if rate is None or values.origins["concurrency"] == "spec":
        return given
    first, token = (values.take(f"latency.time_{each}_ms") for each in ("to_first_token", "per_output_token"))
    in_flight = math.ceil(
        min(rate, MOST_REQUESTS_PER_SECOND) * answer_seconds(first, token, values.take("output_tokens"))
    )
    return values.note("concurrency", in_flight, "requests_per_second over the time that an answer may take")


def _max_model_len(values: _Values, model: Model) -> int:
    given: int | None = values.take("max_model_len")
    if given is not None:
        return given
    typical = values.take("prompt_tokens") + values.take("output_tokens")
    longest = min(model.max_position or DEFAULT_MAX_MODEL_LEN, max(DEFAULT_MAX_MODEL_LEN, typical))
    chosen: int = values.note("max_model_len", longest, "default, within the model's own")
    return chosen


def _region_faults(cloud: Any, region: Any, where: str) -> Iterator[Fault]:
    """Find a region that is written as another cloud's."""
    form = REGION_FORM.get(cloud) if isinstance(cloud, str) else None
    if form and isinstance(region, str) and not re.fullmatch(form, region):
        fix = f"Write one of its own, such as {DEFAULT_REGION[cloud]}."
        yield Fault(f"{where}: region", f"is {region!r}, and regions of {cloud} are not written so.", fix)


def _length_faults(model: Model, values: _Values, where: str) -> Iterator[Fault]:
    """Find a context that is longer than the model's, and a typical request that is longer than the context."""
    if model.kind != "decoder":
        return  # it is refused for that
    longest, asked = model.max_position, values.take("max_model_len")
    if longest and isinstance(asked, int) and asked > longest:
        yield Fault(
            f"{where}: max_model_len",
            f"is {asked}, and {model.id} was trained for at most {longest} tokens.",
            f"Lower it to {longest}, or choose a model with a longer context.",
        )
        return
    lengths = ("max_model_len", "prompt_tokens", "output_tokens")
    prompt, output = (values.take(each) for each in lengths[1:])
    limit = asked or longest
    if not all(isinstance(each, int) for each in (limit, prompt, output)) or prompt + output <= limit:
        return
    if all(values.origins.get(each) == "spec" for each in lengths):
        return  # the spec contradicts itself, and has been told so
    whose = (
        f"max_model_len is {limit} ({values.origins['max_model_len']})"
        if asked
        else f"{model.id} takes {limit}"
    )
    yield Fault(
        f"{where}: prompt_tokens",
        f"and output_tokens make a typical request of {prompt} + {output} tokens, but {whose}.",
        "Lower them, or raise max_model_len as far as the model goes.",
    )


@dataclass(frozen=True)
class _Rows:
    """Looks names up and keeps the faults of those that are not found."""

    where: str
    document: Mapping[str, Any]
    faults: list[Fault]

    def find(self, field: str, look_up: Callable[[str], T]) -> T | None:
        """Return the row that the field names; None where it is left out, no text, or unknown."""
        name = self.document.get(field)
        return self.look_up(lambda: look_up(name)) if isinstance(name, str) else None

    def look_up(self, get: Callable[[], T]) -> T | None:
        """Return what is found; keep the faults where it is not."""
        try:
            return get()
        except InputError as error:
            self.faults.extend(error.faults)
            return None


class _Values:
    """The values of a spec in layers, and where each one taken came from."""

    def __init__(self, document: Mapping[str, Any], profile: Profile | None) -> None:
        self.origins: dict[str, str] = {"name": "spec", "model": "spec"}
        self._layers = [("spec", document), ("default", DEFAULTS)]
        if profile is not None:
            self._layers.insert(1, (f"profile {profile.name}", profile.defaults))

    def take(self, path: str) -> Any:
        """Return the value at a dotted path from the first layer that has one, or None."""
        for origin, layer in self._layers:
            value: Any = layer
            for key in path.split("."):
                value = value.get(key) if isinstance(value, Mapping) else None
            if value is not None:
                self.origins[path] = origin
                return value
        return None

    def note(self, path: str, value: T, origin: str) -> T:
        """Return a value that was worked out, and remember how."""
        self.origins[path] = origin
        return value
