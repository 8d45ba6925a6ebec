"""Time a plan from a cold start against the start of Python with pydantic alone, side by side.

python benchmarks/start_up.py [--rounds N] [--spec FILE]

They take turns, so that a busy machine slows all alike, and the ratio of the medians says what gpuwright
itself adds, whatever the machine. Byte code is written first, because users run with it.
"""

from __future__ import annotations

import argparse
import compileall
import subprocess
import sys
import time
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).parents[1]
SOURCE_ROOTS = [ROOT / name for name in ("components", "policies", "templates")]


def seconds(command: list[str]) -> float:
    """Return how long a fresh process takes, from start to exit code 0."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="how often each is started (default: 15)")
    parser.add_argument("--spec", type=Path, default=ROOT / "examples/specs/7b-aws.yaml", help="what to plan")
    asked = parser.parse_args()
    if asked.rounds < 2:
        parser.error("--rounds is too small: medians and quartiles need 2 or more")

    for root in SOURCE_ROOTS:
        compileall.compile_dir(root, quiet=2)
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import pydantic": [sys.executable, "-c", "import pydantic"],
        "gpuwright plan": [sys.executable, "-m", "gpuwright", "plan", str(asked.spec)],
        "gpuwright plan, json": [
            sys.executable,
            "-m",
            "gpuwright",
            "plan",
            str(asked.spec),
            "--format",
            "json",
        ],
    }
    for command in commands.values():
        seconds(command)
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(asked.rounds):
        for name, command in commands.items():
            taken[name].append(seconds(command))

    base = median(taken["import pydantic"])
    print(f"{asked.rounds} rounds, Python {sys.version.split()[0]}, {asked.spec.name}")
    print(f"{'':22} {'median':>8} {'quartiles':>15} {'best':>8} {'ratio to pydantic':>18}")
    for name, times in taken.items():
        low, _, high = quantiles(times, n=4)
        middle = median(times)
        print(f"{name:22} {middle:6.3f} s {low:6.3f}-{high:.3f} s {min(times):6.3f} s {middle / base:18.2f}")


if __name__ == "__main__":
    main()
