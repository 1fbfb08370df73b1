"""The part of one zone's tiles that a region needs, as one array: the first valid pixel wins.

Rule: of a raster only those blocks are read that the region touches and that no earlier tile has
filled. So a raster that is far away costs what is used of it, and no more memory than the region.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import floor

import numpy as np
import shapely
from rasterio.io import DatasetReader
from rasterio.warp import transform
from rasterio.windows import Window

from pipelines.glacier.step.errors import StepFailed
from pipelines.glacier.step.grid import CRS, Grid
from pipelines.glacier.step.rasters import NODATA, Pixels, opened, read_pixels

_MARGIN_PIXELS = 8
"""Cubic resampling looks two pixels around, and the transformer may be off by a part of one."""
_EDGE_POINTS = 40
_CHUNK_PIXELS = 512
"""Smaller blocks, and strips, are taken together to so many rows and columns."""
_RUN_PIXELS = 12_000
"""Width of what is read at once; a tile has 10,980."""
_METRES_MAX = 1e8
"""Beyond that no projection has a region, and the arithmetic of shapes ends."""
_FRAME_PIXELS_MAX = 4_000_000_000
"""The largest region has 110 million pixels on its grid, and may stand on end in a tile's."""
_FINEST, _COARSEST = 0.5, 6.0
"""Pixels of a tile in pixels of the grid: Sentinel-2 has 10, 20 and 60 m."""


@dataclass(frozen=True, slots=True)
class Mosaic:
    """Pixels of one zone around a region."""

    pixels: Pixels
    crs: str
    left: float
    top: float
    resolution: float

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """The affine coefficients a to f."""
        return (self.resolution, 0.0, self.left, 0.0, -self.resolution, self.top)

    def around(self, part: Grid) -> "Mosaic":
        """Return the rectangle of it that a part of the region's grid needs."""
        height, width = self.pixels.shape
        corner = (self.left, self.top)
        frame = _frame(_needed(part, self.crs, self.resolution), corner, self.resolution)
        box = _Box(0, 0, width, height).within(frame)
        left = self.left + box.column * self.resolution
        top = self.top - box.row * self.resolution
        return Mosaic(self.pixels[box.slices], self.crs, left, top, self.resolution)


@dataclass(frozen=True, slots=True)
class _Box:
    """A rectangle of pixels."""

    column: int
    row: int
    width: int
    height: int

    def within(self, other: "_Box") -> "_Box":
        column, row = max(self.column, other.column), max(self.row, other.row)
        right = min(self.column + self.width, other.column + other.width)
        bottom = min(self.row + self.height, other.row + other.height)
        return _Box(column, row, max(0, right - column), max(0, bottom - row))

    def moved(self, columns: int, rows: int) -> "_Box":
        return _Box(self.column + columns, self.row + rows, self.width, self.height)

    @property
    def is_empty(self) -> bool:
        return not (self.width and self.height)

    @property
    def slices(self) -> tuple[slice, slice]:
        rows = slice(self.row, self.row + self.height)
        return rows, slice(self.column, self.column + self.width)


def load_mosaic(names: Sequence[str], grid: Grid) -> Mosaic:
    """Read what a grid needs of tiles of one zone, in merge order.

    The block runs within `gdal()`.

    Raises:
        StepFailed: a tile cannot be read, or does not go with the others.
    """
    with opened(names[0]) as first:
        mosaic, needed = _empty_mosaic(first, grid)
        _fill(mosaic, first, needed)
    for name in names[1:]:
        with opened(name) as tile:
            _check_like(tile, mosaic, names[0])
            _fill(mosaic, tile, needed)
    return mosaic


def _empty_mosaic(first: DatasetReader, grid: Grid) -> tuple[Mosaic, shapely.Geometry]:
    """Return an array on the pixels of the first tile, and what the grid needs of it.

    So nothing is resampled before the warp.
    """
    affine = first.transform
    resolution = float(affine.a)
    if first.crs is None or not first.crs.is_projected:
        raise StepFailed(f"tile {first.name!r} has no projection in metres")
    if (affine.b, affine.d, affine.e) != (0.0, 0.0, -resolution):
        raise StepFailed(f"tile {first.name!r} has pixels that are turned or no squares")
    if not _FINEST <= resolution / grid.resolution <= _COARSEST:
        raise StepFailed(
            f"tile {first.name!r} has pixels of {resolution:g} m; about {grid.resolution:g} m is "
            "wanted"
        )
    crs = first.crs.to_string()
    needed = _needed(grid, crs, resolution)
    frame = _frame(needed, (affine.c, affine.f), resolution)
    if frame.width * frame.height > _FRAME_PIXELS_MAX:
        raise StepFailed(
            f"tile {first.name!r} has a projection in which the region has {frame.width} x "
            f"{frame.height} pixels"
        )
    # Pages of it that nothing is written into take no memory.
    pixels = np.zeros((frame.height, frame.width), np.uint16)
    left, top = affine.c + frame.column * resolution, affine.f - frame.row * resolution
    shapely.prepare(needed)
    return Mosaic(pixels, crs, left, top, resolution), needed


def _needed(grid: Grid, crs: str, resolution: float) -> shapely.Geometry:
    """Return what a grid needs of a raster: its outline, and a margin."""
    return _outline(grid, crs).buffer(_MARGIN_PIXELS * resolution)


def _frame(needed: shapely.Geometry, corner: tuple[float, float], resolution: float) -> _Box:
    """Return the smallest rectangle of pixels around an area; `corner` is that of pixel 0, 0."""
    minx, miny, maxx, maxy = needed.bounds
    column, row = floor((minx - corner[0]) / resolution), floor((corner[1] - maxy) / resolution)
    width = floor((maxx - corner[0]) / resolution) + 1 - column
    height = floor((corner[1] - miny) / resolution) + 1 - row
    return _Box(column, row, width, height)


def _check_like(tile: DatasetReader, mosaic: Mosaic, first: str) -> None:
    crs = "" if tile.crs is None else tile.crs.to_string()
    affine = tile.transform
    wanted = (mosaic.resolution, 0.0, 0.0, -mosaic.resolution)
    if crs != mosaic.crs or not np.allclose((affine.a, affine.b, affine.d, affine.e), wanted):
        raise StepFailed(
            f"tile {tile.name!r} is in {crs!r} with pixels of {affine.a:g} m; {mosaic.crs!r} and "
            f"{mosaic.resolution:g} m are wanted, as in {first!r}"
        )


def _outline(grid: Grid, crs: str) -> shapely.Polygon:
    """Return the grid's outline in another projection, with points along the bent edges."""
    steps = np.linspace(0.0, 1.0, _EDGE_POINTS, endpoint=False)
    bounds = grid.bounds
    across = bounds.minx + (bounds.maxx - bounds.minx) * steps
    down = bounds.maxy - (bounds.maxy - bounds.miny) * steps
    right, left = np.full_like(steps, bounds.maxx), np.full_like(steps, bounds.minx)
    top, bottom = np.full_like(steps, bounds.maxy), np.full_like(steps, bounds.miny)
    turned_x, turned_y = bounds.minx + bounds.maxx - across, bounds.miny + bounds.maxy - down
    xs = np.concatenate([across, right, turned_x, left])
    ys = np.concatenate([top, down, bottom, turned_y])
    found = np.column_stack(transform(CRS, crs, xs, ys)[:2])
    if not (np.isfinite(found).all() and np.abs(found).max() < _METRES_MAX):
        raise StepFailed(f"the region does not lie in {crs!r}")
    return shapely.Polygon(found)


def _fill(mosaic: Mosaic, tile: DatasetReader, needed: shapely.Geometry) -> None:
    """Put a tile's pixels where there are none yet."""
    # Tiles of one zone lie on one raster; where they do not, the nearest pixel is taken.
    shift = (
        round((tile.transform.c - mosaic.left) / mosaic.resolution),
        round((mosaic.top - tile.transform.f) / mosaic.resolution),
    )
    height, width = mosaic.pixels.shape
    frame = _Box(0, 0, width, height).moved(-shift[0], -shift[1])
    for row in _block_rows(tile, _Box(0, 0, tile.width, tile.height).within(frame)):
        for run in _runs(block for block in row if _is_wanted(mosaic, block, shift, needed)):
            target = mosaic.pixels[run.moved(*shift).slices]
            window = Window(run.column, run.row, run.width, run.height)
            np.copyto(target, read_pixels(tile, window), where=target == NODATA)


def _block_rows(tile: DatasetReader, part: _Box) -> Iterator[list[_Box]]:
    """Cut a part of a tile along the blocks that the file has, several small ones together."""
    high, wide = (_chunk(size) for size in tile.block_shapes[0])
    for row in range(part.row // high * high, part.row + part.height, high):
        columns = range(part.column // wide * wide, part.column + part.width, wide)
        blocks = [_Box(column, row, wide, high).within(part) for column in columns]
        yield [block for block in blocks if not block.is_empty]


def _is_wanted(
    mosaic: Mosaic, block: _Box, shift: tuple[int, int], needed: shapely.Geometry
) -> bool:
    """Tell whether the region needs a block, and no earlier tile has all of it."""
    place = block.moved(*shift)
    return _touches(mosaic, place, needed) and not mosaic.pixels[place.slices].all()


def _runs(blocks: Iterable[_Box]) -> Iterator[_Box]:
    """Join blocks side by side: what lies together in the file comes with one request."""
    run: _Box | None = None
    for block in blocks:
        if run is not None and run.column + run.width == block.column and run.width < _RUN_PIXELS:
            run = _Box(run.column, run.row, run.width + block.width, run.height)
            continue
        if run is not None:
            yield run
        run = block
    if run is not None:
        yield run


def _chunk(size: int) -> int:
    """Return the multiple of a block's size that is read at once; strips are cut across."""
    return size * max(1, _CHUNK_PIXELS // size) if size < _CHUNK_PIXELS else _CHUNK_PIXELS


def _touches(mosaic: Mosaic, place: _Box, needed: shapely.Geometry) -> bool:
    left = mosaic.left + place.column * mosaic.resolution
    top = mosaic.top - place.row * mosaic.resolution
    right = left + place.width * mosaic.resolution
    bottom = top - place.height * mosaic.resolution
    return bool(shapely.intersects(needed, shapely.box(left, bottom, right, top)))
