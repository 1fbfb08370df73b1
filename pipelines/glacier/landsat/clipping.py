"""One scene, cut out around a region and resampled to its grid.

Rule: only the blocks around the region are fetched; memory holds that cut and the result.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.warp import reproject, transform_bounds
from rasterio.windows import Window

from pipelines.glacier.regions import Bounds
from pipelines.glacier.step.errors import StepFailed
from pipelines.glacier.step.grid import CRS as PROJECTION
from pipelines.glacier.step.grid import Grid
from pipelines.glacier.step.rasters import (
    NODATA,
    Pixels,
    gdal,
    gdal_errors,
    opened,
    write_raster,
)

_PIXEL_TYPES = frozenset({"uint8", "uint16"})
"""Of the products: eight bits until Landsat 7, sixteen since."""

_FINEST_METRES = 5.0


@dataclass(frozen=True, slots=True)
class Cut:
    """The part of a scene that touches a region, in the scene's own projection."""

    pixels: npt.NDArray[Any]
    transform: Affine
    projection: CRS
    nodata: float


def read_cut(name: str, grid: Grid) -> Cut:
    """Read the part of a raster that a region needs; `name` is a path or a `/vsi` name. StepFailed.

    The block around the call is `gdal()`.
    """
    with opened(name) as dataset:
        window = _window(dataset, grid.bounds)
        return Cut(
            dataset.read(1, window=window),
            _moved(dataset.transform, window),
            dataset.crs,
            NODATA if dataset.nodata is None else dataset.nodata,
        )


def resample(cut: Cut, grid: Grid) -> Pixels:
    """Return the pixels on a region's grid."""
    # In the type of the source, so that sharp edges saturate where they always did.
    found = np.full((grid.height, grid.width), NODATA, dtype=cut.pixels.dtype)
    with gdal(), gdal_errors("scene cannot be resampled"):
        reproject(
            cut.pixels,
            found,
            src_transform=cut.transform,
            src_crs=cut.projection,
            src_nodata=cut.nodata,
            dst_transform=Affine(*grid.transform),
            dst_crs=PROJECTION,
            dst_nodata=NODATA,
            # Rasterio takes a nodata of 0 for none, and would fill with that of the source.
            init_dest_nodata=False,
            resampling=Resampling.cubic,
        )
    return found.astype(np.uint16, copy=False)


def write_template(target: Path, grid: Grid) -> None:
    """Write the raster that shows a grid: one bit a pixel, all alike, the same bytes each time."""
    shown = np.ones((grid.height, grid.width), dtype=np.uint8)
    write_raster(target, grid, shown, {"nbits": 1, "compress": "lzw"})


def _window(dataset: DatasetReader, bounds: Bounds) -> Window:
    """Return the pixels of a raster that touch a region."""
    problem = _unusable(dataset)
    if problem:
        raise StepFailed(f"raster {dataset.name!r} {problem}")
    left, bottom, right, top = transform_bounds(
        PROJECTION, dataset.crs, bounds.minx, bounds.miny, bounds.maxx, bounds.maxy
    )
    if not all(map(math.isfinite, (left, bottom, right, top))):
        raise StepFailed(f"raster {dataset.name!r} has a projection that the region is not in")
    across, down = dataset.transform.a, -dataset.transform.e
    columns = _touched(left - dataset.transform.c, right - dataset.transform.c, across)
    rows = _touched(dataset.transform.f - top, dataset.transform.f - bottom, down)
    column, end_column = max(columns[0], 0), min(columns[1], dataset.width)
    row, end_row = max(rows[0], 0), min(rows[1], dataset.height)
    if column >= end_column or row >= end_row:
        raise StepFailed(f"raster {dataset.name!r} does not reach the region")
    if min(across, down) < _FINEST_METRES:
        # The cut is held in memory; the panchromatic band has 15 m.
        raise StepFailed(f"raster {dataset.name!r} has pixels of {across:g} by {down:g}")
    return Window(column, row, end_column - column, end_row - row)


def _unusable(dataset: DatasetReader) -> str:
    if dataset.crs is None:
        return "has no projection"
    if (
        dataset.transform.b
        or dataset.transform.d
        or not dataset.transform.a > 0 > dataset.transform.e
    ):
        return "is turned or mirrored"
    if dataset.dtypes[0] not in _PIXEL_TYPES:
        return f"has {dataset.dtypes[0]} pixels; {' or '.join(sorted(_PIXEL_TYPES))} is wanted"
    return ""


def _touched(first: float, last: float, resolution: float) -> tuple[int, int]:
    """Return the half-open range of pixels that a stretch touches, its ends included."""
    return math.ceil(first / resolution - 1), math.floor(last / resolution) + 1


def _moved(transform: Affine, window: Window) -> Affine:
    left = transform.c + window.col_off * transform.a
    top = transform.f + window.row_off * transform.e
    return Affine(transform.a, 0.0, left, 0.0, transform.e, top)
