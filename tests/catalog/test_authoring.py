"""A row made of a configuration is the row that the table would have, and can be read back."""

from __future__ import annotations

from datetime import date

import pytest
import yaml
from pydantic import TypeAdapter

from gpuwright import catalog
from gpuwright.catalog import Model
from gpuwright.catalog.authoring import table_text, with_index
from gpuwright.catalog.huggingface import model_from_config
from gpuwright.errors import InputError

LLAMA = {
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
READ = date(2026, 11, 22)


def read_back(text: str) -> Model:
    (row,) = catalog._filled_in(yaml.safe_load(text))
    return TypeAdapter(Model).validate_python(row)


def test_the_printed_table_holds_the_model_and_nothing_that_is_left_out() -> None:
    made = model_from_config(LLAMA, "org/My-Llama")
    text = table_text(made, READ)
    held = read_back(text)
    assert {name: getattr(held, name) for name in held.__dataclass_fields__ if name != "read"} == {
        name: getattr(made, name) for name in made.__dataclass_fields__ if name != "read"
    }
    assert held.read == READ
    assert "null" not in text
    assert "- {id: org/My-Llama, kind: decoder, model_type: llama, params_total: 8030261248" in text


@pytest.mark.parametrize("model_id", ["true/yes", 'o\'r/"g"', "a: b/{c}", "1.5/2", "# x", "é/ü"])
def test_an_awkward_id_survives_the_table(model_id: str) -> None:
    assert read_back(table_text(model_from_config(LLAMA, model_id), READ)).id == model_id


def test_an_index_gives_the_size_of_the_weights() -> None:
    index = {"metadata": {"total_size": 16060522496}, "weight_map": {}}
    made = with_index(model_from_config(LLAMA, "org/x"), index, "model.safetensors.index.json")
    assert made.weights_bytes == 16060522496
    assert "model.safetensors.index.json" in made.source


@pytest.mark.parametrize(
    "index", [[], {}, {"metadata": 3}, {"metadata": {"total_size": "9"}}, {"metadata": {"total_size": 0}}]
)
def test_what_is_no_index_is_told(index: object) -> None:
    with pytest.raises(InputError, match=r"index\.json: holds no metadata\.total_size"):
        with_index(model_from_config(LLAMA, "org/x"), index, "index.json")
