"""Every rule, found by walking its folder."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

import gpuwright_policies.rules
from gpuwright_policies.evaluate import evaluate, rules
from gpuwright_policies.facts import UNKNOWN, Facts, Host
from gpuwright_policies.rule import Kind, Rule

FOLDER = Path(gpuwright_policies.rules.__file__).parent
FILES = sorted(path for path in FOLDER.glob("*.py") if path.name != "__init__.py")
RULES = list(rules().values())
by_id = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)


def test_the_rules_of_the_first_release_are_there() -> None:
    assert {rule.id for rule in RULES} >= {
        "vram-fits",
        "vram-7b",
        "cpu-ratio",
        "ram-ratio",
        "disk",
        "model-store",
        "no-consumer",
        "imdsv2",
        "encrypted-volumes",
        "no-public-ingress",
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_rule_is_named_after_its_file(path: Path) -> None:
    assert path.stem.replace("_", "-") in rules()


@by_id
def test_a_rule_says_where_it_comes_from_and_what_to_do(rule: Rule[Any]) -> None:
    said = (rule.provenance.document, rule.provenance.quote, rule.title, rule.why, rule.fix)
    assert all(len(text) > 10 for text in said)
    assert rule.fix.endswith(".")
    assert rule.why.endswith(".")


@by_id
def test_a_rule_judges_its_examples_as_it_says(rule: Rule[Any]) -> None:
    assert rule.passes
    assert rule.fails
    assert [fact for fact in rule.passes if rule.check(fact) is not None] == []
    assert [fact for fact in rule.fails if rule.check(fact) is None] == []
    assert all(type(fact) is rule.applies_to for fact in (*rule.passes, *rule.fails))


@by_id
def test_a_finding_names_what_is_and_what_must_be(rule: Rule[Any]) -> None:
    for fact in rule.fails:
        finding = next(found for found in evaluate([fact]) if found.rule == rule.id)
        assert finding.actual
        assert finding.expected
        assert finding.subject == fact.subject
        assert finding.mandatory is (rule.kind is not Kind.ADVICE)


@by_id
def test_a_rule_that_knows_nothing_says_so_instead_of_passing(rule: Rule[Any]) -> None:
    fields = [field for field in dataclasses.fields(rule.applies_to) if field.name != "subject"]
    nothing: Facts = rule.applies_to("x", *(UNKNOWN for _ in fields))
    findings = {finding.rule: finding for finding in evaluate([nothing])}
    assert findings[rule.id].answer == "unknown"
    assert not findings[rule.id].mandatory


def test_a_fact_that_is_unknown_and_not_asked_for_does_no_harm() -> None:
    host = Host("x", "g5.4xlarge", UNKNOWN, 1, 24, 16, 64, True)
    assert list(evaluate([host])) == []
