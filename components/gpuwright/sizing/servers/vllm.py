"""vLLM's accounting: it runs one step of the largest size, and what the fraction leaves becomes KV cache.

Facts from vllm-project/vllm (worker.py, gpu_worker.py, arg_utils.py, kv_cache_utils.py) at the versions named.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache

from gpuwright.sizing.decoder import Decoder
from gpuwright.sizing.kv_cache import kv_cache_bytes_per_token, number_bytes
from gpuwright.sizing.servers.budget import GIB, Budget, Shape, collectives_bytes, prefill_bytes
from gpuwright.sizing.weights import FULL_BYTES, weights_format

NEWEST = (0, 11)
"""Version that is meant where none is given: the newest of the catalog."""

FIRST_V1 = (0, 8)
"""First version whose engine is V1 where nothing else is said."""

MEASURED_PEAK = (0, 6, 3)
"""First version that counts what PyTorch allocated; before, what it had reserved from the driver."""

GRAPHS_INSIDE = (0, 21)
"""First version that takes CUDA graphs from the fraction; before, they come on top of it."""

HYBRID_CACHE = (0, 10)
"""First version whose sliding layers free what is beyond the window by default."""

REQUEST_TOKENS = (0, 21)
"""First version whose "GPU KV cache size" is max_model_len times the requests of that length that fit; before, blocks
of the layer groups times block size. They differ where sliding layers mix with full ones: 55,000 and 525,000 tokens
of one Gemma 4 31B on one A100 (vllm-project/vllm#43308)."""

STATE_COPIES = 2
"""Copies of a sequence's state that are set aside: the current one, and one at a block's end for prefix caching.
302,921 tokens in 4.99 GiB on each of two accelerators (Qwen3.8 27B, mitchross/talos-argocd-proxmox#1995)."""

A100_IS_SMALL = (0, 9)
"""First version that gives an A100 the defaults of small accelerators (vllm-project/vllm#17885)."""

CHUNKED_ABOVE_TOKENS = 32_768
"""Longest model whose prompts V0 does not cut into chunks by default."""

CHUNKS_SAMPLED = (0, 7)
"""First version that profiles sampling also where prompts come in chunks: before, 0.06 GiB (vllm-project/vllm#10517,
35,000 tokens); since, 1.45 (Qwen3 8B at 65,536, public file with code-index id 13068150713)."""

LARGE_GIB = 70
"""GiB from which on V1 has larger defaults."""

SAMPLING_BYTES_PER_LOGIT = 38.4
"""Bytes that the profiled sampling holds for each request and word: logits in 16 and 32 bits, sorted with 64-bit
indices, probabilities and their sum. From the peaks 1.42 GiB (Qwen2.5 7B, vllm-project/vllm#13882) and 1.26 GiB
(Llama 3 8B with one and with two accelerators, vllm-project/vllm#10511), each with 256 requests; it is not divided."""

SAMPLING_BYTES_PER_LOGIT_WITHOUT_SORT = 11.3
"""The same from 0.26 on, where top-k and top-p no longer sort: 1.44 GiB with 1,024 requests (Llama 3.1 8B on one H100,
public file with code-index id 70682754770)."""

WITHOUT_SORT = (0, 26)

RESERVED_OVER_ALLOCATED = 1.2
RESERVED_GIB = 0.4
"""What PyTorch reserves beyond what it allocates, as a factor and in GiB: six start-up logs of version 0.4.1 on one RTX
A6000 (vllm-project/vllm#4454)."""

LEFTOVERS_COUNTED = (0, 6, 6)
"""First version that no longer counts what loading left behind as memory outside PyTorch (vllm-project/vllm#10511)."""

LEFTOVERS_GIB = 0.2
LEFTOVERS_PART_OF_QUANTIZED = 0.1
"""What versions from 0.6.3 on counted so: GiB (0.35 GiB in all, vllm-project/vllm#10517), and the part of quantized
weights that repacking left behind (4.09 GiB beside 38.5, vllm-project/vllm#11230)."""

ALL_REDUCES_FREED = (0, 3)
"""First version that frees what an all-reduce has read before the step ends (TORCH_NCCL_AVOID_RECORD_STREAMS); before,
the inputs of two a layer were held: of Llama 2 70B on four accelerators 13 GiB were gone (vllm-project/vllm#2031), of
Mixtral 8x7B on two 21 (vllm-project/vllm#2382)."""

NON_TORCH_GIB = 0.15
"""GiB outside PyTorch's allocator, from start-up logs: 0.02 to 0.26 (vllm-project/vllm#25970, #12126, #13882)."""

COLLECTIVES_GIB = 0.15
"""GiB more when accelerators share a layer: NCCL and all-reduce buffers. V0's logs: 0.20 to 0.30 in all
(vllm-project/vllm#14447, #15815)."""

COLLECTIVES_V1_GIB = 1.0
"""The same of V1: 0.95 in all (public file with code-index id 61511710941) to 1.5 (fitted to the calibration rows)."""

GRAPHS_GIB = 0.2
GRAPHS_BYTES_PER_LAYER_AND_WIDTH = 1100
"""CUDA graphs: GiB, and bytes for each layer and number of its width: 0.17 GiB (Qwen2.5 1.5B), 0.23 (Llama 3.1 8B);
larger models up to 3.2 (vllm-project/vllm#16303). Estimate, and only what is beside the fraction is asked of it."""


@dataclass(frozen=True)
class Version:
    """A version of vLLM, and which of its two engines runs."""

    number: tuple[int, ...]
    v1: bool


@lru_cache(maxsize=256)
def version(text: str | None) -> Version:
    """Return the version that a text such as ``0.8.5 (V1)`` or ``0.6.4-era (V0)`` means."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text or "")
    number = tuple(int(each) for each in found.groups() if each is not None) if found else NEWEST
    engine = re.search(r"\bV([01])\b", text or "")
    return Version(number, engine[1] == "1" if engine else number >= FIRST_V1)


def defaults(
    text: str | None, memory_gib: float, max_model_len: int, is_a100: bool = False
) -> tuple[int, int]:
    """Return --max-num-batched-tokens and --max-num-seqs where they are not given, for the API server.

    Args:
        text: The version.
        memory_gib: Memory of one accelerator.
        max_model_len: Longest prompt plus answer, tokens.
        is_a100: Whether it is an A100.
    """
    which = version(text)
    if not which.v1:
        if max_model_len > CHUNKED_ABOVE_TOKENS and which.number >= (0, 5):
            return (512 if which.number < (0, 7) else 2048), 256
        return max(max_model_len, 2048), 256
    if memory_gib >= LARGE_GIB and not (is_a100 and which.number >= A100_IS_SMALL):
        return 8192, 1024
    return 2048, 256


def budget(shape: Shape) -> Budget:
    """Return what vLLM leaves on one accelerator for the KV cache."""
    model, run, which = shape.model, shape.run, version(shape.run.server_version)
    tokens = max(run.prefill_tokens, shape.sequences)
    activations = max(prefill_bytes(model, tokens, run.tensor_parallel_size), _sampling(shape, which, tokens))
    runtime = NON_TORCH_GIB * GIB
    runtime += collectives_bytes(shape, COLLECTIVES_V1_GIB if which.v1 else COLLECTIVES_GIB)
    if which.number < MEASURED_PEAK:
        activations *= RESERVED_OVER_ALLOCATED
        runtime += RESERVED_GIB * GIB
        if which.number < ALL_REDUCES_FREED and run.tensor_parallel_size > 1:
            activations += 2 * model.layers * tokens * model.hidden_size * 2
    elif which.number < LEFTOVERS_COUNTED:
        runtime += LEFTOVERS_GIB * GIB
        if weights_format(run.weights_precision) not in FULL_BYTES:
            runtime += LEFTOVERS_PART_OF_QUANTIZED * shape.weights
    graphs = 0.0 if run.enforce_eager else _graphs(model, run.tensor_parallel_size)
    inside = which.number >= GRAPHS_INSIDE
    runtime += graphs if inside else 0
    usable = shape.visible * run.gpu_memory_utilization
    return Budget(
        usable=usable,
        activations=activations,
        runtime=runtime,
        outside=0.0 if inside else graphs,
        left=usable - shape.weights - activations - runtime,
    )


def _sampling(shape: Shape, which: Version, tokens: int) -> float:
    """Return the peak of the sampling, which no accelerator is spared; early versions skip it with chunked prompts."""
    in_chunks = shape.max_model_len > CHUNKED_ABOVE_TOKENS and tokens < shape.max_model_len
    if in_chunks and which.number < CHUNKS_SAMPLED:
        return 0.0
    sorted_ = which.number < WITHOUT_SORT
    each = SAMPLING_BYTES_PER_LOGIT if sorted_ else SAMPLING_BYTES_PER_LOGIT_WITHOUT_SORT
    return shape.sequences * shape.model.vocab_size * each + tokens * shape.model.hidden_size * 2


def _graphs(model: Decoder, tensor_parallel_size: int) -> float:
    width = model.layers * model.hidden_size * GRAPHS_BYTES_PER_LAYER_AND_WIDTH
    return GRAPHS_GIB * GIB + width / tensor_parallel_size


def request_bytes(model: Decoder, shape: Shape, tokens: int) -> float:
    """Return what a request of that many tokens occupies, over all accelerators' shares together.

    Before the hybrid cache a sliding layer keeps every token; with it the window and what one step adds.
    """
    run = shape.run
    rounded, state = _blocks(tokens, run.block_size), STATE_COPIES * model.state_bytes
    if not keeps_window(model, run.server_version):
        return kv_cache_bytes_per_token(model, run.kv_cache_precision) * rounded + state
    number = number_bytes(run.kv_cache_precision)
    held = min(tokens, model.sliding_window - 1 + max(run.prefill_tokens, shape.sequences))
    full = (model.cache_layers - model.sliding_layers) * model.cached_per_layer * rounded
    sliding = (
        model.sliding_layers
        * model.sliding_cached_per_layer
        * (_blocks(held, run.block_size) + run.block_size)
    )
    return (full + sliding) * number + state


def keeps_window(model: Decoder, text: str | None) -> bool:
    """Return whether that version frees what a sliding layer no longer sees.

    Layers whose pages differ in size are told apart only from 0.21 on.
    """
    which = version(text)
    pages_differ = model.sliding_cached_per_layer != model.cached_per_layer
    needed = REQUEST_TOKENS if pages_differ else HYBRID_CACHE
    return which.v1 and which.number >= needed and 0 < model.sliding_layers < model.cache_layers


def reported_tokens(shape: Shape, left: float, share: float) -> int:
    """Return what the server prints as the size of its KV cache, tokens."""
    if left <= 0:
        return 0
    model, run = shape.model, shape.run
    which = version(run.server_version)
    mixed = model.state_bytes or 0 < model.sliding_layers < model.cache_layers
    if mixed and which.v1 and which.number >= REQUEST_TOKENS:
        longest = request_bytes(model, shape, shape.max_model_len) * share
        return int(left / longest * shape.max_model_len)
    per_token = kv_cache_bytes_per_token(model, run.kv_cache_precision) * share
    if keeps_window(model, run.server_version):
        per_token *= _padding(model)
    return int(left / (per_token * run.block_size)) * run.block_size


def _padding(model: Decoder) -> float:
    """Return by how much groups of equally many layers exceed the layers there are."""
    full = model.cache_layers - model.sliding_layers
    group = min(full, model.sliding_layers)
    if max(full, model.sliding_layers) < 1.25 * group:
        group = max(full, model.sliding_layers)
    padded = (math.ceil(full / group) + math.ceil(model.sliding_layers / group)) * group
    return padded / model.cache_layers


def _blocks(tokens: int, block_size: int) -> int:
    return -(-tokens // block_size) * block_size
