"""Plain text in columns, and bars: how verbs lay out what they print."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

BAR_WIDTH = 48


def counted(number: int, one: str) -> str:
    """Return a number of things, in the plural where it is not one."""
    return f"{number:,} {one}" if number == 1 else f"{number:,} {one}s"


def columns(rows: Iterable[Sequence[str]], indent: int) -> Iterator[str]:
    """Yield the rows with every column but the last padded to its widest cell."""
    table = list(rows)
    widths = [max(len(row[at]) for row in table) for at in range(len(table[0]) - 1)] if table else []
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield (" " * indent + "  ".join([*cells, row[-1]])).rstrip()


def bar(parts: Sequence[tuple[str, str, float]], whole: float) -> str:
    """Return a bar of parts in a whole, each by its letter, with what the letters mean.

    Args:
        parts: Letter, meaning and size of each.
        whole: Size that the bar's width stands for; parts beyond it are cut.
    """
    drawn = "".join(letter * max(1, round(size / whole * BAR_WIDTH)) for letter, _, size in parts if size > 0)
    told = ", ".join(f"{letter} {meaning}" for letter, meaning, _ in parts)
    return f"[{drawn[:BAR_WIDTH]:.<{BAR_WIDTH}}] {told}"
