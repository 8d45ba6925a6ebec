"""The plan: every decision taken, frozen, printable, complete. Components and templates read it and decide
nothing.
"""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gpuwright.catalog import Model

SCHEMA_VERSION: Literal["1"] = "1"


class Part(BaseModel):
    """A part of a plan: frozen, and refusing keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), defer_build=True)


class PlannedModel(Part):
    """The model, and where its files are kept."""

    id: str = Field(description="Name in the catalog, or the path of its config.json.")
    revision: str = Field(description="Revision of its weights.")
    params_total: int = Field(description="Number of parameters.")
    store_prefix: str = Field(
        description="Prefix of the model cache that holds this model and revision, no slash at the end."
    )
    architecture: Model | None = Field(
        default=None, description="What its config.json says, where the model is no row of the catalog."
    )


class PlannedAccelerator(Part):
    """The accelerators of one machine."""

    name: str = Field(description="Device name.")
    count: int = Field(description="Devices in one machine.")
    memory_gib: int = Field(description="Memory of one device as in its data sheet, GiB.")


class PlannedServer(Part):
    """The inference server, and exactly how it is started."""

    name: str = Field(description="The inference server.")
    version: str = Field(description="Its version.")
    image: str = Field(description="Container image by digest.")
    arguments: tuple[str, ...] = Field(description="Arguments of the server, one a word.")
    port: int = Field(description="TCP port that it listens on.")
    health_path: str = Field(description="Path that answers 200 while the server is healthy.")


class PlannedDisk(Part):
    """The system disk."""

    type: str = Field(description="The cloud's volume type; always an SSD.")
    size_gb: int = Field(description="Size, GB.")
    required_gb: int = Field(description="What image, model copies, caches and logs need, GB.")
    iops: int = Field(description="Provisioned I/O per second.")
    throughput_mib_per_s: int = Field(description="Provisioned throughput, MiB/s.")
    basis: str = Field(description="How far required_gb can be trusted; the rest follows from it.")


class PlannedNetwork(Part):
    """The network that the machines stand in."""

    zones: int = Field(description="Availability zones that the subnets span.")
    nat_gateways: int = Field(description="NAT gateways, each in a zone of its own.")
    public: bool = Field(description="Whether the endpoint is reachable from the internet.")
    bandwidth_mbps: float = Field(
        description="Bandwidth that requests and answers take at the planned rate, Mbit/s."
    )
    bandwidth_basis: str = Field(description="How far the bandwidth can be trusted.")
    idle_timeout_seconds: int = Field(description="Silence after which the balancer closes a connection.")
    deregistration_delay_seconds: int = Field(
        description="Time that open answers get when a machine is taken out."
    )


class PlannedSizing(Part):
    """Memory of one replica, over all of its accelerators."""

    weights_gib: float = Field(description="Weights as loaded, GiB.")
    kv_cache_bytes_per_token: int = Field(description="KV cache of one token over all layers, bytes.")
    kv_cache_gib: float = Field(description="KV cache that the load needs, GiB.")
    kv_cache_tokens: int = Field(description="Tokens that the KV cache holds.")
    activations_gib: float = Field(description="Peak of the activations, GiB.")
    runtime_gib: float = Field(description="CUDA context, libraries and communication buffers, GiB.")
    total_gib: float = Field(description="Sum of weights, KV cache, activations and runtime, GiB.")
    usable_gib: float = Field(description="What the server may use, GiB.")
    gpu_memory_utilization: float = Field(
        description="Fraction of the device's memory that the server is started with."
    )
    max_concurrency: int = Field(description="Typical requests that the KV cache holds at the same time.")
    basis: dict[str, str] = Field(description="How far each number can be trusted.")


class PlannedPerformance(Part):
    """What one replica does at its share of the load."""

    concurrency_per_replica: int = Field(description="Requests in flight in one replica.")
    time_to_first_token_ms: float = Field(description="Estimated, without queueing before admission.")
    time_per_output_token_ms: float = Field(description="Estimated.")
    output_tokens_per_second: float = Field(description="Estimated, of one replica.")
    requests_per_second: float = Field(description="Estimated, of one replica.")
    roofline_output_tokens_per_second: float = Field(
        description="What the hardware cannot exceed, of one replica."
    )
    basis: str = Field(description="How far these can be trusted.")


class PlannedStep(Part):
    """One step of the cold start."""

    name: str = Field(description="What happens.")
    seconds: int = Field(description="How long it takes.")
    basis: str = Field(description="How far the number can be trusted.")


class PlannedReplicas(Part):
    """How many replicas the fleet has; a replica is one machine."""

    min: int = Field(description="Replicas that always run.")
    max: int = Field(description="Replicas that the fleet may grow to.")


class PlannedCost(Part):
    """What the machines cost; disks, balancer, NAT and traffic are not in it."""

    usd_per_hour: float = Field(description="The replicas that the load needs, for an hour.")
    usd_per_month: float = Field(description="The same for 730 hours.")
    usd_per_1000_inferences: float = Field(description="Price of 1,000 requests at the planned rate.")
    requests_per_second: float = Field(description="The planned rate, over all replicas.")
    instance_usd_per_hour: float = Field(description="One machine for an hour.")
    price_region: str = Field(description="Region that the price is of.")
    price_date: str = Field(description="Date of the price, or `undated`.")
    basis: str = Field(description="How far the price can be trusted.")


class Operations(Part):
    """What the environment and the cold start decide about running it."""

    deletion_protection: bool = Field(description="Whether balancer and data are protected from deletion.")
    log_retention_days: int = Field(description="Days that logs are kept.")
    requests_per_target_per_minute: int = Field(
        description="Requests per replica and minute that scaling aims at."
    )
    max_request_seconds: int = Field(description="Longest answer that the plan expects, seconds.")


class Rejected(Part):
    """A shape that was turned down."""

    instance_type: str = Field(description="The shape.")
    rule: str = Field(description="Id of the rule, or name of the number, that turned it down.")
    detail: str = Field(description="What is, and what must be.")
    also: tuple[str, ...] = Field(default=(), description="What else it breaks or misses.")
    usd_per_hour: float | None = Field(default=None, description="Price of one machine.")


class Plan(Part):
    """Every decision for one deployment."""

    schema_version: Literal["1"] = SCHEMA_VERSION
    name: str = Field(description="Name of the deployment.")
    environment: str = Field(description="dev, staging or prod.")
    workload: str = Field(description="Load pattern.")
    cloud: str = Field(description="The cloud.")
    region: str = Field(description="Its region.")
    model: PlannedModel
    weights_precision: str = Field(description="Number format or quantization of the weights.")
    kv_cache_precision: str = Field(description="Number format of the KV cache.")
    max_model_len: int = Field(description="Longest prompt plus answer, tokens.")
    prompt_tokens: int = Field(description="Tokens of a typical prompt.")
    output_tokens: int = Field(description="Tokens of a typical answer.")
    instance_type: str = Field(description="The machine shape.")
    accelerator: PlannedAccelerator
    vcpus: int = Field(description="Virtual CPUs of one machine.")
    memory_gib: float = Field(description="System memory of one machine, GiB.")
    tensor_parallel_size: int = Field(description="Accelerators sharing one layer.")
    replicas: PlannedReplicas
    purchase_option: str = Field(description="on-demand or spot.")
    disk: PlannedDisk
    network: PlannedNetwork
    server: PlannedServer
    operations: Operations
    sizing: PlannedSizing
    performance: PlannedPerformance
    cold_start: tuple[PlannedStep, ...] = Field(description="Steps from power-on to the first token.")
    cost: PlannedCost
    tags: dict[str, str] = Field(description="The user's tags.")
    origins: dict[str, str] = Field(
        description="Where each value of the spec came from: spec, a profile, or a default."
    )
    reasons: tuple[str, ...] = Field(description="Why it is so, one sentence a decision.")
    warnings: tuple[str, ...] = Field(default=(), description="What the reader should know before deploying.")
    rejected: tuple[Rejected, ...] = Field(description="The shapes turned down, the cheapest first.")

    @property
    def cold_start_seconds(self) -> int:
        """Return the estimated time from power-on to the first token."""
        return sum(step.seconds for step in self.cold_start)

    @cached_property
    def digest(self) -> str:
        """Return 16 hexadecimal digits that change when what is deployed changes.

        Prices, estimates and reasons are left out: a new price list must not roll a fleet.
        """
        deployed = self.model_dump(mode="json", exclude=_NOT_DEPLOYED)
        canonical = json.dumps(deployed, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON values, its digest and the cold start's sum included."""
        return {
            **self.model_dump(mode="json"),
            "cold_start_seconds": self.cold_start_seconds,
            "digest": self.digest,
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Plan:
        """Return the plan that ``to_json`` gave."""
        return cls.model_validate(
            {k: v for k, v in document.items() if k not in ("cold_start_seconds", "digest")}
        )


_NOT_DEPLOYED = {"cost", "sizing", "performance", "cold_start", "origins", "reasons", "warnings", "rejected"}
