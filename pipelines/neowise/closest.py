"""The format step: the chunk's own seeds joined with the sidecar table, as the CSV of its CID."""

import csv
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from io import StringIO
from pathlib import Path

from pipelines.neowise.columns import (
    CLOSEST_COLUMNS,
    MOON_FREE,
    SIDECAR_SCHEMA,
    closest_name,
    parse_cid,
    report_name,
)
from pipelines.neowise.disk import read_table, told_about, write_file
from pipelines.neowise.positions import Positions, load_positions
from shared.errors import UsageError

_CHUNK_FOLDER = re.compile(r"chunk_([0-9]{5})")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_WHOLE_DIGITS = 16
_LONGEST_NUMBER = 64
_PLAIN = frozenset({"row_id", "cntr", "qual_frame", "moon_masked"})
"""Columns that are no floats."""

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ClosestWritten:
    """What the step made."""

    table: Path
    report: Path
    rows: int


def write_closest(
    sidecar: Path,
    optical_root: Path,
    out_folder: Path,
    *,
    cid: str | None = None,
    row_id_float: bool = False,
) -> list[ClosestWritten]:
    """Write a table and its report for the chunk of a seed folder, or for every `chunk_*` in it.

    Raises:
        UsageError: an input cannot be used, or does not say which CID it is.
    """
    matched = _load_sidecar(sidecar)
    written = []
    for folder, of_folder in _chunks(optical_root, cid):
        positions = load_positions(folder)
        rows = list(_joined(positions, matched, row_id_float=row_id_float))
        table = out_folder / closest_name(of_folder)
        report = out_folder / report_name(of_folder)
        write_file(table, render_rows(rows).encode())
        # The report last: beside a table, it says that the table is whole.
        write_file(report, render_report(len(rows)).encode())
        written.append(ClosestWritten(table, report, len(rows)))
    return written


def canonical_row_id(text: str) -> str:
    """Return `%.16g` of an identifier that is a number, where that is the very same number.

    | text                  | becomes             | because                                        |
    |-----------------------|---------------------|------------------------------------------------|
    | `17.0`, `1.70e1`, `17`| `17`                | the same number                                |
    | `12345678901234567`   | itself              | a float has no room for it                     |
    | `12345678901234560`   | itself              | more than 16 digits would get an exponent      |
    | `a#17`, `nan`, ` 17`  | itself              | no number                                      |
    """
    if len(text) > _LONGEST_NUMBER or not text.isascii() or not _NUMBER.fullmatch(text):
        return text
    if text.isdigit() and len(text) > _WHOLE_DIGITS:
        return text
    value = float(text)
    if not math.isfinite(value):
        return text
    short = f"{value:.16g}"
    return short if Decimal(short) == Decimal(text) else text


def render_rows(rows: Sequence[Row]) -> str:
    """Return the CSV, header first."""
    stream = StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CLOSEST_COLUMNS)
    for row in rows:
        writer.writerow([_written(name, row[name]) for name in CLOSEST_COLUMNS])
    return stream.getvalue()


def render_report(rows: int) -> str:
    """Return the qc.txt."""
    return f"rows={rows}\ncolumns={','.join(CLOSEST_COLUMNS)}\n"


def _written(name: str, value: object) -> str:
    """Write one value; what is missing is empty."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if name == "moon_masked" and str(value) in {"0", "0.0"}:
        return MOON_FREE
    if name in _PLAIN:
        return str(value)
    return f"{value:.10g}"


def _load_sidecar(path: Path) -> Mapping[str, Sequence[Row]]:
    """Return the rows of the sidecar table by their position's identifier."""
    table = read_table(path, tuple(SIDECAR_SCHEMA.names))
    found: dict[str, list[Row]] = {}
    for row in table.to_pylist():
        found.setdefault(str(row["opt_source_id"]), []).append(row)
    return found


def _joined(
    positions: Positions, matched: Mapping[str, Sequence[Row]], *, row_id_float: bool
) -> Iterator[Row]:
    """Yield the chunk's rows in the order of its seeds."""
    for number, source_id in enumerate(positions.source_ids):
        ra, dec = float(positions.ra_deg[number]), float(positions.dec_deg[number])
        candidates = matched.get(source_id, ())
        if len(candidates) > 1:
            # Row numbers as identifiers recur from chunk to chunk; the place tells them apart.
            here = (ra, dec)
            candidates = [
                row for row in candidates if (row["opt_ra_deg"], row["opt_dec_deg"]) == here
            ]
        for row in candidates[:1]:
            row_id = positions.row_ids[number]
            shown = canonical_row_id(row_id) if row_id_float else row_id
            yield {**row, "row_id": shown, "in_ra": ra, "in_dec": dec}


def _chunks(root: Path, cid: str | None) -> list[tuple[Path, str]]:
    """Return the seed folders to do and the CID of each."""
    if cid is not None:
        return [(root, cid)]
    if match := _CHUNK_FOLDER.fullmatch(root.absolute().name):
        return [(root, match[1])]
    with told_about(root, "read"):
        inner = sorted(path for path in root.iterdir() if path.is_dir())
    found = [(path, match[1]) for path in inner if (match := _CHUNK_FOLDER.fullmatch(path.name))]
    if not found:
        raise UsageError(
            f"{str(root)!r} does not say which CID it is; name a folder chunk_<CID> or give --cid"
        )
    return found


def checked_cid(text: str) -> str:
    """Return a CID from a command line; UsageError for anything else."""
    try:
        return parse_cid(text)
    except ValueError as error:
        raise UsageError(str(error)) from error
