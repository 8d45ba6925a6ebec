"""Models and accelerators by the names that people write: in tables, issues and start-up logs."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

from gpuwright import catalog
from gpuwright.catalog import Accelerator, Model
from gpuwright.errors import UnknownNameError

MAKERS = r"\b(nvidia|tesla|geforce|quadro|rtx|generation|gpu|gb|graphics)\b"
"""Words around an accelerator's name that tell none apart."""

BRIDGED = ("nvl", "sxm", "pcie")
"""Form factors as people write them, without their number."""

VARIANT = (
    r"(?<![a-z0-9])(instruct|chat|it|hf|base|meta|nvidia|class|dev|exp|preview|thinking|inference|sym|autoround|marlin"
    r"|super|dynamic|quantized|gguf|awq|gptq|bnb|nvfp4|mxfp4|fp4|fp8|fp16|bf16|int4|int8|4bit|8bit|w4a16|w8a8|w8a16"
    r"|qat|pt|coder|math|1m|distill|terminus|abliterated|chinese|q[2-8](_k|_[01])?(_[sml])?|2[45]\d\d|0[1-9][0-3]\d"
    r")(?![a-z0-9])"
)
"""Words of a model's name that leave its architecture as it is: tuning, date and quantization."""

QUANTIZED = r"(?<![a-z0-9])(gguf|awq|gptq|bnb|nvfp4|fp4|fp8|int4|int8|4bit|8bit|w4a16|w8a8|w8a16|autoround)(?![a-z0-9])"

SAME_ARCHITECTURE = {
    "openhermes2.5mistral7b": "mistral7bv0.1",
    "zephyr7bbeta": "mistral7bv0.1",
    "llama3.370b": "llama3.170b",
    "codellama7b": "llama27b",
    "codellama70b": "llama270b",
    "vicuna7bv1.5": "llama27b",
    "vicuna13bv1.5": "llama213b",
    "deepseekv3.1": "deepseekv3",
    "deepseekv3.2": "deepseekv3",
    "deepseekr1qwen38b": "qwen38b",
    "mistral7bv0.2": "mistral7bv0.3",
    "mistralsmall3.224b": "mistralsmall3.124b",
    "qwq32b": "qwen2.532b",
    "yi1.534b": "yi34b",
}
"""Names that say nothing of the model whose architecture they have, squeezed, and that model."""

SAME_FAMILY = (
    (r"^deepseekr1qwen(?=\d)", "qwen2.5"),
    (r"^deepseekr1llama(?=\d)", "llama3.1"),
    (r"^llama3\.1(?=70b)|^llama3\.3", "llama3.1"),
    (r"^qwen2(?=\d+b)", "qwen2.5"),
    (r"^qwen3\.[68]", "qwen3.5"),
)
"""How the names of a family's derived models begin, squeezed, and those of the models whose architecture they have."""


@cache
def accelerator_named(text: str, *, where: str = "gpu") -> Accelerator:
    """Return the accelerator that a text such as ``H100-80GB (SXM)`` or ``4090 24GB`` names.

    Where the text leaves the form factor open, an SXM module is meant, as most servers have them; where it leaves
    the memory open, the larger one.

    Raises:
        UnknownNameError: The catalog has no such accelerator.
    """
    folded = text.casefold().replace("_", " ").replace("-", " ")
    memory = re.search(r"\b(\d+)\s*gi?b\b", folded)
    form = next((each for each in BRIDGED if each in folded), "")
    name = re.sub(r"\b\d+\s*gi?b\b|\b(sxm|nvl|pcie|hbm)\d*[a-z]?\b|[()]|" + MAKERS, " ", folded)
    found = [each for each in catalog.accelerators() if _bare(each) == _squeezed(name)]
    if not found and (digits := re.fullmatch(r"(.+?)\s+(\d+)\s*", name)):
        found = [each for each in catalog.accelerators() if _bare(each) == _squeezed(digits[1])]
        memory = re.match(r"(\d+)", digits[2])
    if memory:
        found = [each for each in found if abs(each.memory_gib - int(memory[1])) <= 0.05 * each.memory_gib]
    if form:
        found = [each for each in found if form in f"{each.name} {each.form_factor}".casefold()]
    if not found:
        names = [each.name for each in catalog.accelerators()]
        raise UnknownNameError(
            where, "accelerator", text, names, "`gpuwright catalog accelerators` lists the names."
        )
    return max(found, key=lambda each: (each.form_factor.startswith("SXM"), each.memory_gib))


@cache
def model_named(text: str, *, where: str = "model") -> Model:
    """Return the model that a text such as ``TheBloke/Llama-2-7B-GPTQ`` names: its own row, or its base model's.

    Of a base model's row the published size counts only where the text names no other quantization.

    Raises:
        UnknownNameError: The catalog has no model of that architecture.
    """
    known = {each.id: each for each in catalog.models()}
    exact = [each for name, each in known.items() if text.casefold() in (name.casefold(), _last(name))]
    if exact:
        return exact[0]
    key = _architecture(_key(text))
    found = [each for name, each in known.items() if _key(name) == key]
    found = found or [
        each for name, each in known.items() if _without_release(_key(name)) == _without_release(key)
    ]
    if not found:
        raise UnknownNameError(
            where, "model", text, known, "Add its row, or give its Hugging Face config.json."
        )
    model = min(found, key=lambda each: abs(len(each.id) - len(text)))
    quantized = re.search(QUANTIZED, text.casefold())
    return replace(model, weights_bytes=None) if quantized and quantized[1] != model.quantization else model


def _last(name: str) -> str:
    return name.casefold().rpartition("/")[2]


def _key(name: str) -> str:
    """Return a model's name without organisation, variant and separators."""
    bare = _last(re.sub(r"\([^)]*\)", "", name).strip())
    return _squeezed(re.sub(VARIANT, " ", re.sub(r"(?<=[a-z])-?chinese", "", bare)))


def _architecture(key: str) -> str:
    """Return the name of the model whose architecture it has."""
    same = SAME_ARCHITECTURE.get(key)
    if same is None:
        for pattern, family in SAME_FAMILY:
            same = re.sub(pattern, family, key)
            if same != key:
                break
    return same or key


def _without_release(key: str) -> str:
    return re.sub(r"v0\.\d$", "", key)


def _squeezed(text: str) -> str:
    return re.sub(r"[\s_\-]", "", text).strip(".")


def _bare(accelerator: Accelerator) -> str:
    """Return an accelerator's name without maker, memory and form."""
    name = accelerator.name.casefold().replace("-", " ")
    return _squeezed(re.sub(rf"\b(nvl|{accelerator.memory_gib})\b|" + MAKERS, " ", name))
