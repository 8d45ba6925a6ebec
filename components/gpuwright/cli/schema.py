"""``gpuwright schema``: the JSON Schema of a document."""

from __future__ import annotations

import json
from typing import Any

import click
from pydantic import BaseModel

from gpuwright.planning.plan import Plan
from gpuwright.spec import Spec

DOCUMENTS: dict[str, type[BaseModel]] = {"spec": Spec, "plan": Plan}
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
    schema: dict[str, Any] = {"$schema": DIALECT, **DOCUMENTS[document].model_json_schema()}
    click.echo(json.dumps(schema, indent=2))
