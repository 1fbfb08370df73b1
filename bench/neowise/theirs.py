"""`python -m bench.neowise.theirs FOLDER`: astropy on the same rows, with its account.

The leaves of the years, and of no other pixel than those that hold positions, are read with the
same columns and gates by Arrow, so that only the matching differs.
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from astropy import units
from astropy.coordinates import SkyCoord

from bench.neowise.account import Account, save
from pipelines.neowise.catalogue import leaf_folder
from pipelines.neowise.columns import CATALOGUE_COLUMNS
from pipelines.neowise.pixels import pixels_touched
from pipelines.neowise.positions import load_positions

GATES = (
    (ds.field("qual_frame") > 0)
    & (ds.field("qi_fact") > 0)
    & (ds.field("saa_sep") > 0)
    & (ds.field("w1snr") >= 5)  # noqa: PLR2004 - the gate is the number
    & (ds.field("mjd") <= 59198)  # noqa: PLR2004 - the same
    & (ds.field("moon_masked") == "00")
)


def leaves(sky: Path, years: list[str], pixels: list[int]) -> list[Path]:
    """Return the files of some pixels and years."""
    folders = (sky / leaf_folder(year, pixel) for year in years for pixel in pixels)
    return [path for folder in folders for path in sorted(folder.glob("*.parquet"))]


def main(folder: Path, years: list[str]) -> None:
    """Match everything at once."""
    account = Account()
    positions = load_positions(folder / "seeds")
    _, touched = pixels_touched(positions.ra_deg, positions.dec_deg, 5.0)
    files = leaves(folder / "sky", years, np.unique(touched).tolist())
    rows = ds.dataset([str(path) for path in files], format="parquet").to_table(
        columns=list(CATALOGUE_COLUMNS), filter=GATES
    )
    reading = account.so_far()
    index, away, _ = SkyCoord(positions.ra_deg, positions.dec_deg, unit="deg").match_to_catalog_sky(
        SkyCoord(rows.column("ra").to_numpy(), rows.column("dec").to_numpy(), unit="deg")
    )
    within = np.flatnonzero(away.to_value(units.arcsec) <= 5.0)  # noqa: PLR2004 - the radius
    found = rows.take(pa.array(index[within])).append_column(
        "opt_source_id", pa.array([positions.source_ids[number] for number in within.tolist()])
    )
    pq.write_table(found, folder / "theirs.parquet")
    facts = {**account.so_far(), "matched": len(within), "rows": rows.num_rows}
    save(folder / "theirs.json", {**facts, "reading_seconds": reading["wall_seconds"]})


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2].split(","))
