"""The sheet as a file: CSV, or a workbook of Excel; row by row in both."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import astuple
from typing import TYPE_CHECKING, BinaryIO

from pipelines.wildlife.sheet.rows import COLUMNS, ROWS_MAX, Cells, guarded
from shared.errors import PermanentError

if TYPE_CHECKING:
    from openpyxl.cell.cell import Cell
    from openpyxl.worksheet._write_only import WriteOnlyWorksheet

_WIDTHS = (12, 10, 26, 16, 8, 10, 80)


class TooManyRows(PermanentError):
    """A workbook cannot hold that many."""


def write_csv(stream: BinaryIO, rows: Iterable[Cells], delimiter: str) -> int:
    """Write the rows, with the mark by which Excel knows UTF-8, and return how many."""
    written, text = 0, io.TextIOWrapper(stream, "utf-8-sig", newline="", write_through=True)
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow(guarded(each) if isinstance(each, str) else each for each in astuple(row))
        written += 1
    text.flush()
    # The stream is its owner's to close.
    text.detach()
    return written


def write_workbook(stream: BinaryIO, rows: Iterable[Cells]) -> int:
    """Write the rows as one sheet with real dates and numbers, and return how many; TooManyRows."""
    # Only who wants a workbook waits for this library.
    from openpyxl import Workbook  # noqa: PLC0415 - see above

    book = Workbook(write_only=True)
    sheet = book.create_sheet("Observationer")
    for column, width in zip("ABCDEFG", _WIDTHS, strict=True):
        sheet.column_dimensions[column].width = width
    sheet.freeze_panes = "A2"
    sheet.append(_head(sheet))
    written = 0
    for row in rows:
        written += 1
        if written > ROWS_MAX:
            raise TooManyRows(f"a workbook holds {ROWS_MAX} rows, and there are more; use csv")
        sheet.append(_cells(sheet, row))
    sheet.auto_filter.ref = f"A1:G{written + 1}"
    book.save(stream)
    return written


def _head(sheet: "WriteOnlyWorksheet") -> "Iterator[Cell]":
    from openpyxl.cell import WriteOnlyCell  # noqa: PLC0415 - as above
    from openpyxl.styles import Font  # noqa: PLC0415 - as above

    for name in COLUMNS:
        cell = WriteOnlyCell(sheet, name)
        cell.font = Font(bold=True)
        yield cell


def _cells(sheet: "WriteOnlyWorksheet", row: Cells) -> "Iterator[Cell]":
    from openpyxl.cell import WriteOnlyCell  # noqa: PLC0415 - as above

    for value in astuple(row):
        cell = WriteOnlyCell(sheet, value)
        if isinstance(value, str):
            # A text that begins like a formula would be taken for one.
            cell.data_type = "s"
            cell.quotePrefix = True
        yield cell
