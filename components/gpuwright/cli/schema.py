"""``gpuwright schema``: the JSON Schema of a document."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from gpuwright.planning.plan import Plan
from gpuwright.spec import Spec

DOCUMENTS: dict[str, Callable[[], dict[str, Any]]] = {
    "spec": Spec.model_json_schema,
    "plan": Plan.json_schema,
}
DIALECT = "https://json-schema.org/draft/2020-12/schema"


@click.command()
@click.argument("document", type=click.Choice(sorted(DOCUMENTS)))
@click.option(
    "--format",
    type=click.Choice(["json"]),
    default="json",
    show_default=True,
    expose_value=False,
    help="A schema is always JSON.",
)
def command(document: str) -> None:
    """Print the JSON Schema of a spec or of a plan.

    Editors complete and check a spec with it: `gpuwright schema spec > spec.schema.json`.
    """
    schema: dict[str, Any] = {"$schema": DIALECT, **DOCUMENTS[document]()}
    click.echo(json.dumps(schema, indent=2))
