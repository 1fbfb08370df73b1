"""Read a chunk's CSV: positions and their identifiers, or a sentence that says what is wrong. Pure.

Rule: nothing is guessed. The first thing that is not as it must be ends the reading, with the line
and the column it was found in.
"""

import csv
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO

POSITION_COLUMNS = (
    ("in_ra", "in_dec"),
    ("opt_ra_deg", "opt_dec_deg"),
    ("ra_deg", "dec_deg"),
    ("ALPHA_J2000", "DELTA_J2000"),
    ("ALPHAWIN_J2000", "DELTAWIN_J2000"),
    ("X_WORLD", "Y_WORLD"),
    ("ra", "dec"),
)
"""The first pair that is present is taken."""

ID_COLUMNS = (
    ("row_id",),
    ("source_id",),
    ("tile_id", "NUMBER"),
    ("image_id", "NUMBER"),
    ("NUMBER",),
)
"""The first that is present makes the identifier, parts joined by `#`; else the row number."""

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_LONGEST_FIELD = 131072


class BadChunk(ValueError):
    """The CSV cannot be used; the text says where and why, without the file's name."""


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """One position."""

    ra_deg: float
    dec_deg: float
    source_id: str
    row_id: str


def parse_chunk(content: bytes) -> list[ChunkRow]:
    """Return the positions in the order of the file.

    | what is wrong                                             | where it is said to be  |
    |-----------------------------------------------------------|-------------------------|
    | empty file, no rows, no pair of position columns          | line 1                  |
    | not UTF-8, a NUL, an unclosed quote, a row of other width | the line                |
    | the last line has no end: the file was cut off            | the line                |
    | coordinate missing, no number, out of range               | the line and the column |
    | identifier empty, or the same as on an earlier line       | the line and the column |
    """
    text = _decoded(content)
    rows = _records(text)
    try:
        _, header = next(rows)
    except StopIteration:
        raise BadChunk("line 1: the file is empty; a header and positions are needed") from None
    reader = _RowReader([name.strip() for name in header])
    found = [reader.read(line, record, number) for number, (line, record) in enumerate(rows, 1)]
    if not found:
        raise BadChunk("line 1: there is a header and no position below it")
    return found


def _decoded(content: bytes) -> str:
    """Return the text without a byte order mark."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadChunk(f"line {line}: byte {content[error.start]:#04x} is not UTF-8") from None
    if "\0" in text:
        raise BadChunk(f"line {text.count(chr(10), 0, text.index(chr(0))) + 1}: there is a NUL")
    if text.strip() and not text.endswith(("\n", "\r")):
        line = text.count("\n") + 1
        raise BadChunk(
            f"line {line}: the last line has no end, so the file may be cut off; "
            "write it anew, or end the line if it is complete"
        )
    return text


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield every record that is not blank, with the line it begins on."""
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for record in reader:
            if record:
                yield line, record
            line = reader.line_num + 1
    except csv.Error as error:
        raise BadChunk(f"line {line}: {error}") from None


class _RowReader:
    """Turns records into positions, by the columns that the header has."""

    def __init__(self, header: Sequence[str]) -> None:
        self._width = len(header)
        self._at = {name: index for index, name in reversed(list(enumerate(header)))}
        self._position = self._present(POSITION_COLUMNS)
        if self._position is None:
            allowed = " or ".join(",".join(pair) for pair in POSITION_COLUMNS)
            raise BadChunk(f"line 1: no pair of position columns; allowed are {allowed}")
        self._id = self._present(ID_COLUMNS)
        for name in {*self._position, *(self._id or ())}:
            if list(header).count(name) > 1:
                raise BadChunk(f"line 1, column {name!r}: the header has it twice")
        self._seen: dict[str, int] = {}

    def _present(self, choices: Sequence[tuple[str, ...]]) -> tuple[str, ...] | None:
        return next((names for names in choices if all(name in self._at for name in names)), None)

    def read(self, line: int, record: Sequence[str], number: int) -> ChunkRow:
        """Return the position of one record."""
        if len(record) != self._width:
            raise BadChunk(
                f"line {line}: {len(record)} fields where the header has {self._width}; "
                "the file may be cut off"
            )
        assert self._position is not None  # noqa: S101 - the constructor raised otherwise
        ra_name, dec_name = self._position
        ra = self._coordinate(line, record, ra_name, (0.0, 360.0))
        dec = self._coordinate(line, record, dec_name, (-90.0, 90.0))
        identifier = self._identifier(line, record) if self._id else str(number)
        # The first choice is `row_id` itself: where there is one, both names are the same text.
        return ChunkRow(ra, dec, identifier, identifier)

    def _coordinate(
        self, line: int, record: Sequence[str], name: str, limits: tuple[float, float]
    ) -> float:
        written = record[self._at[name]].strip()
        place = f"line {line}, column {name!r}"
        if not _NUMBER.fullmatch(written):
            raise BadChunk(f"{place}: {written!r} is not a number of degrees")
        value = float(written)
        low, high = limits
        if not (math.isfinite(value) and low <= value <= high):
            raise BadChunk(f"{place}: {written!r} is not from {low:g} to {high:g} degrees")
        return value

    def _identifier(self, line: int, record: Sequence[str]) -> str:
        names = self._id or ()
        parts = [record[self._at[name]].strip() for name in names]
        for name, part in zip(names, parts, strict=True):
            if not part:
                raise BadChunk(f"line {line}, column {name!r}: the identifier is empty")
        identifier = "#".join(parts)
        earlier = self._seen.setdefault(identifier, line)
        if earlier != line:
            raise BadChunk(
                f"line {line}, column {'#'.join(names)!r}: {identifier!r} is on line {earlier} too"
            )
        return identifier


def columns_of(rows: Sequence[ChunkRow], cid: str) -> Mapping[str, Sequence[object]]:
    """Return the rows as the columns of a seed."""
    return {
        "opt_ra_deg": [row.ra_deg for row in rows],
        "opt_dec_deg": [row.dec_deg for row in rows],
        "source_id": [row.source_id for row in rows],
        "row_id": [row.row_id for row in rows],
        "chunk_id": [cid] * len(rows),
    }
