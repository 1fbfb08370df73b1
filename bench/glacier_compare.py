"""Print the share of a clipped scene's pixels that are not those of the tiles.

    python -m bench.glacier_compare FOLDER REGION RASTER

A sample is compared, every few rows and columns. What is right is told by pyproj and plain
indexing: the first tile that has seen the middle of a pixel has it.
"""

import sys
from pathlib import Path

import numpy as np
import rasterio
from pyproj import Transformer

from bench.glacier_tiles import EPSG, REGIONS, scenes, tile_path
from pipelines.glacier.step.grid import CRS, Grid
from pipelines.glacier.step.grid import EPSG as GRID_EPSG
from tests.support.glacier_scenes import Pixels

_EVERY = 7


def main(folder: Path, region: str, raster: str) -> None:
    """Compare with the truth, which is made at the first time."""
    grid = Grid.of(REGIONS[region], 10.0)
    kept = folder / f"truth-{region}.npy"
    if not kept.exists():
        np.save(kept, _truth(folder, grid))
    with rasterio.open(raster) as found:
        wanted = (grid.width, grid.height), rasterio.Affine(*grid.transform), CRS
        if ((found.width, found.height), found.transform, found.crs.to_string()) != wanted:
            raise SystemExit(f"{raster} has another grid: {found.profile}")
        sample = found.read(1)[::_EVERY, ::_EVERY]
    print((sample != np.load(kept)).mean())


def _truth(folder: Path, grid: Grid) -> Pixels:
    xs = grid.minx + (np.arange(grid.width)[::_EVERY] + 0.5) * grid.resolution
    ys = grid.maxy - (np.arange(grid.height)[::_EVERY] + 0.5) * grid.resolution
    across, down = np.meshgrid(xs, ys)
    east, north = Transformer.from_crs(GRID_EPSG, EPSG, always_xy=True).transform(across, down)
    truth = np.zeros(across.shape, np.uint16)
    for scene in scenes():
        columns, rows = scene.place.columns_and_rows(np.asarray(east), np.asarray(north))
        inside = (columns >= 0) & (columns < scene.place.width)
        inside &= (rows >= 0) & (rows < scene.place.height) & (truth == 0)
        with rasterio.open(tile_path(folder, scene)) as tile:
            truth[inside] = tile.read(1)[rows[inside], columns[inside]]
    return truth


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
