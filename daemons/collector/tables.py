"""When two tables of closest detections are the same, whoever has written them. Pure.

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

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import BinaryIO

from shared.handshake.tables import KEY_COLUMN, Records, nothing, show_columns

ROWS_TOLD_APART_MAX = 100_000
"""Of larger tables it is only said that they differ: which rows do takes holding their digests."""

_NUMBER = re.compile(
    r"([+-]?[0-9]{1,40})"
    r"|[+-]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][+-]?[0-9]{1,4})?"
)
_EXACT_BELOW = 2.0**53
_SUM = 1 << 256
_DIGEST_BYTES = 32
_ROWS_NAMED = 3
_NAME_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class TableDigest:
    """What two tables are compared by; only digests made with the same key compare."""

    header: tuple[str, ...]
    rows: int
    total: int
    """The sum of the digests of all rows."""


def digest_table(stream: BinaryIO, key: bytes, alive: Callable[[], None] = nothing) -> TableDigest:
    """Read a table to its end; NotATable. `alive` is called every few thousand rows."""
    records = Records(stream, alive)
    header = records.header()
    rows = total = 0
    for _, digest in _digests(header, records, key):
        total += int.from_bytes(digest)
        rows += 1
    return TableDigest(header, rows, total % _SUM)


def can_be_told_apart(ours: TableDigest, central: TableDigest) -> bool:
    """Tell whether it can be said in which rows two tables differ."""
    rows = max(ours.rows, central.rows)
    return ours.header == central.header and rows <= ROWS_TOLD_APART_MAX


def differing_rows(
    ours: BinaryIO, central: BinaryIO, key: bytes, alive: Callable[[], None] = nothing
) -> Sequence[str]:
    """Return the `row_id` of the first few rows that only one of two tables has; NotATable.

    Only for tables that can be told apart: every row's digest is held.
    """
    there = Counter(digest for _, digest in _rows(central, key, alive))
    only_here = [row_id for row_id, digest in _rows(ours, key, alive) if not _take(there, digest)]
    only_there = [row_id for row_id, digest in _rows(central, key, alive) if _take(there, digest)]
    names = dict.fromkeys(row_id[:_NAME_CHARACTERS] for row_id in (*only_here, *only_there))
    return tuple(names)[:_ROWS_NAMED]


def _take(counts: "Counter[bytes]", digest: bytes) -> bool:
    """Take one away where there is one."""
    found = counts[digest] > 0
    counts[digest] -= found
    return found


def _rows(stream: BinaryIO, key: bytes, alive: Callable[[], None]) -> Iterator[tuple[str, bytes]]:
    stream.seek(0)
    records = Records(stream, alive)
    return _digests(records.header(), records, key)


def _digests(header: Sequence[str], records: Records, key: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield each row's `row_id` and digest."""
    exact = [name == KEY_COLUMN for name in header]
    place = exact.index(True)
    for record in records:
        cells = (canonical(text, exact=one) for text, one in zip(record, exact, strict=True))
        said = "".join(f"{len(cell)}:{cell}" for cell in cells)
        digest = blake2b(said.encode(), key=key, digest_size=_DIGEST_BYTES).digest()
        yield record[place].strip(), digest


def describe_difference(ours: TableDigest, central: TableDigest) -> str:
    """Say in a few words how two tables differ; empty when they do not."""
    if ours.header != central.header:
        there = show_columns(central.header)
        return f"its columns are {show_columns(ours.header)}, there they are {there}"
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
