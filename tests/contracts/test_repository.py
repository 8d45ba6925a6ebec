"""The repository stands alone: no host of a package index, no path of a machine, every pin with hashes."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ["run", "dev"]

# Joined here, so that this file does not hold what it looks for.
FORBIDDEN = {
    "host of a package index": "|".join(
        re.escape(".".join(parts))
        for parts in [
            ("pypi", "org"),
            ("pythonhosted", "org"),
            ("npmjs", "org"),
            ("proxy", "golang", "org"),
            ("crates", "io"),
            ("rubygems", "org"),
        ]
    ),
    "option that names an index": "|".join(
        "--" + name for name in ("index-" + "url", "extra-" + "index", "find-" + "links")
    ),
    "path of one machine": "|".join(rf"(?<![\w.~-])/{name}/" for name in ("wo" + "rk", "Use" + "rs")),
}


@pytest.fixture(scope="module")
def texts(tree: list[Path]) -> dict[str, str]:
    """The text of every file that is not binary, by its path."""
    contents = {str(path): (ROOT / path).read_bytes() for path in tree}
    return {name: data.decode() for name, data in contents.items() if b"\0" not in data}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_names_what_only_one_machine_or_index_has(what: str, texts: dict[str, str]) -> None:
    pattern = re.compile(FORBIDDEN[what])
    hits = [
        f"{name}:{number}: {line.strip()[:120]}"
        for name, text in texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]
    assert hits == []


def pins(lock: str) -> dict[str, str]:
    """Return each requirement of a lock with everything that belongs to it, hashes included."""
    joined = (ROOT / "requirements" / f"{lock}.txt").read_text().replace("\\\n", " ")
    return {
        line.split("==")[0]: line for line in joined.splitlines() if line.strip() and not line.startswith("#")
    }


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_of_a_lock_has_a_version_and_hashes(lock: str) -> None:
    bare = [
        name
        for name, line in pins(lock).items()
        if not re.match(r"[\w.-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line)
    ]
    assert pins(lock)
    assert bare == []


def test_what_run_pins_dev_pins_alike() -> None:
    run, dev = pins("run"), pins("dev")
    assert {name: line.split() for name, line in run.items()} == {
        name: dev.get(name, "").split() for name in run
    }


def test_the_locks_hold_every_direct_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    groups = project["dependency-groups"]
    run = [*project["project"]["dependencies"], *extras["aws"], *extras["policy"], *groups["build"]]
    for lock, wanted in {"run": run, "dev": [*run, *extras["gcp"], *groups["dev"]]}.items():
        names = {re.split(r"[<>=~! ]", need)[0].lower() for need in wanted}
        assert names - set(pins(lock)) == set(), (
            f"run scripts/lock: requirements/{lock}.txt is behind pyproject.toml"
        )


def test_every_script_can_be_executed() -> None:
    for name in ["scripts/try", "scripts/test", "scripts/lock", ".ci/run"]:
        assert (ROOT / name).stat().st_mode & 0o111, name


def test_every_relative_link_of_a_document_leads_to_a_file(texts: dict[str, str]) -> None:
    broken = [
        f"{name}: {target}"
        for name, text in texts.items()
        if name.endswith(".md")
        for target in re.findall(r"\]\(([^)#\s:]+)(?:#[^)]*)?\)", text)
        if not (ROOT / name).parent.joinpath(target).exists()
    ]
    assert broken == []
