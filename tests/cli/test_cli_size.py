"""The size verb: one question, a table of them, and what it says of bad ones."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gpuwright.cli.size import command
from gpuwright.errors import InputError

LLAMA = ("--model", "Llama-3.1-8B", "--accelerator", "L4")


def size(*words: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(command, list(words), input=stdin, standalone_mode=False)


def test_a_model_that_fits_is_told_with_its_users_and_its_speed() -> None:
    done = size(*LLAMA, "--max-model-len", "8192", "--concurrency", "16")
    assert done.return_value == 0
    assert "on 1 × L4 with vllm: fits" in done.output
    assert "Users: the KV cache holds" in done.output
    assert "time per output token" in done.output


def test_a_model_that_does_not_fit_exits_1_and_names_the_length_that_would() -> None:
    done = size(*LLAMA)
    assert done.return_value == 1
    assert "does not fit" in done.output
    length = int(done.output.split("--max-model-len ")[1].split()[0])
    assert size(*LLAMA, "--max-model-len", str(length)).return_value == 0


def test_json_says_the_same_as_text() -> None:
    told = json.loads(size(*LLAMA, "--max-model-len", "8192", "--format", "json").output)
    assert told["fits"] is True
    assert told["memory"]["kv_cache_bytes_per_token"] == 131_072
    assert told["speed"]["output_tokens_per_second"] <= told["speed"]["roofline_output_tokens_per_second"]


def test_more_accelerators_hold_more_users() -> None:
    one, four = (
        json.loads(
            size(*LLAMA, "--max-model-len", "4096", "--accelerators", count, "--format", "json").output
        )
        for count in ("1", "4")
    )
    assert four["memory"]["max_concurrency"] > one["memory"]["max_concurrency"]


def test_what_is_missing_is_told_by_the_options_name() -> None:
    for words, where in (((), "--model"), (LLAMA[:2], "--accelerator")):
        with pytest.raises(InputError) as caught:
            raise_of(size(*words))
        assert [fault.where for fault in caught.value.faults] == [where]


def test_images_training_and_trees_are_sized_too() -> None:
    assert "fits" in size("--model", "stable-diffusion-v1-5", "--accelerator", "T4").output
    full = size("--model", "Llama-2-7b-hf", "--accelerator", "A100-80", "--fine-tune", "full")
    assert full.return_value == 1
    assert "does not fit" in full.output
    lora = json.loads(
        size(
            "--model", "Llama-2-7b-hf", "--accelerator", "A10G", "--fine-tune", "qlora", "--format", "json"
        ).output
    )
    assert lora["fits"] is True
    assert lora["floor_gib"] == 16
    assert "no accelerator needed" in size("--model", "dmlc/xgboost").output


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (("--model", "foo", "--accelerator", "L4"), "--model"),
        (("--model", "Llama-3.1-8B", "--accelerator", "L44"), "--accelerator"),
        ((*LLAMA, "--accelerators", "4", "--tensor-parallel", "3"), "--tensor-parallel"),
        ((*LLAMA, "--server", "vlm"), "server"),
        (
            (*LLAMA, "--max-model-len", "512", "--prompt-tokens", "500", "--output-tokens", "500"),
            "--max-model-len",
        ),
    ],
)
def test_a_bad_value_is_told_by_its_option(words: tuple[str, ...], where: str) -> None:
    with pytest.raises(InputError) as caught:
        raise_of(size(*words))
    assert where in caught.value.faults[0].where


def test_a_table_keeps_its_columns_and_a_row_that_cannot_be_sized_says_why(tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text(
        "mine,model,gpu,tensor_parallel,max_model_len,engine\n"
        "a,meta-llama/Llama-3.1-8B-Instruct,A10G,1,8192,vllm\n"
        "b,no-such-model,A10G,1,8192,vllm\n"
        "c,meta-llama/Llama-3.1-8B,A10G,one,8192,vllm\n"
    )
    rows = list(csv.DictReader(io.StringIO(size("--batch", str(table)).output)))
    assert [row["mine"] for row in rows] == ["a", "b", "c"]
    assert rows[0]["predicted_fits"] == "true"
    assert int(rows[0]["predicted_kv_tokens"]) > 8192
    assert rows[0]["error"] == ""
    assert "no-such-model" in rows[1]["error"]
    assert rows[2]["error"] != ""


def test_a_row_of_speed_is_predicted_below_its_roofline() -> None:
    text = (
        "model,gpu,gpu_count,tp,engine,precision,input_len,output_len,concurrency_or_rate\n"
        "meta-llama/Llama-3.1-8B,H100-80GB,1,1,vllm,bf16,1024,256,concurrency 32\n"
    )
    (row,) = csv.DictReader(io.StringIO(size("--batch", "-", stdin=text).output))
    assert 0 < float(row["predicted_output_tokens_per_s"]) < float(row["roofline_output_tokens_per_s"])
    assert float(row["predicted_ttft_ms"]) > 0
    assert float(row["predicted_tpot_ms"]) > 0


def test_a_file_that_is_no_such_table_is_refused() -> None:
    with pytest.raises(InputError, match="no columns `model` and `gpu`"):
        raise_of(size("--batch", "-", stdin="a,b\n1,2\n"))


def raise_of(done: Result) -> None:
    if done.exception is not None:
        raise done.exception


def test_a_models_config_json_is_sized_as_its_row_is(tmp_path: Path) -> None:
    config = {
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
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    asked = ("--accelerator", "L4", "--max-model-len", "8192", "--format", "json")
    own, row = (json.loads(size("--model", name, *asked).output) for name in (str(path), "Llama-3.1-8B"))
    assert own["fits"] is True
    assert own["memory"]["kv_cache_bytes_per_token"] == row["memory"]["kv_cache_bytes_per_token"]
    assert own["memory"]["weights_gib"] == pytest.approx(row["memory"]["weights_gib"], rel=0.001)
