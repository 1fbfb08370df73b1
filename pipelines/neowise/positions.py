"""The optical positions of a seed folder, in the order of its files and rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.neowise.disk import one_line, read_table, told_about
from pipelines.neowise.sphere import Floats
from shared.errors import UsageError

_NEEDED = ("opt_ra_deg", "opt_dec_deg", "source_id")
_OPTIONAL = ("row_id",)


@dataclass(frozen=True, slots=True)
class Positions:
    """Where to look, and what the places are called; all sequences are equally long."""

    ra_deg: Floats
    dec_deg: Floats
    source_ids: Sequence[str]
    row_ids: Sequence[str]

    def __len__(self) -> int:
        return len(self.source_ids)


def seed_files(root: Path) -> list[Path]:
    """Return the Parquet files of a seed folder (or the one file that was named), sorted."""
    if root.is_file():
        return [root]
    with told_about(root, "read"):
        found = sorted(
            path
            for path in root.rglob("*.parquet")
            if path.is_file() and not path.name.startswith((".", "_"))
        )
    if not found:
        raise UsageError(f"{str(root)!r} holds no seed; a folder with *.parquet is needed")
    return found


def load_positions(root: Path) -> Positions:
    """Read a seed folder; UsageError says which file, row and column cannot be used."""
    parts = [_load(path) for path in seed_files(root)]
    return Positions(
        np.concatenate([part.ra_deg for part in parts]),
        np.concatenate([part.dec_deg for part in parts]),
        [name for part in parts for name in part.source_ids],
        [name for part in parts for name in part.row_ids],
    )


def _load(path: Path) -> Positions:
    table = read_table(path, _NEEDED, _OPTIONAL)
    source_ids = _texts(path, table, "source_id")
    row_ids = _texts(path, table, "row_id") if "row_id" in table.column_names else source_ids
    seen: dict[str, int] = {}
    for row, name in enumerate(source_ids, 1):
        if seen.setdefault(name, row) != row:
            raise UsageError(
                f"{str(path)!r}: row {row}, column 'source_id': {name!r} is in row {seen[name]} too"
            )
    return Positions(
        _degrees(path, table, "opt_ra_deg", (0.0, 360.0)),
        _degrees(path, table, "opt_dec_deg", (-90.0, 90.0)),
        source_ids,
        row_ids,
    )


def _texts(path: Path, table: pa.Table, name: str) -> list[str]:
    column = _cast(path, table, name, pa.string())
    if column.null_count:
        row = column.is_null().to_pylist().index(True) + 1
        raise UsageError(f"{str(path)!r}: row {row}, column {name!r}: there is no value")
    return [str(value) for value in column.to_pylist()]


def _degrees(path: Path, table: pa.Table, name: str, limits: tuple[float, float]) -> Floats:
    column = _cast(path, table, name, pa.float64())
    values: Floats = np.asarray(pc.fill_null(column, float("nan")).to_numpy(), np.float64)
    low, high = limits
    wrong = np.flatnonzero(~((values >= low) & (values <= high)))
    if len(wrong):
        row = int(wrong[0])
        raise UsageError(
            f"{str(path)!r}: row {row + 1}, column {name!r}: {float(values[row])!r} "
            f"is not from {low:g} to {high:g} degrees"
        )
    return values


def _cast(path: Path, table: pa.Table, name: str, kind: pa.DataType) -> pa.ChunkedArray:
    try:
        return table.column(name).cast(kind)
    except pa.ArrowException as error:
        raise UsageError(f"{str(path)!r}: column {name!r}: {one_line(error)}") from error
