"""A machine of folders and stand-ins, on which the payload's programs run for real."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Machine:
    """A folder that holds the payload's files, and stand-ins for what is around them."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, program: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run one of the payload's programs to its end."""
        path = self.root / "opt/gpuwright/bin" / program
        interpreter = [sys.executable] if "python" in path.read_text().splitlines()[0] else ["bash"]
        return subprocess.run(
            [*interpreter, str(path)],
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def calls(self, program: str) -> list[list[str]]:
        """Return the arguments of each call of a stand-in, the first call first."""
        log = self.root / f"{program}.calls"
        lines = log.read_text().splitlines() if log.exists() else []
        return [line.split("\x1f") for line in lines]


def option(words: Sequence[str], name: str) -> str:
    """Return the word that follows an option."""
    return words[list(words).index(name) + 1]
