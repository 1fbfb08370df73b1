"""Read out of one leaf what may matter, and no more of it.

A leaf is read one row group at a time, and of a row group one batch at a time: what is held does
not grow with the leaf. Of each row group,

1. statistics say whether it can hold anything at all: gates, and the boxes around the circles;
2. `ra` and `dec` are read, and matched with the positions;
3. where something matched, the other columns are read, and the matched rows go through the gates.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.neowise.catalogue import Catalogue, Leaf
from pipelines.neowise.columns import (
    CATALOGUE_COLUMNS,
    DETECTION_SCHEMA,
    GATES,
    MOON_FREE,
    MOON_FREE_TEXTS,
)
from pipelines.neowise.matching import NO_PAIRS, Matcher, Matches, Pairs, closest, joined
from pipelines.neowise.sphere import ARCSEC_A_DEGREE, Flags, Floats
from shared.errors import UsageError

BATCH_ROWS = 65_536
"""Rows decoded at once by one reader."""

NO_DETECTIONS = DETECTION_SCHEMA.empty_table()
_COORDINATES = ("ra", "dec")
_REST = tuple(name for name in CATALOGUE_COLUMNS if name not in _COORDINATES)


class Stopped(Exception):
    """Somebody asked for the reading to end."""


@dataclass(frozen=True, slots=True)
class Region:
    """The positions of one pixel, and the box around each one's circle."""

    matcher: Matcher
    ra_deg: Floats
    dec_deg: Floats
    ra_reach: Floats
    """Degrees to either side; 180 where the circle holds a pole."""
    dec_reach: float

    def reaches(self, ra: tuple[float, float] | None, dec: tuple[float, float] | None) -> bool:
        """Whether a circle may hold a point of the ranges; None is any value."""
        near = np.ones(len(self.dec_deg), np.bool_)
        if dec is not None:
            near &= self.dec_deg + self.dec_reach >= dec[0]
            near &= self.dec_deg - self.dec_reach <= dec[1]
        if ra is not None:
            # From the middle of the range, the shorter way round.
            away = np.abs(np.mod(self.ra_deg - (ra[0] + ra[1]) / 2 + 180.0, 360.0) - 180.0)
            near &= away <= (ra[1] - ra[0]) / 2 + self.ra_reach
        return bool(near.any())


def make_region(ra_deg: Floats, dec_deg: Floats, radius_arcsec: float) -> Region:
    """Return the region of some positions."""
    # One per cent more than the radius: statistics only ever save work.
    reach = radius_arcsec * 1.01 / ARCSEC_A_DEGREE
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.sin(np.radians(reach)) / np.cos(np.radians(dec_deg))
        ra_reach = np.where(ratio < 1.0, np.degrees(np.arcsin(ratio)) * 1.01, 180.0)
    ra_reach = np.where(np.abs(dec_deg) + reach >= 90.0, 180.0, ra_reach)  # noqa: PLR2004 - a pole
    return Region(Matcher(ra_deg, dec_deg, radius_arcsec), ra_deg, dec_deg, ra_reach, reach)


def read_leaf(
    catalogue: Catalogue,
    leaf: Leaf,
    region: Region,
    go_on: Callable[[], bool] = lambda: True,
) -> Matches:
    """Return the closest surviving detection of each position that has one in this leaf.

    Raises:
        Stopped: `go_on` said no.
        EndpointRefused: the catalogue cannot be reached.
        UsageError: the leaf lacks a column or is damaged.
    """
    parts: list[Matches] = []
    with catalogue.open(leaf) as file:
        lacking = [name for name in CATALOGUE_COLUMNS if name not in file.schema_arrow.names]
        if lacking:
            named = ", ".join(map(repr, lacking))
            raise UsageError(f"catalogue file {leaf.path!r} has no column {named}")
        for group in promising_groups(file, region):
            if not go_on():
                raise Stopped
            pairs = _pairs_of(file, group, region.matcher)
            if len(pairs):
                parts.append(closest(_surviving(file, group, pairs)))
    return closest(joined(parts, NO_DETECTIONS))


def promising_groups(file: pq.ParquetFile, region: Region) -> Iterator[int]:
    """Yield the row groups that their statistics do not rule out."""
    names = {
        file.metadata.schema.column(index).path: index for index in range(file.metadata.num_columns)
    }
    for group in range(file.metadata.num_row_groups):
        facts = file.metadata.row_group(group)
        ranges = {
            name: _range(facts.column(names[name])) for name in (*_COORDINATES, *_gate_names())
        }
        if facts.num_rows and _may_pass(ranges) and region.reaches(ranges["ra"], ranges["dec"]):
            yield group


def _gate_names() -> tuple[str, ...]:
    return tuple(gate.column for gate in GATES)


def _range(column: pq.ColumnChunkMetaData) -> tuple[float, float] | None:
    """Return smallest and largest value, None where the file does not say."""
    facts = column.statistics
    if facts is None or not facts.has_min_max:
        return None
    try:
        low, high = float(facts.min), float(facts.max)
    except (TypeError, ValueError):
        return None
    return (low, high) if low <= high else None


def _may_pass(ranges: dict[str, tuple[float, float] | None]) -> bool:
    for gate in GATES:
        found = ranges[gate.column]
        if found is not None and gate.excluded(*found):
            return False
    return True


def _pairs_of(file: pq.ParquetFile, group: int, matcher: Matcher) -> Pairs:
    """Match a row group's coordinates; rows are counted within the group."""
    parts: list[Pairs] = []
    start = 0
    for batch in _batches(file, group, _COORDINATES):
        found = matcher.pairs(_floats(batch, "ra"), _floats(batch, "dec"))
        if len(found):
            parts.append(Pairs(found.position, found.detection + start, found.separation_nas))
        start += batch.num_rows
    if not parts:
        return NO_PAIRS
    return Pairs(
        np.concatenate([part.position for part in parts]),
        np.concatenate([part.detection for part in parts]),
        np.concatenate([part.separation_nas for part in parts]),
    )


def _surviving(file: pq.ParquetFile, group: int, pairs: Pairs) -> Matches:
    """Read the matched rows' other columns and keep the pairs whose detection passes the gates."""
    rows, which = np.unique(pairs.detection, return_inverse=True)
    kept: list[pa.Table] = []
    numbers: list[np.ndarray[tuple[int], np.dtype[np.int64]]] = []
    start = 0
    for batch in _batches(file, group, CATALOGUE_COLUMNS):
        begin, end = np.searchsorted(rows, (start, start + batch.num_rows))
        wanted = batch.take(pa.array(rows[begin:end] - start))
        passed = gate_rows(wanted)
        numbers.append(np.flatnonzero(passed) + begin)
        kept.append(as_detections(wanted.filter(pa.array(passed))))
        start += batch.num_rows
    new_number = np.full(len(rows), -1, np.int64)
    old_number = np.concatenate(numbers)
    new_number[old_number] = np.arange(len(old_number))
    detection = new_number[which]
    alive = detection >= 0
    return Matches(
        pairs.position[alive],
        pairs.separation_nas[alive],
        pa.concat_tables([NO_DETECTIONS, *kept]).take(pa.array(detection[alive])),
    )


def gate_rows(batch: pa.RecordBatch) -> Flags:
    """Say of each row whether it passes every gate."""
    passed = _moon_free(batch.column("moon_masked"))
    for gate in GATES:
        with np.errstate(invalid="ignore"):
            passed &= gate.fulfilled(_floats(batch, gate.column))
    # Without an identity a detection can be neither named nor ordered.
    passed &= ~np.asarray(batch.column("cntr").is_null().to_numpy(zero_copy_only=False), np.bool_)
    return passed


def _moon_free(column: pa.Array) -> Flags:
    """Read `00`, `0` or the number 0."""
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        free = pc.equal(column, 0)
    else:
        free = pc.is_in(column.cast(pa.string()), pa.array(MOON_FREE_TEXTS))
    return np.array(pc.fill_null(free, False).to_numpy(zero_copy_only=False), np.bool_)  # noqa: FBT003 - Arrow's own signature


def as_detections(batch: pa.RecordBatch) -> pa.Table:
    """Return rows that passed the gates in the types of every output."""
    columns = [
        pa.array([MOON_FREE] * batch.num_rows, pa.string())
        if field.name == "moon_masked"
        else batch.column(field.name).cast(field.type)
        for field in DETECTION_SCHEMA
    ]
    return pa.table(columns, schema=DETECTION_SCHEMA)


def _batches(
    file: pq.ParquetFile, group: int, columns: tuple[str, ...]
) -> Iterator[pa.RecordBatch]:
    """Yield a row group's batches; decoded in this thread, so that the readers are the bound."""
    yield from file.iter_batches(
        batch_size=BATCH_ROWS, row_groups=[group], columns=list(columns), use_threads=False
    )


def _floats(batch: pa.RecordBatch, name: str) -> Floats:
    """Return a column as numbers, NaN where there is no value."""
    column = batch.column(name).cast(pa.float64())
    return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)
