"""``gpuwright plan``: from a spec to a plan, or from many to many."""

from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime
from typing import Any

import click

from gpuwright.documents import STDIN, read_spec
from gpuwright.errors import EXIT_DONE, GpuwrightError, InputError
from gpuwright.planning import plan_document
from gpuwright.planning.report import to_markdown, to_text

LINES_AT_ONCE = 16
"""Specs that one process is handed at a time: enough to hide the cost of handing over."""


@click.command()
@click.argument("spec", metavar="SPEC", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
    help="json for programs (its schema: `gpuwright schema plan`), markdown for pull requests.",
)
@click.option("--all", "every_shape", is_flag=True, help="In text, list every shape that was turned down.")
@click.option(
    "--batch",
    metavar="SPECS.jsonl",
    help="Plan a spec a line (JSON; - for standard input), and print a plan or its `error` a line.",
)
def command(spec: str | None, form: str, every_shape: bool, batch: str | None) -> int:
    """Plan the deployment that SPEC asks for, and say why.

    SPEC is a YAML file (- for standard input); `gpuwright schema spec` describes its fields. Two are enough:

    \b
        name: chat
        model: meta-llama/Llama-2-7b-hf

    Exit codes: 0 planned; 1 no shape of the cloud satisfies it, and the nearest misses are named; 2 bad input.
    """
    today = datetime.now(tz=UTC).date()
    if (spec is None) == (batch is None):
        raise InputError.of("gpuwright plan", "needs a SPEC or --batch SPECS.jsonl.", "Give one of them.")
    if batch is not None:
        return _plan_many(batch, today)
    read = read_spec(spec or STDIN)
    plan = plan_document(read.document, read.where, read.model, today)
    if form == "json":
        click.echo(json.dumps(plan.to_json(), indent=2, ensure_ascii=False))
    elif form == "markdown":
        click.echo(to_markdown(plan), nl=False)
    else:
        click.echo(to_text(plan, every_shape=every_shape), nl=False)
    return EXIT_DONE


def plan_line(line: str, where: str, today: date) -> dict[str, Any]:
    """Return the plan of a line of JSON as JSON values, or what is wrong with it as ``error`` and ``faults``."""
    try:
        document = json.loads(line)
    except (ValueError, RecursionError) as error:
        return {"error": f"{where}: is no JSON: {error}", "faults": [f"{where}: is no JSON: {error}"]}
    try:
        return plan_document(document, where, today=today).to_json()
    except GpuwrightError as error:
        faults = [str(fault) for fault in error.faults] if isinstance(error, InputError) else []
        return {"error": str(error), "faults": faults}


def _plan_lines(lines: list[tuple[int, str]], where: str, today: date) -> list[str]:
    return [
        json.dumps(plan_line(line, f"{where}:{number}", today), ensure_ascii=False) for number, line in lines
    ]


def _plan_many(path: str, today: date) -> int:
    """Print a line for each line, in order; a few chunks are held at a time, however long the file is."""
    import os
    from collections import deque
    from concurrent.futures import Future, ProcessPoolExecutor
    from itertools import islice
    from pathlib import Path

    workers = os.cpu_count() or 1
    try:
        source = click.open_file(path, encoding="utf-8")
    except OSError as error:
        raise InputError.of(
            path, f"cannot be read: {error.strerror}.", "Give a file of one JSON spec a line."
        ) from None
    length = 0 if path == STDIN else Path(path).stat().st_size
    waiting: deque[Future[list[str]]] = deque()
    with source, ProcessPoolExecutor(workers) as pool, _progress(length) as progress:
        numbered = ((number, line) for number, line in enumerate(source, 1) if line.strip())
        while chunk := list(islice(numbered, LINES_AT_ONCE)):
            waiting.append(pool.submit(_plan_lines, chunk, path, today))
            progress.update(sum(len(line.encode()) for _, line in chunk))
            while len(waiting) > 2 * workers:
                _print(waiting.popleft().result())
        while waiting:
            _print(waiting.popleft().result())
    return EXIT_DONE


def _progress(length: int) -> Any:
    """Return a bar on stderr of the bytes read; hidden where stderr is no terminal or the length is not known."""
    shown = length > 0 and sys.stderr.isatty()
    return click.progressbar(length=length, label="specs", file=sys.stderr, hidden=not shown)


def _print(lines: list[str]) -> None:
    click.echo("\n".join(lines))
