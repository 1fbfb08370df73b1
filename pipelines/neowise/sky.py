"""A made-up sky: a catalogue in the real layout, chunks of positions, and the known truth.

The truth is known by construction and not by matching: what is planted around a position lies at a
chosen separation and angle, and nothing else is left within reach. Decoys that are closer than the
true match fail one gate each, and some matches come twice, with another copy in another year.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.spatial import KDTree

from pipelines.neowise.catalogue import leaf_folder
from pipelines.neowise.columns import LAST_MJD, PIXELS
from pipelines.neowise.disk import told_about
from pipelines.neowise.healpix import pixels_of
from pipelines.neowise.sphere import Floats, Integers, chord_of, offset_points, unit_vectors
from shared.files import make_folders

Table = dict[str, np.ndarray[tuple[int], np.dtype[np.generic]]]

_CLEAR_ARCSEC = 30.0
"""No background detection is nearer to a position than this."""
_DECOYS = ("qual_frame", "qi_fact", "saa_sep", "w1snr", "mjd", "moon_masked")
_FIRST_MJD = 56_639.0
_MJD_A_YEAR = 365.25
_EXTRA_COLUMNS = 24
"""Columns nobody asks for, as the real table has more than a hundred."""


@dataclass(frozen=True, slots=True)
class Field:
    """A round patch of sky that belongs to one chunk."""

    cid: str
    ra_deg: float
    dec_deg: float
    radius_deg: float
    positions: int


@dataclass(frozen=True, slots=True)
class SkyPlan:
    """What to make; the same plan makes the same sky."""

    fields: Sequence[Field]
    years: Sequence[str] = ("year1", "year2", "year3", "addendum")
    background: int = 100_000
    """Detections that belong to no position, all fields and years together."""
    matched_share: float = 0.7
    """Share of the positions that have a true match."""
    epochs: int = 4
    """Further detections of a matched source, farther away than the true one."""
    row_group_rows: int = 8_192
    seed: int = 1
    extra_columns: int = _EXTRA_COLUMNS
    margin_deg: float = 0.1
    """How far the background goes beyond the positions."""
    pixels: frozenset[int] = field(default=frozenset())
    """Only these partitions are written; empty: all that hold something."""


@dataclass(frozen=True, slots=True)
class Truth:
    """For each position of a chunk its identifier and place, and the match if there is one."""

    cid: str
    ids: Sequence[str]
    ra_deg: Floats
    dec_deg: Floats
    matched: np.ndarray[tuple[int], np.dtype[np.bool_]]
    cntr: Integers
    """Of the true match; -1 without one."""
    separation_arcsec: Floats
    """Of the true match; NaN without one."""


@dataclass(frozen=True, slots=True)
class Sky:
    """What was made."""

    truths: Sequence[Truth]
    detections: int
    leaves: int


DEMO_FIELDS = (
    Field("00001", 150.1, 0.2, 1.2, 300),
    Field("00002", 0.0, 12.0, 0.8, 300),
    Field("00003", 210.0, 89.3, 0.7, 300),
    Field("00004", 83.6, -66.0, 1.0, 300),
    Field("00005", 359.9, -89.8, 0.2, 200),
    Field("00006", 45.0, 41.8103, 0.6, 300),
)
"""Equator, RA 0, both poles, far south, and where base pixels meet."""


def write_sky(root: Path, plan: SkyPlan) -> Sky:
    """Write the catalogue below a folder (the catalogue's root) and return the truth."""
    chance = np.random.default_rng(plan.seed)
    numbers = _Numbers(10**12 * (1 + plan.seed))
    truths, tables = [], []
    for one in plan.fields:
        truth, planted = _plant(one, plan, chance, numbers)
        truths.append(truth)
        tables.append(planted)
    tables.append(_background(plan, truths, chance, numbers))
    table = {name: np.concatenate([part[name] for part in tables]) for name in tables[0]}
    leaves = _write_leaves(root, table, plan, chance)
    return Sky(truths, len(table["cntr"]), leaves)


def chunk_csv(truth: Truth) -> bytes:
    """Return a chunk's CSV, as the astronomers have it."""
    lines = ["row_id,in_ra,in_dec"]
    lines += [
        f"{name},{ra!r},{dec!r}"
        for name, ra, dec in zip(
            truth.ids, truth.ra_deg.tolist(), truth.dec_deg.tolist(), strict=True
        )
    ]
    return ("\n".join(lines) + "\n").encode()


class _Numbers:
    """Hands out `cntr`, unique over the whole catalogue and among skies of other seeds."""

    def __init__(self, first: int) -> None:
        self._next = first

    def take(self, count: int) -> Integers:
        first = self._next
        self._next += count
        return np.arange(first, first + count, dtype=np.int64)


def points_in_cap(
    ra_deg: float, dec_deg: float, radius_deg: float, count: int, chance: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return points spread evenly over a round patch of sky."""
    height = chance.uniform(np.cos(np.radians(radius_deg)), 1.0, count)
    away = np.degrees(np.arccos(height)) * 3600.0
    return offset_points(
        np.full(count, ra_deg), np.full(count, dec_deg), away, chance.uniform(0, 360, count)
    )


def _spread_out(one: Field, chance: np.random.Generator) -> tuple[Floats, Floats]:
    """Return positions of which no two are within reach of each other's detections."""
    ra, dec = points_in_cap(one.ra_deg, one.dec_deg, one.radius_deg, one.positions * 2, chance)
    close = KDTree(unit_vectors(ra, dec)).query_pairs(
        chord_of(_CLEAR_ARCSEC), output_type="ndarray"
    )
    keep = np.setdiff1d(np.arange(len(ra)), close[:, 1])[: one.positions]
    return ra[keep], dec[keep]


def _plant(
    one: Field, plan: SkyPlan, chance: np.random.Generator, numbers: _Numbers
) -> tuple[Truth, Table]:
    """Make a chunk's positions and everything around them."""
    ra, dec = _spread_out(one, chance)
    count = len(ra)
    matched = chance.random(count) < plan.matched_share
    # Some are found only because a circle is a circle at every declination.
    separation = np.where(matched, 4.9 * np.sqrt(chance.random(count)) + 0.01, np.nan)
    separation[matched & (np.arange(count) % 37 == 0)] = 4.999
    owners = np.flatnonzero(matched)
    truth_rows = _around(ra[owners], dec[owners], separation[owners], plan, chance, numbers)
    tables = [truth_rows, *_others(ra, dec, separation, plan, chance, numbers)]
    tables.append(_copies(truth_rows, plan, chance))
    table = {name: np.concatenate([part[name] for part in tables]) for name in truth_rows}
    cntr = np.full(count, -1, np.int64)
    cntr[owners] = truth_rows["cntr"]
    # Seventeen digits: an identifier that no float can hold.
    first = int(one.cid) * 10**12 + 10**16
    ids = [str(first + number) for number in range(count)]
    return Truth(one.cid, ids, ra, dec, matched, cntr, separation), table


def _others(
    ra: Floats,
    dec: Floats,
    separation: Floats,
    plan: SkyPlan,
    chance: np.random.Generator,
    numbers: _Numbers,
) -> Iterator[Table]:
    """Yield what must not be taken: later epochs farther away, decoys nearer, and near misses."""
    owners = np.flatnonzero(~np.isnan(separation))
    for _ in range(plan.epochs):
        away = separation[owners] + chance.uniform(0.001, 3.0, len(owners))
        yield _around(ra[owners], dec[owners], away, plan, chance, numbers)
    near = np.where(np.isnan(separation), 2.5, separation)
    for gate in _DECOYS:
        decoy = _around(ra, dec, near * 0.5, plan, chance, numbers)
        _fail(decoy, gate)
        yield decoy
    lonely = np.flatnonzero(np.isnan(separation))
    yield _around(ra[lonely], dec[lonely], np.full(len(lonely), 5.001), plan, chance, numbers)


def _fail(table: Table, gate: str) -> None:
    """Make every row fail one gate."""
    count = len(table["cntr"])
    table[gate] = {
        "qual_frame": np.zeros(count, np.int32),
        "qi_fact": np.zeros(count, np.float32),
        "saa_sep": np.full(count, -1, np.float32),
        "w1snr": np.full(count, 4.99, np.float32),
        "mjd": np.full(count, LAST_MJD + 0.5),
        "moon_masked": np.full(count, "01"),
    }[gate]


def _copies(table: Table, plan: SkyPlan, chance: np.random.Generator) -> Table:
    """Return some rows once more, for another year."""
    chosen = chance.random(len(table["cntr"])) < 0.05  # noqa: PLR2004 - a few of them
    copy = {name: column[chosen].copy() for name, column in table.items()}
    copy["year"] = (copy["year"] + 1) % len(plan.years)
    return copy


def _around(
    ra: Floats,
    dec: Floats,
    away: Floats,
    plan: SkyPlan,
    chance: np.random.Generator,
    numbers: _Numbers,
) -> Table:
    """Return one good detection at a separation of each point."""
    return _detections(
        *offset_points(ra, dec, away, chance.uniform(0, 360, len(ra))), plan, chance, numbers
    )


def _detections(
    ra: Floats, dec: Floats, plan: SkyPlan, chance: np.random.Generator, numbers: _Numbers
) -> Table:
    """Return detections at places, good enough for every gate."""
    count = len(ra)
    year = chance.integers(0, len(plan.years), count)
    mjd = _FIRST_MJD + chance.uniform(0, LAST_MJD - _FIRST_MJD, count)
    return {
        "ra": ra,
        "dec": dec,
        "cntr": numbers.take(count),
        "mjd": mjd,
        "w1snr": chance.uniform(5.1, 40, count).astype(np.float32),
        "w2snr": chance.uniform(0, 20, count).astype(np.float32),
        "qual_frame": chance.choice(np.array([5, 10], np.int32), count),
        "qi_fact": chance.choice(np.array([0.5, 1.0], np.float32), count),
        "saa_sep": chance.uniform(1, 90, count).astype(np.float32),
        "moon_masked": np.full(count, "00"),
        "year": year,
    }


def _background(
    plan: SkyPlan, truths: Sequence[Truth], chance: np.random.Generator, numbers: _Numbers
) -> Table:
    """Return detections all over the fields, none near a position."""
    share = plan.background // len(plan.fields)
    places = [
        points_in_cap(one.ra_deg, one.dec_deg, one.radius_deg + plan.margin_deg, share, chance)
        for one in plan.fields
    ]
    ra = np.concatenate([place[0] for place in places])
    dec = np.concatenate([place[1] for place in places])
    positions = unit_vectors(
        np.concatenate([truth.ra_deg for truth in truths]),
        np.concatenate([truth.dec_deg for truth in truths]),
    )
    near, _ = KDTree(positions).query(
        unit_vectors(ra, dec), distance_upper_bound=chord_of(_CLEAR_ARCSEC)
    )
    clear = ~np.isfinite(near)
    table = _detections(ra[clear], dec[clear], plan, chance, numbers)
    # A part of it lies beyond the last day, in whole leaves where the year is late.
    late = chance.random(len(table["mjd"])) < 0.1  # noqa: PLR2004 - a few of them
    table["mjd"][late] = LAST_MJD + 1.0
    return table


def _write_leaves(root: Path, table: Table, plan: SkyPlan, chance: np.random.Generator) -> int:
    """Write every pixel and year, and return how many leaves there are."""
    pixel = pixels_of(np.asarray(table["ra"], np.float64), np.asarray(table["dec"], np.float64))
    key = np.asarray(table["year"], np.int64) * PIXELS + pixel
    order = np.lexsort((table["dec"], key))
    key = key[order]
    starts = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1])))
    leaves = 0
    for start, end in zip(starts, [*starts[1:], len(key)], strict=True):
        year, number = divmod(int(key[start]), PIXELS)
        if plan.pixels and number not in plan.pixels:
            continue
        rows = order[start:end]
        write_leaf(root, plan.years[year], number, leaf_table(table, rows, plan, chance), plan)
        leaves += 1
    return leaves


def leaf_table(
    table: Mapping[str, np.ndarray[tuple[int], np.dtype[np.generic]]],
    rows: Integers,
    plan: SkyPlan,
    chance: np.random.Generator,
) -> pa.Table:
    """Return a leaf's rows with the columns that a real one has, and others that nobody reads."""
    cntr = table["cntr"][rows]
    # Some years of the catalogue have the mask as text, some as a number.
    columns = {
        "source_id": pa.array([f"{number:020d}w" for number in cntr.tolist()]),
        **{name: pa.array(table[name][rows]) for name in table if name != "year"},
    }
    for number in range(plan.extra_columns):
        columns[f"extra_{number:02d}"] = pa.array(chance.random(len(rows), np.float32))
    return pa.table(columns)


def write_leaf(root: Path, year: str, pixel: int, table: pa.Table, plan: SkyPlan) -> None:
    """Write one leaf."""
    path = root / leaf_folder(year, pixel) / "part0.snappy.parquet"
    with told_about(path, "written"):
        make_folders(path.parent)
        pq.write_table(table, path, row_group_size=plan.row_group_rows, compression="snappy")
