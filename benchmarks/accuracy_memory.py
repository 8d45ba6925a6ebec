"""How far memory is off what servers printed, on rows that it was fitted to and on rows that it was not.

``python benchmarks/accuracy.py memory`` prints the tables; ``--rows`` prints every row, ``--write`` puts the tables
into docs/sizing.md. A source is one thread or document; leave-one-source-out fits the constants without it and predicts
it.
"""

from __future__ import annotations

import argparse
import csv
import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "components"))

from gpuwright.errors import InputError  # noqa: E402  # found beside the benchmarks, installed or not
from gpuwright.sizing.memory import Memory, Verdict  # noqa: E402
from gpuwright.sizing.rows import Case, case  # noqa: E402
from gpuwright.sizing.servers import sglang, vllm  # noqa: E402

DATA = ROOT / "benchmarks" / "data" / "observed_memory.csv"
DOCS = ROOT / "docs" / "sizing.md"
BEGIN, END = "<!-- accuracy of memory: begin -->", "<!-- accuracy of memory: end -->"

FITTED: tuple[tuple[ModuleType, str], ...] = (
    (vllm, "SAMPLING_BYTES_PER_LOGIT"),
    (vllm, "RESERVED_OVER_ALLOCATED"),
    (vllm, "RESERVED_GIB"),
    (vllm, "NON_TORCH_GIB"),
    (vllm, "COLLECTIVES_V1_GIB"),
    (vllm, "LEFTOVERS_PART_OF_QUANTIZED"),
    (sglang, "COLLECTIVES_GIB"),
)
"""Constants that these rows can tell; all others are facts of the servers' sources."""

STEPS = (0.5, 0.7, 0.85, 0.95, 1.0, 1.05, 1.2, 1.4, 2.0)
"""Factors that a constant is tried with while it is fitted."""

WORST_COUNTED = 0.5
"""Error beyond which a row no longer pulls harder while constants are fitted: some rows are not as their table says."""


@dataclass(frozen=True)
class Row:
    """One observation that can be sized."""

    columns: Mapping[str, str]
    case: Case

    @property
    def source(self) -> str:
        """Thread or document, without the comment."""
        return re.sub(r"\s*\(comment.*", "", self.columns["source"])

    @property
    def kind(self) -> str:
        """Server, and of vLLM its engine."""
        run = self.case.run
        if run.server != "vllm":
            return run.server
        return "vLLM V1" if vllm.version(run.server_version).v1 else "vLLM V0"

    @cached_property
    def observed(self) -> tuple[str, float] | None:
        """What the server said of its KV cache: tokens, or else GiB of one accelerator."""
        if self.columns["observed_kv_tokens"]:
            return "tokens", float(self.columns["observed_kv_tokens"])
        if self.columns["observed_kv_gib"]:
            return "GiB", float(self.columns["observed_kv_gib"])
        return None

    @property
    def started(self) -> bool | None:
        """Whether it started."""
        return {"true": False, "false": True}.get(self.columns["oom"])

    def error(self, memory: Memory) -> float | None:
        """Return predicted over observed KV cache, less one."""
        if self.observed is None:
            return None
        unit, found = self.observed
        of_one = memory.kv_cache_left_gib / self.case.run.accelerators
        return (memory.kv_cache_tokens if unit == "tokens" else of_one) / found - 1

    def error_of_activations(self, memory: Memory) -> float | None:
        """Return predicted over observed peak of the activations, less one."""
        found = self.columns["activation_peak_gib"]
        return memory.activations_gib / self.case.run.accelerators / float(found) - 1 if found else None


def rows() -> tuple[list[Row], list[str]]:
    """Return the rows that can be sized, and why the others cannot."""
    found, refused = [], []
    with DATA.open(encoding="utf-8", newline="") as file:
        for columns in csv.DictReader(file):
            if columns["engine"] == "diffusers":
                continue
            try:
                found.append(Row(columns, case(columns)))
            except InputError as error:
                refused.append(f"{columns['model']}: {error.faults[0].where} {error.faults[0].problem}")
    return found, refused


@contextmanager
def constants(values: Sequence[float]) -> Iterator[None]:
    """Size with other constants for a while."""
    kept = [getattr(module, name) for module, name in FITTED]
    for (module, name), value in zip(FITTED, values, strict=True):
        setattr(module, name, value)
    try:
        yield
    finally:
        for (module, name), value in zip(FITTED, kept, strict=True):
            setattr(module, name, value)


def cost(known: Sequence[Row], values: Sequence[float]) -> float:
    """Return the mean error of the rows' KV caches and of their activations, a number's counted up to a limit."""
    errors: list[float | None] = []
    with constants(values):
        for each in known:
            memory = each.case.memory()
            errors += each.error(memory), each.error_of_activations(memory)
    return statistics.fmean(min(abs(each), WORST_COUNTED) for each in errors if each is not None)


def fitted(known: Sequence[Row]) -> list[float]:
    """Return the constants that suit the rows best, from the present ones by turns."""
    values = [float(getattr(module, name)) for module, name in FITTED]
    for _ in range(2):
        for place, value in enumerate(list(values)):
            tried = [[*values[:place], value * step, *values[place + 1 :]] for step in STEPS]
            values = min(tried, key=lambda each: (cost(known, each), abs(each[place] - value)))
    return values


def left_out(known: Sequence[Row]) -> list[Memory]:
    """Return the prediction of each row with constants fitted without its source."""
    measured = [each for each in known if each.observed or each.columns["activation_peak_gib"]]
    by_source = {
        source: fitted([each for each in measured if each.source != source])
        for source in {each.source for each in known}
    }
    found = []
    for each in known:
        with constants(by_source[each.source]):
            found.append(each.case.memory())
    return found


def percentile(values: Sequence[float], part: float) -> float:
    """Return the value that this part of the values does not exceed, by nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(part * len(ordered) + 0.5) - 1))]


def _line(label: str, errors: Sequence[float]) -> str:
    off = [abs(each) for each in errors]
    worst = f"{percentile(off, 0.95):.1%} | {max(off):.1%}"
    return f"| {label} | {len(off)} | {statistics.median(off):.1%} | {worst} |"


def _cache_table(known: Sequence[Row], memories: Sequence[Memory]) -> list[str]:
    groups: dict[str, list[float]] = defaultdict(list)
    for row, memory in zip(known, memories, strict=True):
        error = row.error(memory)
        if error is not None:
            groups[row.kind].append(error)
    lines = ["| KV cache | rows | median error | 95th percentile | worst |", "|---|---|---|---|---|"]
    lines += [_line(kind, groups[kind]) for kind in sorted(groups)]
    return [*lines, _line("all", [each for group in groups.values() for each in group])]


def _start_table(known: Sequence[Row], memories: Sequence[Memory]) -> list[str]:
    pairs = [(row, memory) for row, memory in zip(known, memories, strict=True) if row.started is not None]
    right = sum(row.started == memory.fits for row, memory in pairs)
    lines = ["| verdict | started | did not start |", "|---|---|---|"]
    for verdict in Verdict:
        of = [row.started for row, memory in pairs if memory.verdict is verdict]
        lines.append(f"| {verdict} | {of.count(True)} | {of.count(False)} |")
    return [*lines, "", f"By the sign of the margin alone {right} of {len(pairs)} are right."]


def report(today: date) -> str:
    """Return the tables as Markdown."""
    known, refused = rows()
    plain = [each.case.memory() for each in known]
    parts = [
        f"{today:%Y-%m-%d}, {len(known)} runs of {len({each.source for each in known})} sources; {len(refused)} more "
        "name no accelerator or a model that the catalog lacks.",
        "",
        "With the constants as they are:",
        "",
        *_cache_table(known, plain),
        "",
        "Leave-one-source-out, the constants fitted without the thread that a row is from:",
        "",
        *_cache_table(known, left_out(known)),
        "",
        "Whether the server starts:",
        "",
        *_start_table(known, plain),
    ]
    return "\n".join(parts)


def table_of_rows() -> str:
    """Return every row with what was predicted and observed."""
    known, refused = rows()
    lines = []
    for row in known:
        memory = row.case.memory()
        error, ranks = row.error(memory), row.case.run.accelerators
        observed = f"{row.observed[1]:g} {row.observed[0]}" if row.observed else ""
        lines.append(
            f"{row.columns['model'][:44]:44} {row.columns['version'][:16]:16} "
            f"{memory.kv_cache_left_gib / ranks:7.2f} GiB {memory.kv_cache_tokens:9} tokens, observed {observed:16} "
            f"{'' if error is None else f'{error:+.1%}':>8} {memory.verdict:12} "
            f"{memory.margin_gib / ranks:+.2f} ± {memory.uncertainty_gib / ranks:.2f} oom {row.columns['oom']}"
        )
    return "\n".join([*lines, "", *refused])


def main(arguments: Sequence[str] | None = None) -> int:
    """Print how far memory is off."""
    parser = argparse.ArgumentParser(prog="accuracy.py memory", description=main.__doc__)
    parser.add_argument("--rows", action="store_true", help="print every row instead")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/sizing.md")
    asked = parser.parse_args(arguments)
    text = table_of_rows() if asked.rows else report(datetime.now(UTC).date())
    print(text)
    if asked.write and not asked.rows:
        before, rest = DOCS.read_text(encoding="utf-8").split(BEGIN)
        after = rest.split(END)[1]
        DOCS.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
