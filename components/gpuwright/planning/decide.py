"""The decisions: from the search's winner to a complete plan, each with its reason."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import date
from typing import Any

from gpuwright import catalog
from gpuwright.catalog import Model, Profile
from gpuwright.errors import NothingFitsError
from gpuwright.layout import counted
from gpuwright.planning.bill import cost_reasons, cost_warnings, planned_cost
from gpuwright.planning.environments import ENVIRONMENTS
from gpuwright.planning.plan import (
    Operations,
    Plan,
    PlannedAccelerator,
    PlannedDisk,
    PlannedHost,
    PlannedModel,
    PlannedNetwork,
    PlannedPerformance,
    PlannedReplicas,
    PlannedServer,
    PlannedSizing,
    PlannedStep,
    Rejected,
)
from gpuwright.planning.resolve import Request, resolve
from gpuwright.planning.search import (
    TARGET_UTILISATION,
    Candidate,
    Priced,
    candidates,
    nearest_misses,
    quantized_at_load,
    ranked,
    server_payload,
)
from gpuwright.sizing import GPU_MEMORY_UTILIZATION, PREFILL_TOKENS, Basis, bandwidth_mbps, cold_start
from gpuwright.sizing.cold_start import replacement_gap_seconds
from gpuwright.sizing.host import HostNeed, host_need
from gpuwright.sizing.memory import QUANTIZED_BITS
from gpuwright.sizing.network import (
    MINIMUM_PRIVATE_MBPS,
    MINIMUM_PUBLIC_MBPS,
    required_mbps,
    transfer_seconds,
)
from gpuwright_policies.rules.cpu_ratio import VCPUS_PER_ACCELERATOR
from gpuwright_policies.rules.ram_ratio import RAM_PER_ACCELERATOR_MEMORY

SERVER_PORT = 8000
HEALTH_PATH = "/health"
"""vLLM's defaults (its OpenAI-compatible server)."""

VLLM_DTYPE = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
VLLM_KV_CACHE_DTYPE = {"fp8": "fp8"}

SPOT_DRAIN_SECONDS = 75
"""Longest that open answers may take once a spot interruption is announced: AWS gives 120 s, less
detection and slack.
"""

IDLE_TIMEOUT_SECONDS = (60, 4000)
DEREGISTRATION_SECONDS = (30, 3600)
"""Least and most that we set: AWS's default of 60 s, and the limits of its balancers (4,000 s and 3,600
s).
"""

SHORTEST_ANSWER_SECONDS = 1.0
"""Seconds that an answer takes at least: fewer requests in flight than arrive in that time contradict the rate."""

SLOW_ANSWER_FACTOR = 1.5
"""The longest answer is taken as its estimate times this."""

NEAREST = 3


def plan_document(
    document: Any, where: str = "spec", model: Model | None = None, today: date | None = None
) -> Plan:
    """Return the plan for a spec document.

    Args:
        document: The parsed spec, or a Spec.
        where: Name of its origin, for the errors.
        model: The model that it names, where that was read from a config.json.
        today: The day on which the age of prices is judged; it is not where left out.

    Raises:
        InputError: The document has faults; all of them are in it.
        NothingFitsError: No shape of the cloud satisfies it; the nearest misses are in it.
    """
    return make_plan(resolve(document, where, model), today)


def make_plan(request: Request, today: date | None = None) -> Plan:
    """Return the cheapest plan per 1,000 inferences among those that satisfy every rule and target.

    Args:
        request: What is asked.
        today: The day on which the age of prices is judged; it is not where left out.

    Raises:
        NothingFitsError: None does; the message names the nearest misses and what each lacks.
    """
    found = candidates(request)
    best = ranked(found, request)
    if not best:
        raise NothingFitsError(_nothing_fits(request, found))
    winner = best[0]
    chosen = winner.candidate
    cost, steps = planned_cost(request, winner, today), _cold_start(request, chosen)
    return Plan(
        name=request.name,
        environment=request.environment,
        workload=request.workload,
        cloud=request.cloud,
        region=request.region,
        model=_model(request),
        weights_precision=request.weights_precision,
        kv_cache_precision=request.kv_cache_precision,
        max_model_len=request.max_model_len,
        prompt_tokens=request.prompt_tokens,
        output_tokens=request.output_tokens,
        instance_type=chosen.instance.name,
        accelerator=PlannedAccelerator(
            name=chosen.accelerator.name,
            count=chosen.instance.accelerator_count,
            memory_gib=chosen.accelerator.memory_gib,
        ),
        vcpus=chosen.instance.vcpus,
        memory_gib=chosen.instance.memory_gib,
        tensor_parallel_size=chosen.instance.accelerator_count,
        replicas=PlannedReplicas(min=chosen.replicas_min, max=chosen.replicas_max),
        purchase_option=request.purchase_option,
        disk=PlannedDisk(
            type=chosen.disk.type,
            size_gb=chosen.disk.size_gb,
            required_gb=chosen.disk.required_gb,
            iops=chosen.disk.iops,
            throughput_mib_per_s=chosen.disk.throughput_mib_per_s,
            basis=Basis.ESTIMATED,
        ),
        network=_network(request, winner),
        server=PlannedServer(
            name=request.server.name,
            version=request.server.version,
            image=request.server.image_reference,
            arguments=_arguments(request, chosen),
            port=SERVER_PORT,
            health_path=HEALTH_PATH,
        ),
        operations=_operations(request, chosen),
        host=_host(chosen),
        sizing=_sizing(chosen),
        performance=_performance(chosen),
        cold_start=steps,
        cost=cost,
        tags=request.tags,
        origins=request.origins,
        reasons=(
            *_reasons(request, best),
            *_network_reasons(request, winner),
            *_cold_start_reasons(request, sum(step.seconds for step in steps)),
            *cost_reasons(cost),
        ),
        warnings=(*_warnings(request, chosen), *cost_warnings(request, cost)),
        rejected=_rejected(found, best),
    )


def longest_answer_seconds(request: Request, chosen: Candidate) -> float:
    """Return the time of the longest answer that the server accepts after a typical prompt, estimated."""
    tokens = request.max_model_len - request.prompt_tokens
    pace = chosen.fleet.speed
    return (pace.time_to_first_token_ms + tokens * pace.time_per_output_token_ms) / 1000 * SLOW_ANSWER_FACTOR


def _model(request: Request) -> PlannedModel:
    folder = re.sub(r"[^A-Za-z0-9._/-]", "-", request.model.id).strip("/")
    return PlannedModel(
        id=request.model.id,
        revision=request.revision,
        params_total=request.model.params_total,
        store_prefix=f"models/{folder}/{request.revision}",
        architecture=request.architecture,
    )


def _network(request: Request, winner: Priced) -> PlannedNetwork:
    settings = ENVIRONMENTS[request.environment]
    longest = math.ceil(longest_answer_seconds(request, winner.candidate))
    drain = _within(longest, DEREGISTRATION_SECONDS)
    bandwidth = _bandwidth(request, winner)
    required = required_mbps(bandwidth, public=request.public)
    return PlannedNetwork(
        zones=settings.zones,
        nat_gateways=settings.zones if settings.nat_per_zone else 1,
        public=request.public,
        bandwidth_mbps=round(bandwidth, 3),
        bandwidth_basis=Basis.ESTIMATED,
        request_bytes=request.request_bytes,
        response_bytes=request.response_bytes,
        required_mbps=round(required, 3),
        transfer_seconds=round(transfer_seconds(request.request_bytes + request.response_bytes, required), 4),
        idle_timeout_seconds=_within(longest, IDLE_TIMEOUT_SECONDS),
        deregistration_delay_seconds=min(drain, SPOT_DRAIN_SECONDS)
        if request.purchase_option == "spot"
        else drain,
    )


def _bandwidth(request: Request, winner: Priced) -> float:
    return bandwidth_mbps(winner.requests_per_second, request.request_bytes, request.response_bytes)


def _within(value: int, limits: tuple[int, int]) -> int:
    return max(limits[0], min(value, limits[1]))


def _arguments(request: Request, chosen: Candidate) -> tuple[str, ...]:
    """Return vLLM's arguments; what fits was computed with exactly these."""
    arguments = {
        "--served-model-name": request.model.id,
        "--dtype": VLLM_DTYPE.get(request.weights_precision, "auto"),
        "--kv-cache-dtype": VLLM_KV_CACHE_DTYPE.get(request.kv_cache_precision, "auto"),
        "--max-model-len": request.max_model_len,
        "--max-num-seqs": chosen.fleet.load.concurrency,
        "--max-num-batched-tokens": max(PREFILL_TOKENS, chosen.fleet.load.concurrency),
        "--gpu-memory-utilization": f"{GPU_MEMORY_UTILIZATION:.2f}",
        "--tensor-parallel-size": chosen.instance.accelerator_count,
        "--host": "0.0.0.0",  # noqa: S104  # inside the container; the security group admits the balancer only
        "--port": SERVER_PORT,
    }
    if quantized_at_load(request):
        arguments["--quantization"] = "fp8"
    return tuple(str(word) for pair in arguments.items() for word in pair)


def _operations(request: Request, chosen: Candidate) -> Operations:
    settings = ENVIRONMENTS[request.environment]
    return Operations(
        deletion_protection=settings.deletion_protection,
        log_retention_days=settings.log_retention_days,
        requests_per_target_per_minute=max(
            1, int(chosen.fleet.speed.requests_per_second * 60 * TARGET_UTILISATION)
        ),
        max_request_seconds=math.ceil(longest_answer_seconds(request, chosen)),
    )


def _sizing(chosen: Candidate) -> PlannedSizing:
    memory = chosen.fleet.memory
    return PlannedSizing(
        weights_gib=round(memory.weights_gib, 3),
        kv_cache_bytes_per_token=memory.kv_cache_bytes_per_token,
        kv_cache_gib=round(memory.kv_cache_gib, 3),
        kv_cache_tokens=memory.kv_cache_tokens,
        activations_gib=round(memory.activations_gib, 3),
        runtime_gib=round(memory.runtime_gib, 3),
        total_gib=round(memory.total_gib, 3),
        usable_gib=round(memory.usable_gib, 3),
        gpu_memory_utilization=GPU_MEMORY_UTILIZATION,
        max_concurrency=memory.max_concurrency,
        basis={
            "weights_gib": memory.weights_basis,
            "kv_cache_bytes_per_token": Basis.DERIVED,
            "kv_cache_gib": Basis.DERIVED,
            "kv_cache_tokens": Basis.CALIBRATED,
            "max_concurrency": Basis.CALIBRATED,
            "activations_gib": Basis.CALIBRATED,
            "runtime_gib": Basis.CALIBRATED if chosen.instance.accelerator_count == 1 else Basis.ESTIMATED,
            "total_gib": Basis.CALIBRATED,
            "usable_gib": Basis.MEASURED,
        },
    )


def _performance(chosen: Candidate) -> PlannedPerformance:
    pace = chosen.fleet.speed
    return PlannedPerformance(
        concurrency_per_replica=chosen.fleet.load.concurrency,
        time_to_first_token_ms=round(pace.time_to_first_token_ms, 1),
        time_per_output_token_ms=round(pace.time_per_output_token_ms, 2),
        output_tokens_per_second=round(pace.output_tokens_per_second, 1),
        requests_per_second=round(pace.requests_per_second, 4),
        roofline_output_tokens_per_second=round(pace.roofline_output_tokens_per_second, 1),
        basis=pace.basis,
    )


def _host_need(chosen: Candidate) -> HostNeed:
    """Return the larger of what the server's processes need and what the documented ratios ask."""
    count = chosen.instance.accelerator_count
    need = host_need(count, chosen.stored_weights_gib)
    ratio = RAM_PER_ACCELERATOR_MEMORY * chosen.accelerator.memory_gib * count
    return HostNeed(max(need.vcpus, VCPUS_PER_ACCELERATOR * count), max(need.memory_gib, ratio))


def _host(chosen: Candidate) -> PlannedHost:
    need = _host_need(chosen)
    return PlannedHost(
        vcpus_needed=need.vcpus,
        memory_gib_needed=round(need.memory_gib, 1),
        numa_nodes=chosen.instance.numa_nodes,
        basis=Basis.ESTIMATED,
    )


def _cold_start(request: Request, chosen: Candidate) -> tuple[PlannedStep, ...]:
    steps = cold_start(
        server_payload(request, chosen.stored_weights_gib),
        chosen.disk.throughput_mib_per_s,
        chosen.instance.sustained_network_gbps,
    )
    return tuple(PlannedStep(name=step.name, seconds=step.seconds, basis=step.basis) for step in steps)


def _reasons(request: Request, best: list[Priced]) -> Iterator[str]:
    winner = best[0]
    chosen, shapes = winner.candidate, _plural("shape", len(best))
    memory, load, instance, device = (
        chosen.fleet.memory,
        chosen.fleet.load,
        chosen.instance,
        chosen.accelerator,
    )
    count = instance.accelerator_count
    need = host_need(count, chosen.stored_weights_gib)
    yield (
        f"{instance.name}: lowest cost per 1,000 inferences ({winner.usd_per_1000_inferences:.4f} USD) "
        f"of the {len(best)} {shapes} that satisfy every rule and target{_runner_up(best)}"
    )
    yield f"rate: {winner.requests_per_second:.2f} requests/s, {_rate_origin(request)}"
    yield (
        f"memory: {memory.weights_gib:.1f} GiB of weights in {request.weights_precision}, "
        f"{memory.kv_cache_gib:.1f} of KV cache for {load.concurrency} × {load.tokens_per_request} tokens, "
        f"{memory.activations_gib:.1f} of activations and {memory.runtime_gib:.1f} of runtime are "
        f"{memory.total_gib:.1f} GiB; {memory.usable_gib:.1f} are usable"
    )
    yield (
        f"host: {instance.vcpus} vCPU are {instance.vcpus // count} for each {device.name} (8 at least), and "
        f"{instance.memory_gib:g} GiB of RAM {instance.memory_gib / (device.memory_gib * count):.1f} times "
        f"its memory (2 at least); the server's processes need {need.vcpus} and {need.memory_gib:.0f} GiB"
    )
    if (instance.numa_nodes or 1) > 1:
        yield f"host: {instance.numa_nodes} NUMA nodes, each nearer to its own accelerators"
    if instance.accelerator_count > 1:
        yield (
            f"parallel: all {instance.accelerator_count} accelerators share each layer over "
            f"{instance.interconnect}, so the machine is one replica"
        )
    yield (
        f"replicas: {chosen.fleet.replicas} {_plural('carries', chosen.fleet.replicas, 'carry')} "
        f"{counted(request.concurrency, 'request')} in flight; {ENVIRONMENTS[request.environment].why}"
    )
    yield f"purchase: {request.purchase_option}, {_told(request.origins['purchase_option'])}"
    yield (
        f"disk: {chosen.disk.size_gb} GB; image, container, {request.model.id} twice and caches take "
        f"{chosen.disk.required_gb}, and {chosen.disk.throughput_mib_per_s} MiB/s read the weights in "
        f"{chosen.stored_weights_gib * 1024 / chosen.disk.throughput_mib_per_s:.0f} s"
    )
    if request.profile and request.profile.accelerator != device.name:
        yield _substitution(request, request.profile, device.name)


def _network_reasons(request: Request, winner: Priced) -> Iterator[str]:
    taken = _bandwidth(request, winner)
    floor = MINIMUM_PUBLIC_MBPS if request.public else MINIMUM_PRIVATE_MBPS
    required = required_mbps(taken, public=request.public)
    size = request.request_bytes + request.response_bytes
    yield (
        f"bandwidth: requests of {request.request_bytes:,} and answers of {request.response_bytes:,} bytes take "
        f"{taken:.2f} Mbit/s; have {required:,.0f} (at least {floor:,} "
        f"{'for a public service' if request.public else 'between instances'}), at which one takes "
        f"{transfer_seconds(size, required):.3g} s"
    )


def _cold_start_reasons(request: Request, seconds: int) -> Iterator[str]:
    """Yield what the cold start means for scaling to zero, and for spot machines that are taken away."""
    target = request.cold_start_seconds
    if target:
        yield (
            f"cold start: {seconds} s, which meet the {target:g} s that the spec allows with a margin, so scaling to "
            "zero meets them too: a first request waits that long"
        )
    elif request.workload != "batch":
        yield (
            f"cold start: {seconds} s; with none running a first request would wait that long, so one replica "
            "always runs (cold_start_seconds sets a target)"
        )
    if request.purchase_option == "spot":
        gap = replacement_gap_seconds(seconds, request.cloud)
        meets = "" if not target else f", and the spec allows {target:g}"
        yield f"spot: the place of a machine that is taken away stays empty for {gap} s{meets}"


def _rate_origin(request: Request) -> str:
    if request.requests_per_second:
        return _told(request.origins["requests_per_second"])
    if request.workload == "batch":
        return "all that the fleet gives"
    return (
        f"which is {counted(request.concurrency, 'request')} in flight over the time that an answer may take"
    )


def _runner_up(best: list[Priced]) -> str:
    if len(best) == 1:
        return ""
    second = best[1]
    return f"; next is {second.candidate.instance.name} with {second.usd_per_1000_inferences:.4f}"


def _substitution(request: Request, profile: Profile, device: str) -> str:
    wanted = profile.accelerator
    sold = any(each.accelerator == wanted for each in catalog.instance_types(request.cloud))
    why = (
        "costs more per 1,000 inferences or breaks a rule there"
        if sold
        else f"is not sold on {request.cloud}"
    )
    return f"profile {profile.name}: names {wanted}, which {why}; {device} stands in for it"


def _told(origin: str) -> str:
    return "as the spec asks" if origin == "spec" else origin


def _plural(one: str, count: int, many: str | None = None) -> str:
    return one if count == 1 else many or f"{one}s"


def _warnings(request: Request, chosen: Candidate) -> Iterator[str]:
    if not chosen.instance.priced_in(request.region):
        priced = chosen.instance.price_region
        yield f"prices are those of {priced}; {request.region} may differ, often by 5 to 25 %"
    if request.purchase_option == "spot":
        yield "spot prices move and machines are interrupted at short notice; the price is a snapshot"
    precision = request.weights_precision
    if (
        precision in QUANTIZED_BITS
        and precision != request.model.quantization
        and not quantized_at_load(request)
    ):
        yield (
            f"the files in the model cache must be a version of {request.model.id} that is quantized with "
            f"{precision}; its own are not, and the server does not convert them"
        )
    if request.environment == "prod" and request.origins.get("revision") == "default":
        yield "revision is `main`, which moves; pin the commit of the weights for prod"
    rate, told = request.requests_per_second, request.origins.get("concurrency")
    if rate and told == "spec" and request.concurrency < rate * SHORTEST_ANSWER_SECONDS:
        yield (
            f"{rate:g} requests/s with {request.concurrency} in flight leave an answer "
            f"{request.concurrency / rate:.2g} s; raise concurrency, or leave it out"
        )
    if chosen.replicas_min < chosen.fleet.replicas:
        yield (
            f"replicas.min is {chosen.replicas_min}, but the load needs {chosen.fleet.replicas}: "
            f"until the fleet has grown, requests queue"
        )
    if longest_answer_seconds(request, chosen) > SPOT_DRAIN_SECONDS and request.purchase_option == "spot":
        yield f"answers may take longer than the {SPOT_DRAIN_SECONDS} s that a spot interruption leaves them"


def _rejected(found: list[Candidate], best: list[Priced]) -> tuple[Rejected, ...]:
    winner = best[0]
    costlier = [
        Rejected(
            instance_type=each.candidate.instance.name,
            rule="cost-per-1000-inferences",
            detail=_costlier(each, winner),
            usd_per_hour=each.instance_usd_per_hour,
        )
        for each in best[1:]
    ]
    lacking = [
        Rejected(
            instance_type=each.instance.name,
            rule=each.lacks[0].rule,
            detail=each.lacks[0].detail,
            also=tuple(dict.fromkeys(lack.rule for lack in each.lacks[1:])),
            usd_per_hour=each.usd_per_hour,
        )
        for each in found
        if each.lacks
    ]
    return tuple(
        sorted(costlier + lacking, key=lambda each: (each.usd_per_hour or math.inf, each.instance_type))
    )


def _costlier(each: Priced, winner: Priced) -> str:
    fleet = each.candidate.fleet
    why = f"; {fleet.replicas - 1} would lack {fleet.fewer_lack}" if fleet.fewer_lack else ""
    return f"{_fleet_cost(each)} USD{why}; {_fleet_cost(winner)}"


def _fleet_cost(priced: Priced) -> str:
    chosen = priced.candidate
    return f"{chosen.fleet.replicas} × {chosen.instance.name} cost {priced.usd_per_1000_inferences:.4f}"


def _nothing_fits(request: Request, found: list[Candidate]) -> str:
    lines = [
        f"{request.name}: none of the {len(found)} shapes of {request.cloud} satisfies the spec. The nearest:"
    ]
    for each in nearest_misses(found)[:NEAREST]:
        price = f" ({each.usd_per_hour:g} USD/h)" if each.usd_per_hour else ""
        lines.append(f"  {each.instance.name}{price}")
        lines += [f"    {lack.rule}: {lack.detail}" for lack in each.lacks]
    lines.append(
        "Lower what is asked (concurrency, max_model_len, latency, weights_precision), raise the budget, "
        "or try another cloud."
    )
    return "\n".join(lines)
