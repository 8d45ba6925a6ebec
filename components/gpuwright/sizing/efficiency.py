"""What part of the data sheet's rates servers reach, and the time that nothing accounts for.

Few constants, each with a meaning, fitted at once to published measurements: ``python benchmarks/accuracy.py speed
--calibrate`` fits them anew and prints them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from gpuwright.sizing.weights import FULL_BYTES, weights_format


class RunKind(StrEnum):
    """How requests come."""

    SERVING = "serving"
    """A number of clients, each of whom sends the next request when the last is answered."""
    OFFLINE = "offline"
    """All at once; as many are in flight as the KV cache and the server allow."""
    STATIC = "static batch"
    """One batch that is read together and answered together, without a server around it."""
    SINGLE = "single stream"
    """One request at a time, without a server around it."""


@dataclass(frozen=True)
class Constants:
    """What is fitted. Parts are of the data sheet's rate, between 0 and 1; times are seconds.

    Args:
        memory: Part of the memory bandwidth at which weights are read.
        expert_memory: The same for routed experts. It is near 1 since tokens choose experts less evenly than is
            assumed, so fewer are read.
        cache: Part of the memory bandwidth at which the KV cache is read.
        compute: Part of the tensor-core peak that large multiplications reach.
        expert_compute: That of models with experts over that of dense ones.
        fp4_compute: That of FP4 over that of the formats before it.
        attention: Part of the 16-bit peak that attention over a long prompt reaches.
        link: Part of a link's rate, one direction, that all-reduces reach.
        vllm_layer_seconds: Time of a layer in a decode step that is neither reading nor multiplying.
        tensorrt_llm_layer_seconds: The same.
        sglang_layer_seconds: The same.
        llama_cpp_layer_seconds: The same.
        static_layers: That time in a static batch over that behind a server.
        expert_layer_seconds: More of it where a layer has experts: routing and their smaller kernels.
        vllm_fp8_expert_layer_seconds: The same with experts in FP8, whose activations are quantized on the way.
        tensorrt_llm_fp8_expert_layer_seconds: The same.
        sglang_fp8_expert_layer_seconds: The same.
        request_seconds: Time of a decode step that each request in flight adds: sampling, scheduling, detokenizing.
        all_reduce_seconds: Time of an all-reduce of nothing over NVLink.
        all_reduce_doubling_seconds: More of it each time the accelerators double.
        llama_cpp_hbm: Part of ``memory`` that llama.cpp's kernels for one token reach on HBM; on GDDR all of it.
        llama_cpp_compute: Part of the peak that llama.cpp reaches in 16 bits.
        llama_cpp_quantized_compute: The same in the peak of INT8, for quantized weights.
        first_layer_seconds: Time of a layer before a first token, on top of the prefill: launches without CUDA graphs.
        first_expert_layer_seconds: More of it where a layer has experts.
        first_fp8_expert_layer_seconds: Still more of it with experts in FP8.
        first_request_seconds: Time before a first token that each request in flight adds.
        waiting: Prefills that a new request waits for, of each other request in flight. In a run of ten requests a
            client the first of all clients come together, half of which is waited for in one of ten: 0.05.
    """

    memory: float = 0.905
    expert_memory: float = 0.981
    cache: float = 0.749
    compute: float = 0.656
    expert_compute: float = 0.485
    fp4_compute: float = 0.549
    attention: float = 0.624
    link: float = 0.553
    vllm_layer_seconds: float = 6.1e-05
    tensorrt_llm_layer_seconds: float = 4e-05
    sglang_layer_seconds: float = 4e-05
    llama_cpp_layer_seconds: float = 8.4e-05
    static_layers: float = 0.387
    expert_layer_seconds: float = 9.1e-06
    vllm_fp8_expert_layer_seconds: float = 0.00022
    tensorrt_llm_fp8_expert_layer_seconds: float = 0.00013
    sglang_fp8_expert_layer_seconds: float = 6.9e-05
    request_seconds: float = 5.7e-06
    all_reduce_seconds: float = 2.4e-06
    all_reduce_doubling_seconds: float = 1.8e-06
    llama_cpp_hbm: float = 0.568
    llama_cpp_compute: float = 0.497
    llama_cpp_quantized_compute: float = 0.172
    first_layer_seconds: float = 0.00047
    first_expert_layer_seconds: float = 0.00043
    first_fp8_expert_layer_seconds: float = 0.0023
    first_request_seconds: float = 0.0002
    waiting: float = 0.066


CALIBRATED = Constants()

FP8_OVER_FP4 = 0.5
"""Peak of FP8 over that of FP4: servers multiply weights in MXFP4 with activations in FP8 (OCP MXFP8)."""

MOST = 0.98
"""No part of a data sheet's rate is above this, so that no prediction reaches the roofline."""

HBM_BYTES_PER_S = 1.4e12
"""Memory bandwidth above which memory is HBM: the fastest GDDR6X has 1.0, the slowest HBM here but V100's 1.5."""

PCIE_ALL_REDUCE = 8.0
"""Times that an all-reduce of nothing takes longer over PCIe than over NVLink. Estimate: nothing measured has it."""


@dataclass(frozen=True, slots=True)
class Efficiency:
    """What one server reaches with one format: parts between 0 and 1, and seconds.

    Args:
        memory: Part of the memory bandwidth for weights.
        expert_memory: Part of the memory bandwidth for routed experts.
        cache: Part of the memory bandwidth for the KV cache.
        compute: Part of the tensor-core peak.
        attention: Part of the 16-bit peak for attention.
        link: Part of the link's rate.
        layer_seconds: Time of a layer in a decode step.
        expert_layer_seconds: More of it where a layer has experts.
        request_seconds: Time of a decode step for each request in flight.
        all_reduce_seconds: Time of an all-reduce of nothing between two accelerators, less one doubling.
        all_reduce_doubling_seconds: More of it each time the accelerators double.
        first_layer_seconds: Time of a layer before a first token.
        first_expert_layer_seconds: More of it where a layer has experts.
        first_request_seconds: Time before a first token for each request in flight.
        waiting: Prefills that a new request waits for, of each other request in flight.
    """

    memory: float
    expert_memory: float
    cache: float
    compute: float
    attention: float
    link: float
    layer_seconds: float
    expert_layer_seconds: float
    request_seconds: float
    all_reduce_seconds: float
    all_reduce_doubling_seconds: float
    first_layer_seconds: float
    first_expert_layer_seconds: float
    first_request_seconds: float
    waiting: float


@lru_cache(maxsize=1024)
def efficiency(
    server: str,
    precision: str,
    *,
    has_experts: bool,
    multiplies_fp4: bool,
    memory_bytes_per_s: float,
    nvlink: bool,
    kind: RunKind = RunKind.SERVING,
    constants: Constants = CALIBRATED,
) -> Efficiency:
    """Return what a server reaches.

    A server that nothing was measured of is taken for vLLM.

    Args:
        server: Name of the inference server.
        precision: Number format of the weights.
        has_experts: Whether the model has routed experts.
        multiplies_fp4: Whether the accelerator multiplies in FP4.
        memory_bytes_per_s: Memory bandwidth of the accelerator.
        nvlink: Whether accelerators talk over NVLink.
        kind: How requests come.
        constants: What was fitted.
    """
    form, known, fp8 = weights_format(precision), constants, weights_format(precision).startswith("fp8")
    layer = {
        "tensorrt-llm": known.tensorrt_llm_layer_seconds,
        "sglang": known.sglang_layer_seconds,
        "llama.cpp": known.llama_cpp_layer_seconds,
    }.get(server, known.vllm_layer_seconds)
    expert_layer = known.expert_layer_seconds
    if fp8:
        expert_layer = {
            "tensorrt-llm": known.tensorrt_llm_fp8_expert_layer_seconds,
            "sglang": known.sglang_fp8_expert_layer_seconds,
        }.get(server, known.vllm_fp8_expert_layer_seconds)
    compute = known.compute * (known.expert_compute if has_experts else 1)
    if multiplies_fp4:
        compute *= {"nvfp4": known.fp4_compute, "mxfp4": FP8_OVER_FP4}.get(form, 1)
    memory = known.memory
    if server == "llama.cpp":
        full = form.removeprefix("gguf-") in ("f16", "bf16", "f32") or form in FULL_BYTES
        compute = known.llama_cpp_compute if full else known.llama_cpp_quantized_compute
        memory *= known.llama_cpp_hbm if memory_bytes_per_s > HBM_BYTES_PER_S else 1
    alone = server == "llama.cpp" or kind in (RunKind.STATIC, RunKind.SINGLE)
    slower = 1.0 if nvlink else PCIE_ALL_REDUCE
    return Efficiency(
        memory=min(MOST, memory),
        expert_memory=min(MOST, known.expert_memory),
        cache=min(MOST, known.cache),
        compute=min(MOST, compute),
        attention=min(MOST, known.attention),
        link=min(MOST, known.link),
        layer_seconds=layer * (known.static_layers if kind is RunKind.STATIC else 1),
        expert_layer_seconds=expert_layer,
        request_seconds=known.request_seconds,
        all_reduce_seconds=known.all_reduce_seconds * slower,
        all_reduce_doubling_seconds=known.all_reduce_doubling_seconds * slower,
        first_layer_seconds=layer if alone else known.first_layer_seconds,
        first_expert_layer_seconds=expert_layer
        if alone
        else known.first_expert_layer_seconds + (known.first_fp8_expert_layer_seconds if fp8 else 0),
        first_request_seconds=0.0 if alone else known.first_request_seconds,
        waiting=known.waiting,
    )
