"""What each result must be: pyproj and plain indexing say it, never the warp that is judged.

Nearest sampling may take the neighbour of the right pixel, as GDAL's transformer is exact to an
eighth of a pixel. Where two zones meet, the tiles have been resampled by cubic before: a pixel then
lies among its neighbours, or a little beyond.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from pyproj import Transformer

from pipelines.glacier.step.grid import EPSG, Grid
from tests.support.glacier_scenes import Pixels, Scene

_AROUND = [(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
_BEYOND = 0.3
"""How far cubic resampling may leave the span of the neighbours, as a part of it."""

_Metres: TypeAlias = npt.NDArray[np.float64]
_Mask: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a raster differs from what it should be, in pixels."""

    pixels: int
    shifted: int = 0
    """Those that have a neighbour's value."""
    wrong: int = 0


class Truth:
    """The right values of one region; all pixels in one row."""

    def __init__(self, grid: Grid) -> None:
        self._shape = (grid.height, grid.width)
        xs = grid.minx + (np.arange(grid.width) + 0.5) * grid.resolution
        ys = grid.maxy - (np.arange(grid.height) + 0.5) * grid.resolution
        across, down = np.meshgrid(xs, ys)
        self._centres = across.ravel(), down.ravel()
        self._in_zone: dict[int, tuple[_Metres, _Metres]] = {}

    def compare(self, raster: Pixels, scenes: Sequence[Scene]) -> Comparison:
        """Compare with the mosaic of one pass: the first tile that has seen a place decides."""
        if raster.shape != self._shape:
            return Comparison(raster.size, wrong=raster.size)
        found = raster.ravel()
        if len({scene.place.epsg for scene in scenes}) > 1:
            around = self._around(scenes, np.ones(found.size, dtype=bool))
            wrong = np.count_nonzero(~_is_among(found, around))
            return Comparison(found.size, wrong=int(wrong))
        differs = found != self._mosaic(scenes, np.ones(found.size, dtype=bool))
        near = (self._around(scenes, differs) == found[differs]).any(axis=0)
        shifted = int(np.count_nonzero(near))
        return Comparison(found.size, shifted, near.size - shifted)

    def _around(self, scenes: Sequence[Scene], where: _Mask) -> Pixels:
        """Return the nine source pixels around some pixels, a row each."""
        return np.stack([self._mosaic(scenes, where, *shift) for shift in _AROUND])

    def _mosaic(self, scenes: Sequence[Scene], where: _Mask, dx: int = 0, dy: int = 0) -> Pixels:
        """Return the first valid source pixel at some pixels, or beside it."""
        found = np.zeros(int(np.count_nonzero(where)), np.uint16)
        for scene in scenes:
            place = scene.place
            x, y = self._points(place.epsg)
            columns, rows = place.columns_and_rows(x[where], y[where])
            columns, rows = columns + dx, rows + dy
            inside = (columns >= 0) & (columns < place.width) & (rows >= 0) & (rows < place.height)
            taken = inside & (found == 0)
            found[taken] = scene.pixels[rows[taken], columns[taken]]
        return found

    def _points(self, epsg: int) -> tuple[_Metres, _Metres]:
        if epsg not in self._in_zone:
            x, y = _transformer(epsg).transform(*self._centres)
            self._in_zone[epsg] = np.asarray(x), np.asarray(y)
        return self._in_zone[epsg]


def _is_among(found: Pixels, around: Pixels) -> _Mask:
    """Say of each pixel whether it lies among its neighbours; only nothing makes nothing."""
    low, high = around.min(axis=0).astype(np.float64), around.max(axis=0).astype(np.float64)
    slack = _BEYOND * (high - low) + 1
    is_seen = (found > 0) | (low == 0)
    is_among: _Mask = is_seen & (found >= low - slack) & (found <= high + slack)
    return is_among


@cache
def _transformer(epsg: int) -> Transformer:
    return Transformer.from_crs(EPSG, epsg, always_xy=True)
