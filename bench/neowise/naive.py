"""`python -m bench.neowise.naive FOLDER`: the way that the sidecar step replaces, on a sample.

For each pixel with positions, the leaves of nine pixels and all years are read one after the other,
and a loop over the positions cuts a box of plus and minus the radius in degrees out of all rows and
takes the nearest of what is in it. It is kinder than what it stands for: only the needed columns
are read, the gates are Arrow's, and the box is one array expression a position. Like it, it misses
matches: the box is not widened by the declination.

The whole would take very long, so the reading is done for some of the pixels, the loop for some of
their positions, and both are scaled by their numbers. The account says how many.
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from astropy_healpix import neighbours

from bench.neowise.account import Account, save
from bench.neowise.theirs import GATES, leaves
from pipelines.neowise.columns import CATALOGUE_COLUMNS, NSIDE
from pipelines.neowise.healpix import pixels_of
from pipelines.neowise.positions import Positions, load_positions
from pipelines.neowise.sphere import Floats, separations_arcsec

RADIUS = 5.0
RADIUS_DEG = RADIUS / 3600


def main(folder: Path, years: list[str], pixel_sample: int, position_sample: int) -> None:
    """Do a sample, and scale."""
    positions = load_positions(folder / "seeds")
    pixel = pixels_of(positions.ra_deg, positions.dec_deg)
    numbers = np.unique(pixel)
    chosen = np.random.default_rng(1).choice(numbers, min(pixel_sample, len(numbers)), False)  # noqa: FBT003 - without replacement
    reading, looping, looped, matched = Account(), {"wall_seconds": 0.0, "cpu_seconds": 0.0}, 0, 0
    for one in chosen.tolist():
        own = np.flatnonzero(pixel == one)
        rows = _rows_around(folder / "sky", years, one)
        ra, dec = rows.column("ra").to_numpy(), rows.column("dec").to_numpy()
        account = Account()
        sample = own[:position_sample]
        matched += sum(
            _closest(ra, dec, positions, number) is not None for number in sample.tolist()
        )
        looped += len(sample)
        spent = account.so_far()
        looping = {name: looping[name] + spent[name] for name in looping}
    total = reading.so_far()
    pixels_scale, positions_scale = len(numbers) / len(chosen), len(positions) / looped
    facts = {
        name: (total[name] - looping[name]) * pixels_scale + looping[name] * positions_scale
        for name in looping
    }
    save(
        folder / "naive.json",
        {
            **facts,
            "bytes_read": total["bytes_read"] * pixels_scale,
            "matched": matched * positions_scale,
            "pixels": [len(chosen), len(numbers)],
            "positions": [looped, len(positions)],
            "measured_seconds": total["wall_seconds"],
        },
    )


def _rows_around(sky: Path, years: list[str], pixel: int) -> pa.Table:
    with np.errstate(invalid="ignore"):
        around = np.asarray(neighbours(pixel, NSIDE, order="nested"))
    tables = [
        ds.dataset(str(path), format="parquet").to_table(
            columns=list(CATALOGUE_COLUMNS), filter=GATES
        )
        for number in (pixel, *around[around >= 0].tolist())
        for path in leaves(sky, years, [number])
    ]
    return pa.concat_tables(tables)


def _closest(ra: Floats, dec: Floats, positions: Positions, number: int) -> int | None:
    here = positions.ra_deg[number], positions.dec_deg[number]
    inside = np.flatnonzero(
        (np.abs(ra - here[0]) <= RADIUS_DEG) & (np.abs(dec - here[1]) <= RADIUS_DEG)
    )
    if not len(inside):
        return None
    count = len(inside)
    away = separations_arcsec(
        np.full(count, here[0]), np.full(count, here[1]), ra[inside], dec[inside]
    )
    nearest = int(away.argmin())
    return int(inside[nearest]) if away[nearest] <= RADIUS else None


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2].split(","), int(sys.argv[3]), int(sys.argv[4]))
