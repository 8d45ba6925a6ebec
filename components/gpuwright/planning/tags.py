"""The tags that tell what a machine is meant to serve: components write them, policies read them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpuwright.planning.plan import Plan

PREFIX = "gpuwright:"
MODEL = f"{PREFIX}model"
WEIGHTS_PRECISION = f"{PREFIX}weights-precision"
KV_CACHE_PRECISION = f"{PREFIX}kv-cache-precision"
MAX_MODEL_LEN = f"{PREFIX}max-model-len"
PROMPT_TOKENS = f"{PREFIX}prompt-tokens"
OUTPUT_TOKENS = f"{PREFIX}output-tokens"
CONCURRENCY = f"{PREFIX}concurrency"
TENSOR_PARALLEL_SIZE = f"{PREFIX}tensor-parallel-size"
GPU_MEMORY_UTILIZATION = f"{PREFIX}gpu-memory-utilization"
DISK_REQUIRED_GB = f"{PREFIX}disk-required-gb"
PLAN_DIGEST = f"{PREFIX}plan-digest"
MODEL_STORE = f"{PREFIX}model-store"
"""Address of the model's files. The plan does not know the bucket, so whoever makes the machine adds it."""

_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?")


@dataclass(frozen=True)
class ServingTags:
    """What the tags of a machine say; None where a tag is missing or is no number where one is due.

    A text that is not known yet is whatever stood in the mapping in its place.

    Args:
        concurrency: Requests in flight in one replica.
        disk_required_gb: What has to go on the system disk, GB.
    """

    model: Any = None
    model_store: Any = None
    weights_precision: Any = None
    kv_cache_precision: Any = None
    max_model_len: int | None = None
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    concurrency: int | None = None
    tensor_parallel_size: int | None = None
    gpu_memory_utilization: float | None = None
    disk_required_gb: float | None = None


def to_tags(plan: Plan) -> dict[str, str]:
    """Return the tags of a machine that runs the plan, all but the model store's."""
    return {
        MODEL: plan.model.id,
        WEIGHTS_PRECISION: plan.weights_precision,
        KV_CACHE_PRECISION: plan.kv_cache_precision,
        MAX_MODEL_LEN: str(plan.max_model_len),
        PROMPT_TOKENS: str(plan.prompt_tokens),
        OUTPUT_TOKENS: str(plan.output_tokens),
        CONCURRENCY: str(plan.performance.concurrency_per_replica),
        TENSOR_PARALLEL_SIZE: str(plan.tensor_parallel_size),
        GPU_MEMORY_UTILIZATION: str(plan.sizing.gpu_memory_utilization),
        DISK_REQUIRED_GB: str(plan.disk.required_gb),
        PLAN_DIGEST: plan.digest,
    }


def read_tags(tags: Mapping[str, Any]) -> ServingTags:
    """Return what the tags say of the model that a machine is meant to serve."""
    return ServingTags(
        model=tags.get(MODEL),
        model_store=tags.get(MODEL_STORE),
        weights_precision=tags.get(WEIGHTS_PRECISION),
        kv_cache_precision=tags.get(KV_CACHE_PRECISION),
        max_model_len=_whole(tags.get(MAX_MODEL_LEN)),
        prompt_tokens=_whole(tags.get(PROMPT_TOKENS)),
        output_tokens=_whole(tags.get(OUTPUT_TOKENS)),
        concurrency=_whole(tags.get(CONCURRENCY)),
        tensor_parallel_size=_whole(tags.get(TENSOR_PARALLEL_SIZE)),
        gpu_memory_utilization=_number(tags.get(GPU_MEMORY_UTILIZATION)),
        disk_required_gb=_number(tags.get(DISK_REQUIRED_GB)),
    )


def _number(value: Any) -> float | None:
    """Return a positive number; a tag's value is always text."""
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        return None
    return float(value) or None


def _whole(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number.is_integer() else None
