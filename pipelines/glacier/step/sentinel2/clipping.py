"""One acquisition onto a region's grid: mosaics warped block by block, written band by band.

| zones   | resampling                                                              |
|---------|-------------------------------------------------------------------------|
| one     | nearest, straight from the mosaic                                       |
| several | cubic, each onto the grid; where both are valid the first-listed has it |
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.warp import reproject

from pipelines.glacier.step.grid import CRS, Grid
from pipelines.glacier.step.rasters import NODATA, Pixels, gdal, gdal_errors, new_raster
from pipelines.glacier.step.sentinel2.mosaic import Mosaic, load_mosaic

_BLOCK_WIDTH = 256
"""GDAL takes the way across a block for straight as long as it errs by less than 1/8 pixel. Across
10 km that misplaces 3 % of the pixels of a region, across 2.5 km less than 0.2 %."""
_BAND_HEIGHT = 2048
"""The way down is never taken for straight."""


def clip(zones: Sequence[Sequence[str]], grid: Grid, path: Path) -> int:
    """Merge, warp and write rasters onto the grid; returns the number of valid pixels.

    `zones` are the rasters by UTM zone, in merge order: paths, or names that GDAL knows. Nothing
    but `path` is written; this blocks.

    Raises:
        StepFailed: a raster cannot be read, or does not go with the others.
    """
    with gdal():
        mosaics = [load_mosaic(names, grid) for names in zones]
        resampling = Resampling.nearest if len(mosaics) == 1 else Resampling.cubic
        with new_raster(path, grid) as writer:
            for row in range(0, grid.height, _BAND_HEIGHT):
                writer.write(_band(mosaics, grid, row, resampling), row)
        return writer.valid_pixels


def _band(mosaics: Iterable[Mosaic], grid: Grid, row: int, resampling: Resampling) -> Pixels:
    """Return some whole rows of the grid."""
    height = min(_BAND_HEIGHT, grid.height - row)
    rows = np.zeros((height, grid.width), np.uint16)
    for column in range(0, grid.width, _BLOCK_WIDTH):
        part = grid.part(column, row, _BLOCK_WIDTH, height)
        target = rows[:, column : column + part.width]
        for mosaic in mosaics:
            if not target.all():
                np.copyto(target, _warped(mosaic, part, resampling), where=target == NODATA)
    return rows


def _warped(mosaic: Mosaic, part: Grid, resampling: Resampling) -> Pixels:
    pixels = np.zeros((part.height, part.width), np.uint16)
    # The library copies what it is given, each time.
    source = mosaic.around(part)
    if not source.pixels.any():
        return pixels
    with gdal_errors(f"pixels in {mosaic.crs!r} cannot be warped"):
        reproject(
            source.pixels,
            pixels,
            src_transform=rasterio.Affine(*source.transform),
            src_crs=source.crs,
            src_nodata=NODATA,
            dst_transform=rasterio.Affine(*part.transform),
            dst_crs=CRS,
            dst_nodata=NODATA,
            resampling=resampling,
        )
    return pixels
