"""What is known of a machine from the name of its shape and the tags that say what it serves."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

from gpuwright import catalog
from gpuwright.errors import InputError
from gpuwright.planning.search import WEIGHTS_BITS, host_facts
from gpuwright.planning.tags import ServingTags
from gpuwright.sizing import GPU_MEMORY_UTILIZATION, Decoder, Load, Memory, Run, decoder, fit
from gpuwright.sizing.memory import KV_CACHE_BYTES
from gpuwright_policies.facts import UNKNOWN, Facts, Host, Parallelism, Serving

LEAST_LOAD = Load(concurrency=1, prompt_tokens=1, output_tokens=0, max_model_len=1)
"""What a server needs at the very least: where this does not fit, no load does."""


def machine_facts(subject: str, instance_type: object, tags: ServingTags) -> Iterator[Facts]:
    """Yield the shape's facts and those of the model on it.

    A shape that the catalog does not have is nobody's business, unless a model is meant to run there: then
    its facts are unknown.

    Args:
        instance_type: Name of the shape; anything else than a text is not known yet.
    """
    shape = find_shape(instance_type)
    if shape is None and tags.model is None:
        return
    yield host(subject, instance_type, shape)
    if tags.model is not None:
        yield from serving_facts(subject, shape, tags)


def find_shape(instance_type: object) -> catalog.InstanceType | None:
    """Return the shape of that name, whichever cloud sells it, or None."""
    return _shapes().get(instance_type) if isinstance(instance_type, str) else None


def host(subject: str, instance_type: object, shape: catalog.InstanceType | None) -> Host:
    """Return the facts of a shape; all are unknown where the catalog does not have it."""
    if shape is None:
        name = instance_type if isinstance(instance_type, str) else UNKNOWN
        return Host(subject, name, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)
    return host_facts(subject, shape)


def serving_facts(
    subject: str,
    shape: catalog.InstanceType | None,
    tags: ServingTags,
    own_model: catalog.Model | None = None,
) -> Iterator[Facts]:
    """Yield the facts of the tagged model on a shape.

    Args:
        own_model: The model, where it is no row of the catalog.
    """
    model = _catalog_model(tags.model) if own_model is None else _sizable(own_model)
    yield _serving(subject, shape, tags, model)
    if shape is not None and tags.tensor_parallel_size is not None:
        yield Parallelism(subject, shape.name, tags.tensor_parallel_size, shape.accelerator_count)


def _serving(
    subject: str, shape: catalog.InstanceType | None, tags: ServingTags, model: Decoder | None
) -> Serving:
    """Return the facts of the tagged model on a shape, its memory computed anew whatever the plan said.

    Where the tags leave the load open, the need is unknown, unless not even the least load fits.
    """
    device = catalog.accelerator_of(shape) if shape else None
    needed, usable = _gib_of_one(model, shape, tags)
    return Serving(
        subject=subject,
        model=tags.model if isinstance(tags.model, str) else UNKNOWN,
        params_billion=model.params_total / 1e9 if model else UNKNOWN,
        weights_bits=WEIGHTS_BITS.get(_precision(model, tags), UNKNOWN),
        accelerator=device.name if device else UNKNOWN,
        accelerator_count=_ranks(shape, tags) if shape else UNKNOWN,
        accelerator_memory_gib=device.memory_gib if device else UNKNOWN,
        required_gib=UNKNOWN if needed is None else needed,
        usable_gib=UNKNOWN if usable is None else usable,
    )


def _gib_of_one(
    model: Decoder | None, shape: catalog.InstanceType | None, tags: ServingTags
) -> tuple[float | None, float | None]:
    """Return what one accelerator must hold and what the server may use of it, GiB."""
    if model is None or shape is None or _precision(model, tags) not in WEIGHTS_BITS:
        return None, None
    load = _load(tags)
    memory = _fit(model, shape, tags, load or LEAST_LOAD)
    ranks = _ranks(shape, tags)
    needed, usable = memory.total_gib / ranks, memory.usable_gib / ranks
    cache_known = tags.kv_cache_precision in KV_CACHE_BYTES
    return (needed if needed > usable or (load and cache_known) else None), usable


def _fit(model: Decoder, shape: catalog.InstanceType, tags: ServingTags, load: Load) -> Memory:
    smallest = min(KV_CACHE_BYTES, key=lambda precision: KV_CACHE_BYTES[precision])
    return fit(
        model,
        catalog.accelerator_of(shape),
        load,
        Run(
            weights_precision=_precision(model, tags),
            kv_cache_precision=tags.kv_cache_precision
            if tags.kv_cache_precision in KV_CACHE_BYTES
            else smallest,
            tensor_parallel_size=_ranks(shape, tags),
            gpu_memory_utilization=min(tags.gpu_memory_utilization or GPU_MEMORY_UTILIZATION, 1.0),
        ),
    )


def _precision(model: Decoder | None, tags: ServingTags) -> Any:
    """Return the number format of the weights: the tagged one, or else the published one."""
    if tags.weights_precision is not None or model is None:
        return tags.weights_precision
    return model.quantization or model.dtype


def _ranks(shape: catalog.InstanceType, tags: ServingTags) -> int:
    """Return the accelerators that a replica finds: what it asks for, but no more than the machine has."""
    return min(tags.tensor_parallel_size or 1, shape.accelerator_count)


def _load(tags: ServingTags) -> Load | None:
    if not (tags.concurrency and tags.max_model_len and tags.prompt_tokens and tags.output_tokens):
        return None
    return Load(tags.concurrency, tags.prompt_tokens, tags.output_tokens, tags.max_model_len)


@lru_cache(maxsize=256)
def _catalog_model(name: object) -> Decoder | None:
    """Return the catalog's model of that id, or None where it has none or none that can be sized."""
    try:
        return _sizable(catalog.model(name)) if isinstance(name, str) else None
    except InputError:
        return None


def _sizable(model: catalog.Model) -> Decoder | None:
    try:
        return decoder(model)
    except InputError:
        return None


@cache
def _shapes() -> dict[str, catalog.InstanceType]:
    return {shape.name: shape for cloud in catalog.clouds() for shape in catalog.instance_types(cloud)}
