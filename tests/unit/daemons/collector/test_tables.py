import csv
import io
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.collector.tables import (
    TableDigest,
    canonical,
    describe_difference,
    differing_rows,
    digest_table,
)
from shared.handshake.tables import LINE_BYTES_MAX, RECORD_BYTES_MAX, NotATable, count_rows
from tests.support.collecting import table

KEY = b"k" * 32


def digest(text: str | bytes) -> TableDigest:
    """Digest a table."""
    body = text.encode() if isinstance(text, str) else text
    return digest_table(io.BytesIO(body), KEY)


def differ(one: str, other: str) -> bool:
    """Tell whether two tables differ."""
    return bool(describe_difference(digest(one), digest(other)))


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("1.5", "1.50", True),
        ("1.5", "15e-1", True),
        ("5", "5.0", True),
        ("00", "0", True),
        ("-0.0", "0", True),
        ("1.00000000001", "1", True),  # beyond %.10g
        ("1.00000001", "1", False),
        ("123456789012345678", "123456789012345679", False),
        ("nan", "nan", True),
        ("", "0", False),
        ("", "nan", False),
        ("1e999", "1e998", False),
        ("1_000", "1000", False),
        ("\u0661", "1", False),
        ("9" * 50 + "1", "9" * 50 + "2", False),
        ("abc ", "abc", True),
        ("1e99999", "1e99998", False),
    ],
)
def test_cells_are_compared_as_the_numbers_they_are(one: str, other: str, *, equal: bool) -> None:
    """Two programs write the same number in two ways, and two ids may share 16 digits."""
    found = canonical(one, exact=False) == canonical(other, exact=False)

    assert found is equal


def test_row_ids_are_compared_to_the_last_digit() -> None:
    """An id is no measurement: %.10g would make neighbours of different rows."""
    assert differ("row_id,x\n1.00000000001,2\n", "row_id,x\n1,2\n")
    assert not differ("row_id,x\n2104000.0,2\n", "row_id,x\n2104000,2\n")


def test_the_order_of_rows_is_no_difference_and_their_number_is() -> None:
    """A table that was only sorted is the same answer; one with a row twice is not."""
    assert not differ("row_id,x\n1,2\n3,4\n", "row_id,x\n3,4\n1,2\n")
    assert differ("row_id,x\n1,2\n3,4\n", "row_id,x\n1,2\n1,2\n")
    assert differ("row_id,x\n1,2\n", "row_id,x\n1,2\n1,2\n")
    assert differ("row_id,x\n1,2\n3,4\n", "row_id,x\n1,4\n3,2\n")


def test_another_header_is_another_table() -> None:
    """Equal numbers under other names are other data."""
    assert differ("row_id,ra\n1,2\n", "row_id,dec\n1,2\n")
    assert differ("row_id,a,b\n1,2,2\n", "row_id,b,a\n1,2,2\n")


def test_line_ends_blank_lines_and_a_mark_at_the_start_are_no_difference() -> None:
    """Windows and pandas write what they like."""
    assert not differ("row_id,x\n1,2\n", "\ufeffrow_id,x\r\n1,2\r\n\r\n")
    assert not differ("row_id,x\n1,2\n", "row_id,x\n1,2")


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=6)


@given(st.lists(st.tuples(cells, cells), max_size=6), st.randoms())
def test_whatever_is_in_the_cells_the_digest_is_that_of_the_rows(
    rows: list[tuple[str, str]], chance: object
) -> None:
    """Quotes, commas and line ends in cells neither join nor split rows."""

    def written(order: list[tuple[str, str]]) -> str:
        target = io.StringIO()
        csv.writer(target, quoting=csv.QUOTE_ALL).writerows([("row_id", "x"), *order])
        return target.getvalue()

    moved = [(f"{one}x", other) for one, other in rows]

    assert not differ(written(rows), written(rows[::-1]))
    assert digest(written(rows)).rows == len(rows)
    assert differ(written(rows), written(moved)) is bool(rows)


HOSTILE = {
    "empty": b"",
    "no key": b"a,b\n1,2\n",
    "a name twice": b"row_id,a,a\n1,2,3\n",
    "too few cells": b"row_id,a\n1\n",
    "too many cells": b"row_id,a\n1,2,3\n",
    "NUL": b"row_id,a\n1,\x002\n",
    "not UTF-8": b"row_id,a\n1,\xff\n",
    "UTF-16": "row_id,a\n1,2\n".encode("utf-16"),
    "a huge line": b"row_id,a\n" + b"1" * (LINE_BYTES_MAX + 2) + b"\n",
    "a huge header": b"row_id," + b"a" * LINE_BYTES_MAX,
    "a row without end": b'row_id,a\n1,"' + b"x\n" * RECORD_BYTES_MAX,
    "cells without end": b'row_id,a\n1,"' + b'x\n","' * RECORD_BYTES_MAX,
    "an open quote": b'row_id,a\n1,"2\n',
    "a quote within": b'row_id,a\n1,"2"3\n',
    "carriage return within": b"row_id,a\n1,2\r3\n",
    "a page of HTML": b"<html><body>503 Slow Down</body></html>\n",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_table_is_refused_in_one_short_line(body: bytes) -> None:
    """Whatever lies in the bucket, the message fits into a log."""
    with pytest.raises(NotATable) as counted:
        count_rows(io.BytesIO(body))
    with pytest.raises(NotATable):
        digest(body)

    assert "\n" not in str(counted.value)
    assert len(str(counted.value)) < 400


class Endless(io.RawIOBase):
    """A table of so many rows that is never held."""

    def __init__(self, rows: int) -> None:
        self._parts = self._make(rows)
        self._rest = b""

    def _make(self, rows: int) -> Iterator[bytes]:
        head, _, line = table("00001", 1).partition(b"\n")
        yield head + b"\n"
        for _ in range(rows // 100):
            yield line * 100

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what io calls it with
        """Fill the buffer."""
        self._rest = self._rest or next(self._parts, b"")
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def test_memory_does_not_grow_with_the_table() -> None:
    """A table of a gigabyte must not take one of memory."""
    beats = []
    tracemalloc.start()
    try:
        stream = io.BufferedReader(Endless(9_000))
        found = digest_table(stream, KEY, lambda: beats.append(1))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert found.rows == 9_000
    assert peak < 1024 * 1024
    assert len(beats) == 2


@pytest.mark.parametrize(
    ("ours", "central", "named"),
    [
        ("row_id,ra\na,1\nb,2\nc,3\n", "row_id,ra\nc,3\nb,2.5\na,1.0\n", ("b",)),
        ("row_id,ra\na,1\n", "row_id,ra\na,1\nb,2\n", ("b",)),
        ("row_id,ra\na,1\na,1\n", "row_id,ra\na,1\nb,1\n", ("a", "b")),
        ("ra,row_id\n1,a\n1,b\n1,c\n1,d\n", "ra,row_id\n", ("a", "b", "c")),
        (f"row_id\n{'x' * 90}\n", "row_id\n", ("x" * 40,)),
        ("row_id,ra\na,1\n", "row_id,ra\na,1\n", ()),
    ],
)
def test_the_first_rows_that_differ_are_named(
    ours: str, central: str, named: tuple[str, ...]
) -> None:
    """Somebody must decide between two results, and begins with a position."""
    found = differing_rows(io.BytesIO(ours.encode()), io.BytesIO(central.encode()), KEY)

    assert found == named
