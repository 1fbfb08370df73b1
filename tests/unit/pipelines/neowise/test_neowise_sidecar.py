import threading
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy_healpix import healpy

from pipelines.neowise import sidecar as sidecar_module
from pipelines.neowise.catalogue import Catalogue, CatalogueAccess, open_catalogue
from pipelines.neowise.columns import NSIDE, SIDECAR_SCHEMA
from pipelines.neowise.healpix import pixels_of
from pipelines.neowise.leaf import read_leaf
from pipelines.neowise.matching import Matches
from pipelines.neowise.positions import Positions
from pipelines.neowise.sidecar import Bounds, SidecarWritten, write_sidecar
from pipelines.neowise.sphere import offset_points
from shared.errors import EndpointRefused, UsageError
from tests.support.neowise import detection, local_catalogue, positions, write_rows

ARCSEC = 1 / 3600


def _run(
    root: Path,
    where: Positions,
    *years: str,
    radius: float = 5.0,
    catalogue: Catalogue | None = None,
) -> SidecarWritten:
    return write_sidecar(
        where,
        catalogue or local_catalogue(root / "sky", *years),
        root / "out",
        radius_arcsec=radius,
        bounds=Bounds(pixels=2, leaves=3),
    )


def _table(root: Path) -> dict[str, list[object]]:
    table = pq.read_table(root / "out" / "neowise_se_flags_ALL.parquet")
    assert table.schema.equals(SIDECAR_SCHEMA)
    return table.to_pydict()  # type: ignore[no-any-return]


PLACES = [(10.0, 89.99), (200.0, -89.99), (0.0, 0.0), (360.0, 30.0), (45.0, 90.0), (7.0, -90.0)]


@pytest.mark.parametrize("angle", [0.0, 60.0, 90.0, 135.0, 180.0, 270.0, 359.0])
@pytest.mark.parametrize(("ra", "dec"), PLACES)
def test_a_match_is_found_wherever_it_lies(
    tmp_path: Path, ra: float, dec: float, angle: float
) -> None:
    """In every direction, 4.99 arcseconds away is within five and 5.01 is not."""
    start = np.array([ra]), np.array([dec])
    rows = []
    for cntr, away in ((1, 4.99), (2, 5.01)):
        moved = offset_points(*start, np.array([away]), np.array([angle]))
        rows.append(detection(float(moved[0][0]), float(moved[1][0]), cntr))
    write_rows(tmp_path / "sky", rows)

    written = _run(tmp_path, positions((ra, dec)))

    assert written.matched == 1
    assert _table(tmp_path)["cntr"] == [1]


def test_the_closest_is_found_across_pixel_corners(tmp_path: Path) -> None:
    """Three or four pixels may hold the answer; the row says where the position itself lies."""
    corners = healpy.boundaries(NSIDE, np.arange(0, 12288, 700), step=1, nest=True)[:, :, 0]
    ra = np.degrees(np.arctan2(corners[:, 1], corners[:, 0])) % 360
    dec = np.degrees(np.arctan2(corners[:, 2], np.hypot(corners[:, 0], corners[:, 1])))
    rows, cntr = [], 0
    closest: list[int] = []
    for number in range(len(ra)):
        start = np.full(8, ra[number]), np.full(8, dec[number])
        away = np.full(8, 4.0)
        away[number % 8] = 3.9
        around = offset_points(*start, away, np.linspace(20.0, 335.0, 8))
        closest.append(cntr + number % 8)
        for place in zip(around[0].tolist(), around[1].tolist(), strict=True):
            rows.append(detection(*place, cntr))
            cntr += 1
    write_rows(tmp_path / "sky", rows)
    where = positions(*zip(ra.tolist(), dec.tolist(), strict=True))

    written = _run(tmp_path, where)

    table = _table(tmp_path)
    assert written.pixels > len(ra) * 2
    assert table["cntr"] == closest
    assert table["healpix_k5"] == pixels_of(where.ra_deg, where.dec_deg).tolist()


def test_ties_go_to_the_earlier_then_to_the_smaller_cntr(tmp_path: Path) -> None:
    """Two runs must give the same answer; the ties lie in other years, and on other sides."""
    write_rows(
        tmp_path / "sky",
        [detection(10.0, 1.0 + ARCSEC, 5, mjd=57001.0), detection(20.0, 1.0 + ARCSEC, 9)],
        year="year1",
    )
    write_rows(
        tmp_path / "sky",
        [detection(10.0, 1.0 - ARCSEC, 7, mjd=57000.0), detection(20.0, 1.0 - ARCSEC, 8)],
        year="year2",
    )

    _run(tmp_path, positions((10.0, 1.0), (20.0, 1.0)), "year1", "year2")

    assert _table(tmp_path)["cntr"] == [7, 8]


def test_a_detection_that_occurs_twice_is_there_once(tmp_path: Path) -> None:
    """The addendum repeats rows of the years."""
    for year in ("year1", "addendum"):
        write_rows(tmp_path / "sky", [detection(10.0, 1.0, 5)] * 2, year=year)

    _run(tmp_path, positions((10.0, 1.0)), "year1", "addendum")

    assert _table(tmp_path)["cntr"] == [5]


def test_one_detection_may_be_the_closest_of_two_positions(tmp_path: Path) -> None:
    """Each position is asked for itself, also where two are at the same place."""
    write_rows(tmp_path / "sky", [detection(10.0, 1.0, 5)])

    _run(tmp_path, positions((10.0, 1.0 + ARCSEC), (10.0, 1.0 - ARCSEC), (10.0, 1.0 + ARCSEC)))

    table = _table(tmp_path)
    assert table["cntr"] == [5, 5, 5]
    assert table["opt_source_id"] == ["p0", "p1", "p2"]
    assert table["sep_arcsec"] == pytest.approx([1.0, 1.0, 1.0])


def test_no_match_is_a_success(tmp_path: Path) -> None:
    """Most of the sky is empty, and a leaf that is missing says so."""
    written = _run(tmp_path, positions((10.0, 1.0)))

    assert written.matched == 0
    assert _table(tmp_path)["cntr"] == []


def test_a_root_without_any_year_is_not_the_catalogue(tmp_path: Path) -> None:
    """A wrong prefix or an unmounted disk must not look like an empty sky."""
    (tmp_path / "sky").mkdir()
    catalogue = open_catalogue(CatalogueAccess(str(tmp_path / "sky")), ("year1", "year2"))

    with pytest.raises(EndpointRefused, match="has none of year1, year2"):
        _run(tmp_path, positions((10.0, 1.0)), catalogue=catalogue)


class _Counting:
    """Stands in for `read_leaf` and counts."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.fail_at: int | None = None
        self._lock = threading.Lock()

    def __call__(self, catalogue: Catalogue, leaf: object, *rest: object) -> Matches:
        with self._lock:
            self.paths.append(leaf.path)  # type: ignore[attr-defined]  # a Leaf
            if self.fail_at is not None and len(self.paths) > self.fail_at:
                raise EndpointRefused("catalogue 's3://x': AWS Error NETWORK_CONNECTION")
        return read_leaf(catalogue, leaf, *rest)  # type: ignore[arg-type]  # passed on as they came


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> _Counting:
    """Count the leaves that are read."""
    counting = _Counting()
    monkeypatch.setattr(sidecar_module, "read_leaf", counting)
    return counting


def _many(root: Path) -> Positions:
    places = [(10.0 + 5 * number, 1.0) for number in range(6)]
    rows = [detection(ra, dec + ARCSEC, number) for number, (ra, dec) in enumerate(places)]
    write_rows(root / "sky", rows)
    return positions(*places)


def test_a_leaf_is_read_once_and_its_neighbours_never(tmp_path: Path, reads: _Counting) -> None:
    """The original reads nine pixels for one, again and again."""
    where = _many(tmp_path)
    write_rows(tmp_path / "sky", [detection(12.5, 1.0, 99)])

    _run(tmp_path, where)

    assert len(reads.paths) == len(set(reads.paths)) == 6


def test_finished_pixels_are_not_read_again(tmp_path: Path, reads: _Counting) -> None:
    """A spot instance may go at any time; what it had finished is kept."""
    where = _many(tmp_path)
    reads.fail_at = 4
    with pytest.raises(EndpointRefused):
        _run(tmp_path, where)
    shards = len(list((tmp_path / "out" / "tmp").glob("k5=*.parquet")))
    reads.fail_at, reads.paths = None, []

    written = _run(tmp_path, where)

    assert 0 < shards < 6
    assert written.resumed == shards
    assert len(reads.paths) == 6 - shards
    assert _table(tmp_path)["cntr"] == list(range(6))


def test_no_leaf_is_begun_after_a_failure(tmp_path: Path, reads: _Counting) -> None:
    """The run has failed; a dozen years more would be read for nothing."""
    years = [f"year{number}" for number in range(1, 7)]
    for year in years:
        write_rows(tmp_path / "sky", [detection(10.0, 1.0, 1)], year=year)
    reads.fail_at = 0

    with pytest.raises(EndpointRefused):
        write_sidecar(
            positions((10.0, 1.0)),
            local_catalogue(tmp_path / "sky", *years),
            tmp_path / "out",
            radius_arcsec=5.0,
            bounds=Bounds(pixels=1, leaves=1),
        )

    assert len(reads.paths) == 1


def test_nothing_is_there_under_the_final_name_after_a_failure(
    tmp_path: Path, reads: _Counting
) -> None:
    """Who sees the table relies on it."""
    where = _many(tmp_path)
    reads.fail_at = 0

    with pytest.raises(EndpointRefused):
        _run(tmp_path, where)

    assert not (tmp_path / "out" / "neowise_se_flags_ALL.parquet").exists()


@pytest.mark.parametrize("how", ["torn", "empty", "other radius", "other years", "moved", "junk"])
def test_a_shard_made_from_something_else_is_made_anew(
    tmp_path: Path, reads: _Counting, how: str
) -> None:
    """A leftover of another question must not answer this one."""
    where = _many(tmp_path)
    _run(tmp_path, where)
    shards = sorted((tmp_path / "out" / "tmp").glob("k5=*.parquet"))
    radius, years = 5.0, ["year1"]
    content = {"torn": shards[0].read_bytes()[:-9], "empty": b"", "junk": b"x" * 99}.get(how)
    if content is not None:
        shards[0].write_bytes(content)
    elif how == "other radius":
        radius = 0.5
    elif how == "other years":
        years.append("year2")
    else:
        where = positions(*((ra, 1.0 + 2 * ARCSEC) for ra in where.ra_deg.tolist()))
    reads.paths = []

    written = _run(tmp_path, where, *years, radius=radius)

    assert len(reads.paths) == (1 if content is not None else 6)
    assert written.matched == (0 if how == "other radius" else 6)


def test_a_run_is_bounded_by_its_readers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row groups in memory are readers at work, and no more than were allowed."""
    where = _many(tmp_path)
    under_way, most = 0, 0
    lock = threading.Lock()

    def read(catalogue: Catalogue, leaf: object, *rest: object) -> Matches:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        try:
            return read_leaf(catalogue, leaf, *rest)  # type: ignore[arg-type]  # passed on
        finally:
            with lock:
                under_way -= 1

    monkeypatch.setattr(sidecar_module, "read_leaf", read)

    write_sidecar(
        where,
        local_catalogue(tmp_path / "sky"),
        tmp_path / "out",
        radius_arcsec=5.0,
        bounds=Bounds(pixels=6, leaves=2),
    )

    assert most <= 2


def test_a_damaged_leaf_fails_the_run(tmp_path: Path) -> None:
    """An answer without that leaf would be wrong and look right."""
    where = _many(tmp_path)
    (leaf, *_) = sorted((tmp_path / "sky").rglob("part0*"))
    leaf.write_bytes(b"PAR1")

    with pytest.raises(UsageError, match="no usable Parquet file"):
        _run(tmp_path, where)
