"""What a server leaves for the KV cache on one accelerator, and what it took before that."""

from __future__ import annotations

from dataclasses import dataclass

from gpuwright.sizing.decoder import Decoder
from gpuwright.sizing.run import Run

GIB = 1024**3
MIB = 1024**2

DRIVER_RESERVED_GIB = 0.38
DRIVER_RESERVED_PART = 0.002
"""What a process does not find of the total that nvidia-smi shows: GiB, and a part of the total. Fitted to the totals
that PyTorch prints beside it: 23.58 of 24.00 GiB (RTX 3090, vllm-project/vllm#10517), 39.49 of 40.00 (A100,
vllm-project/vllm#25970), 44.42 of 44.99 (L40S, vllm-project/vllm#15815), 79.22 of 79.65 (H100,
vllm-project/vllm#10511)."""


@dataclass(frozen=True)
class Budget:
    """One accelerator's memory in a server's own accounting, bytes.

    Args:
        usable: What weights, activations, runtime and KV cache may use together.
        activations: Peak of the activations in one step, and of sampling.
        runtime: Context, libraries, communication buffers, and CUDA graphs where they count.
        outside: What is taken from beyond the usable memory, such as CUDA graphs.
        left: What becomes KV cache; below zero by what is lacking.
        host: Weights that stay in the host's memory.
    """

    usable: float
    activations: float
    runtime: float
    outside: float
    left: float
    host: float = 0.0


@dataclass(frozen=True)
class Shape:
    """What a server's accounting starts from, on the fullest accelerator.

    Args:
        model: The model.
        run: How the server is started.
        visible: What a process finds of the accelerator's memory, bytes.
        weights: Weights on it, bytes.
        sequences: Requests in one step.
        max_model_len: Longest prompt plus answer, tokens.
    """

    model: Decoder
    run: Run
    visible: float
    weights: float
    sequences: int
    max_model_len: int


def visible_bytes(usable_mib: float) -> float:
    """Return what a process finds of the memory that nvidia-smi shows."""
    return usable_mib * MIB * (1 - DRIVER_RESERVED_PART) - DRIVER_RESERVED_GIB * GIB


def collectives_bytes(shape: Shape, gib: float) -> float:
    """Return what accelerators that share a layer spend on talking, each; never more than sharing the weights saves.

    Buffers grow with what is sent, so those of a tiny model stay small, and one more accelerator is no loss.
    """
    saved = shape.weights * (shape.run.tensor_parallel_size - 1)
    return min(gib * GIB, saved)


def prefill_bytes(model: Decoder, tokens: int, tensor_parallel_size: int) -> float:
    """Return the peak of the activations of one prefill step on one accelerator, in 16 bits.

    For each token: gate and up projections with their product, divided over the accelerators, and three residual
    streams. A mixture of experts holds a row for each expert of a token, whose output is as wide as the model. It
    reproduces vLLM's profiled peak of Llama 3.1 8B to 1 % (2.07 GiB at 20,000 tokens, 2.99 at 29,000:
    vllm-project/vllm#10517).
    """
    ranks = tensor_parallel_size
    if model.experts:
        width = model.expert_width
        mlp = model.experts_per_token * (max(2 * width / ranks, model.hidden_size) + width / ranks)
    else:
        mlp = 3 * model.mlp_width / ranks
    return tokens * 2 * (mlp + 3 * model.hidden_size)
