"""The search: try every shape of the cloud, keep those that satisfy every rule and target, and say why the
others do not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

from gpuwright import catalog
from gpuwright.catalog import Accelerator, InstanceType
from gpuwright.catalog.compatibility import compatibility
from gpuwright.planning.environments import ENVIRONMENTS
from gpuwright.planning.resolve import Request, answer_seconds
from gpuwright.sizing import Disk, Hardware, Load, Memory, Payload, Run, Speed, disk, fit, speed
from gpuwright.sizing.cold_start import cold_start_seconds, throughput_for
from gpuwright.sizing.cost import HOURS_PER_MONTH
from gpuwright.sizing.host import VOLUMES, host_need
from gpuwright.sizing.memory import FULL_BYTES, GIB, Verdict, weights_bytes
from gpuwright.sizing.network import MINIMUM_PRIVATE_MBPS
from gpuwright_policies.evaluate import evaluate
from gpuwright_policies.facts import Host, Serving, SystemDisk
from gpuwright_policies.rules.cpu_ratio import VCPUS_PER_ACCELERATOR
from gpuwright_policies.rules.ram_ratio import RAM_PER_ACCELERATOR_MEMORY

REPLICA_LIMIT = 256
"""Largest fleet that is searched where the spec sets no maximum."""

TARGET_UTILISATION = 0.7
"""Part of a replica's estimated rate that a stated arrival rate may use, so that queues stay short. Our
choice.
"""

COLD_START_MARGIN = 1.25
"""A shape must meet a target of cold start with this much to spare, since it is an estimate. Our choice."""

WEIGHTS_BITS = {"fp32": 32, "bf16": 16, "fp16": 16, "fp8": 8, "int8": 8, "awq": 4, "gptq": 4, "mxfp4": 4}

GB_FOR_IMAGE = 12.0
GB_FOR_UNPACKED_IMAGE = 30.0
"""GB assumed for a container image whose size the catalog does not know, as downloaded and unpacked."""


@dataclass(frozen=True)
class Lack:
    """One thing that a shape lacks.

    Args:
        rule: Id of the rule, or the name of the number.
        detail: What is, and what must be.
    """

    rule: str
    detail: str


@dataclass(frozen=True)
class Fleet:
    """A number of replicas, and what each does at its share of the load.

    Args:
        fewer_lack: What a replica less would lack; None where the spec or the environment sets the number.
    """

    replicas: int
    load: Load
    memory: Memory
    speed: Speed
    fewer_lack: str | None = None


@dataclass(frozen=True)
class Candidate:
    """A shape with everything worked out for the load; it may lack something."""

    instance: InstanceType
    accelerator: Accelerator
    lacks: tuple[Lack, ...]
    usd_per_hour: float | None
    fleet: Fleet
    stored_weights_gib: float
    disk: Disk
    replicas_min: int
    replicas_max: int


@dataclass(frozen=True)
class Priced:
    """A candidate that lacks nothing, and what it costs at the planned rate."""

    candidate: Candidate
    requests_per_second: float
    instance_usd_per_hour: float
    usd_per_hour: float
    usd_per_1000_inferences: float


def candidates(request: Request) -> list[Candidate]:
    """Return every shape of the request's cloud with what it lacks, in the catalog's order."""
    return [_consider(instance, request) for instance in catalog.instance_types(request.cloud)]


def ranked(found: list[Candidate], request: Request) -> list[Priced]:
    """Return the candidates that lack nothing, the cheapest per 1,000 inferences first; then by hour, then
    by name.
    """
    whole = [
        _price(each, each.usd_per_hour, request) for each in found if not each.lacks and each.usd_per_hour
    ]
    return sorted(
        whole,
        key=lambda each: (each.usd_per_1000_inferences, each.usd_per_hour, each.candidate.instance.name),
    )


def nearest_misses(found: list[Candidate]) -> list[Candidate]:
    """Return the candidates that lack something, those that lack least first; the cheaper first among
    equals.
    """
    return sorted(
        (each for each in found if each.lacks),
        key=lambda each: (len(each.lacks), _shortfall(each), each.usd_per_hour or math.inf),
    )


def serving_facts(subject: str, request: Request, instance: InstanceType, memory: Memory) -> Serving:
    """Return what the memory rules judge: the model on one of the shape's accelerators."""
    device = catalog.accelerator_of(instance)
    count = instance.accelerator_count
    return Serving(
        subject=subject,
        model=request.model.id,
        params_billion=request.model.params_total / 1e9,
        weights_bits=WEIGHTS_BITS[request.weights_precision],
        accelerator=device.name,
        accelerator_count=count,
        accelerator_memory_gib=device.memory_gib,
        required_gib=memory.total_gib / count,
        usable_gib=memory.usable_gib / count,
    )


def host_facts(subject: str, instance: InstanceType) -> Host:
    """Return what the ratio rules judge: the shape around its accelerators."""
    device = catalog.accelerator_of(instance)
    return Host(
        subject=subject,
        instance_type=instance.name,
        accelerator=device.name,
        accelerator_count=instance.accelerator_count,
        accelerator_memory_gib=device.memory_gib,
        vcpus=instance.vcpus,
        memory_gib=instance.memory_gib,
        datacenter_licensed=device.datacenter_licensed,
    )


def _consider(instance: InstanceType, request: Request) -> Candidate:
    device = catalog.accelerator_of(instance)
    price = (
        instance.on_demand_usd_per_hour
        if request.purchase_option == "on-demand"
        else instance.spot_usd_per_hour
    )
    least, most = replica_bounds(request)
    fleet = _smallest_fleet(instance, device, request, least, most)
    memory = fleet.memory
    stored = stored_weights_gib(request, memory)
    payload = server_payload(request, stored)
    system_disk = _system_disk(instance, request, payload)
    lacks = (
        *_slice_lacks(instance),
        *_server_lacks(instance, device, request),
        *_rule_lacks(instance, request, memory, system_disk),
        *_margin_lacks(memory),
        *_loading_lacks(request, memory, stored),
        *_host_lacks(instance, device, stored),
        *_cold_start_lacks(instance, request, payload, system_disk),
        *_profile_lacks(instance, request),
        *(_load_lacks(request, fleet) if memory.fits else ()),
        *_price_lacks(instance, request, price, fleet.replicas if _carries(request, fleet) else least),
    )
    growth = ENVIRONMENTS[request.environment].growth
    return Candidate(
        instance=instance,
        accelerator=device,
        lacks=lacks,
        usd_per_hour=price,
        fleet=fleet,
        stored_weights_gib=stored,
        disk=system_disk,
        replicas_min=least if request.origins.get("replicas.min") == "spec" else fleet.replicas,
        replicas_max=max(fleet.replicas, request.replicas_max or fleet.replicas * growth),
    )


def server_payload(request: Request, stored_gib: float) -> Payload:
    """Return what a machine brings in before it can serve: the files of the model, and the server's image."""
    server = request.server
    return Payload(
        stored_gib,
        server.image_compressed_gb or GB_FOR_IMAGE,
        server.image_unpacked_gb or GB_FOR_UNPACKED_IMAGE,
    )


def _system_disk(instance: InstanceType, request: Request, payload: Payload) -> Disk:
    """Return the disk, as fast as the cold start asks that is wanted, or the fastest where none is fast enough."""
    volume, throughput = VOLUMES[request.cloud], None
    if request.cold_start_seconds:
        target, network = request.cold_start_seconds / COLD_START_MARGIN, instance.sustained_network_gbps
        least, most = max(1, volume.base_mib_per_s), volume.max_mib_per_s
        throughput = throughput_for(target, payload, network, least, most) or most
    return disk(
        payload.weights_gib,
        payload.unpacked_gb,
        request.profile.floors.disk_gb if request.profile else 0,
        volume=volume,
        throughput_mib_per_s=throughput,
    )


def demand(request: Request) -> float | None:
    """Return the requests per second that arrive, or None for batches, which take all that the fleet gives.

    People do not ask more because a machine is faster: where the spec gives requests in flight and no
    rate, the rate is that number over the time that an answer may take (Little's law).
    """
    if request.requests_per_second or request.workload == "batch":
        return request.requests_per_second
    targets = request.time_to_first_token_ms, request.time_per_output_token_ms
    return request.concurrency / answer_seconds(*targets, request.output_tokens)


def quantized_at_load(request: Request) -> bool:
    """Return whether the server makes 8-bit weights of the model's own files when it loads them.

    Source: vLLM, features/quantization/fp8: FP8 is the precision that needs no quantized files.
    """
    return request.weights_precision == "fp8" and request.model.quantization != "fp8"


def stored_weights_gib(request: Request, memory: Memory) -> float:
    """Return the size of the files in the model cache; it is the loaded size unless the server quantizes them."""
    if not quantized_at_load(request):
        return memory.weights_gib
    size, _ = weights_bytes(
        request.model, request.model.dtype if request.model.dtype in FULL_BYTES else "bf16"
    )
    return size / GIB


def server_run(request: Request, instance: InstanceType) -> Run:
    """Return how the server is started on a shape: all accelerators of the machine share each layer."""
    return Run(
        weights_precision=request.weights_precision,
        kv_cache_precision=request.kv_cache_precision,
        tensor_parallel_size=instance.accelerator_count,
    )


def replica_bounds(request: Request) -> tuple[int, int]:
    """Return the least and the most replicas: the spec's word; else the larger of profile's and environment's, and
    as many as the load needs, since nobody asked for fewer.
    """
    told = {end: request.origins.get(f"replicas.{end}") == "spec" for end in ("min", "max")}
    least = request.replicas_min or 1
    if not told["min"]:
        least = max(least, ENVIRONMENTS[request.environment].min_replicas)
    most = request.replicas_max if told["max"] and request.replicas_max else max(REPLICA_LIMIT, least)
    return min(least, most), most


def _smallest_fleet(
    instance: InstanceType, device: Accelerator, request: Request, least: int, most: int
) -> Fleet:
    """Return the smallest number of replicas that carries the load, or the largest allowed where none does.

    More replicas never make one slower or fuller, so the number is found without trying each.
    """
    hardware = Hardware(device, instance.nvlink_gb_per_s)
    run = server_run(request, instance)

    @cache
    def fleet(replicas: int) -> Fleet:
        share = math.ceil(request.concurrency / replicas)
        load = Load(share, request.prompt_tokens, request.output_tokens, request.max_model_len)
        memory = fit(request.model, device, load, run)
        return Fleet(replicas, load, memory, speed(request.model, hardware, load, run))

    smallest = fleet(least)
    if _carries(request, smallest):
        return smallest
    largest = fleet(most)
    if not _carries(request, largest):
        return largest
    # Fleets are mostly small: double from the smallest, then halve between the last two.
    low, high = least, min(2 * least, most)
    while not _carries(request, fleet(high)):
        low, high = high, min(2 * high, most)
    low += 1
    while low < high:
        middle = (low + high) // 2
        if _carries(request, fleet(middle)):
            high = middle
        else:
            low = middle + 1
    missed = fleet(low - 1)
    lacks = [*_margin_lacks(missed.memory), *_load_lacks(request, missed)]
    lack = lacks[0].rule if missed.memory.fits else "vram-fits"
    return replace(fleet(low), fewer_lack=lack)


def _carries(request: Request, fleet: Fleet) -> bool:
    return fleet.memory.verdict is Verdict.FITS and not _load_lacks(request, fleet)


def _slice_lacks(instance: InstanceType) -> list[Lack]:
    """Return the lack of a whole device; a slice's share of time and memory was measured with no server."""
    if not instance.is_slice:
        return []
    part = f"{instance.accelerator_fraction:.0%} of one {instance.accelerator}"
    return [Lack("whole-accelerator", f"has {part} (a vGPU slice), and a server needs a whole one")]


_catalog_model = cache(catalog.model)


def _server_lacks(instance: InstanceType, device: Accelerator, request: Request) -> list[Lack]:
    """Return what the inference server misses on the device, and how the model divides over its
    accelerators.
    """
    found = compatibility(
        request.server,
        request.architecture or _catalog_model(request.model.id),
        device,
        request.weights_precision,
        request.kv_cache_precision,
    )
    lacks = [Lack(each.rule, each.detail) for each in found]
    heads, count = request.model.attention_heads, instance.accelerator_count
    if heads % count:
        lacks.append(
            Lack(
                "tensor-parallel",
                f"{count} accelerators do not divide the {heads} attention heads of the model",
            )
        )
    return lacks


def _rule_lacks(instance: InstanceType, request: Request, memory: Memory, system_disk: Disk) -> list[Lack]:
    facts = (
        serving_facts(instance.name, request, instance, memory),
        host_facts(instance.name, instance),
        SystemDisk(instance.name, system_disk.size_gb, system_disk.required_gb, solid_state=True),
    )
    return [
        Lack(finding.rule, f"{finding.actual}; {finding.expected}")
        for finding in evaluate(facts)
        if finding.mandatory
    ]


def _margin_lacks(memory: Memory) -> list[Lack]:
    """Return the lack of room for what the estimate may be off by, where the memory fits by the likeliest numbers."""
    if memory.verdict is not Verdict.TIGHT or not memory.fits:
        return []
    spare, off = memory.margin_gib, memory.uncertainty_gib
    return [Lack("memory-margin", f"{spare:.1f} GiB to spare, and the estimate may be off by {off:.1f}")]


def _loading_lacks(request: Request, memory: Memory, stored_gib: float) -> list[Lack]:
    """Return the lack of room for the 16-bit weights that the server loads before it quantizes them.

    Source: vLLM, features/quantization/fp8: "we load the model at original precision before quantizing".
    """
    if not quantized_at_load(request) or stored_gib + memory.runtime_gib <= memory.usable_gib:
        return []
    detail = (
        f"the server loads {stored_gib:.1f} GiB of {request.model.id}'s own weights before it makes them FP8; "
        f"{memory.usable_gib:.1f} GiB are usable"
    )
    return [Lack("loading", detail)]


def _host_lacks(instance: InstanceType, device: Accelerator, stored_gib: float) -> list[Lack]:
    """Return what the server's processes miss where they need more than the ratios ask, and slow networks."""
    count, lacks = instance.accelerator_count, []
    need = host_need(count, stored_gib)
    if instance.vcpus < need.vcpus > VCPUS_PER_ACCELERATOR * count:
        lacks.append(
            Lack("host-cpu", f"has {instance.vcpus} vCPU, and the server's processes need {need.vcpus}")
        )
    if instance.memory_gib < need.memory_gib > RAM_PER_ACCELERATOR_MEMORY * device.memory_gib * count:
        asked = f"the weights, staged, and the server's processes need {need.memory_gib:.0f}"
        lacks.append(Lack("host-memory", f"has {instance.memory_gib:g} GiB of RAM, and {asked}"))
    private = instance.sustained_network_gbps * 1000
    if private < MINIMUM_PRIVATE_MBPS:
        asked = f"{MINIMUM_PRIVATE_MBPS} are asked between instances"
        lacks.append(Lack("private-bandwidth", f"has {private:.0f} Mbit/s, and {asked}"))
    return lacks


def _cold_start_lacks(
    instance: InstanceType, request: Request, payload: Payload, system_disk: Disk
) -> list[Lack]:
    target = request.cold_start_seconds
    if not target:
        return []
    throughput = system_disk.throughput_mib_per_s
    found = cold_start_seconds(payload, throughput, instance.sustained_network_gbps)
    if found * COLD_START_MARGIN <= target:
        return []
    allowed = f"at most {target / COLD_START_MARGIN:.0f} to meet {target:g} safely"
    return [Lack("cold-start", f"estimated {found} s with {throughput} MiB/s of disk; {allowed}")]


def _profile_lacks(instance: InstanceType, request: Request) -> list[Lack]:
    if request.profile is None:
        return []
    floors, name = request.profile.floors, f"profile {request.profile.name}"
    lacks = []
    if instance.accelerator_count < floors.accelerators:
        lacks.append(
            Lack(
                name,
                f"has {instance.accelerator_count} accelerators, and the profile asks {floors.accelerators}",
            )
        )
    if instance.vcpus < floors.vcpus:
        lacks.append(Lack(name, f"has {instance.vcpus} vCPU, and the profile asks {floors.vcpus}"))
    if instance.memory_gib < floors.memory_gib:
        lacks.append(
            Lack(name, f"has {instance.memory_gib:g} GiB of RAM, and the profile asks {floors.memory_gib:g}")
        )
    return lacks


def _load_lacks(request: Request, fleet: Fleet) -> list[Lack]:
    """Return the targets that the fleet misses at its share of the load."""
    pace = fleet.speed
    of = f"with {fleet.replicas} replica{'s' if fleet.replicas > 1 else ''}"
    # Nine of ten measurements are at or above the low end of an interval that holds eight of ten.
    slow = pace.output_tokens_per_second / pace.low_output_tokens_per_second
    timed = (
        ("time-to-first-token", pace.time_to_first_token_ms, request.time_to_first_token_ms),
        ("time-per-output-token", pace.time_per_output_token_ms, request.time_per_output_token_ms),
    )
    lacks = [
        Lack(
            name,
            f"{found:.0f} ms {of}, and {found * slow:.0f} where the estimate is off; the target is {target:g} ms",
        )
        for name, found, target in timed
        if target and found * slow > target
    ]
    rate = request.requests_per_second
    able = pace.requests_per_second * fleet.replicas * TARGET_UTILISATION
    if rate and able < rate:
        lacks.append(Lack("throughput", f"estimated {able:.2f} requests/s {of}; {rate:g} arrive"))
    return lacks


def _price_lacks(instance: InstanceType, request: Request, price: float | None, replicas: int) -> list[Lack]:
    if price is None:
        return [Lack("price", f"no {request.purchase_option} price is known for {instance.name}")]
    budget, month = request.budget_usd_per_month, price * replicas * HOURS_PER_MONTH
    if budget is not None and month > budget:
        return [
            Lack(
                "budget",
                f"{replicas} × {instance.name} cost {month:,.0f} USD a month; the budget is {budget:,.0f}",
            )
        ]
    return []


def _price(candidate: Candidate, instance_price: float, request: Request) -> Priced:
    hourly = instance_price * candidate.fleet.replicas
    rate = demand(request) or candidate.fleet.speed.requests_per_second * candidate.fleet.replicas
    return Priced(candidate, rate, instance_price, hourly, hourly / (rate * 3600) * 1000)


def _shortfall(candidate: Candidate) -> float:
    """Return by how much the memory is exceeded, so that the nearest misses come first."""
    return max(0.0, candidate.fleet.memory.total_gib / candidate.fleet.memory.usable_gib - 1)
