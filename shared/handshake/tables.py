"""Tables of closest detections, and the qc.txt beside each: whole or not, and how many rows. Pure.

Rule: both ends read them alike. What a watcher pushes as whole, the collector does not refuse.
"""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

LINE_BYTES_MAX = 64 * 1024
"""Ten thousand times what a line of these tables has."""
RECORD_BYTES_MAX = 128 * 1024
"""A quoted cell may have line ends in it; a row of them must end too."""
QUALITY_BYTES_MAX = 64 * 1024
KEY_COLUMN = "row_id"

_ALIVE_EVERY = 4096


class NotATable(ValueError):
    """The file is no table of closest detections; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Quality:
    """What the text beside a table says of it."""

    rows: int
    columns: str
    """As it is written; empty when it is not said."""


def parse_quality(body: bytes) -> Quality:
    """Read `rows=` and `columns=` of a qc.txt; ValueError when the rows are not said, or twice."""
    if len(body) > QUALITY_BYTES_MAX:
        raise ValueError(f"it has {len(body)} bytes; allowed are {QUALITY_BYTES_MAX}")
    found: dict[str, str] = {}
    for line in body.decode("utf-8", "replace").splitlines():
        name, _, value = (part.strip() for part in line.partition("="))
        if name in {"rows", "columns"} and found.setdefault(name, value) != value:
            raise ValueError(f"it says {name!r} twice")
    rows = found.get("rows", "")
    if not re.fullmatch(r"[0-9]{1,15}", rows):
        raise ValueError(f"rows={rows[:40]!r} is no number of rows")
    return Quality(int(rows), found.get("columns", ""))


def nothing() -> None:
    """Take note of nothing; the usual `alive`."""


def count_rows(stream: BinaryIO, alive: Callable[[], None] = nothing) -> int:
    """Read a table to its end and return how many rows it has; NotATable."""
    records = Records(stream, alive)
    records.header()
    return sum(1 for _ in records)


class Records:
    """The rows of a table, each as long as the header, each line and row of a bounded size."""

    def __init__(self, stream: BinaryIO, alive: Callable[[], None] = nothing) -> None:
        self._stream = stream
        self._alive = alive
        self._line = 0
        self._record_bytes = 0
        self._width = 0
        self._reader = csv.reader(self._lines(), strict=True)

    def header(self) -> tuple[str, ...]:
        """Read the names of the columns."""
        names = tuple(name.strip() for name in self._next() or ())
        if not names:
            raise NotATable("it is empty; it has not even a header")
        if KEY_COLUMN not in names or len(set(names)) != len(names):
            raise NotATable(
                f"line 1: its columns are {show_columns(names)}; there must be a {KEY_COLUMN!r}, "
                "and each name once"
            )
        self._width = len(names)
        return names

    def __iter__(self) -> Iterator[Sequence[str]]:
        rows = 0
        while (record := self._next()) is not None:
            if not record:
                continue
            if len(record) != self._width:
                raise NotATable(
                    f"line {self._line}: {len(record)} cells where the header has {self._width}"
                )
            yield record
            rows += 1
            if rows % _ALIVE_EVERY == 0:
                self._alive()

    def _next(self) -> list[str] | None:
        self._record_bytes = 0
        try:
            return next(self._reader, None)
        except csv.Error as error:
            raise NotATable(f"line {self._line}: {error}") from None

    def _lines(self) -> Iterator[str]:
        while line := self._stream.readline(LINE_BYTES_MAX + 1):
            self._line += 1
            self._record_bytes += len(line)
            if len(line) > LINE_BYTES_MAX:
                raise NotATable(f"line {self._line}: it has more than {LINE_BYTES_MAX} bytes")
            if self._record_bytes > RECORD_BYTES_MAX:
                raise NotATable(f"line {self._line}: a row has more than {RECORD_BYTES_MAX} bytes")
            if b"\0" in line:
                raise NotATable(f"line {self._line}: there is a NUL in it")
            try:
                text = line.decode()
            except UnicodeDecodeError as error:
                raise NotATable(f"line {self._line}: it is not UTF-8: {error.reason}") from None
            yield text.removeprefix("\ufeff") if self._line == 1 else text


def show_columns(header: Sequence[str]) -> str:
    """Return the names of columns as messages show them."""
    shown = repr(",".join(header))
    return shown if len(shown) <= 200 else f"{shown[:197]}..."  # noqa: PLR2004 - a line of a log
