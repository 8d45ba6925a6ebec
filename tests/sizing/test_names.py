"""Names as people write them lead to the right row, or to none."""

from __future__ import annotations

import pytest

from gpuwright.errors import UnknownNameError
from gpuwright.sizing.names import accelerator_named, model_named


@pytest.mark.parametrize(
    ("text", "name", "form_factor"),
    [
        ("H100-80GB (SXM)", "H100-80", "SXM5"),
        ("H100-80GB (PCIe)", "H100-80", "PCIe"),
        ("NVIDIA H100 80GB HBM3", "H100-80", "SXM5"),
        ("H100 NVL", "H100-NVL", "PCIe"),
        ("A100 PCIe 80GB", "A100-80", "PCIe"),
        ("A100-40GB", "A100-40", "SXM4"),
        ("A10G", "A10G", "PCIe"),
        ("NVIDIA A10", "A10", "PCIe"),
        ("4090 24GB", "RTX 4090", "PCIe"),
        ("NVIDIA GeForce RTX 3090", "RTX 3090", "PCIe"),
        ("RTX A6000 48GB", "RTX A6000", "PCIe"),
        ("RTX 6000 Ada 48GB", "RTX 6000 Ada", "PCIe"),
        ("Tesla T4", "T4", "PCIe"),
        ("GH200-96GB", "GH200", "SXM5"),
    ],
)
def test_an_accelerator_is_understood_as_people_write_it(text: str, name: str, form_factor: str) -> None:
    found = accelerator_named(text)
    assert (found.name, found.form_factor) == (name, form_factor)


@pytest.mark.parametrize(
    ("text", "offered"), [("L4O", "L4"), ("A10H", "A10G"), ("zzzz", "gpuwright catalog")]
)
def test_a_miss_offers_the_nearest_accelerators_or_says_where_they_are_listed(
    text: str, offered: str
) -> None:
    with pytest.raises(UnknownNameError) as caught:
        accelerator_named(text)
    assert offered in caught.value.faults[0].fix


@pytest.mark.parametrize("text", ["24GB-class", "", "A10X", "H100-40GB", "6000", "T4 24GB"])
def test_a_text_that_names_no_accelerator_is_refused(text: str) -> None:
    with pytest.raises(UnknownNameError):
        accelerator_named(text)


@pytest.mark.parametrize(
    ("text", "id"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-8B"),
        ("meta-llama/Llama-3.3-70B-Instruct", "meta-llama/Llama-3.1-70B"),
        ("TheBloke/Llama-2-7B-GPTQ", "meta-llama/Llama-2-7b-hf"),
        ("TheBloke/Mixtral-8x7B-Instruct-v0.1-AWQ", "mistralai/Mixtral-8x7B-v0.1"),
        ("teknium/OpenHermes-2.5-Mistral-7B", "mistralai/Mistral-7B-v0.1"),
        ("Qwen2.5-32B-class (61.0374 GiB)", "Qwen/Qwen2.5-32B"),
        ("Qwen/Qwen3-235B-A22B-FP8", "Qwen/Qwen3-235B-A22B"),
        ("codellama/CodeLlama-34b-Instruct-hf", "codellama/CodeLlama-34b-hf"),
        ("gpt-oss-120b", "openai/gpt-oss-120b"),
        ("Qwen/Qwen2-7B-Instruct", "Qwen/Qwen2.5-7B"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-32B", "Qwen/Qwen2.5-32B"),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-70B", "meta-llama/Llama-3.1-70B"),
        ("deepseek-ai/DeepSeek-R1-0528-Qwen3-8B", "Qwen/Qwen3-8B"),
        ("deepseek-ai/DeepSeek-R1-0528", "deepseek-ai/DeepSeek-R1"),
        ("Qwen/QwQ-32B", "Qwen/Qwen2.5-32B"),
        ("Qwen3-30B-A3B-class FP8 (inferred: 29.09 GiB, 49152 B/token fp8)", "Qwen/Qwen3-30B-A3B"),
        ("neuralmagic/Meta-Llama-3.1-70B-Instruct-quantized.w8a8", "meta-llama/Llama-3.1-70B"),
        ("google/gemma-3-27b-it-qat-q4_0-gguf", "google/gemma-3-27b-it"),
    ],
)
def test_a_model_is_understood_by_the_architecture_it_was_tuned_from(text: str, id: str) -> None:  # noqa: A002
    assert model_named(text).id == id


@pytest.mark.parametrize("text", ["", "Llama", "somebody/Unheard-of-9B"])
def test_a_text_that_names_no_model_is_refused(text: str) -> None:
    with pytest.raises(UnknownNameError):
        model_named(text)


def test_the_published_size_is_not_taken_for_that_of_another_quantization() -> None:
    assert model_named("meta-llama/Llama-3.1-8B").weights_bytes == 16_060_000_000
    assert model_named("somebody/Llama-3.1-8B-Instruct-AWQ").weights_bytes is None
    assert model_named("somebody/DeepSeek-V3-FP8").weights_bytes == model_named("DeepSeek-V3").weights_bytes
