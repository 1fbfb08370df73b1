import csv
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from astropy import units
from astropy.coordinates import SkyCoord

from pipelines.neowise.catalogue import CatalogueAccess, open_catalogue
from pipelines.neowise.closest import write_closest
from pipelines.neowise.positions import Positions, load_positions
from pipelines.neowise.seeds import write_seed
from pipelines.neowise.sidecar import Bounds, write_sidecar
from pipelines.neowise.sky import DEMO_FIELDS, Sky, SkyPlan, chunk_csv, points_in_cap, write_sky

YEARS = ("year1", "year2", "addendum")
PLAN = SkyPlan(DEMO_FIELDS, years=YEARS, background=60_000, row_group_rows=512, extra_columns=1)
BOUNDS = Bounds(pixels=2, leaves=4)
MOST_POSITIONS = 3000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the module's sky lies."""
    return tmp_path_factory.mktemp("sky")


@pytest.fixture(scope="module")
def sky(folder: Path) -> Sky:
    """Make one sky for the module."""
    return write_sky(folder, PLAN)


def test_every_planted_match_is_found_and_nothing_else(
    sky: Sky, folder: Path, tmp_path: Path
) -> None:
    """Equator, RA 0, both poles, far south, and where faces meet: row for row the truth."""
    catalogue = open_catalogue(CatalogueAccess(str(folder)), YEARS)
    for truth in sky.truths:
        chunk = tmp_path / f"positions_chunk_{truth.cid}.csv"
        chunk.write_bytes(chunk_csv(truth))
        seed = write_seed(chunk, truth.cid, tmp_path / "seeds").path.parent
        found = write_sidecar(
            load_positions(seed),
            catalogue,
            tmp_path / truth.cid,
            radius_arcsec=5.0,
            bounds=BOUNDS,
        )

        (written,) = write_closest(found.path, seed, tmp_path / "answers", row_id_float=True)

        with written.table.open() as stream:
            rows = list(csv.DictReader(stream))
        matched = truth.matched.nonzero()[0].tolist()
        assert [row["row_id"] for row in rows] == [truth.ids[number] for number in matched]
        assert [int(row["cntr"]) for row in rows] == truth.cntr[matched].tolist()


def test_the_closest_are_those_of_astropy(sky: Sky, folder: Path, tmp_path: Path) -> None:
    """Positions anywhere in the fields, poles and wrap included; no tie among them.

    The bench does the same with 20,000 positions and 20 million detections.
    """
    chance = np.random.default_rng(5)
    each = MOST_POSITIONS // len(DEMO_FIELDS)
    places = [
        points_in_cap(one.ra_deg, one.dec_deg, one.radius_deg / 4, each, chance)
        for one in DEMO_FIELDS
    ]
    ra = np.concatenate([place[0] for place in places])
    dec = np.concatenate([place[1] for place in places])
    where = Positions(ra, dec, *([str(number) for number in range(len(ra))],) * 2)
    radius = 60.0  # so that most positions have several detections to choose from

    found = write_sidecar(
        where,
        open_catalogue(CatalogueAccess(str(folder)), YEARS),
        tmp_path,
        radius_arcsec=radius,
        bounds=BOUNDS,
    )

    ours = pq.read_table(found.path)
    field = ds.field
    rows = ds.dataset(str(folder), format="parquet").to_table(
        columns=["ra", "dec", "cntr"],
        filter=(field("qual_frame") > 0)
        & (field("qi_fact") > 0)
        & (field("saa_sep") > 0)
        & (field("w1snr") >= 5)
        & (field("mjd") <= 59198)
        & (field("moon_masked") == "00"),
    )
    all_ra, all_dec = rows.column("ra").to_numpy(), rows.column("dec").to_numpy()
    index, away, _ = SkyCoord(ra, dec, unit="deg").match_to_catalog_sky(
        SkyCoord(all_ra, all_dec, unit="deg")
    )
    within = np.flatnonzero(away.to_value(units.arcsec) <= radius)
    assert len(within) > MOST_POSITIONS / 10
    assert ours.column("opt_source_id").to_pylist() == [str(number) for number in within]
    theirs = rows.column("cntr").to_numpy()[index[within]]
    differing = np.flatnonzero(ours.column("cntr").to_numpy() != theirs)
    assert differing.tolist() == []
