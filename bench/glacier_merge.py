"""The straightforward way from tiles to a clipped scene, which the step is measured beside.

    python -m bench.glacier_merge whole|windows REGION TARGET URL...

`whole`: fetch each tile, merge them, warp the mosaic to the region's grid. `windows`: the same
with `rasterio.merge` reading the region's bounds over `/vsicurl`.
"""

import shutil
import sys
import tempfile
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import rasterio
from rasterio.merge import merge
from rasterio.transform import from_origin
from rasterio.warp import Resampling, reproject, transform_bounds

from bench.glacier_tiles import REGIONS
from pipelines.glacier.step.grid import CRS, Grid

_LIMIT_SECONDS = 60.0


def main(argv: Sequence[str]) -> None:
    """Write the clipped scene."""
    way, region, target, *urls = argv
    grid = Grid.of(REGIONS[region], 10.0)
    with tempfile.TemporaryDirectory(dir=Path(target).parent) as folder:
        names = (
            _fetched(urls, Path(folder)) if way == "whole" else [f"/vsicurl/{url}" for url in urls]
        )
        _clip(names, grid, target, bounded=way == "windows")


def _fetched(urls: Sequence[str], folder: Path) -> Sequence[str]:
    paths = [str(folder / f"{number}.tif") for number in range(len(urls))]
    for url, path in zip(urls, paths, strict=True):
        answer = urllib.request.urlopen(url, timeout=_LIMIT_SECONDS)  # noqa: S310 - our own loopback address
        with answer, Path(path).open("wb") as file:
            shutil.copyfileobj(answer, file)
    return paths


def _clip(names: Sequence[str], grid: Grid, target: str, *, bounded: bool) -> None:
    with ExitStack() as stack:
        stack.enter_context(rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"))
        tiles = [stack.enter_context(rasterio.open(name)) for name in names]
        crs, area = tiles[0].crs, grid.bounds
        around = transform_bounds(CRS, crs, area.minx, area.miny, area.maxx, area.maxy)
        mosaic, transform = merge(tiles, bounds=around if bounded else None, nodata=0)
    profile = {
        "driver": "GTiff",
        "width": grid.width,
        "height": grid.height,
        "count": 1,
        "dtype": "uint16",
        "nodata": 0,
        "crs": CRS,
        "transform": from_origin(grid.minx, grid.maxy, grid.resolution, grid.resolution),
    }
    with rasterio.open(target, "w", **profile) as clipped:
        reproject(
            mosaic,
            rasterio.band(clipped, 1),
            src_transform=transform,
            src_crs=crs,
            src_nodata=0,
            dst_nodata=0,
            resampling=Resampling.nearest,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
