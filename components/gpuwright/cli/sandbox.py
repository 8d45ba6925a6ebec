"""``gpuwright sandbox``: run a command with stand-in clouds and a throw-away backend."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(
    "sandbox",
    short_help="Run a command, such as pulumi, on stand-in clouds.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep what is deployed in this folder, for the next command; otherwise nothing is kept.",
)
@click.argument(
    "command_line", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND [ARGS]..."
)
def command(state: Path | None, command_line: tuple[str, ...]) -> int:
    """Run COMMAND with stand-in providers for aws and gcp, and Pulumi's state in a folder of its own.

    With no account and no network, `gpuwright sandbox -- pulumi up --stack dev-aws` deploys the
    stack onto nothing. The stack is created where it is missing. Exits as COMMAND does; 2 where
    COMMAND is not installed.
    """
    from gpuwright.sandbox.environment import run_in_sandbox

    return run_in_sandbox(command_line, state)
