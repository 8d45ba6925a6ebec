"""What must hold of every row: it has a source, its key is unique, and its numbers agree with each other."""

from __future__ import annotations

import dataclasses
from collections import Counter
from datetime import date
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import pytest
import yaml

from gpuwright import catalog
from gpuwright.catalog import InstanceType, Model

MODELS = catalog.models()
DECODERS = [model for model in MODELS if model.kind == "decoder"]
INSTANCE_TYPES = [each for cloud in catalog.clouds() for each in catalog.instance_types(cloud)]
ROWS = [*catalog.accelerators(), *INSTANCE_TYPES, *MODELS, *catalog.servers(), *catalog.profiles()]


def instance_name(each: InstanceType) -> str:
    return f"{each.cloud}/{each.name}"


def model_id(model: Model) -> str:
    return model.id


def yaml_files(folder: Traversable, prefix: str = "") -> list[str]:
    found = []
    for each in folder.iterdir():
        if each.is_dir():
            found += yaml_files(each, f"{prefix}{each.name}/")
        elif each.name.endswith((".yaml", ".yml")):
            found.append(prefix + each.name)
    return sorted(found)


def test_every_table_in_the_folder_is_loaded() -> None:
    loaded = ["accelerators.yaml", "models.yaml", "servers.yaml"]
    loaded += [f"instance_types/{cloud}.yaml" for cloud in catalog.clouds()]
    loaded += [f"profiles/{profile.name}.yaml" for profile in catalog.profiles()]
    loaded += [
        f"{folder}/{cloud}.yaml"
        for folder in ("prices", "commitments")
        for cloud in catalog._yaml_files(folder)
    ]
    assert yaml_files(files(catalog)) == sorted(loaded)


@pytest.mark.parametrize("path", [each for each in yaml_files(files(catalog)) if "profiles" not in each])
def test_every_source_of_a_table_is_named_by_a_row(path: str) -> None:
    def named(row: dict[str, Any]) -> set[str]:
        keys = set(row["source"])
        for value in row.values():
            if isinstance(value, list):
                keys.update(key for item in value if isinstance(item, dict) for key in named(item))
        return keys

    table = yaml.safe_load((files(catalog) / path).read_text(encoding="utf-8"))
    assert set(table["sources"]) == {key for row in table["rows"] for key in named(row)}


def test_the_catalog_holds_what_it_says() -> None:
    assert len(catalog.accelerators()) == 35
    assert {cloud: len(catalog.instance_types(cloud)) for cloud in catalog.clouds()} == {
        "alibaba": 17,
        "aws": 44,
        "azure": 18,
        "gcp": 33,
        "oci": 6,
    }
    assert Counter(model.kind for model in MODELS) == {
        "decoder": 85,
        "encoder-decoder": 3,
        "diffusion": 9,
        "embedding": 2,
        "reranker": 1,
        "vision": 2,
        "classical": 1,
    }


def test_every_row_has_a_source_and_the_day_it_was_read() -> None:
    for row in ROWS:
        assert len(row.source) > 5, row
        assert row.read is not None, row
        assert row.read >= date(2026, 11, 21), row
    for server in catalog.servers():
        assert all(each.source for each in (*server.quantizations, *server.kv_cache_dtypes))
    assert all(part.source for model in MODELS for part in model.components)


@pytest.mark.parametrize(
    "keys",
    [
        [(each.name, each.form_factor) for each in catalog.accelerators()],
        [each.name for each in INSTANCE_TYPES],
        [model.id.casefold() for model in MODELS],
        [model.id.casefold().rpartition("/")[2] for model in MODELS],
        [(server.name, server.version) for server in catalog.servers()],
    ],
    ids=["accelerators", "instance types over all clouds", "models", "models after the slash", "servers"],
)
def test_no_key_stands_twice(keys: list[Any]) -> None:
    assert [key for key, count in Counter(keys).items() if count > 1] == []


def test_what_the_driver_shows_is_below_the_nominal_memory_and_not_far_below() -> None:
    for each in catalog.accelerators():
        assert 0.90 <= each.usable_mib / (each.memory_gib * 1024) <= 1, each.name


def test_peaks_are_without_sparsity_and_ordered_by_precision() -> None:
    for each in catalog.accelerators():
        if each.fp8_dense_tflops:
            assert each.fp8_dense_tflops == pytest.approx(2 * each.fp16_dense_tflops, rel=0.02)
            assert each.compute_capability >= 8.9
        else:
            assert each.compute_capability < 8.9
        assert each.bf16 == each.tf32 == (each.compute_capability >= 8.0), each.name
        assert not each.mig or each.compute_capability in (8.0, 9.0, 10.0), each.name


def test_the_a10g_is_not_the_a10() -> None:
    assert catalog.accelerator("A10").fp16_dense_tflops > 1.5 * catalog.accelerator("A10G").fp16_dense_tflops


def test_only_consumer_accelerators_are_not_licensed_for_data_centres() -> None:
    consumer = {each.name for each in catalog.accelerators() if not each.datacenter_licensed}
    assert consumer == {
        *("RTX 3070", "RTX 3080", "RTX 3080 Ti", "RTX 3090"),
        *("RTX 4060", "RTX 4070 Ti", "RTX 4080", "RTX 4090", "RTX 5090"),
    }
    assert catalog.accelerator("RTX 4090").ecc == "limited"
    assert not consumer & {each.accelerator for each in INSTANCE_TYPES}


@pytest.mark.parametrize("each", INSTANCE_TYPES, ids=instance_name)
def test_an_instance_type_names_an_accelerator_and_agrees_with_it(each: InstanceType) -> None:
    accelerator = catalog.accelerator(each.accelerator, each.form_factor)
    assert each.nvlink_gb_per_s in (0, accelerator.nvlink_gb_per_s)


@pytest.mark.parametrize("each", INSTANCE_TYPES, ids=instance_name)
def test_nvlink_is_rated_only_where_the_accelerators_are_joined_by_it(each: InstanceType) -> None:
    by_nvlink = each.interconnect in ("nvlink", "nvlink-bridge", "nvswitch")
    assert (each.nvlink_gb_per_s > 0) == by_nvlink
    assert (each.interconnect == "none") == (each.accelerator_count == 1)


@pytest.mark.parametrize("each", INSTANCE_TYPES, ids=instance_name)
def test_spot_is_cheaper_than_on_demand_and_what_has_a_price_has_its_region(each: InstanceType) -> None:
    prices = [price for price in (each.spot_usd_per_hour, each.on_demand_usd_per_hour) if price is not None]
    assert prices == sorted(prices)
    assert each.price_region or not prices


def test_a_price_is_missing_only_where_the_list_is_in_another_currency_or_no_list_has_it() -> None:
    without = [each for each in INSTANCE_TYPES if not (each.on_demand_usd_per_hour or each.spot_usd_per_hour)]
    assert {each.cloud for each in without} == {"alibaba"}
    assert sum("list price CNY" in each.notes for each in without) == 15


def test_a_slice_is_a_part_of_one_device_and_has_that_part_of_its_memory() -> None:
    slices = {each.name: each for each in INSTANCE_TYPES if each.is_slice}
    memory = {name: catalog.accelerator_of(each).memory_gib for name, each in slices.items()}
    assert memory == {
        "Standard_NV6ads_A10_v5": 4,
        "Standard_NV12ads_A10_v5": 8,
        "Standard_NV18ads_A10_v5": 12,
    }
    for each in slices.values():
        assert each.accelerator_count == 1
        assert f"vGPU slice, {memory[each.name]} GiB" in each.notes
        assert catalog.accelerator_of(each).usable_mib < 0.51 * catalog.accelerator("A10").usable_mib


def test_a_price_for_all_regions_is_the_price_in_each() -> None:
    everywhere, somewhere = (catalog.find_instance_type(name) for name in ("BM.GPU.H100.8", "g5.4xlarge"))
    assert everywhere.priced_in("eu-frankfurt-1")
    assert somewhere.priced_in("us-east-1")
    assert not somewhere.priced_in("eu-west-1")


@pytest.mark.parametrize("each", INSTANCE_TYPES, ids=instance_name)
def test_the_sustained_network_is_no_more_than_the_burst(each: InstanceType) -> None:
    assert 0 < each.sustained_network_gbps <= each.network_gbps
    if each.network_baseline_gbps is None:
        assert each.sustained_network_gbps == each.network_gbps


@pytest.mark.parametrize(
    ("name", "accelerator", "count", "vcpus", "memory_gib", "local_ssd_gb", "network_gbps", "rdma"),
    [
        ("g5.4xlarge", "A10G", 1, 16, 64, 600, 25, "none"),
        ("p4d.24xlarge", "A100-40", 8, 96, 1152, 8000, 400, "efa"),
        ("p4de.24xlarge", "A100-80", 8, 96, 1152, 8000, 400, "efa"),
        ("p5.48xlarge", "H100-80", 8, 192, 2048, 30400, 3200, "efa"),
        ("a2-highgpu-2g", "A100-40", 2, 24, 170, 0, 32, "none"),
        ("Standard_ND96isr_H100_v5", "H100-80", 8, 96, 1900, 30720, 3200, "infiniband"),
        ("BM.GPU.H100.8", "H100-80", 8, 224, 2048, 61440, 3200, "roce"),
        ("ecs.ebmgn7ex.32xlarge", "A100-80", 8, 128, 1024, 0, 160, "erdma"),
    ],
)
def test_well_known_shapes_are_as_the_clouds_document_them(
    name: str,
    accelerator: str,
    count: int,
    vcpus: int,
    memory_gib: int,
    local_ssd_gb: int,
    network_gbps: int,
    rdma: str,
) -> None:
    each = catalog.find_instance_type(name)
    assert (each.accelerator, each.accelerator_count, each.vcpus) == (accelerator, count, vcpus)
    assert (each.memory_gib, each.local_ssd_gb) == (memory_gib, local_ssd_gb)
    assert (each.network_gbps, each.rdma) == (network_gbps, rdma)


def test_what_is_not_sold_on_demand_says_so() -> None:
    without = {each.name for each in INSTANCE_TYPES if each.on_demand_usd_per_hour is None}
    without -= {each.name for each in INSTANCE_TYPES if each.cloud == "alibaba"}
    assert without == {"p5e.48xlarge", "a4-highgpu-8g"}
    assert all(
        "on-demand" in each.notes or "on demand" in each.notes
        for each in INSTANCE_TYPES
        if each.name in without
    )


@pytest.mark.parametrize("model", DECODERS, ids=model_id)
def test_heads_share_out_evenly(model: Model) -> None:
    assert model.attention_heads % model.kv_heads == 0
    if model.attention == "mla":
        assert (model.head_dim, model.kv_lora_rank, model.qk_rope_head_dim) == (None, 512, 64)
    elif model.attention != "hybrid":
        kind = "mha" if model.kv_heads == model.attention_heads else "mqa" if model.kv_heads == 1 else "gqa"
        assert model.attention == kind


def test_heads_fill_the_width_except_where_the_architecture_chose_otherwise() -> None:
    otherwise = {
        model.id
        for model in DECODERS
        if model.head_dim
        and model.hidden_size != model.attention_heads * model.head_dim
        and "computed from config" not in model.notes
    }
    assert otherwise == {
        "google/gemma-2-2b",
        "google/gemma-2-9b",
        "google/gemma-2-27b",
        "google/gemma-3-1b-it",
        "google/gemma-3-4b-it",
        "google/gemma-3-12b-it",
        "google/gemma-3-27b-it",
        "mistralai/Mistral-Nemo-Instruct-2407",
        "openai/gpt-oss-20b",
        "openai/gpt-oss-120b",
        "Qwen/Qwen3-30B-A3B",
        "Qwen/Qwen3-32B",
        "Qwen/Qwen3-235B-A22B",
    }


@pytest.mark.parametrize("model", DECODERS, ids=model_id)
def test_sliding_layers_and_their_window_come_together(model: Model) -> None:
    assert (model.sliding_window is None) == (model.sliding_layers == 0)
    assert model.sliding_layers <= model.layers
    some_slide = 0 < model.sliding_layers < model.layers
    assert (model.attention == "hybrid") == (some_slide or model.attention_layers is not None)


@pytest.mark.parametrize("model", DECODERS, ids=model_id)
def test_layers_without_attention_have_a_state(model: Model) -> None:
    assert (model.attention_layers is None) == (model.state_bytes is None)
    assert model.attention_layers is None or 0 < model.attention_layers < model.layers


def test_windows_are_counted_as_the_models_alternate() -> None:
    counted = {model.id: (model.sliding_layers, model.layers) for model in DECODERS if model.sliding_layers}
    assert counted["google/gemma-2-9b"] == (21, 42)
    assert counted["openai/gpt-oss-20b"] == (12, 24)
    assert counted["google/gemma-3-27b-it"] == (52, 62)
    assert counted["mistralai/Mistral-7B-v0.1"] == (32, 32)
    assert counted["microsoft/Phi-3-mini-4k-instruct"] == (32, 32)
    assert catalog.model("Phi-3-mini-4k-instruct").sliding_window == 2048


@pytest.mark.parametrize("model", DECODERS, ids=model_id)
def test_experts_come_with_all_that_sizing_asks_of_them(model: Model) -> None:
    if model.experts is None:
        assert model.params_active == model.params_total - (model.vision_params or 0)
        assert (model.experts_per_token, model.shared_experts, model.dense_layers) == (None, None, 0)
        return
    assert model.is_mixture_of_experts
    assert 0 < model.experts_per_token < model.experts
    assert model.moe_intermediate_size
    matrices = 2 if model.model_type == "nemotron_h" else 3
    expert = matrices * model.hidden_size * model.moe_intermediate_size
    routed = (model.layers - model.dense_layers) * model.experts * expert
    assert routed < model.params_total
    # What a token uses is what is left without the experts it skips; DeepSeek publishes a rounded figure.
    whole = model.params_total - (model.vision_params or 0)
    active = whole - routed + routed * model.experts_per_token // model.experts
    if "published nominal" not in model.notes:
        assert model.params_active == pytest.approx(active, rel=0.01)


@pytest.mark.parametrize("model", [model for model in DECODERS if model.weights_bytes], ids=model_id)
def test_published_weights_weigh_what_their_parameters_weigh(model: Model) -> None:
    bytes_per_parameter = 1 if model.dtype == "fp8" else 2
    assert model.weights_bytes == pytest.approx(bytes_per_parameter * model.params_total, rel=0.01)


def test_only_models_published_in_parts_have_components() -> None:
    for model in MODELS:
        assert bool(model.components) == (model.kind in ("diffusion", "vision")), model.id
    xl = catalog.model("stable-diffusion-xl-base-1.0")
    assert [part.full_checkpoint for part in xl.components] == [False, False, False, False, True]


def test_a_whole_checkpoint_is_at_least_the_sum_of_the_parts_listed_beside_it() -> None:
    for model in MODELS:
        parts = sum(part.weights_gb or 0 for part in model.components if not part.full_checkpoint)
        for whole in (part for part in model.components if part.full_checkpoint):
            assert whole.weights_gb >= 0.99 * parts, model.id


def test_whisper_has_an_encoder_beside_its_decoder() -> None:
    whisper = catalog.model("whisper-large-v3")
    assert (whisper.kind, whisper.layers, whisper.encoder_layers) == ("encoder-decoder", 32, 32)


def test_a_server_demands_less_to_run_than_to_run_natively() -> None:
    for server in catalog.servers():
        drivers = server.min_driver, server.native_driver
        assert drivers == (None, None) or float(drivers[0]) < float(drivers[1])
        assert (server.cuda is None) == (server.min_driver is None)
        for each in (*server.quantizations, *server.kv_cache_dtypes):
            assert each.min_compute_capability >= server.min_compute_capability
            for better in (each.native_compute_capability, each.marlin_compute_capability):
                assert better is None or better >= each.min_compute_capability


def test_profiles_hold_only_what_a_spec_can_say() -> None:
    from gpuwright.spec import parse_spec

    for profile in catalog.profiles():
        parse_spec({"name": "any", "model": "any/model", **profile.defaults})
        assert catalog.accelerator(profile.accelerator)


def test_the_7b_profile_has_the_documents_floors() -> None:
    profile = catalog.profile("7b-online")
    assert dataclasses.asdict(profile.floors) == {
        "vcpus": 16,
        "memory_gib": 64,
        "disk_gb": 500,
        "accelerators": 1,
    }
    for figure in ("A10", "16vCPU", "64GB", "500GB", "vLLM"):
        assert figure in profile.quote
