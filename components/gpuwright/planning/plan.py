"""The plan: every decision taken, frozen, printable, complete. Components and templates read it and decide
nothing.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from functools import cache, cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from gpuwright.catalog import Model
from gpuwright.catalog.record import Record

SCHEMA_VERSION: Literal["1"] = "1"


class PlannedModel(Record):
    """The model, and where its files are kept."""

    id: Annotated[str, Field(description="Name in the catalog, or the path of its config.json.")]
    revision: Annotated[str, Field(description="Revision of its weights.")]
    params_total: Annotated[int, Field(description="Number of parameters.")]
    store_prefix: Annotated[
        str,
        Field(
            description="Prefix of the model cache that holds this model and revision, no slash at the end."
        ),
    ]
    architecture: Annotated[
        Model | None,
        Field(description="What its config.json says, where the model is no row of the catalog."),
    ] = None


class PlannedAccelerator(Record):
    """The accelerators of one machine."""

    name: Annotated[str, Field(description="Device name.")]
    count: Annotated[int, Field(description="Devices in one machine.")]
    memory_gib: Annotated[int, Field(description="Memory of one device as in its data sheet, GiB.")]


class PlannedServer(Record):
    """The inference server, and exactly how it is started."""

    name: Annotated[str, Field(description="The inference server.")]
    version: Annotated[str, Field(description="Its version.")]
    image: Annotated[str, Field(description="Container image by digest.")]
    arguments: Annotated[tuple[str, ...], Field(description="Arguments of the server, one a word.")]
    port: Annotated[int, Field(description="TCP port that it listens on.")]
    health_path: Annotated[str, Field(description="Path that answers 200 while the server is healthy.")]


class PlannedDisk(Record):
    """The system disk."""

    type: Annotated[str, Field(description="The cloud's volume type; always an SSD.")]
    size_gb: Annotated[int, Field(description="Size, GB.")]
    required_gb: Annotated[int, Field(description="What image, model copies, caches and logs need, GB.")]
    iops: Annotated[int, Field(description="Provisioned I/O per second.")]
    throughput_mib_per_s: Annotated[int, Field(description="Provisioned throughput, MiB/s.")]
    basis: Annotated[str, Field(description="How far required_gb can be trusted; the rest follows from it.")]


class PlannedNetwork(Record):
    """The network that the machines stand in."""

    zones: Annotated[int, Field(description="Availability zones that the subnets span.")]
    nat_gateways: Annotated[int, Field(description="NAT gateways, each in a zone of its own.")]
    public: Annotated[bool, Field(description="Whether the endpoint is reachable from the internet.")]
    bandwidth_mbps: Annotated[
        float, Field(description="Bandwidth that requests and answers take at the planned rate, Mbit/s.")
    ]
    bandwidth_basis: Annotated[str, Field(description="How far the bandwidth can be trusted.")]
    request_bytes: Annotated[int, Field(description="Bytes of a typical request.")]
    response_bytes: Annotated[int, Field(description="Bytes of a typical answer.")]
    required_mbps: Annotated[
        float,
        Field(description="Bandwidth to have: no less than is taken, and than the documents ask, Mbit/s."),
    ]
    transfer_seconds: Annotated[
        float, Field(description="Time of one request and its answer at that bandwidth.")
    ]
    idle_timeout_seconds: Annotated[
        int, Field(description="Silence after which the balancer closes a connection.")
    ]
    deregistration_delay_seconds: Annotated[
        int, Field(description="Time that open answers get when a machine is taken out.")
    ]


class PlannedHost(Record):
    """What the server needs of the machine around its accelerators; the larger of need and documented ratio."""

    vcpus_needed: Annotated[int, Field(description="Virtual CPUs.")]
    memory_gib_needed: Annotated[float, Field(description="System memory, GiB.")]
    numa_nodes: Annotated[int | None, Field(description="NUMA nodes of the machine; none: not known.")]
    basis: Annotated[str, Field(description="How far the needs can be trusted.")]


class PlannedSizing(Record):
    """Memory of one replica, over all of its accelerators."""

    weights_gib: Annotated[float, Field(description="Weights as loaded, GiB.")]
    kv_cache_bytes_per_token: Annotated[
        int, Field(description="KV cache of one token over all layers, bytes.")
    ]
    kv_cache_gib: Annotated[float, Field(description="KV cache that the load needs, GiB.")]
    kv_cache_tokens: Annotated[int, Field(description="Tokens that the KV cache holds.")]
    activations_gib: Annotated[float, Field(description="Peak of the activations, GiB.")]
    runtime_gib: Annotated[
        float, Field(description="CUDA context, libraries and communication buffers, GiB.")
    ]
    total_gib: Annotated[float, Field(description="Sum of weights, KV cache, activations and runtime, GiB.")]
    usable_gib: Annotated[float, Field(description="What the server may use, GiB.")]
    gpu_memory_utilization: Annotated[
        float, Field(description="Fraction of the device's memory that the server is started with.")
    ]
    max_concurrency: Annotated[
        int, Field(description="Typical requests that the KV cache holds at the same time.")
    ]
    basis: Annotated[dict[str, str], Field(description="How far each number can be trusted.")]


class PlannedPerformance(Record):
    """What one replica does at its share of the load."""

    concurrency_per_replica: Annotated[int, Field(description="Requests in flight in one replica.")]
    time_to_first_token_ms: Annotated[
        float, Field(description="Estimated, without queueing before admission.")
    ]
    time_per_output_token_ms: Annotated[float, Field(description="Estimated.")]
    output_tokens_per_second: Annotated[float, Field(description="Estimated, of one replica.")]
    requests_per_second: Annotated[float, Field(description="Estimated, of one replica.")]
    roofline_output_tokens_per_second: Annotated[
        float, Field(description="What the hardware cannot exceed, of one replica.")
    ]
    basis: Annotated[str, Field(description="How far these can be trusted.")]


class PlannedStep(Record):
    """One step of the cold start."""

    name: Annotated[str, Field(description="What happens.")]
    seconds: Annotated[int, Field(description="How long it takes.")]
    basis: Annotated[str, Field(description="How far the number can be trusted.")]


class PlannedReplicas(Record):
    """How many replicas the fleet has; a replica is one machine."""

    min: Annotated[int, Field(description="Replicas that always run.")]
    max: Annotated[int, Field(description="Replicas that the fleet may grow to.")]


class PlannedPart(Record):
    """One line of the bill."""

    name: Annotated[str, Field(description="What is billed.")]
    usd_per_month: Annotated[float, Field(description="For an average month.")]


class PlannedPurchase(Record):
    """One way to pay for the machines."""

    option: Annotated[str, Field(description="on-demand, spot, reserved-1-year or reserved-3-years.")]
    instance_usd_per_hour: Annotated[float, Field(description="One machine for an hour.")]
    usd_per_month: Annotated[
        float, Field(description="All machines; reserved ones are paid for whether they run or not.")
    ]
    break_even_months: Annotated[
        float | None, Field(description="Months of use from which it is cheaper than on-demand; none: never.")
    ]
    basis: Annotated[str, Field(description="How far the price can be trusted.")]


class PlannedBand(Record):
    """How far the whole bill may be off, and why."""

    usd_per_month_low: Annotated[float, Field(description="A month in the good case.")]
    usd_per_month_high: Annotated[float, Field(description="A month in the bad case.")]
    usd_per_1000_inferences_low: Annotated[float, Field(description="1,000 requests in the good case.")]
    usd_per_1000_inferences_high: Annotated[float, Field(description="1,000 requests in the bad case.")]
    reasons: Annotated[tuple[str, ...], Field(description="What may turn out otherwise.")]


class PlannedCost(Record):
    """What the deployment costs: the machines alone, and all of it (`all_in`) at the load's duty cycle."""

    usd_per_hour: Annotated[float, Field(description="The replicas that the load needs, for an hour.")]
    usd_per_month: Annotated[float, Field(description="The same for 730 hours.")]
    usd_per_1000_inferences: Annotated[
        float, Field(description="Price of 1,000 requests at the planned rate.")
    ]
    requests_per_second: Annotated[float, Field(description="The planned rate, over all replicas.")]
    instance_usd_per_hour: Annotated[float, Field(description="One machine for an hour.")]
    price_region: Annotated[str, Field(description="Region that the price is of.")]
    price_date: Annotated[str, Field(description="Date of the price, or `undated`.")]
    basis: Annotated[str, Field(description="How far the price can be trusted.")]
    usd_per_million_tokens: Annotated[
        float,
        Field(description="Machines alone: a million tokens of prompts and answers at the planned rate."),
    ]
    duty_cycle: Annotated[float, Field(description="Part of the time that the load is there.")]
    idle_share: Annotated[
        float, Field(description="Part of what is paid for machines in which no load is there.")
    ]
    usd_per_hour_all_in: Annotated[float, Field(description="Everything, for an average hour.")]
    usd_per_month_all_in: Annotated[float, Field(description="The same for 730 hours.")]
    usd_per_1000_inferences_all_in: Annotated[
        float, Field(description="Everything, for 1,000 requests at the duty cycle.")
    ]
    usd_per_million_tokens_all_in: Annotated[
        float, Field(description="Everything, for a million tokens at the duty cycle.")
    ]
    parts: Annotated[tuple[PlannedPart, ...], Field(description="The bill, line by line.")]
    purchases: Annotated[tuple[PlannedPurchase, ...], Field(description="The ways to pay for the machines.")]
    band: PlannedBand
    services_price_date: Annotated[
        str | None,
        Field(description="Oldest date among the prices beside the machines, or `undated`; none: not known."),
    ]
    prices_outdated: Annotated[
        bool | None,
        Field(description="Whether a price is older than 120 days or undated; none: not judged."),
    ]


class Operations(Record):
    """What the environment and the cold start decide about running it."""

    deletion_protection: Annotated[
        bool, Field(description="Whether balancer and data are protected from deletion.")
    ]
    log_retention_days: Annotated[int, Field(description="Days that logs are kept.")]
    requests_per_target_per_minute: Annotated[
        int, Field(description="Requests per replica and minute that scaling aims at.")
    ]
    max_request_seconds: Annotated[int, Field(description="Longest answer that the plan expects, seconds.")]


class Rejected(Record):
    """A shape that was turned down."""

    instance_type: Annotated[str, Field(description="The shape.")]
    rule: Annotated[str, Field(description="Id of the rule, or name of the number, that turned it down.")]
    detail: Annotated[str, Field(description="What is, and what must be.")]
    also: Annotated[tuple[str, ...], Field(description="What else it breaks or misses.")] = ()
    usd_per_hour: Annotated[float | None, Field(description="Price of one machine.")] = None


class Plan(Record):
    """Every decision for one deployment."""

    schema_version: Literal["1"] = SCHEMA_VERSION
    name: Annotated[str, Field(description="Name of the deployment.")]
    environment: Annotated[str, Field(description="dev, staging or prod.")]
    workload: Annotated[str, Field(description="Load pattern.")]
    cloud: Annotated[str, Field(description="The cloud.")]
    region: Annotated[str, Field(description="Its region.")]
    model: PlannedModel
    weights_precision: Annotated[str, Field(description="Number format or quantization of the weights.")]
    kv_cache_precision: Annotated[str, Field(description="Number format of the KV cache.")]
    max_model_len: Annotated[int, Field(description="Longest prompt plus answer, tokens.")]
    prompt_tokens: Annotated[int, Field(description="Tokens of a typical prompt.")]
    output_tokens: Annotated[int, Field(description="Tokens of a typical answer.")]
    instance_type: Annotated[str, Field(description="The machine shape.")]
    accelerator: PlannedAccelerator
    vcpus: Annotated[int, Field(description="Virtual CPUs of one machine.")]
    memory_gib: Annotated[float, Field(description="System memory of one machine, GiB.")]
    tensor_parallel_size: Annotated[int, Field(description="Accelerators sharing one layer.")]
    replicas: PlannedReplicas
    purchase_option: Annotated[str, Field(description="on-demand or spot.")]
    disk: PlannedDisk
    network: PlannedNetwork
    server: PlannedServer
    operations: Operations
    host: PlannedHost
    sizing: PlannedSizing
    performance: PlannedPerformance
    cold_start: Annotated[
        tuple[PlannedStep, ...], Field(description="Steps from power-on to the first token.")
    ]
    cost: PlannedCost
    tags: Annotated[dict[str, str], Field(description="The user's tags.")]
    origins: Annotated[
        dict[str, str],
        Field(description="Where each value of the spec came from: spec, a profile, or a default."),
    ]
    reasons: Annotated[tuple[str, ...], Field(description="Why it is so, one sentence a decision.")]
    warnings: Annotated[
        tuple[str, ...], Field(description="What the reader should know before deploying.")
    ] = ()
    rejected: Annotated[
        tuple[Rejected, ...], Field(description="The shapes turned down, the cheapest first.")
    ]

    @property
    def cold_start_seconds(self) -> int:
        """Return the estimated time from power-on to the first token."""
        return sum(step.seconds for step in self.cold_start)

    @cached_property
    def digest(self) -> str:
        """Return 16 hexadecimal digits that change when what is deployed changes.

        Prices, estimates and reasons are left out: a new price list must not roll a fleet.
        """
        deployed = {key: value for key, value in self._json.items() if key not in _NOT_DEPLOYED}
        deployed["network"] = {
            key: value for key, value in deployed["network"].items() if key not in _ESTIMATED_NETWORK
        }
        canonical = json.dumps(deployed, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON values, its digest and the cold start's sum included."""
        return {**self._json, "cold_start_seconds": self.cold_start_seconds, "digest": self.digest}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Plan:
        """Return the plan that ``to_json`` gave.

        Raises:
            pydantic.ValidationError: With every value of the wrong type and every unknown key.
        """
        given = {key: value for key, value in document.items() if key not in _DERIVED}
        return _validator().validate_python(given)

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """Return the JSON Schema of what ``to_json`` gives."""
        return _validator().json_schema()

    @cached_property
    def _json(self) -> dict[str, Any]:
        values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self), default=str))
        return values


_NOT_DEPLOYED = {
    "cost",
    "host",
    "sizing",
    "performance",
    "cold_start",
    "origins",
    "reasons",
    "warnings",
    "rejected",
}
_ESTIMATED_NETWORK = {
    "bandwidth_mbps",
    "bandwidth_basis",
    "request_bytes",
    "response_bytes",
    "required_mbps",
    "transfer_seconds",
}
_DERIVED = ("cold_start_seconds", "digest")


@cache
def _validator() -> TypeAdapter[Plan]:
    return TypeAdapter(Plan)
