"""The answer to "does it fit on my card, how many users, how fast", with no cloud; of one question or of a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gpuwright.catalog import Model
from gpuwright.errors import InputError
from gpuwright.sizing.memory import Load, Memory, Verdict
from gpuwright.sizing.names import accelerator_named, model_named
from gpuwright.sizing.roofline import Hardware
from gpuwright.sizing.rows import Case, case
from gpuwright.sizing.run import Run
from gpuwright.sizing.served import Served, served
from gpuwright.sizing.speed import Speed, speed

DEFAULT_PROMPT_TOKENS = 512
DEFAULT_OUTPUT_TOKENS = 256
"""A chat turn, as in the profile `7b-online`."""

PREDICTED = (
    "predicted_fits",
    "predicted_verdict",
    "predicted_margin_gib",
    "predicted_weights_gib",
    "predicted_kv_gib",
    "predicted_kv_tokens",
    "predicted_output_tokens_per_s",
    "roofline_output_tokens_per_s",
    "predicted_ttft_ms",
    "predicted_tpot_ms",
    "predicted_basis",
    "error",
)
"""Columns that a table gets beside its own."""


@dataclass(frozen=True)
class Answer:
    """How a model is served on some accelerators.

    Args:
        model: Id of the model.
        accelerator: Name of the device.
        accelerators: Devices of the replica.
        run: How the server is started.
        load: What it is asked.
        memory: What it needs and finds.
        speed: How fast it is at that load.
    """

    model: str
    accelerator: str
    accelerators: int
    run: Run
    load: Load
    memory: Memory
    speed: Speed

    @property
    def fits(self) -> bool:
        """Whether it starts and holds its load, by the likeliest numbers."""
        return self.memory.fits


def answer(
    question: Mapping[str, str],
    model: Model | None = None,
    *,
    prompt_tokens: int | None = None,
    output_tokens: int | None = None,
    concurrency: int | None = None,
) -> Answer:
    """Return memory and speed of a model on named accelerators.

    Args:
        question: As a row of a table of memory measurements: model, gpu, tensor_parallel, engine, version,
            gpu_memory_utilization, max_model_len, quantization, kv_cache_dtype; what is left out is the server's
            own default.
        model: The model, where it is not to be looked up by the question's name of it.
        prompt_tokens: Tokens of a typical prompt.
        output_tokens: Tokens of a typical answer.
        concurrency: Requests in flight; as many as the KV cache holds where left out.

    Raises:
        InputError: A name is not known, or a value is out of range.
    """
    model = model or model_named(question["model"])
    # A server that is told no length takes the model's own, and refuses to start where one such request has no room.
    stated = {"max_model_len": str(model.max_position)} if model.max_position else {}
    found = case({**stated, **question}, model)
    device = accelerator_named(question["gpu"])
    longest = found.load.max_model_len
    prompt = prompt_tokens or min(DEFAULT_PROMPT_TOKENS, max(1, longest * 2 // 3))
    output = output_tokens or min(DEFAULT_OUTPUT_TOKENS, max(1, longest - prompt))
    if prompt + output > longest:
        raise InputError.of(
            "max_model_len",
            f"is {longest}, and {prompt} + {output} = {prompt + output} tokens are asked.",
            "Raise it, or lower prompt or output tokens.",
        )
    memory = _with(found, Load(concurrency or 1, prompt, output, longest)).memory()
    load = Load(concurrency or max(1, memory.max_concurrency), prompt, output, longest)
    nvlink = device.nvlink_gb_per_s if device.form_factor.startswith("SXM") else 0.0
    pace = speed(found.model, Hardware(device, nvlink), load, found.run)
    return Answer(found.model.id, device.name, found.run.accelerators, found.run, load, memory, pace)


def predicted(row: Mapping[str, str]) -> dict[str, Any]:
    """Return what is predicted for a row of measurements, by column; a row that cannot be sized says why.

    A row with ``input_len`` is one of speed, and any other one of memory; numbers that a kind of row does not ask
    for are left empty.
    """
    told: dict[str, Any] = dict.fromkeys(PREDICTED, "")
    predict: Callable[[Mapping[str, str]], dict[str, Any]] = _of_speed if row.get("input_len") else _of_memory
    try:
        return {**told, **predict(row)}
    except InputError as error:
        return {**told, "error": str(error)}
    except (KeyError, ValueError) as error:
        return {**told, "error": f"the row cannot be read: {error!r}"}


def _of_memory(row: Mapping[str, str]) -> dict[str, Any]:
    found = case(row)
    memory = found.memory()
    return {**_memory_columns(memory, found.run), "predicted_basis": str(memory.weights_basis)}


def _of_speed(row: Mapping[str, str]) -> dict[str, Any]:
    task: Served = served(row)
    pace = task.speed()
    share = task.run.accelerators if row.get("throughput_scope", "").casefold().startswith("per") else 1
    return {
        **_memory_columns(task.memory, task.run),
        "predicted_output_tokens_per_s": round(pace.output_tokens_per_second / share, 2),
        "roofline_output_tokens_per_s": round(pace.roofline_output_tokens_per_second / share, 2),
        "predicted_ttft_ms": round(pace.time_to_first_token_ms, 2),
        "predicted_tpot_ms": round(pace.time_per_output_token_ms, 3),
        "predicted_basis": str(pace.basis),
    }


def _memory_columns(memory: Memory, run: Run) -> dict[str, Any]:
    """Return memory as servers report it: sizes of one accelerator, tokens of the replica."""
    return {
        "predicted_fits": str(memory.verdict is not Verdict.DOES_NOT_FIT and memory.fits).lower(),
        "predicted_verdict": str(memory.verdict),
        "predicted_margin_gib": round(memory.margin_gib, 3),
        "predicted_weights_gib": round(memory.weights_gib / run.accelerators, 4),
        "predicted_kv_gib": round(memory.kv_cache_left_gib / run.accelerators, 3),
        "predicted_kv_tokens": memory.kv_cache_tokens,
    }


def _with(found: Case, load: Load) -> Case:
    return replace(found, load=load)
