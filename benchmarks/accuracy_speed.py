"""How far speed is off what was published, on rows that it was fitted to and on rows that it was not.

``python benchmarks/accuracy.py speed`` prints the tables; ``--calibrate`` prints the constants fitted to all rows, and
``--write`` puts the tables into docs/sizing.md. A source is one publication's measurements of one model on one
accelerator; leave-one-source-out fits the constants without it and predicts it.
"""

from __future__ import annotations

import argparse
import csv
import math
import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from multiprocessing import Pool
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "components"))

from gpuwright.errors import InputError  # noqa: E402  # found beside the benchmarks, installed or not
from gpuwright.sizing.efficiency import CALIBRATED, Constants, Efficiency, RunKind, efficiency  # noqa: E402
from gpuwright.sizing.roofline import NVLINK_DOMAIN, Work, multiplies_fp4, work  # noqa: E402
from gpuwright.sizing.served import Served, served  # noqa: E402
from gpuwright.sizing.speed import COVERAGE, Speed, attends_apart, pace  # noqa: E402

DATA = ROOT / "benchmarks" / "data" / "observed_throughput.csv"
DOCS = ROOT / "docs" / "sizing.md"
BEGIN, END = "<!-- accuracy of speed: begin -->", "<!-- accuracy of speed: end -->"

PRIOR = Constants(
    memory=0.8,
    expert_memory=0.8,
    cache=0.7,
    compute=0.6,
    expert_compute=0.6,
    fp4_compute=0.7,
    attention=0.5,
    link=0.7,
    vllm_layer_seconds=5e-5,
    tensorrt_llm_layer_seconds=5e-5,
    sglang_layer_seconds=5e-5,
    llama_cpp_layer_seconds=1e-4,
    static_layers=0.5,
    expert_layer_seconds=2e-5,
    vllm_fp8_expert_layer_seconds=1e-4,
    tensorrt_llm_fp8_expert_layer_seconds=1e-4,
    sglang_fp8_expert_layer_seconds=1e-4,
    request_seconds=5e-6,
    all_reduce_seconds=3e-6,
    all_reduce_doubling_seconds=2e-6,
    llama_cpp_hbm=0.7,
    llama_cpp_compute=0.5,
    llama_cpp_quantized_compute=0.2,
    first_layer_seconds=5e-4,
    first_expert_layer_seconds=5e-4,
    first_fp8_expert_layer_seconds=1e-3,
    first_request_seconds=2e-4,
    waiting=0.05,
)
"""Where the fit begins, and to where it is drawn with what the rows do not decide: round numbers."""

PULL = 0.2
"""Strength of that: a constant twice the prior's counts as much as one row that is off by 14 %."""

TOLERATED = 0.1
"""Logarithmic error from which a row's pull grows no more with its square but with itself."""

WEIGHTS = {"rate": 1.0, "tpot": 1.0, "ttft": 0.3, "prefill": 0.3}
"""What an error of each counts in the fit. First tokens depend on how a benchmark sends its requests."""

PASSES = 12


@dataclass(frozen=True)
class Sample:
    """A row of the table with what was observed.

    Args:
        row: The row.
        case: The row as a load that can be sized.
        observed: Output tokens per second of all accelerators, time per output token and to the first token in ms, and
            prefill tokens per second, as far as known.
    """

    row: dict[str, str]
    case: Served
    observed: dict[str, float]

    @property
    def source(self) -> tuple[str, str, str]:
        """What is left out at once."""
        publication = re.split(r" @| id |/results|default_args", self.row["source"])[0]
        return publication, self.row["model"], self.case.hardware.accelerator.name

    @cached_property
    def set_aside(self) -> str:
        """Why the row is not fitted to, or nothing."""
        if not self.case.fits:
            return "the weights do not fit the accelerators that the row names"
        if "OVERLOADED" in self.row["note"]:
            return "overloaded: its queue grew until it ended"
        if self.case.rate is not None:
            return "arrived at a rate: how many were in flight is predicted, too"
        if self.case.run.tensor_parallel_size > NVLINK_DOMAIN:
            return "64 accelerators as fast as 8: the layout is not as the row says, or the network eats it"
        return ""

    @cached_property
    def task(self) -> Work:
        """The work, counted once as it does not depend on what is fitted."""
        case = self.case
        most = case.most_in_flight()
        together = min(case.load.concurrency, most) if most else case.load.concurrency
        two_layouts = attends_apart(case.model, case.hardware, case.run, case.kind)
        layouts = [
            work(case.model, case.hardware, case.load, case.run, together, attention_per_rank=apart)
            for apart in ((False, True) if two_layouts else (False,))
        ]
        reached = self.reached_at(CALIBRATED, layouts[0])
        return max(
            layouts,
            key=lambda each: pace(each, reached, case.load.output_tokens, case.kind).tokens_per_second,
        )

    def reached(self, constants: Constants) -> Efficiency:
        """Return the rates that its server reaches."""
        return self.reached_at(constants, self.task)

    def reached_at(self, constants: Constants, task: Work) -> Efficiency:
        """Return the same for a layout of the work."""
        case = self.case
        return efficiency(
            case.run.server,
            case.run.weights_precision,
            has_experts=case.model.experts > 0,
            multiplies_fp4=multiplies_fp4(case.hardware.accelerator),
            memory_bytes_per_s=task.memory_bytes_per_s,
            nvlink=case.hardware.nvlink_gb_per_s > 0,
            kind=case.kind,
            constants=constants,
        )

    def residuals(self, constants: Constants) -> list[float]:
        """Return weighted logarithms of predicted over observed, of what the constants decide directly."""
        case = self.case
        found = pace(self.task, self.reached(constants), case.load.output_tokens, case.kind)
        known, out = self.observed, []
        if "tpot" in known:
            out.append(WEIGHTS["tpot"] * math.log(found.token_seconds * 1000 / known["tpot"]))
        elif "rate" in known:
            rate = found.tokens_per_second * case.run.pipeline_parallel_size
            rate = found.tokens_per_second if self.task.batch == 1 else rate
            out.append(WEIGHTS["rate"] * math.log(rate / known["rate"]))
        waited = case.load.concurrency > self.task.batch * case.run.pipeline_parallel_size * 1.001
        if "ttft" in known and not waited:
            out.append(WEIGHTS["ttft"] * math.log(found.first_seconds * 1000 / known["ttft"]))
        if "prefill" in known:
            rate = case.load.prompt_tokens / found.prefill_seconds
            out.append(WEIGHTS["prefill"] * math.log(rate / known["prefill"]))
        return out


def samples() -> tuple[list[Sample], list[str]]:
    """Return the rows that can be sized, and why each other cannot."""
    found, refused = [], []
    with DATA.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                found.append(Sample(row, served(row), _observed(row)))
            except InputError as error:
                refused.append(f"{row['model']} on {row['gpu']}, {row['metric_kind']}: {error}")
    return found, refused


def _observed(row: dict[str, str]) -> dict[str, float]:
    columns = {
        "rate": "output_tokens_per_s",
        "tpot": "tpot_ms",
        "ttft": "ttft_ms",
        "prefill": "prefill_tokens_per_s",
    }
    found = {name: float(row[column]) for name, column in columns.items() if row[column]}
    if "rate" in found and row["throughput_scope"].startswith("per_gpu"):
        found["rate"] *= int(row["gpu_count"])
    return found


def calibrate(rows: Sequence[Sample]) -> Constants:
    """Return the constants fitted to rows: Levenberg-Marquardt on logarithms, drawn to the prior.

    A source counts by the square root of its rows, so that large ones do not decide alone.
    """
    sizes: dict[tuple[str, ...], int] = defaultdict(int)
    for row in rows:
        sizes[(*row.source, row.case.run.server)] += 1
    scale = [(30 / sizes[(*row.source, row.case.run.server)]) ** 0.25 for row in rows]
    names, prior = list(asdict(PRIOR)), [math.log(each) for each in asdict(PRIOR).values()]

    def errors(logs: Sequence[float]) -> list[float]:
        constants = Constants(**{name: math.exp(each) for name, each in zip(names, logs, strict=True)})
        fitted = [
            weight * each
            for row, weight in zip(rows, scale, strict=True)
            for each in row.residuals(constants)
        ]
        return fitted + [PULL * (each - start) for each, start in zip(logs, prior, strict=True)]

    logs, damping = list(prior), 1e-2
    current = errors(logs)
    for _ in range(PASSES):
        slopes = []
        for index in range(len(names)):
            moved = list(logs)
            moved[index] += 1e-4
            slopes.append([(b - a) / 1e-4 for a, b in zip(current, errors(moved), strict=True)])
        influence = [1 / math.sqrt(1 + (each / TOLERATED) ** 2) for each in current[: -len(names)]]
        influence += [1.0] * len(names)
        step = _step(slopes, current, influence, damping)
        trial = [each + max(-1.0, min(1.0, part)) for each, part in zip(logs, step, strict=True)]
        found = errors(trial)
        if _cost(found, len(names)) < _cost(current, len(names)):
            gain = _cost(current, len(names)) - _cost(found, len(names))
            logs, current, damping = trial, found, damping / 5
            if gain < 1e-4 * _cost(current, len(names)):
                break
        else:
            damping *= 10
    return Constants(**{name: math.exp(each) for name, each in zip(names, logs, strict=True)})


def _cost(errors: Sequence[float], last: int) -> float:
    robust = sum(2 * TOLERATED**2 * (math.sqrt(1 + (each / TOLERATED) ** 2) - 1) for each in errors[:-last])
    return robust + sum(each**2 for each in errors[-last:])


def _step(
    slopes: list[list[float]], errors: list[float], influence: list[float], damping: float
) -> list[float]:
    """Return the solution of the damped normal equations, by Gaussian elimination."""
    weighted = [[a * w for a, w in zip(slope, influence, strict=True)] for slope in slopes]
    matrix = [[sum(a * b for a, b in zip(left, right, strict=True)) for right in slopes] for left in weighted]
    right = [-sum(a * b for a, b in zip(left, errors, strict=True)) for left in weighted]
    size = len(right)
    for index in range(size):
        matrix[index][index] *= 1 + damping
    for pivot in range(size):
        for below in range(pivot + 1, size):
            factor = matrix[below][pivot] / matrix[pivot][pivot]
            for column in range(pivot, size):
                matrix[below][column] -= factor * matrix[pivot][column]
            right[below] -= factor * right[pivot]
    solution = [0.0] * size
    for index in reversed(range(size)):
        rest = sum(matrix[index][column] * solution[column] for column in range(index + 1, size))
        solution[index] = (right[index] - rest) / matrix[index][index]
    return solution


def _without(argument: tuple[list[Sample], tuple[str, str, str]]) -> tuple[tuple[str, str, str], Constants]:
    rows, left_out = argument
    return left_out, calibrate([row for row in rows if row.source != left_out])


def by_generation(rows: Sequence[Sample]) -> list[str]:
    """Return lines with the error on each generation of accelerators when all of its rows are left out."""
    lines = ["| generation left out | rows | rate | time per token | within 1.3 |", "|---|---|---|---|---|"]
    generations = sorted({row.case.hardware.accelerator.architecture for row in rows})
    for name in generations:
        inside = [row for row in rows if row.case.hardware.accelerator.architecture == name]
        constants = calibrate([row for row in rows if row not in inside])
        found = [Outcome(row, row.case.speed(), row.case.speed(constants)) for row in inside]
        rates = [each.error("rate", unseen=True) for each in found]
        held = [abs(math.log(each)) <= math.log(1.3) for each in rates if each]
        times = _off(each.error("tpot", unseen=True) for each in found)
        lines.append(f"| {name} | {len(held)} | {_off(rates)} | {times} | {_held(held)} |")
    return lines


@dataclass(frozen=True)
class Outcome:
    """A row with what was predicted when the fit knew it, and when it did not."""

    sample: Sample
    fitted: Speed
    unseen: Speed

    def error(self, name: str, *, unseen: bool) -> float | None:
        """Return predicted over observed of the rate or the time per output token; None where not observed."""
        speed = self.unseen if unseen else self.fitted
        found = {
            "rate": speed.output_tokens_per_second,
            "tpot": speed.time_per_output_token_ms,
            "ttft": speed.time_to_first_token_ms,
        }[name]
        return found / self.sample.observed[name] if name in self.sample.observed else None

    @property
    def covered(self) -> bool | None:
        """Whether the interval of the unseen prediction holds the observed rate."""
        if "rate" not in self.sample.observed:
            return None
        low, high = self.unseen.low_output_tokens_per_second, self.unseen.high_output_tokens_per_second
        return low <= self.sample.observed["rate"] <= high

    @property
    def above_roofline(self) -> bool:
        """Whether more was measured than the roofline allows."""
        return self.sample.observed.get("rate", 0) > self.fitted.roofline_output_tokens_per_second


def outcomes(rows: list[Sample]) -> list[Outcome]:
    """Return every row predicted by the package's constants, and by those fitted without its source."""
    fitted_to = [row for row in rows if not row.set_aside]
    sources = sorted({row.source for row in fitted_to})
    with Pool() as pool:
        unseen = dict(pool.map(_without, [(fitted_to, each) for each in sources], chunksize=1))
    return [
        Outcome(row, row.case.speed(), row.case.speed(unseen.get(row.source, CALIBRATED))) for row in rows
    ]


def spearman(pairs: Sequence[tuple[float, float]]) -> float:
    """Return the rank correlation; ranks of equal values are shared."""

    def ranks(values: Sequence[float]) -> list[float]:
        order = sorted(values)
        return [order.index(each) + (order.count(each) - 1) / 2 for each in values]

    left, right = (ranks([pair[side] for pair in pairs]) for side in (0, 1))
    return statistics.correlation(left, right)


def _off(values: Iterable[float | None]) -> str:
    known = [abs(each - 1) for each in values if each is not None]
    return f"{100 * statistics.median(known):.0f} %" if known else "–"


def _held(values: Iterable[bool | None]) -> str:
    known = [each for each in values if each is not None]
    return f"{100 * sum(known) / len(known):.0f} %" if known else "–"


HEAD = (
    "rows | rate, fitted | rate, left out | time per token, fitted | time per token, left out "
    "| first token, left out | in interval"
)


def _line(label: str, group: Sequence[Outcome]) -> str:
    cells = [
        label,
        str(len(group)),
        _off(each.error("rate", unseen=False) for each in group),
        _off(each.error("rate", unseen=True) for each in group),
        _off(each.error("tpot", unseen=False) for each in group),
        _off(each.error("tpot", unseen=True) for each in group),
        _off(each.error("ttft", unseen=True) for each in group),
        _held(each.covered for each in group),
    ]
    return "| " + " | ".join(cells) + " |"


def _grouped(found: Sequence[Outcome], key: str) -> dict[str, list[Outcome]]:
    """Return outcomes by a label: kind, server, accelerator or all three."""
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for each in found:
        case = each.sample.case
        device = case.hardware.accelerator
        kind = "first token" if each.sample.row["metric_kind"] == "first_token_latency" else case.kind.value
        labels = {
            "kind": kind,
            "server": case.run.server,
            "accelerator": f"{device.name} {device.form_factor}",
        }
        model = each.sample.row["model"].rpartition("/")[2]
        labels["source"] = f"{kind}, {case.run.server}, {model}, {device.name}"
        groups[labels[key]].append(each)
    return dict(sorted(groups.items()))


def _ranks(found: Sequence[Outcome]) -> list[str]:
    groups: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for each in found:
        if "rate" in each.sample.observed:
            model = each.sample.row["model"].rpartition("/")[2]
            pair = (each.sample.observed["rate"], each.unseen.output_tokens_per_second)
            groups[(model, each.sample.case.kind.value)].append(pair)
    large = {key: pairs for key, pairs in groups.items() if len(pairs) >= 4}
    lines = ["| model | kind | configurations | rank correlation, left out |", "|---|---|---|---|"]
    lines += [
        f"| {model} | {kind} | {len(pairs)} | {spearman(pairs):.3f} |"
        for (model, kind), pairs in sorted(large.items())
    ]
    middle = statistics.median(spearman(pairs) for pairs in large.values())
    return [*lines, f"| **median** | | {sum(map(len, large.values()))} | **{middle:.3f}** |"]


def report(today: date) -> str:
    """Return the tables as Markdown."""
    rows, refused = samples()
    found = outcomes(rows)
    steady = [each for each in found if not each.sample.set_aside]
    aside = [each for each in found if each.sample.set_aside]
    lines = [
        f"Generated by `python benchmarks/accuracy.py speed --write` on {today}. Median of |predicted / observed - 1|; "
        "*left out* means that the constants were fitted without the row's source (one publication's measurements of "
        f"one model on one accelerator). The interval promises {100 * COVERAGE:.0f} %. Of {len(found)} rows "
        f"{sum(each.above_roofline for each in found)} are above the roofline.",
    ]
    for title, key in (("kind", "kind"), ("server", "server"), ("accelerator", "accelerator")):
        lines += ["", f"| {title} | {HEAD} |", "|---" * 8 + "|"]
        lines += [_line(label, group) for label, group in _grouped(steady, key).items()]
    lines += [
        _line("**all**", steady),
        "",
        *by_generation([each.sample for each in steady]),
        "",
        *_ranks(steady),
    ]
    lines += ["", "Source by source:", "", f"| kind, server, model, accelerator | {HEAD} |", "|---" * 8 + "|"]
    lines += [_line(label, group) for label, group in _grouped(steady, "source").items()]
    lines += ["", "Not fitted to, and predicted all the same:", "", f"| why | {HEAD} |", "|---" * 8 + "|"]
    reasons = sorted({each.sample.set_aside for each in aside})
    lines += [
        _line(reason, [each for each in aside if each.sample.set_aside == reason]) for reason in reasons
    ]
    if refused:
        lines += ["", f"{len(refused)} rows do not say how long prompts were and are not predicted (MLPerf)."]
    return "\n".join(lines)


def spreads() -> str:
    """Return, by kind, the factor that holds the promised part of the rows when they are left out."""
    steady = [each for each in outcomes(samples()[0]) if not each.sample.set_aside]
    lines = []
    for kind in RunKind:
        errors = [each.error("rate", unseen=True) for each in steady if each.sample.case.kind is kind]
        logs = sorted(abs(math.log(each)) for each in errors if each)
        if logs:
            holds = math.exp(logs[min(len(logs) - 1, math.ceil(COVERAGE * len(logs)))])
            lines.append(f"{kind.value}: {holds:.2f} ({len(logs)} rows)")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the accuracy of speed, or the constants fitted to all rows; return the exit code."""
    parser = argparse.ArgumentParser(prog="accuracy.py speed", description=main.__doc__)
    parser.add_argument("--calibrate", action="store_true", help="print the constants fitted to all rows")
    parser.add_argument("--spreads", action="store_true", help="print the factors that intervals need")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/sizing.md")
    given = parser.parse_args(arguments)
    if given.calibrate:
        fitted = calibrate([row for row in samples()[0] if not row.set_aside])
        print("\n".join(f"{name}: {value:.3g}" for name, value in asdict(fitted).items()))
    elif given.spreads:
        print(spreads())
    else:
        text = report(datetime.now(tz=UTC).date())
        print(text)
        if given.write:
            before, _, rest = DOCS.read_text(encoding="utf-8").partition(BEGIN)
            after = rest.partition(END)[2]
            DOCS.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
