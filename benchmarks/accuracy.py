"""How far predictions are off what was observed: ``python benchmarks/accuracy.py memory|speed``.

Each prints its tables; ``--write`` puts them into docs/sizing.md with the date.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

KINDS = ("memory", "speed")


def main() -> int:
    """Hand over to the accuracy of memory or of speed."""
    kind = sys.argv[1] if len(sys.argv) > 1 else ""
    if kind not in KINDS:
        print(f"usage: accuracy.py {'|'.join(KINDS)} [options]", file=sys.stderr)
        return 2
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    return int(importlib.import_module(f"accuracy_{kind}").main(sys.argv[2:]))


if __name__ == "__main__":
    sys.exit(main())
