"""The rows of jobs for people and for programs. Pure."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta

from pipelines.glacier.status.board import JobRow, again

_HEADS = ("job", "status", "began", "took", "scenes", "peak", "reason")
_REASON_MAX = 100
_MEBIBYTE, _GIBIBYTE = 2**20, 2**30
_MINUTE = 60


def render_text(rows: Sequence[JobRow], *, repeat: bool) -> str:
    """Return the table and the sums; `repeat`: and the lines that send the failed ones again."""
    return "".join(f"{line}\n" for line in _lines(rows, repeat=repeat))


def render_json(rows: Sequence[JobRow], place: str) -> str:
    """Return the document."""
    document = {
        "place": place,
        "counts": _counts(rows),
        "jobs": [row.to_json() for row in rows],
        "failed": [each.to_json() for each in again(rows)],
    }
    return json.dumps(document, indent=2) + "\n"


def _lines(rows: Sequence[JobRow], *, repeat: bool) -> Iterator[str]:
    table = [_HEADS, *map(_cells, rows)]
    widths = [max(len(cells[column]) for cells in table) for column in range(len(_HEADS))]
    for cells in table if rows else []:
        padded = (f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True))
        yield "  ".join(padded).rstrip()
    told = ", ".join(f"{count} {status}" for status, count in _counts(rows).items())
    yield f"{len(rows)} {'job' if len(rows) == 1 else 'jobs'}{': ' if told else ''}{told}"
    if repeat:
        yield from (each.line() for each in again(rows))


def _cells(row: JobRow) -> tuple[str, ...]:
    began = row.began_at[:16].replace("T", " ") or "-"
    return tuple(
        _plain(cell)
        for cell in (
            row.job_name,
            row.status,
            began,
            _took(row.took),
            _scenes(row),
            _peak(row.peak_memory_bytes),
            row.reason[:_REASON_MAX],
        )
    )


def _scenes(row: JobRow) -> str:
    counted = row.scenes or {}
    return ", ".join(f"{count} {status}" for status, count in counted.items()) or "-"


def _took(took: timedelta | None) -> str:
    if took is None:
        return "-"
    minutes, seconds = divmod(round(took.total_seconds()), _MINUTE)
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"


def _peak(size_bytes: int) -> str:
    if size_bytes >= _GIBIBYTE:
        return f"{size_bytes / _GIBIBYTE:.1f} GiB"
    return f"{size_bytes / _MEBIBYTE:.0f} MiB" if size_bytes else "-"


def _counts(rows: Sequence[JobRow]) -> dict[str, int]:
    return dict(sorted(Counter(row.status for row in rows).items()))


def _plain(text: str) -> str:
    """Return a text that tells a terminal nothing but itself."""
    return "".join(character if character.isprintable() else "?" for character in text)
