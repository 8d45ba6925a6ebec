"""A row of a table that says in people's words how a model was served, as a run that can be sized.

The columns are those of ``benchmarks/data/observed_memory.csv``; an empty one means unknown, and the server's own
default is taken.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

from gpuwright.catalog import Model, accelerators
from gpuwright.errors import InputError
from gpuwright.sizing.decoder import Decoder, decoder
from gpuwright.sizing.memory import Load, Memory, fit_in
from gpuwright.sizing.names import accelerator_named, model_named
from gpuwright.sizing.run import GPU_MEMORY_UTILIZATION, Run
from gpuwright.sizing.servers import sglang, tensorrt_llm, visible_bytes, vllm
from gpuwright.sizing.servers.budget import GIB

UNKNOWN_LENGTH = 4096
"""Tokens of the request that must fit where a row does not say the longest one."""

SERVERS = {
    "tensorrtllm": "tensorrt-llm",
    "trtllm": "tensorrt-llm",
    "trt-llm": "tensorrt-llm",
    "llamacpp": "llama.cpp",
}
SERVERS |= {"deepspeed-mii": "deepspeed", "deepspeed-inference": "deepspeed", "fastgen": "deepspeed"}
"""Other spellings of servers."""

SETTINGS = {
    "prefill_tokens": r"max[_-]num[_-]batched[_-]tokens\D{0,3}(\d+)|chunked[_-]prefill[_-]size\D{0,3}(\d+)",
    "max_sequences": r"max[_-]num[_-]seqs\D{0,3}(\d+)|max[_-]batch[_-]size\D{0,3}(\d+)",
    "group_size": r"group[_-]size\D{0,3}(\d+)",
    "block_size": r"--block[_-]size\D{0,3}(\d+)",
}
"""Settings that a note may hold, as a command line writes them."""


@dataclass(frozen=True)
class Case:
    """A row that can be sized.

    Args:
        model: The model.
        visible: What a process finds of one accelerator's memory, bytes.
        run: How the server was started.
        load: One request of the longest length.
        longest_is_known: Whether the row says that length; else it is the model's, and not held against the server.
    """

    model: Decoder
    visible: float
    run: Run
    load: Load
    longest_is_known: bool = True

    def memory(self) -> Memory:
        """Return what it needs and finds."""
        memory = fit_in(self.model, self.visible, self.load, self.run)
        if self.longest_is_known:
            return memory
        length = min(UNKNOWN_LENGTH, self.load.max_model_len)
        short = fit_in(self.model, self.visible, Load(1, length - 1, 1, length), self.run).kv_cache_gib
        total = memory.total_gib - memory.kv_cache_gib + short
        return replace(memory, kv_cache_gib=short, total_gib=total)


def case(row: Mapping[str, str], model: Model | None = None) -> Case:
    """Return the row as a run.

    Args:
        row: The columns.
        model: The model, where it is not to be looked up by the row's name of it.

    Raises:
        InputError: It names no accelerator, or a model, format or server that is not known.
    """
    sized = decoder(model or model_named(row["model"]))
    gib, visible, is_a100 = _accelerator(row)
    server = SERVERS.get(row.get("engine", "").casefold(), row.get("engine", "").casefold()) or "vllm"
    version = row.get("version") or None
    stated = _whole(row, "max_model_len")
    longest = stated or sized.max_position or UNKNOWN_LENGTH
    noted = {name: _setting(row.get("note", ""), pattern) for name, pattern in SETTINGS.items()}
    ranks = _whole(row, "tensor_parallel") or 1
    fraction: float = GPU_MEMORY_UTILIZATION
    tokens, sequences = 2048, noted["max_sequences"] or 256
    if server == "vllm":
        tokens, most = vllm.defaults(version, gib, longest, is_a100)
        sequences = noted["max_sequences"] or most
    elif server == "sglang":
        fraction, tokens = sglang.defaults(gib, ranks)
    elif server == "tensorrt-llm":
        fraction, tokens = tensorrt_llm.defaults(version, sequences)
    tokens = noted["prefill_tokens"] or tokens
    run = Run(
        weights_precision=row.get("quantization") or sized.quantization or sized.dtype or "bf16",
        kv_cache_precision=row.get("kv_cache_dtype") or "auto",
        tensor_parallel_size=ranks,
        pipeline_parallel_size=_whole(row, "pipeline_parallel") or 1,
        gpu_memory_utilization=float(row.get("gpu_memory_utilization") or fraction),
        prefill_tokens=tokens,
        max_sequences=min(sequences, tokens),
        enforce_eager=row.get("enforce_eager", "").casefold() == "true",
        group_size=noted["group_size"] or 128,
        block_size=noted["block_size"] or 16,
        server=server,
        server_version=version,
    )
    return Case(sized, visible, run, Load(1, max(1, longest - 1), 1, longest), stated is not None)


def _accelerator(row: Mapping[str, str]) -> tuple[float, float, bool]:
    """Return an accelerator's GiB, what a process finds of it in bytes, and whether it is an A100."""
    name = row.get("gpu", "").strip()
    stated = row.get("gpu_visible_mem_gib", "").strip()
    is_a100 = "a100" in name.casefold()
    if stated:
        return float(stated), float(stated) * GIB, is_a100
    size = re.fullmatch(r"(\d+)\s*gi?b(?:-class)?", name.casefold())
    if size:
        return float(size[1]), visible_bytes(_least_usable_mib(int(size[1]))), is_a100
    if not name:
        raise InputError.of("gpu", "is empty, so its memory is not known.", "Name the accelerator.")
    device = accelerator_named(name)
    return device.usable_mib / 1024, visible_bytes(device.usable_mib), is_a100


@cache
def _least_usable_mib(gib: int) -> float:
    """Return the least that an accelerator of that size shows, as a class such as 24GB names no accelerator."""
    return min((each.usable_mib for each in accelerators() if each.memory_gib == gib), default=gib * 1024)


def _whole(row: Mapping[str, str], column: str) -> int | None:
    text = row.get(column, "").strip()
    if not text:
        return None
    if not re.fullmatch(r"\d+(\.0+)?", text):
        raise InputError.of(column, f"is {text!r}, and must be a whole number.", "Write digits only.")
    return int(float(text))


def _setting(note: str, pattern: str) -> int | None:
    found = re.search(pattern, note)
    return next((int(each) for each in found.groups() if each), None) if found else None
