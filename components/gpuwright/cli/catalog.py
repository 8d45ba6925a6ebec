"""``gpuwright catalog``: list, show, add to and refresh the tables of facts."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gpuwright.errors import EnvironmentLackError, InputError, UnknownNameError
from gpuwright.layout import columns

if TYPE_CHECKING:
    from gpuwright.catalog import InstanceType, Model
    from gpuwright.catalog.price_list import PriceChange, PriceList
    from gpuwright.catalog.query import TableRow

SHOWN: Mapping[str, Sequence[str]] = {
    "accelerators": (
        "name",
        "form_factor",
        "vendor",
        "architecture",
        "compute_capability",
        "memory_gib",
        "memory_bandwidth_gb_per_s",
        "fp16_dense_tflops",
        "fp8_dense_tflops",
    ),
    "models": (
        "id",
        "kind",
        "model_type",
        "params_total",
        "layers",
        "attention",
        "max_position",
        "dtype",
        "experts",
    ),
    "instance-types": (
        "cloud",
        "name",
        "accelerator",
        "accelerator_count",
        "accelerator_fraction",
        "vcpus",
        "memory_gib",
        "network_gbps",
        "on_demand_usd_per_hour",
        "spot_usd_per_hour",
        "price_date",
    ),
    "profiles": ("name", "accelerator", "summary"),
    "servers": (
        "name",
        "version",
        "core",
        "cuda",
        "min_driver",
        "min_compute_capability",
        "quantizations",
        "deployable",
    ),
}
"""What a list in text shows of each row; JSON has all columns."""

FORMAT = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How it prints.",
)
HUB = "hf:"
ORIGIN = ("read", "source", "notes")
"""Columns that say where the others came from, which come last."""


@click.group(name="catalog", short_help="List, show, add to and refresh the tables of facts.")
def command() -> None:
    """List, show, add to and refresh the tables of accelerators, models, instance types, profiles and servers.

    \b
    gpuwright catalog accelerators --where "memory_gib>=24"
    gpuwright catalog instance-types --cloud aws --where accelerator=A10G --where "vcpus>=16"
    gpuwright catalog show A100-80 SXM4
    """


def _lister(table: str) -> click.Command:
    """Return the verb that lists a table."""

    def run(where: tuple[str, ...], form: str, cloud: tuple[str, ...] = ()) -> None:
        from gpuwright.catalog.query import select

        rows = select(table, cloud, where)
        if form == "json":
            click.echo(json.dumps([_as_json(row) for row in rows], indent=2, ensure_ascii=False))
            return
        if rows:
            for line in _as_table(rows, SHOWN[table]):
                click.echo(line)
        click.echo(f"{len(rows)} {table.replace('-', ' ')}", err=True)

    what = table.replace("-", " ")
    listed = click.Command(
        table,
        callback=run,
        short_help=f"List {what}.",
        help=f"List {what}, all or those that satisfy conditions.",
    )
    listed = click.option(
        "--where",
        multiple=True,
        metavar="EXPR",
        help="A condition on a column, such as memory_gib>=24; again for more. `none` stands for no value.",
    )(FORMAT(listed))
    if table == "instance-types":
        listed = click.option("--cloud", multiple=True, help="Of this cloud only; again for more.")(listed)
    return listed


for _table in SHOWN:
    command.add_command(_lister(_table))


@command.command(short_help="Show one row with its sources.")
@click.argument("name", nargs=-1, required=True)
@FORMAT
def show(name: tuple[str, ...], form: str) -> None:
    """Show the row that NAME means, in whichever table, with its sources.

    Names as people write them are understood (nvidia-l4, Llama-3.1-8B-Instruct); what they are taken for is told.
    """
    row = _found(" ".join(name))
    if form == "json":
        click.echo(json.dumps(_as_json(row), indent=2, ensure_ascii=False))
        return
    given = [(field, value) for field, value in _as_json(row).items() if value not in (None, [], "")]
    for field, value in given:
        if isinstance(value, list) and value and isinstance(value[0], Mapping):
            click.echo(f"{field}:")
            for each in value:
                pairs = ", ".join(
                    f"{key} {_cell(item, key)}" for key, item in each.items() if item not in (None, "")
                )
                click.echo(f"  - {pairs}")
        else:
            click.echo(f"{field}: {_cell(value, field)}")


@command.group(short_help="Make a row of what is published.")
def add() -> None:
    """Make a row of what is published."""


@add.command(short_help="Make a model's row of its config.json.")
@click.argument("config", metavar="CONFIG.json")
@click.option(
    "--index", metavar="FILE", help="Its model.safetensors.index.json, for the size of the weights."
)
@click.option(
    "--id", "model_id", metavar="ORG/NAME", help="The model's id; if left out, the name of the folder."
)
@click.option("--output", type=click.Path(dir_okay=False), help="Write the table to this file instead.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["yaml", "json"]),
    default="yaml",
    show_default=True,
    help="How it prints.",
)
def model(config: str, index: str | None, model_id: str | None, output: str | None, form: str) -> None:
    """Make the row of a decoder model of its Hugging Face CONFIG.json.

    It prints a table with one row, in the form of the catalog's models.yaml: paste the row and its source there. With
    hf:ORG/NAME or hf:ORG/NAME@REVISION it reads the files from the Hugging Face Hub, which needs the extra `hub` and
    a network.
    """
    from gpuwright.catalog.authoring import columns as columns_of
    from gpuwright.catalog.authoring import table_text

    made = _model(config, index, model_id)
    if form == "json":
        text = json.dumps(columns_of(made), indent=2, ensure_ascii=False, default=_plain) + "\n"
    else:
        text = table_text(made, datetime.now(tz=UTC).date())
    if output is None:
        click.echo(text, nl=False)
    else:
        _write(Path(output), text)
        click.echo(f"{output}: {made.id}", err=True)


@command.group(short_help="Bring figures that move up to date.")
def refresh() -> None:
    """Bring figures that move up to date."""


@refresh.command(short_help="Read on-demand prices from the AWS Price List.")
@click.option("--cloud", type=click.Choice(["aws"]), required=True, help="The cloud whose prices are read.")
@click.option("--price-list", metavar="FILE", help="A downloaded offer file of AmazonEC2, JSON or CSV.")
@click.option(
    "--output", type=click.Path(dir_okay=False), help="Write the table with the new prices to this file."
)
@click.option(
    "--in-place", is_flag=True, help="Write them into the catalog's own table, in a source checkout."
)
@FORMAT
def prices(cloud: str, price_list: str | None, output: str | None, in_place: bool, form: str) -> None:
    """Show what a newer price list changes, and write the table with its prices where that is asked for.

    Without --price-list the prices are asked of the AWS pricing API, which needs boto3, credentials and a network.
    """
    from gpuwright import catalog
    from gpuwright.catalog.price_list import changes, read_price_list, rewritten

    if output and in_place:
        raise InputError.of("--in-place", "and --output exclude each other.", "Give one of them.")
    source = _table_file(cloud)
    target = _checked_out(source) if in_place else Path(output) if output else None
    rows = catalog.instance_types(cloud)
    found = read_price_list(Path(price_list)) if price_list else _asked_of_aws(rows)
    made = changes(rows, found)
    if not made:
        where = price_list or "AWS pricing"
        raise InputError.of(
            where, f"has no price of any of our {cloud} shapes in their regions.", "Take another region's."
        )
    if form == "json":
        document = {
            "cloud": cloud,
            "published": found.published.isoformat(),
            "changes": [dataclasses.asdict(each) for each in made],
            "without": [row.name for row in rows if row.name not in {each.name for each in made}],
        }
        click.echo(json.dumps(document, indent=2))
    else:
        for line in _as_changes(made, found):
            click.echo(line)
    if target:
        text = rewritten(source.read_text(encoding="utf-8"), found, made)
        _write(target, text)
        click.echo(f"{target}: {len(made)} prices of {found.published.isoformat()}", err=True)


def _found(name: str) -> TableRow:
    """Return the row that a name means, or the one that it is taken for, which is told."""
    from gpuwright.catalog.query import find, names
    from gpuwright.sizing.names import accelerator_named, model_named

    try:
        return find(name)
    except UnknownNameError:
        for look_up in (accelerator_named, model_named):
            try:
                row: TableRow = look_up(name)
            except UnknownNameError:
                continue
            click.echo(f"{name!r} is taken as {names(row)[0]}.", err=True)
            return row
        raise


def _model(config: str, index: str | None, model_id: str | None) -> Model:
    from gpuwright.catalog.authoring import with_index
    from gpuwright.catalog.huggingface import model_from_config
    from gpuwright.documents import read_text

    if config.startswith(HUB):
        named, _, revision = config.removeprefix(HUB).partition("@")
        config, index = _downloaded(named, revision or None, index)
        model_id = model_id or named
    text, where = read_text(config)
    if model_id is None:
        model_id = Path(config).resolve().parent.name if config != "-" else where
    try:
        made = model_from_config(_parsed(text, where), model_id)
    except InputError as error:
        raise InputError(
            [dataclasses.replace(each, where=each.where.replace(model_id, where, 1)) for each in error.faults]
        ) from None
    if index is None:
        return made
    text, where = read_text(index)
    return with_index(made, _parsed(text, where), where)


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise InputError.of(where, "is nested too deeply.", "Give the file as it is published.") from None
    except ValueError as error:
        raise InputError.of(
            where, f"is no valid JSON: {error}.", "Give the file as it is published."
        ) from None


def _downloaded(named: str, revision: str | None, index: str | None) -> tuple[str, str | None]:
    """Return where the configuration and the index of a repository on the Hub lie, once they are here."""
    from gpuwright.catalog.authoring import INDEX

    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.utils import EntryNotFoundError
    except ImportError:
        raise EnvironmentLackError(
            f"{HUB}{named}: huggingface_hub is not installed. Run `pip install 'gpuwright[hub]'`, or download "
            "config.json and give its path."
        ) from None
    try:
        config = hf_hub_download(named, "config.json", revision=revision)
        with contextlib.suppress(EntryNotFoundError):  # Small models lie in one file and have no index.
            index = index or hf_hub_download(named, INDEX, revision=revision)
    except Exception as error:  # The library lets through what any of its transports raises.
        told = str(error).strip().partition("\n")[0]
        raise EnvironmentLackError(
            f"{HUB}{named}: the Hub did not give its config.json ({type(error).__name__}: {told}). Check the name, the "
            "network and the access token, or download the file and give its path."
        ) from None
    return config, index


def _asked_of_aws(rows: Sequence[InstanceType]) -> PriceList:
    """Return the prices that the AWS pricing API has for those rows."""
    from gpuwright.catalog.price_list import WANTED, price_list_of

    try:
        import boto3
    except ImportError:
        raise EnvironmentLackError(
            "boto3 is not installed. Run `pip install boto3`, or download the offer file and give it as --price-list."
        ) from None
    try:
        pages = boto3.client("pricing", region_name="us-east-1").get_paginator("get_products")
        products = [
            json.loads(each)
            for row in rows
            for page in pages.paginate(
                ServiceCode="AmazonEC2",
                Filters=[
                    {"Type": "TERM_MATCH", "Field": field, "Value": value}
                    for field, value in (
                        *WANTED.items(),
                        ("instanceType", row.name),
                        ("regionCode", row.price_region),
                    )
                ],
            )
            for each in page["PriceList"]
        ]
    except Exception as error:  # botocore's errors have no base that all of them share.
        raise EnvironmentLackError(
            f"The AWS pricing API did not answer ({type(error).__name__}: {error}). Check credentials and network, or "
            "download the offer file and give it as --price-list."
        ) from None
    return price_list_of(products, "AWS pricing")


def _table_file(cloud: str) -> Path:
    from gpuwright import catalog

    return Path(catalog.__file__).parent / "instance_types" / f"{cloud}.yaml"


def _checked_out(source: Path) -> Path:
    """Return the catalog's own table where it lies in a source checkout."""
    if not (source.parents[4] / "pyproject.toml").is_file():
        raise EnvironmentLackError(
            f"{source} is an installed package's, which the next installation overwrites. Use --output, or a checkout."
        )
    return source


def _write(target: Path, text: str) -> None:
    """Write the file whole or not at all."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=target.parent, prefix=f".{target.name}.", delete=False
        ) as file:
            kept = Path(file.name)
            file.write(text)
        mode = target.stat().st_mode if target.exists() else 0o666 & ~_umask()
        kept.chmod(mode)
        kept.replace(target)
    except OSError as error:
        raise InputError.of(
            str(target), f"cannot be written: {error.strerror}.", "Give another path."
        ) from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _as_json(row: TableRow) -> dict[str, Any]:
    """Return every column of a row in types that JSON has."""
    from gpuwright.catalog import Server

    fields = sorted((field.name for field in dataclasses.fields(row)), key=lambda name: name in ORIGIN)
    found = {name: _plain(getattr(row, name)) for name in fields}
    return found | {"deployable": row.deployable} if isinstance(row, Server) else found


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = sorted((field.name for field in dataclasses.fields(value)), key=lambda name: name in ORIGIN)
        return {name: _plain(getattr(value, name)) for name in fields}
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return value.isoformat() if isinstance(value, date) else value


def _as_table(rows: Sequence[TableRow], shown: Sequence[str]) -> Iterator[str]:
    """Yield a header and a line for each row; numbers stand to the right."""
    cells = [[_cell(getattr(row, column), column) for column in shown] for row in rows]
    numeric = [
        all(isinstance(getattr(row, column), (int, float, type(None))) for row in rows) for column in shown
    ]
    widths = [max(len(line[at]) for line in (list(shown), *cells)) for at in range(len(shown))]
    for line in (list(shown), *cells):
        padded = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        )
        yield "  ".join(padded).rstrip()


def _cell(value: Any, column: str = "") -> str:
    if value is None:
        return "-"
    if column.startswith(("compute_capability", "min_compute_capability")):
        return f"{value:.1f}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, (tuple, list)):
        return ", ".join(
            str(each["name"] if isinstance(each, Mapping) else getattr(each, "name", each)) for each in value
        )
    return str(value)


def _as_changes(made: Sequence[PriceChange], found: PriceList) -> Iterator[str]:
    differing = [each for each in made if each.before != each.after]
    yield f"{len(made)} prices of {found.published.isoformat()}, {len(differing)} of them changed"
    if differing:
        lines = [
            (each.name, each.region, _cell(each.before), "→", _cell(each.after), _percent(each))
            for each in differing
        ]
        yield from columns(lines, 2)


def _percent(each: PriceChange) -> str:
    if not each.before or each.after is None:
        return "new"
    return f"{(each.after / each.before - 1) * 100:+.1f} %"
