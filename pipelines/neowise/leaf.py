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
from pipelines.neowise.matching import Matcher, Matches, Pairs, closest, joined
from pipelines.neowise.sphere import ARCSEC_A_DEGREE, Flags, Floats, Integers, ra_reach_deg
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
    reach = radius_arcsec * 1.01
    across = ra_reach_deg(dec_deg, reach)
    matcher = Matcher(ra_deg, dec_deg, radius_arcsec)
    return Region(matcher, ra_deg, dec_deg, across, reach / ARCSEC_A_DEGREE)


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
        names = set(file.schema_arrow.names)
        lacking = [name for name in CATALOGUE_COLUMNS if name not in names]
        if lacking:
            named = ", ".join(map(repr, lacking))
            raise UsageError(f"catalogue file {leaf.path!r} has no column {named}")
        for group in promising_groups(file, region):
            if not go_on():
                raise Stopped
            near = _near(file, group, region.matcher)
            if len(near.rows):
                parts.append(closest(_surviving(file, group, near)))
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


@dataclass(frozen=True, slots=True)
class _Near:
    """What lies near positions in a row group: its rows, and the pairs by their place in `rows`."""

    rows: Integers
    ra: Floats
    dec: Floats
    pairs: Pairs


def _near(file: pq.ParquetFile, group: int, matcher: Matcher) -> _Near:
    """Match a row group's coordinates."""
    parts: list[_Near] = []
    start, known = 0, 0
    for batch in _batches(file, group, _COORDINATES):
        ra, dec = _floats(batch, "ra"), _floats(batch, "dec")
        pairs = matcher.pairs(ra, dec)
        rows, place = np.unique(pairs.detection, return_inverse=True)
        numbered = Pairs(pairs.position, place + known, pairs.separation_nas)
        parts.append(_Near(rows + start, ra[rows], dec[rows], numbered))
        start += batch.num_rows
        known += len(rows)
    return _Near(
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.ra for part in parts]),
        np.concatenate([part.dec for part in parts]),
        Pairs(
            np.concatenate([part.pairs.position for part in parts]),
            np.concatenate([part.pairs.detection for part in parts]),
            np.concatenate([part.pairs.separation_nas for part in parts]),
        ),
    )


def _surviving(file: pq.ParquetFile, group: int, near: _Near) -> Matches:
    """Read the near rows' other columns and keep the pairs whose detection passes the gates."""
    kept: list[pa.Table] = []
    new_place = np.full(len(near.rows), -1, np.int64)
    start, count = 0, 0
    for batch in _batches(file, group, _REST):
        begin, end = np.searchsorted(near.rows, (start, start + batch.num_rows))
        wanted = batch.take(pa.array(near.rows[begin:end] - start))
        passed = np.flatnonzero(gate_rows(wanted))
        places = passed + begin
        new_place[places] = np.arange(count, count + len(places))
        kept.append(as_detections(wanted.take(pa.array(passed)), near.ra[places], near.dec[places]))
        start += batch.num_rows
        count += len(places)
    detection = new_place[near.pairs.detection]
    alive = detection >= 0
    return Matches(
        near.pairs.position[alive],
        near.pairs.separation_nas[alive],
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


def as_detections(batch: pa.RecordBatch, ra: Floats, dec: Floats) -> pa.Table:
    """Return rows that passed the gates in the types of every output."""
    ready = {
        "ra": pa.array(ra),
        "dec": pa.array(dec),
        "moon_masked": pa.array([MOON_FREE] * batch.num_rows, pa.string()),
    }
    columns = [
        ready[field.name] if field.name in ready else batch.column(field.name).cast(field.type)
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
