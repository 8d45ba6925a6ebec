"""``gpuwright size``: does it fit on my card, how many users, how fast; with no cloud."""

from __future__ import annotations

import csv
import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from gpuwright.errors import EXIT_DONE, EXIT_REFUSED, Fault, InputError
from gpuwright.layout import bar, columns, counted

if TYPE_CHECKING:
    from gpuwright.catalog import Accelerator, Model
    from gpuwright.sizing.answer import Answer
    from gpuwright.sizing.need import Need

COLUMNS = {
    "model": "model",
    "accelerator": "gpu",
    "server": "engine",
    "server_version": "version",
    "gpu_memory_utilization": "gpu_memory_utilization",
    "max_model_len": "max_model_len",
    "quantization": "quantization",
    "kv_cache_dtype": "kv_cache_dtype",
    "tensor_parallel": "tensor_parallel",
    "pipeline_parallel": "pipeline_parallel",
}
"""Options, and the columns of a table of measurements that say the same."""

PROGRESS_EVERY = 500
"""Rows of a table between two words of progress."""


@click.command(name="size", short_help="Say whether a model fits on a card, and how fast.")
@click.option("--model", help="The model: an id of the catalog, a name as people write it, or a config.json.")
@click.option("--accelerator", help="The device, as people write it: L4, A10G, H100-80GB (PCIe).")
@click.option(
    "--accelerators", type=click.IntRange(min=1), default=1, show_default=True, help="How many of them."
)
@click.option(
    "--tensor-parallel", type=click.IntRange(min=1), help="Accelerators sharing each layer; all if left out."
)
@click.option("--server", help="vllm, sglang, tensorrt-llm, deepspeed or llama.cpp.  [default: vllm]")
@click.option("--server-version", help="Its version, such as 0.11.0; accounting differs between them.")
@click.option(
    "--gpu-memory-utilization",
    type=click.FloatRange(0, 1, min_open=True),
    help="The server's own if left out.",
)
@click.option(
    "--max-model-len",
    type=click.IntRange(min=2),
    help="Longest prompt plus answer, tokens; the model's own if left out.",
)
@click.option(
    "--quantization", help="Weights: bf16, fp8, int8, awq, gptq, mxfp4, Q4_K_M …; as published if left out."
)
@click.option("--kv-cache-dtype", help="KV cache: auto, bf16, fp8.")
@click.option(
    "--prompt-tokens", type=click.IntRange(min=1), help="Tokens of a typical prompt.  [default: 512]"
)
@click.option(
    "--output-tokens", type=click.IntRange(min=1), help="Tokens of a typical answer.  [default: 256]"
)
@click.option(
    "--concurrency", type=click.IntRange(min=1), help="Requests in flight; as many as fit if left out."
)
@click.option(
    "--fine-tune",
    type=click.Choice(["full", "lora", "qlora"]),
    help="Size a training run in place of serving.",
)
@click.option(
    "--batch-size", type=click.IntRange(min=1), help="Items at a time, of training and of other models."
)
@click.option(
    "--sequence-length", type=click.IntRange(min=1), help="Tokens of the longest sequence in training."
)
@click.option(
    "--batch", metavar="FILE.csv", help="Size every row of a table, and print it with what is predicted."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to print one answer; a table stays a table.",
)
def command(batch: str | None, form: str, **options: Any) -> int:
    """Say whether a model fits on accelerators, how many users it serves there and how fast.

    \b
    gpuwright size --model Llama-3.1-8B --accelerator L4 --concurrency 16
    gpuwright size --batch measurements.csv > predicted.csv

    A table has the columns of measurements that people publish: model, gpu, tensor_parallel, engine, version,
    quantization, max_model_len … for memory; model, gpu, tp, engine, precision, input_len, output_len,
    concurrency_or_rate … for speed. Other columns pass through; a row that cannot be sized says why in `error`.

    Models that write no text (images, speech, embeddings, trees) and training are sized by what they hold in memory.

    Exit code 1: it does not fit.
    """
    if batch is not None:
        return _table(batch)
    if not options["model"]:
        raise InputError.of("--model", "is missing.", "Add --model NAME, or --batch FILE.csv for a table.")
    model = _model(options["model"])
    if options["fine_tune"] or model.kind != "decoder":
        return _other(model, options, form)
    if not options["accelerator"]:
        raise InputError.of("--accelerator", "is missing.", "Add --accelerator NAME, such as L4.")
    found = _answer(model, options)
    click.echo(json.dumps(_as_json(found), indent=2) if form == "json" else "\n".join(_as_text(found)))
    return EXIT_DONE if found.fits else EXIT_REFUSED


def _model(name: str) -> Model:
    """Return the model, read from its config.json where the name is such a path."""
    from pathlib import Path

    from gpuwright.documents import read_model
    from gpuwright.sizing.names import model_named

    return read_model(Path(name), "--model") if name.endswith(".json") else model_named(name, where="--model")


def _other(model: Model, options: Mapping[str, Any], form: str) -> int:
    """Size what does not write text, and training."""
    from gpuwright.sizing.finetuning import FineTuning
    from gpuwright.sizing.names import accelerator_named
    from gpuwright.sizing.workloads import need, workload

    asked = {"batch_size": options["batch_size"], "sequence_length": options["sequence_length"]}
    work: Any
    if options["fine_tune"]:
        asked["accelerators"] = options["accelerators"]
        work = FineTuning(
            model, method=options["fine_tune"], zero_stage=3 if options["accelerators"] > 1 else 0
        )
    else:
        work = workload(model)
    known = {field.name for field in dataclasses.fields(work)}
    work = dataclasses.replace(work, **{key: value for key, value in asked.items() if value and key in known})
    found = need(work)
    device = (
        accelerator_named(options["accelerator"], where="--accelerator") if options["accelerator"] else None
    )
    if found.accelerators and device is None:
        raise InputError.of("--accelerator", "is missing.", "Add --accelerator NAME, such as L4.")
    lack = found.lack(device) if device and found.accelerators else None
    told = _need_as_json(model, device, found, lack)
    click.echo(
        json.dumps(told, indent=2) if form == "json" else "\n".join(_need_as_text(model, device, found, lack))
    )
    return EXIT_REFUSED if lack else EXIT_DONE


def _answer(model: Model, options: Mapping[str, Any]) -> Answer:
    from gpuwright.sizing.answer import answer

    count = options["accelerators"]
    ranks = options["tensor_parallel"] or count
    if count % ranks:
        fix = f"Use a divisor of {count}, or other --accelerators."
        raise InputError.of(
            "--tensor-parallel", f"is {ranks}, which does not divide {count} accelerators.", fix
        )
    given = {**options, "tensor_parallel": ranks, "pipeline_parallel": count // ranks}
    row = {column: str(given[name]) for name, column in COLUMNS.items() if given.get(name) is not None}
    asked = {name: options[name] for name in ("prompt_tokens", "output_tokens", "concurrency")}
    try:
        return answer(row, model, **asked)
    except InputError as error:
        raise InputError([_as_option(fault) for fault in error.faults]) from None


def _as_option(fault: Fault) -> Fault:
    """Name the option where a fault names the column that it filled."""
    names = {column: f"--{name.replace('_', '-')}" for name, column in COLUMNS.items()}
    return dataclasses.replace(fault, where=names.get(fault.where, fault.where))


def _table(path: str) -> int:
    from gpuwright.documents import read_text
    from gpuwright.sizing.answer import PREDICTED, predicted

    text, where = read_text(path)
    reader = csv.DictReader(text.splitlines(keepends=True))
    head = reader.fieldnames or ()
    if not {"model", "gpu"} <= set(head):
        raise InputError.of(
            where, "has no columns `model` and `gpu`.", "Give a CSV file with a line of column names."
        )
    writer = csv.DictWriter(sys.stdout, [*head, *PREDICTED], lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for number, row in enumerate(reader, 1):
        given = {key: value or "" for key, value in row.items() if key is not None}
        writer.writerow({**given, **predicted(given)})
        if number % PROGRESS_EVERY == 0:
            click.echo(f"{number} rows", err=True)
    return EXIT_DONE


def _as_json(found: Answer) -> dict[str, Any]:
    memory, speed = dataclasses.asdict(found.memory), dataclasses.asdict(found.speed)
    return {
        "model": found.model,
        "accelerator": found.accelerator,
        "accelerators": found.accelerators,
        "fits": found.fits,
        "verdict": str(found.memory.verdict),
        "run": dataclasses.asdict(found.run),
        "load": dataclasses.asdict(found.load),
        "memory": {**memory, "margin_gib": found.memory.margin_gib},
        "speed": speed,
    }


def _as_text(found: Answer) -> Iterator[str]:
    memory, speed, run, load = found.memory, found.speed, found.run, found.load
    named = f"{run.server} {run.server_version}" if run.server_version else run.server
    spare = f"{memory.margin_gib:.1f} GiB to spare" if found.fits else f"{-memory.margin_gib:.1f} GiB lacking"
    yield (
        f"{found.model} in {run.weights_precision} on {found.accelerators} × {found.accelerator} with {named}: "
        f"{memory.verdict} ({spare}, good to {memory.uncertainty_gib:.1f})"
    )
    yield ""
    yield f"Memory: {memory.total_gib:.1f} of {memory.usable_gib:.1f} GiB usable"
    parts = (
        ("W", "weights", memory.weights_gib),
        ("K", "KV cache", memory.kv_cache_gib),
        ("A", "activations", memory.activations_gib),
        ("R", "runtime", memory.runtime_gib),
    )
    yield f"  {bar(parts, memory.usable_gib)}"
    yield from columns(
        (
            ("weights", f"{memory.weights_gib:7.2f} GiB", str(memory.weights_basis)),
            ("KV cache needed", f"{memory.kv_cache_gib:7.2f} GiB", counted(load.concurrency, "request")),
            ("activations", f"{memory.activations_gib:7.2f} GiB", ""),
            ("runtime", f"{memory.runtime_gib:7.2f} GiB", ""),
            ("CUDA graphs, beside", f"{memory.outside_gib:7.2f} GiB", f"of {memory.outside_usable_gib:.1f}"),
        ),
        indent=2,
    )
    yield ""
    users = f"{memory.max_concurrency} requests of {load.prompt_tokens} + {load.output_tokens} tokens"
    yield f"Users: the KV cache holds {memory.kv_cache_tokens:,} tokens, {users}"
    if not found.fits:
        yield from _hint(found)
        return
    yield ""
    low, high = speed.low_output_tokens_per_second, speed.high_output_tokens_per_second
    yield f"Speed at {counted(load.concurrency, 'request')} in flight ({speed.basis})"
    yield from columns(
        (
            (
                "output",
                f"{speed.output_tokens_per_second:.0f} tokens/s",
                f"{speed.coverage:.0%} in {low:.0f} to {high:.0f}",
            ),
            ("roofline", f"{speed.roofline_output_tokens_per_second:.0f} tokens/s", ""),
            ("time to first token", f"{speed.time_to_first_token_ms:.0f} ms", ""),
            ("time per output token", f"{speed.time_per_output_token_ms:.1f} ms", ""),
        ),
        indent=2,
    )


def _hint(found: Answer) -> Iterator[str]:
    """Say what would start: a shorter longest request, where that alone is too long."""
    memory, load = found.memory, found.load
    if load.tokens_per_request < memory.kv_cache_tokens < load.max_model_len:
        yield ""
        yield (
            f"One request of {load.max_model_len:,} tokens, the longest allowed, does not fit; "
            f"--max-model-len {memory.kv_cache_tokens} would."
        )


def _need_as_json(model: Model, device: Accelerator | None, found: Need, lack: str | None) -> dict[str, Any]:
    return {
        "model": model.id,
        "accelerator": device.name if device and found.accelerators else None,
        "accelerators": found.accelerators,
        "fits": lack is None,
        "lack": lack,
        "accelerator_gib": found.accelerator_gib,
        "parts": [dataclasses.asdict(part) for part in found.parts],
        "floor_gib": found.floor_gib,
        "host": [dataclasses.asdict(part) for part in found.host],
        "host_gib": found.host_gib,
        "vcpus": found.vcpus,
        "reason": found.reason,
        "basis": found.basis,
    }


def _need_as_text(model: Model, device: Accelerator | None, found: Need, lack: str | None) -> Iterator[str]:
    if not found.accelerators or device is None:
        yield f"{model.id}: no accelerator needed"
    else:
        yield f"{model.id} on {found.accelerators} × {device.name}: {'does not fit' if lack else 'fits'}"
    yield from (text for text in (lack, found.reason) if text)
    for title, parts, whole in (
        ("Memory of each accelerator", found.parts, found.accelerator_gib),
        ("Memory of the machine", found.host, found.host_gib),
    ):
        if parts:
            yield ""
            yield f"{title}: {whole:.1f} GiB"
            yield from columns(
                ((part.name, f"{part.gib:7.2f} GiB", str(part.basis)) for part in parts), indent=2
            )
    yield ""
    yield f"vCPU: {found.vcpus} at least"
