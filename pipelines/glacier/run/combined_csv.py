"""A region's combined lineage, merged by acquisition so that no run takes rows away. Pure.

A file's first line is the header `0,1,2,...` up to the widest row; each other line is an
acquisition and its files in merge order, shorter ones padded with empty fields. Rows are in the
order of their sensing times. Of what lies in the bucket, lines that cannot be rows (a page of HTML,
bytes that are no text) are dropped: the step makes the table of all that is in `individual_csv`.
"""

import re
from collections.abc import Iterable, Sequence

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,199}")
_TIME_FIELD = 2
"""`S2B_MSIL2A_20240801T143749_N0511_R039`: mission, level, time, baseline, orbit."""


def merge_combined(theirs: str, ours: str) -> str:
    """Return both files' rows, ours where both have an acquisition; empty where neither has any."""
    known = (row for row in _rows(theirs) if _NAME.fullmatch(row[0]))
    rows = {row[0]: row for row in (*known, *_rows(ours))}
    return _document(sorted(rows.values(), key=_order))


def _rows(text: str) -> Iterable[Sequence[str]]:
    for number, line in enumerate(text.splitlines()):
        fields = line.split(",")
        while fields and not fields[-1]:
            fields.pop()
        # A header's first field is 0, which no acquisition is called.
        if fields and fields[0] and not (number == 0 and fields[0] == "0"):
            yield fields


def _document(rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    width = max(map(len, rows))
    lines = [list(map(str, range(width))), *([*row, *[""] * (width - len(row))] for row in rows)]
    return "".join(f"{','.join(line)}\n" for line in lines)


def _order(row: Sequence[str]) -> tuple[str, str]:
    parts = row[0].split("_")
    return (parts[_TIME_FIELD] if len(parts) > _TIME_FIELD else "", row[0])
