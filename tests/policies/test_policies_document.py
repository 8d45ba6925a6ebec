"""docs/policies.md says what the rules and tags are."""

import re
from pathlib import Path

from gpuwright.planning import tags
from gpuwright_policies.evaluate import rules
from gpuwright_policies.readers.pulumi_resources import JUDGED_TYPES

TEXT = (Path(__file__).parents[2] / "docs" / "policies.md").read_text(encoding="utf-8")


def test_the_document_lists_every_rule_as_it_is() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (.+) \| (hard|ratio|advice) \| (\w+) \|", TEXT, re.MULTILINE)
    assert sorted(rows) == sorted(
        (rule.id, rule.title, rule.kind, rule.severity) for rule in rules().values()
    )


def test_the_document_lists_every_tag() -> None:
    names = {value for name, value in vars(tags).items() if name.isupper() and isinstance(value, str)}
    assert set(re.findall(r"`(gpuwright:[a-z-]+)`", TEXT)) == names - {tags.PREFIX}


def test_the_document_lists_every_resource_that_is_judged() -> None:
    last = {type_.rpartition(":")[2] for type_ in JUDGED_TYPES}
    table = TEXT.partition("| resource | rules |")[2].partition("\n\n")[0]
    named = re.findall(r"`(?:aws\.\w+\.|gpuwright:index:)(\w+)`", table)
    assert set(named) == last
