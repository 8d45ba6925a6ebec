"""The command line: plan and schema, what they print and how they fail."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from gpuwright.documents import read_spec
from gpuwright.planning import plan_document

ROOT = Path(__file__).parents[2]
SPEC = "examples/specs/7b-aws.yaml"


def gpuwright(*words: str, stdin: str | None = None, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gpuwright", *words],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        env={
            "PYTHONPATH": ":".join(str(ROOT / each) for each in ("components", "policies", "templates")),
            "PATH": "",
        },
    )


def test_plan_prints_the_choice_and_why() -> None:
    done = gpuwright("plan", SPEC)
    assert done.returncode == 0, done.stderr
    assert "g5.4xlarge: 1 × A10G" in done.stdout
    assert "Turned down: 43 shapes" in done.stdout


def test_plan_as_json_matches_its_schema_and_talks_to_nobody_else() -> None:
    done = gpuwright("plan", SPEC, "--format", "json")
    schema = json.loads(gpuwright("schema", "plan").stdout)
    document = json.loads(done.stdout)
    assert done.stderr == ""
    document.pop("digest")
    document.pop("cold_start_seconds")
    jsonschema.validate(document, schema)


def test_a_spec_comes_from_standard_input_too() -> None:
    done = gpuwright("plan", "-", "--format", "markdown", stdin=(ROOT / SPEC).read_text())
    assert done.stdout.startswith("## chat-7b")


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("name: a\nname: b\n", "standard input:2: is no valid YAML: key 'name' stands twice."),
        ("name: [", "is no valid YAML"),
        ("- 1", "a spec is a mapping"),
        ("", "holds nothing"),
        ("[" * 100_000, "is nested too deeply"),
        ("name: 2024-13-45", "is no valid YAML"),
        ("? [a]\n: b", "is no valid YAML"),
        ("name: a\nmodel: config.json", "'config.json' cannot be read as JSON: No such file"),
        ("name: a\nmodel: lama", "is no model that the catalog has"),
    ],
)
def test_bad_input_is_told_without_a_traceback_and_exits_2(spec: str, told: str) -> None:
    done = gpuwright("plan", "-", stdin=spec)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_billion_laughs_are_refused_quickly_and_shortly() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 9)}]" for at in range(1, 12)]
    done = gpuwright("plan", "-", stdin="\n".join([*lines, "name: *a11", "model: *a11"]))
    assert done.returncode == 2
    assert len(done.stderr) < 20_000


def test_nothing_fits_exits_1_with_the_nearest_misses() -> None:
    done = gpuwright("plan", "-", stdin="name: big\nmodel: meta-llama/Llama-3.1-405B\n")
    assert done.returncode == 1
    assert "vram-fits" in done.stderr


def test_a_misspelt_verb_names_the_nearest() -> None:
    done = gpuwright("pln", SPEC)
    assert (done.returncode, "Did you mean plan?" in done.stderr) == (2, True)


def test_a_models_config_json_stands_beside_the_spec(tmp_path: Path) -> None:
    config = {
        "architectures": ["LlamaForCausalLM"],
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
    folder = tmp_path / "my-llama"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    (tmp_path / "spec.yaml").write_text("name: mine\nmodel: my-llama/config.json\n")
    done = gpuwright("plan", str(tmp_path / "spec.yaml"), "--format", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["model"]["id"] == "my-llama"
    assert plan["model"]["params_total"] == 8_030_261_248
    assert plan["sizing"]["kv_cache_bytes_per_token"] == 131_072


@pytest.mark.parametrize("spec", sorted((ROOT / "examples/specs").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_has_a_plan(spec: Path) -> None:
    document = read_spec(str(spec))
    plan = plan_document(document.document, document.where, document.model)
    assert plan.sizing.total_gib <= plan.sizing.usable_gib


def test_a_full_disk_and_a_closed_input_are_told_without_a_traceback() -> None:
    run = f"{sys.executable} -m gpuwright plan"
    for command, told in ((f"{run} {SPEC} >/dev/full", "No space left"), (f"{run} - <&-", "holds nothing")):
        done = subprocess.run(
            ["/bin/bash", "-c", command],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            env={
                "PYTHONPATH": ":".join(str(ROOT / each) for each in ("components", "policies", "templates"))
            },
        )
        assert done.returncode == 2, done.stderr
        assert told in done.stderr
        assert "Traceback" not in done.stderr


def test_every_verb_is_told_in_a_whole_line_and_every_option_is_described() -> None:
    listed = gpuwright("--help").stdout.partition("Commands:\n")[2].splitlines()
    assert listed
    for line in listed:
        assert line.endswith("."), line
        assert not line.endswith("..."), line
        shown = gpuwright(line.split()[0], "--help").stdout.partition("Options:\n")[2]
        assert shown
        for option in re.split(r"\n(?=  -)", shown):
            words = re.sub(r"-\S+|\[[^]]*\]|[A-Z]+\b|,", " ", option).split()
            assert words, option


def test_a_batch_gives_a_line_for_a_line_in_order_and_goes_on_after_a_bad_one() -> None:
    specs = [{"name": f"chat-{number}", "model": "meta-llama/Llama-2-7b-hf"} for number in range(40)]
    lines = [*map(json.dumps, specs), "{bad", "", '{"name": "x", "modle": "y"}']
    done = gpuwright("plan", "--batch", "-", stdin="\n".join(lines) + "\n")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert [each["name"] for each in told[:40]] == [spec["name"] for spec in specs]
    assert told[0]["instance_type"]
    assert "-:41: is no JSON" in told[40]["error"]
    assert any("-:43: modle" in fault for fault in told[41]["faults"])


@pytest.mark.parametrize("words", [(), (SPEC, "--batch", "x.jsonl"), ("--batch", "nowhere.jsonl")])
def test_one_spec_or_one_file_of_them_is_asked_for(words: tuple[str, ...]) -> None:
    done = gpuwright("plan", *words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
