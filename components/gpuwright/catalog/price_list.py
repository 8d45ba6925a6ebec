"""On-demand prices from an AWS Price List, and a table of instance types with them written in.

The offer file of AmazonEC2 comes as JSON or CSV; the pricing API answers with products in the JSON's form.
Source: docs.aws.amazon.com, AWS Billing user guide, "Reading the service price list file for an AWS service".
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from gpuwright.catalog import InstanceType
from gpuwright.errors import InputError

WANTED = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
}
"""The offer that a plain Linux machine is billed by; dedicated hosts, reserved capacity and licences are others."""

CSV_COLUMNS = {
    "Operating System": "operatingSystem",
    "Tenancy": "tenancy",
    "Pre Installed S/W": "preInstalledSw",
    "CapacityStatus": "capacitystatus",
    "Instance Type": "instanceType",
    "Region Code": "regionCode",
}
SOURCE_KEY = "price-list"


@dataclass(frozen=True)
class PriceList:
    """On-demand prices, US dollars per hour, by region and instance type; and the day they were published."""

    prices: Mapping[tuple[str, str], float]
    published: date
    version: str


@dataclass(frozen=True)
class PriceChange:
    """The price of one instance type before and after; None where there is none."""

    name: str
    region: str
    before: float | None
    after: float | None


def read_price_list(path: Path) -> PriceList:
    """Return the prices of a downloaded offer file, in JSON or CSV.

    Raises:
        InputError: It cannot be read, or is no offer file of AmazonEC2.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            start = file.read(64).lstrip("\ufeff \n\r\t")
            file.seek(0)
            return (
                _from_json(json.load(file), str(path))
                if start.startswith("{")
                else _from_csv(file, str(path))
            )
    except (ValueError, csv.Error) as error:
        raise InputError.of(str(path), f"is neither JSON nor CSV: {error}.", _FIX) from None
    except OSError as error:
        raise InputError.of(
            str(path), f"cannot be read: {error.strerror}.", "Give a readable file."
        ) from None


def price_list_of(products: Iterable[Mapping[str, Any]], where: str) -> PriceList:
    """Return the prices of products as the pricing API answers with them.

    Raises:
        InputError: There are none.
    """
    prices, dates, version = {}, set(), ""
    for each in products:
        key, price = (
            _attributes(each["product"]["attributes"]),
            _hourly(each.get("terms", {}).get("OnDemand", {})),
        )
        dates.add(str(each.get("publicationDate", ""))[:10])
        version = str(each.get("version", version))
        if key and price:
            prices[key] = price
    if not prices:
        raise InputError.of(where, "answers with no on-demand price of a Linux machine.", "Check the region.")
    return PriceList(prices, date.fromisoformat(max(dates)), version)


def changes(rows: Sequence[InstanceType], found: PriceList) -> list[PriceChange]:
    """Return what becomes of the price of every row that the list has a price of."""
    return [
        PriceChange(row.name, row.price_region, row.on_demand_usd_per_hour, after)
        for row in rows
        if (after := found.prices.get((row.price_region, row.name))) is not None
    ]


def rewritten(text: str, found: PriceList, made: Sequence[PriceChange]) -> str:
    """Return a table's text with the prices, their day and their source written in; all else stays as it is."""
    after = {each.name: each.after for each in made}
    lines = [_line(line, after, found.published) for line in text.splitlines(keepends=True)]
    text = "".join(lines)
    if not after:
        return text
    source = (
        f"price: AWS Price List, AmazonEC2 offer {found.version} (published {found.published.isoformat()})"
    )
    head, rows = text.split("\nrows:\n", 1)
    head = re.sub(rf"(?m)^  {SOURCE_KEY}: .*\n", "", head)
    head = re.sub(r"(?m)^sources:\n", f"sources:\n  {SOURCE_KEY}: '{source}'\n", head, count=1)
    if not re.search(r"source: \[[^\]]*\bprice\b(?!-)", rows):
        head = re.sub(r"(?m)^  price: .*\n", "", head)
    return f"{head}\nrows:\n{rows}"


_FIX = "Download the offer file of AmazonEC2 for one region, index.json or index.csv."


def _from_json(document: Any, where: str) -> PriceList:
    if not isinstance(document, Mapping) or document.get("offerCode") != "AmazonEC2":
        raise InputError.of(where, "is no offer file of AmazonEC2.", _FIX)
    terms = document.get("terms", {}).get("OnDemand", {})
    products = (
        {"product": product, "terms": {"OnDemand": terms.get(sku, {})}}
        for sku, product in document.get("products", {}).items()
    )
    dated = {"publicationDate": document.get("publicationDate", ""), "version": document.get("version", "")}
    return price_list_of(({**each, **dated} for each in products), where)


def _from_csv(lines: Iterable[str], where: str) -> PriceList:
    rows = csv.reader(lines)
    about: dict[str, str] = {}
    header: list[str] = []
    for row in rows:
        if row and row[0] == "SKU":
            header = row
            break
        if len(row) > 1:
            about[row[0]] = row[1]
    if about.get("OfferCode") != "AmazonEC2" or not header:
        raise InputError.of(where, "is no offer file of AmazonEC2.", _FIX)
    dated = {"publicationDate": about.get("Publication Date", ""), "version": about.get("Version", "")}
    cells = (dict(zip(header, row, strict=False)) for row in rows)
    return price_list_of(({**each, **dated} for each in _csv_products(cells)), where)


def _csv_products(rows: Iterable[Mapping[str, str]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        if row.get("TermType") == "OnDemand" and row.get("Currency") == "USD" and row.get("Unit") == "Hrs":
            attributes = {name: row.get(column, "") for column, name in CSV_COLUMNS.items()}
            dimension = {"unit": "Hrs", "pricePerUnit": {"USD": row.get("PricePerUnit", "")}}
            term = {"priceDimensions": {"only": dimension}}
            yield {"product": {"attributes": attributes}, "terms": {"OnDemand": {"only": term}}}


def _attributes(given: Mapping[str, str]) -> tuple[str, str] | None:
    """Return region and instance type of a product that is a plain Linux machine, or None."""
    plain = all(given.get(name) == value for name, value in WANTED.items())
    if not plain or not given.get("instanceType") or not given.get("regionCode"):
        return None
    return given["regionCode"], given["instanceType"]


def _hourly(terms: Mapping[str, Any]) -> float:
    """Return the price of an hour that on-demand terms hold, or 0."""
    for term in terms.values():
        for dimension in term.get("priceDimensions", {}).values():
            if dimension.get("unit") == "Hrs":
                return float(dimension.get("pricePerUnit", {}).get("USD") or 0)
    return 0.0


def _line(line: str, after: Mapping[str, float | None], published: date) -> str:
    """Return the line of a row with its new price, or any other line as it is."""
    name = re.match(r"- \{name: ([^,]+),", line)
    price = after.get(name[1]) if name else None
    if price is None:
        return line
    line = re.sub(r", (on_demand_usd_per_hour|price_date): [^,}]+", "", line)
    keys = re.search(r"source: \[([^\]]*)\]", line)
    known = keys[1].split(", ") if keys else []
    kept = [SOURCE_KEY if key == "price" else key for key in known]
    sources = ", ".join(kept if SOURCE_KEY in kept else [*kept, SOURCE_KEY])
    figures = f"on_demand_usd_per_hour: {round(price, 6)!r}, price_date: {published.isoformat()}"
    return re.sub(r"source: \[[^\]]*\]", f"{figures}, source: [{sources}]", line, count=1)
