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
        gpu_memory_utilization: Fraction of the driver's total that the server may use; of SGLang the static
            fraction, of TensorRT-LLM the part of what is left that becomes KV cache.
        prefill_tokens: Most tokens of one prefill step.
        pipeline_parallel_size: Groups of accelerators that hold successive layers.
        max_sequences: Most requests in one step, --max-num-seqs; none: the load's concurrency.
        block_size: Tokens of one block of the KV cache.
        enforce_eager: Whether CUDA graphs are left out.
        group_size: Weights that share one scale where they are quantized in groups.
        server: Name of the inference server.
        server_version: Its version, as in ``0.11.0``; of vLLM may end in (V0) or (V1). None: the newest that the
            accounting was read from.
    """

    weights_precision: str
    kv_cache_precision: str
    tensor_parallel_size: int = 1
    gpu_memory_utilization: float = GPU_MEMORY_UTILIZATION
    prefill_tokens: int = PREFILL_TOKENS
    pipeline_parallel_size: int = 1
    max_sequences: int | None = None
    block_size: int = 16
    enforce_eager: bool = False
    group_size: int = 128
    server: str = "vllm"
    server_version: str | None = None

    @property
    def accelerators(self) -> int:
        """Accelerators of one replica."""
        return self.tensor_parallel_size * self.pipeline_parallel_size
