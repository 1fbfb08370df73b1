"""Tables for people, which are Markdown at the same time. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias, TypeVar

RowT = TypeVar("RowT")
Columns: TypeAlias = Sequence[tuple[str, Callable[[RowT], str]]]
"""Each column's title, and how it shows a row."""

_MISSING = "-"


def set_rows(columns: Columns[RowT], rows: Iterable[RowT], *, text_columns: int = 0) -> str:
    """Set a line for each row below the titles."""
    cells = [[title for title, _ in columns]]
    cells += [[show(row) for _, show in columns] for row in rows]
    return set_table(cells, text_columns=text_columns)


def goals_met(label: str, goals: Mapping[str, bool]) -> str:
    """Say of one row which goals it meets."""
    told = ", ".join(f"{goal} {'yes' if met else 'NO'}" for goal, met in goals.items())
    return f"{label}: {told}"


def set_table(cells: Sequence[Sequence[str]], *, text_columns: int = 0) -> str:
    """Set lines of cells, the titles first; all columns but the first few are flush right."""
    widths = [max(len(line[n]) for line in cells) for n in range(len(cells[0]))]
    ruler = [
        "-" * width if n < text_columns else "-" * (width - 1) + ":"
        for n, width in enumerate(widths)
    ]
    return "\n".join(_line(line, widths, text_columns) for line in (cells[0], ruler, *cells[1:]))


def shown_ratio(value: float | None) -> str:
    """Return a ratio as it stands in a table, also one that there is not."""
    return _MISSING if value is None else f"{value:.2f}"


def _line(cells: Sequence[str], widths: Sequence[int], text_columns: int) -> str:
    padded = [
        cell.ljust(width) if n < text_columns else cell.rjust(width)
        for n, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"| {' | '.join(padded)} |"
