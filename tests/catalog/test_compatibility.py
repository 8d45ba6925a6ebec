"""What a server refuses to run, and the reason that it gives; nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from pydantic import TypeAdapter

from gpuwright import catalog
from gpuwright.catalog import Accelerator
from gpuwright.catalog.compatibility import compatibility
from gpuwright.errors import InputError
from gpuwright.sizing import Hardware, Load, Run, decoder, fit, speed

LLAMA = "meta-llama/Llama-3.1-8B"
MI300X = Accelerator(
    name="MI300X",
    form_factor="OAM",
    vendor="amd",
    architecture="CDNA 3",
    memory_gib=192,
    usable_mib=196_288,
    memory_bandwidth_gb_per_s=5300.0,
    fp16_dense_tflops=1307.4,
    fp8_dense_tflops=2614.9,
    int8_dense_tops=2614.9,
    tf32=True,
    bf16=True,
    mig=False,
    nvlink_gb_per_s=896.0,
    ecc="yes",
    tdp_watts=750,
    datacenter_licensed=True,
    source="a row of this test",
    read=date(2026, 11, 22),
)


def reasons(
    server: str,
    accelerator: str,
    weights: str = "fp16",
    cache: str = "fp16",
    *,
    model: str = LLAMA,
    version: str | None = None,
    form_factor: str | None = None,
) -> list[tuple[str, str]]:
    found = compatibility(
        catalog.server(server, version),
        catalog.model(model),
        catalog.accelerator(accelerator, form_factor),
        weights,
        cache,
    )
    return [(each.rule, each.detail) for each in found]


@pytest.mark.parametrize("server", sorted({each.name for each in catalog.servers()}))
def test_every_server_runs_a_dense_model_in_16_bit_on_an_ampere_data_centre_accelerator(server: str) -> None:
    assert reasons(server, "A100-80", "bf16", "bf16", form_factor="SXM4") == []


def test_fp8_weights_are_refused_on_turing_and_run_from_ampere_on() -> None:
    assert reasons("vllm", "T4", "fp8", version="0.11.0") == [
        ("precision", "T4 has compute capability 7.5, and fp8 on vllm 0.11.0 needs 8.0")
    ]
    assert reasons("vllm", "A10G", "fp8") == []
    assert reasons("tensorrt-llm", "A10G", "fp8") == [
        ("precision", "A10G has compute capability 8.6, and fp8 on tensorrt-llm 1.0.0 needs 8.9")
    ]


def test_bf16_is_refused_where_neither_card_nor_server_has_it() -> None:
    assert reasons("vllm", "V100-16", "bf16", version="0.11.0") == [
        ("precision", "V100-16 has compute capability 7.0, and BF16 needs 8.0; FP16 would run")
    ]
    assert reasons("llama.cpp", "V100-16", "bf16") == []


def test_a_model_that_a_server_does_not_serve_is_refused_by_architecture_attention_or_kind() -> None:
    assert reasons("tensorrt-llm", "H200", model="tiiuae/falcon-7b") == [
        ("model", "tiiuae/falcon-7b is of the architecture falcon, which tensorrt-llm 1.0.0 does not serve")
    ]
    assert reasons("deepspeed", "H200", model="deepseek-ai/DeepSeek-V3") == [
        ("model", "deepseek-ai/DeepSeek-V3 has mla attention, and deepspeed 0.3.3 serves mha, gqa, mqa"),
        (
            "model",
            "deepseek-ai/DeepSeek-V3 is of the architecture deepseek_v3, which deepspeed 0.3.3 does not serve",
        ),
    ]
    assert reasons("vllm", "H200", model="black-forest-labs/FLUX.1-dev")[0][1].endswith(
        "is a diffusion model, and vllm 0.11.0 serves decoder, encoder-decoder, embedding, reranker models"
    )
    assert reasons("vllm", "L4", model="BAAI/bge-m3") == []
    assert [rule for rule, _ in reasons("tensorrt-llm", "L4", model="BAAI/bge-m3")] == ["model"]


def test_a_cache_type_that_is_missing_is_told_apart_from_one_that_the_card_cannot_do() -> None:
    assert reasons("deepspeed", "H200", cache="fp8") == [
        ("precision", "deepspeed 0.3.3 keeps no KV cache in fp8")
    ]
    assert reasons("vllm", "A10G", cache="fp8", version="0.11.0") == [
        ("precision", "A10G has compute capability 8.6, and a KV cache in fp8 on vllm 0.11.0 needs 8.9")
    ]


def test_every_reason_is_given_at_once() -> None:
    found = reasons("tensorrt-llm", "T4", "awq", "fp8", model="tiiuae/falcon-7b")
    assert [rule for rule, _ in found] == ["server", "model", "precision", "precision"]


def test_a_later_version_serves_what_an_earlier_one_does_not() -> None:
    assert reasons("vllm", "H200", "mxfp4", version="0.8.5") == [
        ("precision", "vllm 0.8.5 does not serve mxfp4 weights")
    ]
    assert reasons("vllm", "H200", "mxfp4", version="0.10.2") == []


def test_an_accelerator_of_another_maker_is_a_valid_row_and_can_be_sized_on() -> None:
    fields = Accelerator.__dataclass_fields__
    assert (
        TypeAdapter(Accelerator).validate_python({name: getattr(MI300X, name) for name in fields}) == MI300X
    )
    model, load, run = decoder(catalog.model(LLAMA)), Load(8, 512, 256, 4096), Run("bf16", "bf16")
    memory, pace = fit(model, MI300X, load, run), speed(model, Hardware(MI300X, 0), load, run)
    assert memory.fits
    assert 0 < pace.output_tokens_per_second <= pace.roofline_output_tokens_per_second


def test_a_server_built_for_one_maker_refuses_the_others_and_says_which_it_runs_on() -> None:
    server, model = catalog.server("vllm"), catalog.model(LLAMA)
    (reason,) = compatibility(server, model, MI300X, "bf16", "bf16")
    assert reason.detail == "MI300X is made by AMD, and vllm 0.11.0 runs on NVIDIA"
    assert compatibility(replace(server, vendors=("amd",)), model, MI300X, "fp8", "bf16") == []


def test_only_a_version_with_a_digest_can_be_deployed() -> None:
    assert catalog.deployable_server("vllm").version == "0.11.0"
    assert catalog.deployable_server("vllm", "0.8.5").image_reference.endswith(
        "@sha256:6cf9808ca8810fc6c3fd0451c2e7784fb224590d81f7db338e7eaf3c02a33d33"
    )
    with pytest.raises(InputError) as caught:
        catalog.deployable_server("vllm", "0.15.1", where="chat.yaml: server")
    (fault,) = caught.value.faults
    assert fault.where == "chat.yaml: server.version"
    assert "0.8.5, 0.10.2, 0.11.0" in fault.fix


def test_every_decoder_of_the_catalog_names_its_architecture() -> None:
    assert [each.id for each in catalog.models() if each.kind == "decoder" and not each.model_type] == []
