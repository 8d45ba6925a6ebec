"""A row of a table that says in people's words how a model was served and how fast, as a load that can be sized.

The columns are those of ``benchmarks/data/observed_throughput.csv``. An empty one means unknown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from gpuwright.errors import InputError
from gpuwright.sizing.decoder import Decoder, decoder
from gpuwright.sizing.efficiency import CALIBRATED, Constants, RunKind
from gpuwright.sizing.memory import Load, Memory, fit
from gpuwright.sizing.names import accelerator_named, model_named
from gpuwright.sizing.roofline import Hardware
from gpuwright.sizing.run import Run
from gpuwright.sizing.speed import Speed, speed
from gpuwright.sizing.weights import weights_format

MOST_SEQUENCES = 4096
"""Requests that a server admits at once where everything is offered to it at once: trtllm-bench's default largest
batch."""

PREFIX_CACHED = 0.9
"""Part of a prompt that is taken to be found in the prefix cache where a row says no more than that it was on: what the
times of the six rows of CodeLlama 34B on two H100 tell."""

COMPRESSED = ("fp8", "fp8-block", "nvfp4", "mxfp4", "int8")
"""Weights of which published checkpoints and benchmarks also keep the KV cache in FP8, where a row does not say."""


@dataclass(frozen=True)
class Served:
    """A row that can be sized.

    Args:
        model: The model.
        hardware: The accelerators.
        load: What was asked; of a rate, what one request is.
        run: How the server was started.
        kind: How requests came.
        memory: What it needs and finds, with one request half-way through its answer.
        rate: Requests per second that arrived; None where their number in flight was fixed.
        cached_prompt_tokens: Tokens of a prompt that were found in the prefix cache.
    """

    model: Decoder
    hardware: Hardware
    load: Load
    run: Run
    kind: RunKind
    memory: Memory
    rate: float | None
    cached_prompt_tokens: float = 0

    @property
    def fits(self) -> bool:
        """Whether one request fits, so that the row can be as it says."""
        return self.memory.max_concurrency >= 1

    def most_in_flight(self) -> float | None:
        """Return the requests that the KV cache holds, or None where it should not hold one."""
        return float(self.memory.max_concurrency) if self.fits else None

    def loaded(self, constants: Constants = CALIBRATED) -> Load:
        """Return the load with the requests in flight: as given, or as the rate keeps there (Little's law)."""
        if self.rate is None:
            return self.load
        low, high = 1, self.load.concurrency
        while low < high:
            middle = (low + high) // 2
            if self._at(middle, constants).requests_per_second >= self.rate:
                high = middle
            else:
                low = middle + 1
        return _with(self.load, low)

    def speed(self, constants: Constants = CALIBRATED) -> Speed:
        """Return how fast it is; no more is answered than arrives."""
        found = self._at(self.loaded(constants).concurrency, constants)
        part = min(1.0, self.rate / found.requests_per_second) if self.rate else 1.0
        return replace(
            found,
            output_tokens_per_second=found.output_tokens_per_second * part,
            requests_per_second=found.requests_per_second * part,
            low_output_tokens_per_second=found.low_output_tokens_per_second * part,
            high_output_tokens_per_second=found.high_output_tokens_per_second * part,
        )

    def _at(self, concurrency: int, constants: Constants) -> Speed:
        load = _with(self.load, concurrency)
        cached = self.cached_prompt_tokens
        return speed(
            self.model, self.hardware, load, self.run, self.kind, self.most_in_flight(), cached, constants
        )


def served(row: Mapping[str, str]) -> Served:
    """Return the row as a load on a replica.

    Raises:
        InputError: It lacks a column that sizing needs, or names what is not known.
    """
    prompt, output = _tokens(row, "input_len"), _tokens(row, "output_len", default=1)
    model, device = decoder(model_named(row["model"])), accelerator_named(row["gpu"])
    form = _format(row.get("precision", ""), model)
    ranks, stages = int(row.get("tp") or row.get("gpu_count") or 1), int(row.get("pp") or 1)
    cache = row.get("kv_cache_dtype") or ("fp8" if form in COMPRESSED else "bf16")
    run = Run(
        weights_precision=form,
        kv_cache_precision=cache,
        tensor_parallel_size=ranks,
        pipeline_parallel_size=stages,
        server=row.get("engine", "").casefold() or "vllm",
    )
    nvlink = device.nvlink_gb_per_s if device.form_factor.startswith("SXM") else 0
    memory = fit(model, device, Load(1, prompt, output // 2, prompt + output), run)
    kind, concurrency, rate = _arrivals(row, memory)
    load = Load(concurrency, prompt, output, prompt + output)
    cached = PREFIX_CACHED * prompt if "prefix caching on" in row.get("note", "").casefold() else 0.0
    return Served(model, Hardware(device, nvlink), load, run, kind, memory, rate, cached)


def _format(text: str, model: Decoder) -> str:
    if not text:
        return model.quantization or model.dtype or "bf16"
    form = weights_format(text)
    return "mxfp4" if form == "nvfp4" and model.quantization == "mxfp4" else form


def _arrivals(row: Mapping[str, str], memory: Memory) -> tuple[RunKind, int, float | None]:
    """Return how requests came, how many were in flight (at a rate: at most), and their rate."""
    text, requests = row.get("concurrency_or_rate", "").casefold(), int(row.get("num_requests") or 0)
    if rate := re.search(r"([\d.]+)\s*req/s", text):
        prompts = re.search(r"(\d+) prompts", text)
        most = int(prompts[1]) if prompts else requests or MOST_SEQUENCES
        return RunKind.SERVING, min(most, MOST_SEQUENCES), float(rate[1])
    if batch := re.search(r"batch (\d+)", text):
        size = int(batch[1])
        return (RunKind.SINGLE if size == 1 else RunKind.STATIC), size, None
    if "offline" in text or "inf" in text:
        most = min(max(1, memory.max_concurrency), MOST_SEQUENCES)
        return RunKind.OFFLINE, min(most, requests) if requests else most, None
    if number := re.search(r"\d+", text):
        return RunKind.SERVING, max(1, int(number[0])), None
    raise InputError.of(
        "concurrency_or_rate",
        f"{text!r} says neither how many requests are in flight nor how many arrive.",
        "Write for example: concurrency 16, batch 1, 8 req/s, offline.",
    )


def _tokens(row: Mapping[str, str], column: str, default: int | None = None) -> int:
    text = row.get(column, "").strip()
    if not text and default is not None:
        return default
    if not re.fullmatch(r"[1-9]\d*(\.0+)?", text):
        raise InputError.of(column, f"is {text!r}, and must be a whole number above 0.", "Write digits only.")
    return int(float(text))


def _with(load: Load, concurrency: int) -> Load:
    return Load(concurrency, load.prompt_tokens, load.output_tokens, load.max_model_len)
