"""Looking a row up: whole names only, near names in the error, nothing read that is not asked for."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from gpuwright import catalog
from gpuwright.errors import InputError, UnknownNameError


def test_a_model_is_found_by_its_id_or_its_name_in_any_case() -> None:
    for given in ("meta-llama/Llama-3.1-8B", "META-LLAMA/llama-3.1-8b", "llama-3.1-8b"):
        assert catalog.model(given).id == "meta-llama/Llama-3.1-8B"


def test_a_part_of_a_name_is_no_name() -> None:
    for given in ("A10", "a10g"):
        assert catalog.accelerator(given).name == given.upper()
    for given in ("A1", "10G", "H100", ""):
        with pytest.raises(UnknownNameError):
            catalog.accelerator(given)


def test_an_accelerator_in_two_forms_is_not_guessed() -> None:
    with pytest.raises(InputError) as error:
        catalog.accelerator("A100-80", where="7b.yaml: accelerator")
    (fault,) = error.value.faults
    assert fault.where == "7b.yaml: accelerator"
    assert "PCIe" in fault.problem
    assert "SXM4" in fault.problem
    assert catalog.accelerator("A100-80", "sxm4").tdp_watts == 400
    assert catalog.accelerator("A100-80", "PCIe").tdp_watts == 300


@pytest.mark.parametrize(
    ("look_up", "offered"),
    [
        (lambda: catalog.accelerator("L40X"), "L40S"),
        (lambda: catalog.accelerator("L4", "SXM5"), "PCIe"),
        (lambda: catalog.instance_types("ibm"), "alibaba, aws, azure, gcp, oci"),
        (lambda: catalog.instance_type("aws", "g5.4xlrge"), "g5.4xlarge"),
        (lambda: catalog.instance_type("gcp", "g5.4xlarge"), "a2-highgpu-1g"),
        (lambda: catalog.find_instance_type("g2-standard-61"), "g2-standard-16"),
        (lambda: catalog.model("qwen2.5-7b-base"), "Qwen/Qwen2.5-7B"),
        (lambda: catalog.model("zzz"), "config.json"),
        (lambda: catalog.server("vlm"), "vllm"),
        (lambda: catalog.server("vllm", "0.11.1"), "0.11.0"),
        (lambda: catalog.profile("7b"), "7b-online"),
        (lambda: catalog.profile("../accelerators"), "7b-online"),
    ],
)
def test_a_missed_look_up_offers_what_there_is(look_up: Callable[[], Any], offered: str) -> None:
    with pytest.raises(UnknownNameError) as error:
        look_up()
    assert offered in error.value.faults[0].fix


def test_a_name_that_two_organisations_use_is_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {id_: f"- {{id: {id_}}}\n" for id_ in ("one/twin", "two/twin")}
    monkeypatch.setattr(catalog, "_model_texts", lambda: ({}, texts))
    with pytest.raises(InputError) as error:
        catalog.model("twin")
    assert "one/twin, two/twin" in error.value.faults[0].fix


def test_the_newest_version_of_a_server_with_a_digest_is_taken_where_none_is_named() -> None:
    newest = catalog.server("vllm")
    assert newest == [each for each in catalog.servers() if each.name == "vllm" and each.deployable][-1]
    assert newest.image_reference == f"{newest.image}@{newest.digest}"
    assert newest.quantization("awq").min_compute_capability == 7.5
    assert newest.quantization("no such") is None


def test_an_instance_type_is_found_whichever_cloud_sells_it() -> None:
    for cloud in catalog.clouds():
        for each in catalog.instance_types(cloud):
            assert catalog.find_instance_type(each.name) is catalog.instance_type(cloud, each.name)
            assert each.cloud == cloud


def test_where_a_name_was_given_does_not_read_its_table_again() -> None:
    assert catalog.instance_types("aws", where="7b.yaml: cloud") is catalog.instance_types("aws")
    assert catalog.model("llama-3.1-8b", where="7b.yaml: model") is catalog.model("meta-llama/Llama-3.1-8B")
    assert catalog.profile("7b-online", where="7b.yaml: profile") is catalog.profile("7b-online")


def test_a_row_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        catalog.model("llama-3.1-8b").layers = 1  # type: ignore[misc]


def test_reading_the_catalog_needs_no_cloud_and_asking_for_one_table_reads_no_other() -> None:
    program = (
        "import sys, gpuwright.catalog as catalog\n"
        "read = []\n"
        "text_of = catalog._read\n"
        "catalog._read = lambda file: read.append(file.name) or text_of(file)\n"
        "catalog.instance_types('aws'); catalog.accelerators(); catalog.model('llama-3.1-8b')\n"
        "print(*sorted(read), *(name for name in ('pulumi', 'boto3') if name in sys.modules))\n"
    )
    path = os.pathsep.join(each for each in sys.path if each)
    command, env = [sys.executable, "-c", program], {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    assert done.stdout.split() == ["accelerators.yaml", "aws.yaml", "models.yaml"]
