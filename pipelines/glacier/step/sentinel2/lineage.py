"""Tables of which raw tiles each scene was made of. Pure.

A scene's own table is one line without an end: `{acq},{file1},{file2}`. The region's table has them
all in sensing-time order, below a header of column numbers, every row as long as the longest.
"""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from pipelines.glacier.step.sentinel2.products import sensing_time

Row: TypeAlias = tuple[str, ...]
"""Acquisition, then its files in merge order."""

_CELLS_MAX = 1000


def row_text(acquisition: str, files: Sequence[str]) -> str:
    """Return a scene's own table."""
    return ",".join((acquisition, *files))


def parse_row(text: str) -> Row | None:
    """Read a scene's own table, also one that ends its line; None where it is none."""
    lines = text.splitlines()
    if len(lines) != 1 or not lines[0].isprintable() or '"' in lines[0]:
        return None
    cells = tuple(lines[0].split(","))
    return cells if cells[0] and len(cells) <= _CELLS_MAX else None


def combined_text(rows: Iterable[Row]) -> str:
    """Return the region's table; empty where there is no row."""
    ordered = sorted(rows, key=lambda row: (sensing_time(row[0]), row))
    if not ordered:
        return ""
    width = max(map(len, ordered))
    header = tuple(map(str, range(width)))
    padded = (row + ("",) * (width - len(row)) for row in (header, *ordered))
    return "".join(",".join(row) + "\n" for row in padded)
