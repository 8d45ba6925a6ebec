"""Prices from an AWS offer file, in the form that AWS publishes, and the table that they are written into."""

from __future__ import annotations

import copy
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter

from gpuwright import catalog
from gpuwright.catalog import InstanceType
from gpuwright.catalog.price_list import changes, price_list_of, read_price_list, rewritten
from gpuwright.errors import InputError

TABLE = Path(catalog.__file__).parent / "instance_types" / "aws.yaml"
ATTRIBUTES = {
    "servicecode": "AmazonEC2",
    "location": "US East (N. Virginia)",
    "locationType": "AWS Region",
    "instanceType": "g5.4xlarge",
    "currentGeneration": "Yes",
    "instanceFamily": "GPU instance",
    "vcpu": "16",
    "memory": "64 GiB",
    "tenancy": "Shared",
    "operatingSystem": "Linux",
    "licenseModel": "No License required",
    "operation": "RunInstances",
    "capacitystatus": "Used",
    "preInstalledSw": "NA",
    "regionCode": "us-east-1",
    "servicename": "Amazon Elastic Compute Cloud",
}


def product(sku: str, usd: str, **attributes: str) -> tuple[dict[str, Any], dict[str, Any]]:
    term = {
        "offerTermCode": "JRTCKXETXF",
        "sku": sku,
        "effectiveDate": "2026-11-01T00:00:00Z",
        "priceDimensions": {
            f"{sku}.JRTCKXETXF.6YS6EN2CT7": {
                "rateCode": f"{sku}.JRTCKXETXF.6YS6EN2CT7",
                "description": f"${usd} per On Demand Linux g5.4xlarge Instance Hour",
                "beginRange": "0",
                "endRange": "Inf",
                "unit": "Hrs",
                "pricePerUnit": {"USD": usd},
                "appliesTo": [],
            }
        },
        "termAttributes": {},
    }
    return (
        {"sku": sku, "productFamily": "Compute Instance", "attributes": {**ATTRIBUTES, **attributes}},
        {f"{sku}.JRTCKXETXF": term},
    )


PRODUCTS = {
    "AAAA": product("AAAA", "1.7240000000"),
    "BBBB": product("BBBB", "0.9999000000", instanceType="g5.xlarge", tenancy="Dedicated"),
    "CCCC": product("CCCC", "3.1000000000", operatingSystem="Windows"),
    "DDDD": product("DDDD", "1.9000000000", regionCode="eu-west-1"),
    "EEEE": product(
        "EEEE", "0.0000000000", instanceType="g5.2xlarge", capacitystatus="UnusedCapacityReservation"
    ),
    "FFFF": product("FFFF", "1.0060000000", instanceType="g5.xlarge"),
    "GGGG": product("GGGG", "39.8000000000", instanceType="p5e.48xlarge", regionCode="us-west-2"),
    "HHHH": product("HHHH", "0.0416000000", instanceType="t3.medium"),
}
OFFER = {
    "formatVersion": "v1.0",
    "disclaimer": "This pricing list is for informational purposes only.",
    "offerCode": "AmazonEC2",
    "version": "20261101000000",
    "publicationDate": "2026-11-01T12:34:56Z",
    "products": {sku: each for sku, (each, _) in PRODUCTS.items()},
    "terms": {"OnDemand": {sku: term for sku, (_, term) in PRODUCTS.items()}, "Reserved": {}},
    "attributesList": {},
}


def csv_offer() -> str:
    names = {
        "Tenancy": "tenancy",
        "Operating System": "operatingSystem",
        "Pre Installed S/W": "preInstalledSw",
        "CapacityStatus": "capacitystatus",
        "Instance Type": "instanceType",
        "Region Code": "regionCode",
        "Location": "location",
    }
    header = ["SKU", "TermType", "PriceDescription", "Unit", "PricePerUnit", "Currency", *names]
    lines = [
        ["FormatVersion", "v1.0"],
        ["Disclaimer", "For informational purposes only, see the page."],
        ["Publication Date", OFFER["publicationDate"]],
        ["Version", OFFER["version"]],
        ["OfferCode", "AmazonEC2"],
        header,
    ]
    for sku, (each, terms) in PRODUCTS.items():
        (term,) = terms.values()
        (dimension,) = term["priceDimensions"].values()
        cells = [each["attributes"][name] for name in names.values()]
        usd = dimension["pricePerUnit"]["USD"]
        lines.append([sku, "OnDemand", dimension["description"], "Hrs", usd, "USD", *cells])
        lines.append([sku, "Reserved", "1yr No Upfront", "Hrs", "0.1000000000", "USD", *cells])
    return "\n".join(",".join(f'"{cell}"' for cell in line) for line in lines) + "\n"


@pytest.fixture(params=["json", "csv"])
def offer(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    file = tmp_path / f"index.{request.param}"
    file.write_text(json.dumps(OFFER, indent=1) if request.param == "json" else csv_offer(), encoding="utf-8")
    return file


def test_only_the_plain_linux_on_demand_price_of_a_region_is_read(offer: Path) -> None:
    found = read_price_list(offer)
    assert found.published == date(2026, 11, 1)
    assert dict(found.prices) == {
        ("us-east-1", "g5.4xlarge"): 1.724,
        ("eu-west-1", "g5.4xlarge"): 1.9,
        ("us-east-1", "g5.xlarge"): 1.006,
        ("us-west-2", "p5e.48xlarge"): 39.8,
        ("us-east-1", "t3.medium"): 0.0416,
    }


def test_a_shape_changes_by_the_price_of_its_own_region_and_others_do_not() -> None:
    found = price_list_of(_answered(), "pricing")
    made = {each.name: (each.before, each.after) for each in changes(catalog.instance_types("aws"), found)}
    assert made == {"g5.xlarge": (1.006, 1.006), "g5.4xlarge": (1.624, 1.724), "p5e.48xlarge": (None, 39.8)}


def _answered() -> list[dict[str, Any]]:
    dated = {"publicationDate": OFFER["publicationDate"], "version": OFFER["version"]}
    return [{"product": each, "terms": {"OnDemand": term}, **dated} for each, term in PRODUCTS.values()]


def test_the_table_is_rewritten_in_prices_dates_and_sources_and_in_nothing_else(offer: Path) -> None:
    found, text = read_price_list(offer), TABLE.read_text(encoding="utf-8")
    written = rewritten(text, found, changes(catalog.instance_types("aws"), found))
    before, after = (catalog._filled_in(yaml.safe_load(each)) for each in (text, written))
    moved = {"on_demand_usd_per_hour", "price_date", "source"}
    changed = {"g5.xlarge", "g5.4xlarge", "p5e.48xlarge"}
    for old, new in zip(before, after, strict=True):
        if old["name"] not in changed:
            assert new == old
            continue
        assert {name: value for name, value in new.items() if name not in moved} == {
            name: value for name, value in old.items() if name not in moved
        }
        TypeAdapter(InstanceType).validate_python({"cloud": "aws", **new})
        assert new["price_date"] == date(2026, 11, 1)
        assert "AWS Price List, AmazonEC2 offer 20261101000000 (published 2026-11-01)" in new["source"]
        assert "karpenter-provider-aws@6fc13b5" not in new["source"]
    assert {row["name"]: row["on_demand_usd_per_hour"] for row in after if row["name"] in changed} == {
        "g5.xlarge": 1.006,
        "g5.4xlarge": 1.724,
        "p5e.48xlarge": 39.8,
    }
    # The same again leaves the same: a refresh can be repeated.
    assert rewritten(written, found, changes(catalog.instance_types("aws"), found)) == written


@pytest.mark.parametrize(
    "spoil",
    [
        lambda offer: "not a price list",
        lambda offer: "{",
        lambda offer: json.dumps({**offer, "offerCode": "AmazonS3"}),
        lambda offer: json.dumps({**offer, "products": {}}),
        lambda offer: json.dumps([offer]),
        lambda offer: "\x00\x01",
        lambda offer: "",
    ],
)
def test_what_is_no_offer_file_is_told(spoil: Any, tmp_path: Path) -> None:
    file = tmp_path / "index.json"
    file.write_text(spoil(copy.deepcopy(OFFER)), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_price_list(file)
    assert caught.value.faults[0].where == str(file)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_price_list(tmp_path / "none.json")
