"""The spec: what it accepts, and how it tells everything that is wrong at once."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuwright.errors import InputError
from gpuwright.spec import Spec, parse_spec, try_parse_spec

LEAST = {"name": "chat", "model": "meta-llama/Llama-2-7b-hf"}


def faults(document: Any) -> dict[str, str]:
    with pytest.raises(InputError) as caught:
        parse_spec(document, "chat.yaml")
    return {
        fault.where.removeprefix("chat.yaml: "): f"{fault.problem} {fault.fix}"
        for fault in caught.value.faults
    }


def test_a_name_and_a_model_are_enough() -> None:
    spec = parse_spec(LEAST)
    assert (spec.name, spec.model) == ("chat", "meta-llama/Llama-2-7b-hf")
    assert spec.model_fields_set == {"name", "model"}


def test_all_faults_come_at_once_each_with_its_path_and_what_was_given() -> None:
    found = faults(
        {
            "name": "Chat Bot",
            "modle": "x",
            "concurrency": True,
            "weights_precision": "bf61",
            "latency": {"time_to_first_token_ms": -1},
            "replicas": {"min": 3, "max": 2},
            "prompt_tokens": 4000,
            "output_tokens": 200,
            "max_model_len": 4096,
            "tags": {"aws:owner": "me"},
        }
    )
    assert set(found) == {
        "name",
        "model",
        "modle",
        "concurrency",
        "weights_precision",
        "latency.time_to_first_token_ms",
        "replicas",
        "max_model_len",
        "tags.aws:owner",
    }
    assert "'Chat Bot'" in found["name"]
    assert "is missing" in found["model"]
    assert "Did you mean model" in found["modle"]
    assert "True" in found["concurrency"]
    assert "Did you mean bf16" in found["weights_precision"]
    assert "4000 + 200 = 4200" in found["max_model_len"]


def test_an_unknown_key_inside_a_part_names_the_keys_of_that_part() -> None:
    assert "Did you mean min" in faults({**LEAST, "replicas": {"mim": 1}})["replicas.mim"]


def test_a_key_that_is_one_word_of_a_field_names_that_field() -> None:
    assert "Did you mean budget_usd_per_month" in faults({**LEAST, "budget": 5})["budget"]


def test_a_value_of_another_type_is_told_in_the_words_of_yaml() -> None:
    found = faults({**LEAST, "server": "vllm", "tags": ["a"], "concurrency": "many", "public": 1, "name": 5})
    assert "must be a mapping" in found["server"]
    assert "must be a mapping" in found["tags"]
    assert "must be a whole number" in found["concurrency"]
    assert "must be true or false" in found["public"]
    assert "must be text" in found["name"]


@pytest.mark.parametrize("document", [None, [], "text", 3])
def test_what_is_no_mapping_is_refused_with_the_least_that_a_spec_needs(document: Any) -> None:
    assert "name:" in faults(document)["chat.yaml"]


def test_a_plan_is_told_from_a_spec() -> None:
    assert (
        "is a plan"
        in faults({"schema_version": "1", "instance_type": "g5.4xlarge", "name": "x"})["chat.yaml"]
    )


def test_text_is_not_taken_for_a_number() -> None:
    assert "concurrency" in faults({**LEAST, "concurrency": "16"})


def test_every_field_is_described() -> None:
    schema = Spec.model_json_schema()
    parts = [schema, *schema["$defs"].values()]
    undescribed = [
        name for part in parts for name, field in part["properties"].items() if "description" not in field
    ]
    assert undescribed == []


def test_the_json_schema_accepts_what_the_spec_accepts_and_refuses_an_unknown_key() -> None:
    validator = jsonschema.Draft202012Validator(Spec.model_json_schema())
    assert validator.is_valid({**LEAST, "concurrency": 4})
    assert not validator.is_valid({**LEAST, "concurency": 4})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(list(Spec.model_fields)) | st.text(max_size=12), json_values, max_size=8)
)
def test_whatever_is_given_is_a_spec_or_a_list_of_faults(document: dict[str, Any]) -> None:
    spec, faults = try_parse_spec(document, "x.yaml")
    assert spec is not None or faults
    assert all(fault.where.startswith("x.yaml") and fault.problem and fault.fix for fault in faults)
