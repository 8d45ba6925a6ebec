from __future__ import annotations

import re
from pathlib import Path

GUIDE = Path(__file__).parents[2] / "docs" / "engine.md"


def test_the_example_of_the_guide_runs_as_it_is_written() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    names: dict[str, object] = {"__name__": "example"}
    exec(compile(code, str(GUIDE), "exec"), names)  # noqa: S102  the project's own guide
    example = names["test_the_subnet_lies_in_the_network"]
    assert callable(example)
    example()
