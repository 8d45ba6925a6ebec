"""``gpuwright preview``: what a stack would deploy, with no cloud and no Pulumi CLI."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gpuwright.errors import EXIT_DONE, EXIT_REFUSED

if TYPE_CHECKING:
    from gpuwright.sandbox import Recording
    from gpuwright.sandbox.render import Cost, Finding


@click.command("preview", short_help="Show what a stack would deploy, what it costs and breaks.")
@click.option("-s", "--stack", help="The stack; left out, dev-aws, or else the first development stack.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "dot", "mermaid"]),
    default="text",
    show_default=True,
    help="json is like that of pulumi preview --json.",
)
@click.option(
    "-C",
    "--cwd",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Look for Pulumi.yaml here and above, instead of in the working directory.",
)
def command(stack: str | None, form: str, cwd: Path | None) -> int:
    """Run the stack's program on the embedded engine, and print what it would deploy.

    Prints the resource tree, the exports, the cost and the findings of the policies. Exits 0; 1 where
    a mandatory policy is violated; 2 where the project, its configuration or its program has a fault.
    """
    from gpuwright.sandbox import preview_stack
    from gpuwright.sandbox.render import FORMATS, Report

    # What the program itself prints is talk; stdout is for the answer.
    with contextlib.redirect_stdout(sys.stderr):
        recording = preview_stack(stack, cwd=cwd)
    findings = check_recording(recording)
    click.echo(FORMATS[form](Report(recording, findings, read_cost(recording))))
    return EXIT_REFUSED if any(finding.mandatory for finding in findings) else EXIT_DONE


def check_recording(recording: Recording) -> Sequence[Finding]:
    """Return what the policies find in the recorded resources."""
    from gpuwright.sandbox.wire import to_wire
    from gpuwright_policies.evaluate import evaluate
    from gpuwright_policies.readers.pulumi_resources import Resource, facts

    resources = [
        Resource.of(
            resource.type,
            resource.urn,
            to_wire(resource.inputs),
            references={name: list(urns) for name, urns in resource.property_dependencies.items()},
        )
        for resource in recording.resources
    ]
    return list(evaluate(facts(resources)))


def read_cost(recording: Recording) -> Cost | None:
    """Return the cost that the program exports, or else that a component of it outputs."""
    from gpuwright.sandbox.render import Cost
    from gpuwright.sandbox.wire import plain

    sources = [recording.exports, *(each.outputs for each in recording.resources if not each.custom)]
    for source in sources:
        if "cost_usd_per_hour" in source:
            known = {name: value if (value := plain(each)) else None for name, each in source.items()}
            return Cost(
                usd_per_hour=known.get("cost_usd_per_hour"),
                usd_per_1000_inferences=known.get("cost_usd_per_1000_inferences"),
                instance_type=known.get("instance_type"),
                plan_digest=known.get("plan_digest"),
            )
    return None
