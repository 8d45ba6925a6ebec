from __future__ import annotations

from pathlib import Path

import pytest

from gpuwright.errors import InputError
from gpuwright.sandbox.project import find_project, load_project, load_stack
from gpuwright.sandbox.wire import UNKNOWN_TEXT


def test_the_project_is_found_from_any_folder_below(project: Path) -> None:
    found = find_project(project / "stacks")
    assert (found.name, found.root, found.main) == ("demo", project, project / "stacks")
    assert found.stacks() == ["dev-aws", "prod-aws"]


def test_no_project_above_is_told_with_the_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no Pulumi.yaml here or above"):
        find_project(tmp_path)


def test_values_are_text_and_structures_are_json_text(project: Path) -> None:
    (project / "stacks" / "Pulumi.dev-aws.yaml").write_text(
        "config:\n  cidr_block: 10.0.0.0/16\n  aws:region: eu-west-1\n  size: 7\n  on: true\n"
        "  yes_text: yes\n  day: 2025-01-01\n  ratio: 1.5\n  tree: {a: [1, {b: c}]}\n"
    )
    assert load_stack(find_project(project), "dev-aws").config == {
        "demo:cidr_block": "10.0.0.0/16",
        "aws:region": "eu-west-1",
        "demo:size": "7",
        "demo:on": "true",
        "demo:yes_text": "yes",
        "demo:day": "2025-01-01",
        "demo:ratio": "1.5",
        "demo:tree": '{"a":[1,{"b":"c"}]}',
    }


def test_encrypted_values_are_secret_and_unknown_at_any_depth(project: Path) -> None:
    stack = project / "stacks" / "Pulumi.dev-aws.yaml"
    stack.write_text(stack.read_text() + "  token: {secure: v1:x}\n  tree:\n    a:\n      secure: v1:y\n")
    settings = load_stack(find_project(project), None)
    assert settings.config["demo:token"] == UNKNOWN_TEXT
    assert settings.config["demo:tree"] == f'{{"a":"{UNKNOWN_TEXT}"}}'
    assert settings.secrets == {"demo:token", "demo:tree"}
    assert len(settings.notes) == 2


def test_a_misspelt_setting_of_a_stack_names_the_nearest(project: Path) -> None:
    (project / "stacks" / "Pulumi.dev-aws.yaml").write_text("confg:\n  a: b\n")
    with pytest.raises(
        InputError, match=r"dev-aws.yaml:1: 'confg' is no setting of a stack. Did you mean config\?"
    ):
        load_stack(find_project(project), "dev-aws")


def test_a_key_that_stands_twice_in_a_stack_is_refused(project: Path) -> None:
    (project / "stacks" / "Pulumi.dev-aws.yaml").write_text("config:\n  a: b\n  a: c\n")
    with pytest.raises(InputError, match=r"dev-aws.yaml:3: no YAML: key 'a' stands twice"):
        load_stack(find_project(project), "dev-aws")


def test_an_unknown_stack_names_the_nearest(project: Path) -> None:
    with pytest.raises(
        InputError, match=r"Pulumi.dev-aw.yaml: there is no stack 'dev-aw'. Did you mean dev-aws\?"
    ):
        load_stack(find_project(project), "dev-aw")


def test_the_default_stack_is_dev_aws_then_the_first_dev_then_the_only_one(project: Path) -> None:
    found = find_project(project)
    assert found.default_stack() == "dev-aws"
    (project / "stacks" / "Pulumi.dev-aws.yaml").rename(project / "stacks" / "Pulumi.dev-gcp.yaml")
    assert found.default_stack() == "dev-gcp"
    (project / "stacks" / "Pulumi.dev-gcp.yaml").unlink()
    assert found.default_stack() == "prod-aws"
    (project / "stacks" / "Pulumi.live.yaml").write_text("config: {}\n")
    with pytest.raises(InputError, match=r"Use --stack\. The stacks are live, prod-aws\."):
        found.default_stack()


def test_a_fault_of_yaml_is_told_with_file_and_line(project: Path) -> None:
    (project / "stacks" / "Pulumi.dev-aws.yaml").write_text("config:\n  a: [1\n  b: 2\n")
    with pytest.raises(InputError, match=r"Pulumi.dev-aws.yaml:3: no YAML"):
        load_stack(find_project(project), None)
    (project / "Pulumi.yaml").write_text("- a\n")
    with pytest.raises(InputError, match=r"Pulumi.yaml:1: the top must be a mapping"):
        load_project(project)


def test_all_faults_of_a_stack_come_at_once_each_with_its_line(project: Path) -> None:
    (project / "stacks" / "Pulumi.dev-aws.yaml").write_text("# ours\nconfig:\n  size: big\n")
    with pytest.raises(InputError) as caught:
        load_stack(find_project(project), None)
    path = project / "stacks" / "Pulumi.dev-aws.yaml"
    assert {fault.where: fault.problem for fault in caught.value.faults} == {
        f"{path}:3": "'big' is no integer.",
        f"{path}:2": "stack 'dev-aws' lacks 'cidr_block'.",
    }


def test_a_project_without_a_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("runtime: python\n")
    with pytest.raises(InputError, match="the project has no name"):
        load_project(tmp_path)


def test_a_string_under_config_is_the_old_name_of_the_stack_folder(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: p\nruntime: {name: python}\nconfig: conf\n")
    assert load_project(tmp_path).stack_file("dev") == tmp_path / "conf" / "Pulumi.dev.yaml"
