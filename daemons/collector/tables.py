"""Tables of closest detections as anybody may have written them: whole or not, equal or not. Pure.

Two tables are equal when their headers are and when they hold the same rows, whatever the order:
every row begins with its `row_id`, so that comparing rows as a multiset compares each position's
answer, and a table that was only sorted anew is no other result.

| cells                                         | are equal when                               |
|-----------------------------------------------|----------------------------------------------|
| whole numbers, such as `cntr`                 | they are the same number, to the last digit  |
| other numbers (`1.50`, `1.5`, `15e-1`)        | `%.10g` writes them alike, as the tables do  |
| such numbers in `row_id`                      | they are the same float                      |
| anything else                                 | they are the same text                       |

A table of a gigabyte is never held: each row is reduced to a keyed digest, and the digests are
added up. Addition does not know an order and counts repeated rows. The key is random and known to
nobody, so that no table can be made to add up to the sum of another one.
"""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import BinaryIO

LINE_BYTES_MAX = 64 * 1024
"""Ten thousand times what a line of these tables has."""
RECORD_BYTES_MAX = 128 * 1024
"""A quoted cell may have line ends in it; a row of them must end too."""
QUALITY_BYTES_MAX = 64 * 1024
KEY_COLUMN = "row_id"

_ALIVE_EVERY = 4096
_NUMBER = re.compile(
    r"([+-]?[0-9]{1,40})"
    r"|[+-]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][+-]?[0-9]{1,4})?"
)
_EXACT_BELOW = 2.0**53
_SUM = 1 << 256


class NotATable(ValueError):
    """The file is no table of closest detections; the message says where and why."""


@dataclass(frozen=True, slots=True)
class TableDigest:
    """What two tables are compared by; only digests made with the same key compare."""

    header: tuple[str, ...]
    rows: int
    total: int
    """The sum of the digests of all rows."""


def nothing() -> None:
    """Take note of nothing; the usual `alive`."""


def digest_table(stream: BinaryIO, key: bytes, alive: Callable[[], None] = nothing) -> TableDigest:
    """Read a table to its end; NotATable. `alive` is called every few thousand rows."""
    records = _Records(stream, alive)
    header = records.header()
    exact = [name == KEY_COLUMN for name in header]
    rows = total = 0
    for record in records:
        cells = (canonical(text, exact=one) for text, one in zip(record, exact, strict=True))
        said = "".join(f"{len(cell)}:{cell}" for cell in cells)
        total += int.from_bytes(blake2b(said.encode(), key=key, digest_size=32).digest())
        rows += 1
    return TableDigest(header, rows, total % _SUM)


def count_rows(stream: BinaryIO, alive: Callable[[], None] = nothing) -> int:
    """Read a table to its end and return how many rows it has; NotATable."""
    records = _Records(stream, alive)
    records.header()
    return sum(1 for _ in records)


def describe_difference(ours: TableDigest, central: TableDigest) -> str:
    """Say in a few words how two tables differ; empty when they do not."""
    if ours.header != central.header:
        return f"its columns are {_names(ours.header)}, there they are {_names(central.header)}"
    if ours.rows != central.rows:
        return f"it has {ours.rows} rows, the one there has {central.rows}"
    if ours.total != central.total:
        return f"both have {ours.rows} rows, and not the same ones"
    return ""


def canonical(text: str, *, exact: bool) -> str:
    """Write a cell in the one form that all cells equal to it have; see the module's table."""
    text = text.strip()
    match = _NUMBER.fullmatch(text)
    if match is None:
        return text
    if match.lastindex:
        return str(int(text))
    number = float(text)
    if number - number != 0.0:
        return text  # too large for a float: `inf` would equal every other such number
    if number.is_integer() and abs(number) < _EXACT_BELOW:
        return str(int(number))
    return repr(number) if exact else f"{number:.10g}"


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


class _Records:
    """The rows of a table, each as long as the header, each line and row of a bounded size."""

    def __init__(self, stream: BinaryIO, alive: Callable[[], None]) -> None:
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
                f"line 1: its columns are {_names(names)}; there must be a {KEY_COLUMN!r}, "
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


def _names(header: Sequence[str]) -> str:
    shown = repr(",".join(header))
    return shown if len(shown) <= 200 else f"{shown[:197]}..."  # noqa: PLR2004 - a line of a log
