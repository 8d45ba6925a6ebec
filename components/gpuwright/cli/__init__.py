"""The command line: one verb a file in this folder, imported only when it is called."""

from __future__ import annotations

import gc
import importlib
import os
import pkgutil
import sys
from typing import Any

import click

from gpuwright.errors import Fault, GpuwrightError, InputError, near

GC_THRESHOLD = 100_000
"""Objects made before the first garbage collection; Python's own number is 700 and costs `plan` 20 ms."""


class VerbGroup(click.Group):
    """Finds a verb by its file name, so that calling one verb imports no other."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs: every module of this package that has no leading underscore."""
        return sorted(
            module.name.replace("_", "-")
            for module in pkgutil.iter_modules(__path__)
            if not module.name.startswith("_")
        )

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb's module and return its ``command``."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"{__name__}.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest verb where there is none of that name."""
        verbs = self.list_commands(ctx)
        if args and args[0] not in verbs and not args[0].startswith("-"):
            like = near(args[0], verbs)
            hint = f"Did you mean {' or '.join(like)}?" if like else f"The verbs are {', '.join(verbs)}."
            raise InputError([Fault("gpuwright", f"{args[0]!r} is no verb.", hint)])
        return super().resolve_command(ctx, args)


@click.group(cls=VerbGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gpuwright", message="%(prog)s %(version)s")
def cli() -> None:
    """From a short spec to GPU serving infrastructure that is right the first time.

    Answers go to stdout, talk to stderr. Exit codes: 0 done; 1 nothing fits, or a rule
    is violated; 2 bad input.
    """


def main(args: list[str] | None = None) -> Any:
    """Run the command line and exit with its code."""
    # We have no pydantic plugins, and looking for some reads the metadata of everything installed: 30 ms.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # Start-up makes many objects and no garbage: a verb that answers at once is done before a collection pays.
    gc.set_threshold(GC_THRESHOLD)
    try:
        code = cli.main(args=args, prog_name="gpuwright", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Abort:
        click.echo("Stopped.", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except GpuwrightError as error:
        _show(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    except OSError as error:
        # Verbs tell of the files that they read; left are a full disk, and a folder that is gone or closed to us.
        at = f"{error.filename}: " if error.filename else ""
        click.echo(f"gpuwright: {at}{error.strerror or error}.", err=True)
        sys.exit(2)


def _show(error: GpuwrightError) -> None:
    faults = error.faults if isinstance(error, InputError) else ()
    if not faults:
        click.echo(f"gpuwright: {error}", err=True)
        return
    if len(faults) > 1:
        click.echo(f"gpuwright: {len(faults)} faults", err=True)
    for fault in faults:
        click.echo(f"{fault.where}: {fault.problem}\n    {fault.fix}", err=True)
