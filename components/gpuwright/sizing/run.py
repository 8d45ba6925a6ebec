"""How an inference server is started: what of it decides memory and speed."""

from __future__ import annotations

from dataclasses import dataclass

GPU_MEMORY_UTILIZATION = 0.90
"""Fraction of the driver's total that the server may use: vLLM's own default. Fit and command line use this one."""

PREFILL_TOKENS = 2048
"""Tokens of one prefill step, --max-num-batched-tokens: vLLM's default for accelerators below 70 GiB; the peak of
the activations is set by it.
"""


@dataclass(frozen=True)
class Run:
    """How one replica's server is started.

    Args:
        weights_precision: Number format or quantization of the weights.
        kv_cache_precision: Number format of the KV cache.
        tensor_parallel_size: Accelerators that share each layer; must divide the attention heads, which the planner
            checks.
        gpu_memory_utilization: Fraction of the driver's total that the server may use.
        prefill_tokens: Most tokens of one prefill step.
        server: Inference server: vllm, sglang, tensorrt-llm, deepspeed or llama.cpp.
        pipeline_parallel_size: Groups of accelerators that each hold a run of layers.
    """

    weights_precision: str
    kv_cache_precision: str
    tensor_parallel_size: int = 1
    gpu_memory_utilization: float = GPU_MEMORY_UTILIZATION
    prefill_tokens: int = PREFILL_TOKENS
    server: str = "vllm"
    pipeline_parallel_size: int = 1
