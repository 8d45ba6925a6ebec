"""``gpuwright plan``: from a spec to a plan."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click

from gpuwright.documents import read_spec
from gpuwright.planning import plan_document
from gpuwright.planning.report import to_markdown, to_text


@click.command()
@click.argument("spec", metavar="SPEC")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
    help="json for programs (its schema: `gpuwright schema plan`), markdown for pull requests.",
)
@click.option("--all", "every_shape", is_flag=True, help="In text, list every shape that was turned down.")
def command(spec: str, form: str, every_shape: bool) -> None:
    """Plan the deployment that SPEC asks for, and say why.

    SPEC is a YAML file (- for standard input); `gpuwright schema spec` describes its fields. Two are enough:

    \b
        name: chat
        model: meta-llama/Llama-2-7b-hf

    Exit codes: 0 planned; 1 no shape of the cloud satisfies it, and the nearest misses are named; 2 bad input.
    """
    read = read_spec(spec)
    plan = plan_document(read.document, read.where, read.model, datetime.now(tz=UTC).date())
    if form == "json":
        click.echo(json.dumps(plan.to_json(), indent=2, ensure_ascii=False))
    elif form == "markdown":
        click.echo(to_markdown(plan), nl=False)
    else:
        click.echo(to_text(plan, every_shape=every_shape), nl=False)
