"""The command line: the catalog's verbs, what they print and how they fail."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from gpuwright import catalog

ROOT = Path(__file__).parents[2]
SOURCES = tuple(str(ROOT / each) for each in ("components", "policies", "templates"))
CONFIG = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}
HUB = """
from pathlib import Path

from huggingface_hub.utils import EntryNotFoundError


def hf_hub_download(name, file, revision=None):
    if name == "org/away":
        raise ConnectionError("no route\\nto host")
    found = Path(__file__).parents[1] / "hub" / (revision or "main") / file
    if not found.is_file():
        raise EntryNotFoundError(file)
    return str(found)
"""


def gpuwright(
    *words: str, path: Path | None = None, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gpuwright", "catalog", *words],
        cwd=ROOT,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": os.pathsep.join((*((str(path),) if path else ()), *SOURCES)), "PATH": ""},
    )


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "my-llama"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    index = {"metadata": {"total_size": 16060522496}, "weight_map": {}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder / "config.json"


@pytest.fixture
def offer(tmp_path: Path) -> Path:
    attributes = {
        "instanceType": "g5.4xlarge",
        "regionCode": "us-east-1",
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
    }
    dimension = {"unit": "Hrs", "pricePerUnit": {"USD": "1.7240000000"}}
    document: dict[str, Any] = {
        "formatVersion": "v1.0",
        "offerCode": "AmazonEC2",
        "version": "20261101000000",
        "publicationDate": "2026-11-01T00:00:00Z",
        "products": {"A": {"sku": "A", "attributes": attributes}},
        "terms": {"OnDemand": {"A": {"A.J": {"priceDimensions": {"A.J.6": dimension}}}}},
    }
    file = tmp_path / "index.json"
    file.write_text(json.dumps(document))
    return file


def test_a_list_has_a_header_and_aligned_columns_and_counts_on_stderr() -> None:
    done = gpuwright("accelerators", "--where", "memory_gib>=80", "--where", "form_factor=PCIe")
    header, *lines = done.stdout.splitlines()
    assert header.split()[:3] == ["name", "form_factor", "vendor"]
    wanted = [each for each in catalog.accelerators() if each.memory_gib >= 80 and each.form_factor == "PCIe"]
    assert [line.partition("  ")[0] for line in lines] == [each.name for each in wanted]
    end = header.index("memory_gib") + len("memory_gib")
    assert [line[:end].rsplit(maxsplit=1)[1] for line in lines] == [str(each.memory_gib) for each in wanted]
    assert {line[end] for line in (header, *lines)} == {" "}
    assert done.stderr == f"{len(wanted)} accelerators\n"
    assert done.returncode == 0


@pytest.mark.parametrize("table", ["accelerators", "models", "instance-types", "profiles", "servers"])
def test_every_table_is_listed_as_json_with_all_columns(table: str) -> None:
    rows = json.loads(gpuwright(table, "--format", "json").stdout)
    assert rows
    assert all(row["source"] and "notes" in row for row in rows)
    shown = gpuwright(table).stdout.splitlines()
    assert len(shown) == len(rows) + 1


def test_instance_types_of_one_cloud_are_listed_alone_and_a_slice_shows_as_one() -> None:
    done = gpuwright(
        "instance-types", "--cloud", "azure", "--where", "accelerator_fraction<1", "--format", "json"
    )
    assert [row["accelerator_fraction"] for row in json.loads(done.stdout)] == [0.1667, 0.3333, 0.5]
    assert "0.1667" in gpuwright("instance-types", "--cloud", "azure").stdout


def test_nothing_found_is_an_empty_list_and_no_fault() -> None:
    done = gpuwright("models", "--where", "layers>1000")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "0 models\n")
    assert gpuwright("models", "--where", "layers>1000", "--format", "json").stdout == "[]\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("accelerators", "--where", "memory_gb>=24"), "Did you mean memory_gib"),
        (("accelerators", "--where", "memory_gib>=big"), "holds numbers"),
        (("instance-types", "--cloud", "asure"), "azure"),
        (("show", "A100-80"), "Say which: A100-80 PCIe, A100-80 SXM4."),
        (("show", "g5.4xlrge"), "g5.4xlarge"),
        (("show", "zzzzzz"), "gpuwright catalog models"),
        (("add", "model", "none.json"), "none.json: is not there"),
        (("add", "model", "-"), "is no valid JSON"),
        (("refresh", "prices", "--cloud", "gcp"), "'gcp' is not 'aws'"),
        (("refresh", "prices", "--cloud", "aws", "--price-list", "none.json"), "cannot be read"),
        (("refresh", "prices", "--cloud", "aws", "--in-place", "--output", "x"), "exclude each other"),
    ],
)
def test_bad_input_is_told_without_a_traceback_and_exits_2(words: tuple[str, ...], told: str) -> None:
    done = gpuwright(*words, stdin="{")
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_row_is_shown_with_its_sources_by_any_of_its_names() -> None:
    shown = gpuwright("show", "a100-80", "sxm4")
    assert "memory_bandwidth_gb_per_s: 2039" in shown.stdout
    assert "source: compute capability" in shown.stdout
    row = json.loads(gpuwright("show", "g5.4xlarge", "--format", "json").stdout)
    assert (row["accelerator"], row["vcpus"]) == ("A10G", 16)
    server = gpuwright("show", "vllm", "0.11.0").stdout
    assert "deployable: yes" in server
    assert "  - name fp8, min_compute_capability 8.0" in server


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("NVIDIA A10G", "A10G PCIe"),
        ("nvidia-l4", "L4 PCIe"),
        ("A100 80GB", "A100-80 SXM4"),
        ("H100-80GB (PCIe)", "H100-80 PCIe"),
        ("H100", "H100-80 SXM5"),
        ("Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-8B"),
        ("TheBloke/Llama-2-7B-GPTQ", "meta-llama/Llama-2-7b-hf"),
    ],
)
def test_a_name_as_people_write_it_is_understood_and_said_to_be_taken_so(given: str, taken: str) -> None:
    done = gpuwright("show", given)
    assert done.returncode == 0
    assert done.stderr == f"{given!r} is taken as {taken}.\n"
    assert f": {taken.split()[0]}\n" in done.stdout


def test_a_model_is_made_of_its_configuration_and_printed_ready_to_paste(config: Path) -> None:
    index = config.with_name("model.safetensors.index.json")
    done = gpuwright("add", "model", str(config), "--index", str(index), "--id", "org/My-Llama")
    assert done.returncode == 0, done.stderr
    (row,) = yaml.safe_load(done.stdout)["rows"]
    assert (row["id"], row["params_total"], row["weights_bytes"]) == ("org/My-Llama", 8030261248, 16060522496)
    assert "- {id: org/My-Llama, kind: decoder," in done.stdout
    as_json = json.loads(gpuwright("add", "model", str(config), "--format", "json").stdout)
    assert (as_json["id"], as_json["layers"]) == ("my-llama", 32)


def test_an_output_is_written_whole_or_not_at_all(config: Path, tmp_path: Path) -> None:
    target = tmp_path / "row.yaml"
    done = gpuwright("add", "model", str(config), "--output", str(target))
    assert (done.returncode, done.stdout) == (0, "")
    assert yaml.safe_load(target.read_text())["rows"][0]["id"] == "my-llama"
    kept = target.read_text()
    broken = tmp_path / "config.json"
    broken.write_text(json.dumps({**CONFIG, "num_hidden_layers": "many"}))
    assert gpuwright("add", "model", str(broken), "--output", str(target)).returncode == 2
    assert target.read_text() == kept
    assert (
        gpuwright("add", "model", str(config), "--output", str(tmp_path / "no" / "row.yaml")).returncode == 2
    )
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


def test_a_fault_of_a_configuration_names_its_file(config: Path) -> None:
    config.write_text(json.dumps({**CONFIG, "num_hidden_layers": "many"}))
    done = gpuwright("add", "model", str(config))
    assert done.stderr.startswith(f"{config}: num_hidden_layers: is 'many'")


def test_without_the_hub_library_the_extra_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "huggingface_hub"
    missing.mkdir()
    (missing / "__init__.py").write_text("raise ImportError('not here')")
    done = gpuwright("add", "model", "hf:org/name", path=tmp_path)
    assert done.returncode == 2
    assert "pip install 'gpuwright[hub]'" in done.stderr


def test_a_model_on_the_hub_is_read_through_its_library(config: Path, tmp_path: Path) -> None:
    library = tmp_path / "huggingface_hub"
    library.mkdir()
    (library / "__init__.py").write_text(HUB)
    (library / "utils.py").write_text("class EntryNotFoundError(Exception): ...\n")
    for revision, files in (
        ("main", ("config.json", "model.safetensors.index.json")),
        ("v1", ("config.json",)),
    ):
        folder = tmp_path / "hub" / revision
        folder.mkdir(parents=True)
        for each in files:
            (folder / each).write_text(config.with_name(each).read_text())
    whole = json.loads(gpuwright("add", "model", "hf:org/name", "--format", "json", path=tmp_path).stdout)
    assert (whole["id"], whole["weights_bytes"]) == ("org/name", 16060522496)
    alone = json.loads(gpuwright("add", "model", "hf:org/name@v1", "--format", "json", path=tmp_path).stdout)
    assert "weights_bytes" not in alone
    away = gpuwright("add", "model", "hf:org/away", path=tmp_path)
    assert away.returncode == 2
    assert "hf:org/away: the Hub did not give its config.json (ConnectionError: no route)" in away.stderr


def test_newer_prices_are_shown_and_written_only_where_asked(offer: Path, tmp_path: Path) -> None:
    table = Path(catalog.__file__).parent / "instance_types" / "aws.yaml"
    before = table.read_text()
    done = gpuwright("refresh", "prices", "--cloud", "aws", "--price-list", str(offer))
    assert done.stdout.splitlines() == [
        "1 prices of 2026-11-01, 1 of them changed",
        "  g5.4xlarge  us-east-1  1.624  →  1.724  +6.2 %",
    ]
    target = tmp_path / "aws.yaml"
    words = ("--price-list", str(offer), "--output", str(target), "--format", "json")
    document = json.loads(gpuwright("refresh", "prices", "--cloud", "aws", *words).stdout)
    assert document["changes"] == [
        {"name": "g5.4xlarge", "region": "us-east-1", "before": 1.624, "after": 1.724}
    ]
    assert "p5.48xlarge" in document["without"]
    assert "on_demand_usd_per_hour: 1.724, price_date: 2026-11-01" in target.read_text()
    assert table.read_text() == before


def test_the_packaged_table_is_changed_in_a_checkout_only(offer: Path, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    for each in ("components", "policies", "templates"):
        shutil.copytree(ROOT / each, checkout / each, ignore=shutil.ignore_patterns("__pycache__"))
    table = checkout / "components/gpuwright/catalog/instance_types/aws.yaml"
    before = table.read_text()
    words = ("refresh", "prices", "--cloud", "aws", "--price-list", str(offer), "--in-place")
    installed = gpuwright(*words, path=checkout / "components")
    assert installed.returncode == 2
    assert "Use --output, or a checkout." in installed.stderr
    assert table.read_text() == before
    (checkout / "pyproject.toml").touch()
    assert gpuwright(*words, path=checkout / "components").returncode == 0
    assert "on_demand_usd_per_hour: 1.724, price_date: 2026-11-01" in table.read_text()
    shown = json.loads(
        gpuwright("show", "g5.4xlarge", "--format", "json", path=checkout / "components").stdout
    )
    assert (shown["on_demand_usd_per_hour"], shown["price_date"]) == (1.724, "2026-11-01")


def test_without_boto3_a_price_list_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "boto3.py").write_text("raise ImportError('not here')")
    done = gpuwright("refresh", "prices", "--cloud", "aws", path=tmp_path)
    assert done.returncode == 2
    assert "--price-list" in done.stderr


def test_prices_are_asked_of_the_pricing_api_where_boto3_is_installed(tmp_path: Path, offer: Path) -> None:
    found = json.loads(offer.read_text())
    product = {
        "product": found["products"]["A"],
        "terms": {"OnDemand": found["terms"]["OnDemand"]["A"]},
        "publicationDate": "2026-11-02T00:00:00Z",
        "version": "20261102000000",
    }
    (tmp_path / "boto3.py").write_text(
        f"PRODUCT = {json.dumps(product)!r}\n"
        "class client:\n"
        "    def __init__(self, name, region_name): assert (name, region_name) == ('pricing', 'us-east-1')\n"
        "    def get_paginator(self, name): return self\n"
        "    def paginate(self, ServiceCode, Filters):\n"
        "        asked = {each['Field']: each['Value'] for each in Filters}\n"
        "        yield {'PriceList': [PRODUCT] if asked['instanceType'] == 'g5.4xlarge' else []}\n"
    )
    done = gpuwright("refresh", "prices", "--cloud", "aws", path=tmp_path)
    assert done.stdout.startswith("1 prices of 2026-11-02, 1 of them changed"), done.stderr


def test_listing_needs_no_cloud_sdk_and_no_hub() -> None:
    program = (
        "import sys; from gpuwright.cli import main\n"
        "try: main(['catalog', 'accelerators'])\n"
        "except SystemExit: print(*(name for name in ('pulumi', 'boto3', 'huggingface_hub') if name in sys.modules))\n"
    )
    env = {"PYTHONPATH": os.pathsep.join(SOURCES)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env
    )
    assert done.stdout.splitlines()[-1] == ""
