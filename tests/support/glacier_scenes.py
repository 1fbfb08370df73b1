"""Small satellite scenes with known pixels: names as ESA gives them, tiles in UTM, STAC items.

The truth that rasters are compared with comes from `pyproj` and plain indexing, never from the warp
that is tested.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.shutil
from pyproj import Transformer
from rasterio.io import MemoryFile

from pipelines.glacier.regions import Bounds
from pipelines.glacier.step.grid import Grid

Pixels: TypeAlias = npt.NDArray[np.uint16]

BOUNDS = Bounds(-159850, -3173900, -156850, -3170900)
"""A square of 3 km in tile 22VFP, as `tests.support.glacier_regions.Row` has it."""
RESOLUTION = 10.0
_REMEMBERED_BYTES = 1 << 20
"""Tests use the same few small scenes again and again."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an array of pixels lies."""

    epsg: int
    left: float
    top: float
    width: int
    height: int
    resolution: float = RESOLUTION

    @classmethod
    def around(
        cls, bounds: Bounds = BOUNDS, epsg: int = 32622, *, margin: float = 200.0
    ) -> "Place":
        """Return the smallest place on the 10 m raster that covers bounds, with a margin."""
        xs, ys = _outline(bounds, epsg)
        left, bottom = _down(xs.min() - margin), _down(ys.min() - margin)
        width = int((_down(xs.max() + margin) + RESOLUTION - left) / RESOLUTION)
        height = int((_down(ys.max() + margin) + RESOLUTION - bottom) / RESOLUTION)
        return cls(epsg, left, bottom + height * RESOLUTION, width, height)

    def part(self, column: int, row: int, width: int, height: int) -> "Place":
        """Return a rectangle of pixels of it."""
        left = self.left + column * self.resolution
        top = self.top - row * self.resolution
        return Place(self.epsg, left, top, width, height, self.resolution)

    def columns_and_rows(
        self, xs: npt.NDArray[np.float64], ys: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the pixels that points (in its own projection) lie in."""
        columns = np.floor((xs - self.left) / self.resolution).astype(np.int64)
        rows = np.floor((self.top - ys) / self.resolution).astype(np.int64)
        return columns, rows


def pattern(place: Place, seed: int = 0) -> Pixels:
    """Return valid pixels of which neighbours always differ, and two seeds everywhere.

    They depend on where a pixel lies, so that two tiles of one seed agree where they overlap.
    """
    columns = np.arange(place.width) + round(place.left / place.resolution)
    rows = np.arange(place.height) - round(place.top / place.resolution)
    values = 1 + (columns[None, :] * 613 + rows[:, None] * 7 + seed * 1009) % 9973
    return values.astype(np.uint16)


def smooth(place: Place, base: int = 4000) -> Pixels:
    """Return pixels of gentle slopes, for comparisons that half a pixel does not upset."""
    columns = (place.left / place.resolution + np.arange(place.width)) / 400.0
    rows = (place.top / place.resolution - np.arange(place.height)) / 300.0
    waves = 1500 * np.sin(columns)[None, :] + 1000 * np.cos(rows)[:, None]
    return np.asarray(base + waves).astype(np.uint16)


@dataclass(frozen=True, slots=True)
class Scene:
    """One tile of one acquisition of Sentinel-2."""

    place: Place
    pixels: Pixels
    tile: str = "22VFP"
    mission: str = "S2B"
    sensed: str = "20240801T143749"
    baseline: str = "N0511"
    orbit: str = "R039"
    discriminator: str = "20240801T201519"
    more: dict[str, object] = field(default_factory=dict)
    """Properties of the item that replace or complete the usual ones."""

    @property
    def acquisition(self) -> str:
        """The name that its tiles have in common."""
        return f"{self.mission}_MSIL2A_{self.sensed}_{self.baseline}_{self.orbit}"

    @property
    def product(self) -> str:
        """The product's name, without `.SAFE`."""
        return f"{self.acquisition}_T{self.tile}_{self.discriminator}"

    @property
    def file_name(self) -> str:
        """The name of its raw tile."""
        return f"{self.product}_B08.tif"

    @property
    def item_id(self) -> str:
        """The id of its item."""
        return f"{self.mission}_{self.tile}_{self.sensed[:8]}_0_L2A"

    @property
    def asset_path(self) -> str:
        """Where a server has its raster."""
        return f"/tiles/{self.product}/B08.tif"

    def item(self, href: str) -> dict[str, object]:
        """Return its STAC item, with the raster at `href`."""
        ring = _ring(self.place)
        longitudes, latitudes = [x for x, _ in ring], [y for _, y in ring]
        properties = {
            "datetime": _iso(self.sensed),
            "platform": f"sentinel-2{self.mission[-1].lower()}",
            "s2:product_uri": f"{self.product}.SAFE",
            "s2:processing_baseline": f"{self.baseline[1:3]}.{self.baseline[3:]}",
            "eo:cloud_cover": 12.5,
            "proj:code": f"EPSG:{self.place.epsg}",
            "created": "2024-08-02T00:00:00Z",
            "updated": "2024-08-02T00:00:00Z",
            **self.more,
        }
        return {
            "type": "Feature",
            "stac_version": "1.0.0",
            "id": self.item_id,
            "collection": "sentinel-2-l2a",
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "bbox": [min(longitudes), min(latitudes), max(longitudes), max(latitudes)],
            "properties": properties,
            "assets": {"nir": {"href": href, "type": "image/tiff; profile=cloud-optimized"}},
            "links": [],
        }


def cog_bytes(
    place: Place, pixels: Pixels, *, block: int = 128, compress: str = "DEFLATE"
) -> bytes:
    """Return a cloud-optimised GeoTIFF."""
    made = _cog_bytes if pixels.nbytes < _REMEMBERED_BYTES else _cog_bytes.__wrapped__
    return made(place, pixels.tobytes(), str(pixels.dtype), block, compress)


@lru_cache(32)
def _cog_bytes(place: Place, raw: bytes, dtype: str, block: int, compress: str) -> bytes:
    pixels = np.frombuffer(raw, dtype).reshape(place.height, place.width)
    with MemoryFile() as memory:
        write_cog(memory.name, place, pixels, block=block, compress=compress)
        content: bytes = memory.read()
    return content


def write_cog(
    path: Path | str, place: Place, pixels: Pixels, *, block: int = 128, compress: str = "DEFLATE"
) -> None:
    """Write a cloud-optimised GeoTIFF, as catalogues publish them: compressed, in square blocks."""
    profile = {
        "driver": "GTiff",
        "width": place.width,
        "height": place.height,
        "count": 1,
        "dtype": str(pixels.dtype),
        "nodata": 0,
        "crs": f"EPSG:{place.epsg}",
        "transform": rasterio.Affine(
            place.resolution, 0.0, place.left, 0.0, -place.resolution, place.top
        ),
    }
    with MemoryFile() as memory:
        with memory.open(**profile) as dataset:
            dataset.write(pixels, 1)
        options = {"BLOCKSIZE": block, "COMPRESS": compress, "OVERVIEWS": "NONE"}
        rasterio.shutil.copy(memory.name, str(path), driver="COG", **options)


def write_tile(folder: Path, scene: Scene) -> Path:
    """Write a scene's raw tile into `{folder}/{year}/`, as the step downloads it."""
    path = folder / scene.sensed[:4] / scene.file_name
    path.parent.mkdir(parents=True, exist_ok=True)
    write_cog(path, scene.place, scene.pixels)
    return path


def sampled(grid: Grid, scenes: Sequence[Scene]) -> Pixels:
    """Return the truth: at the centre of each pixel the first valid one of the scenes."""
    found = np.zeros((grid.height, grid.width), np.uint16)
    for scene in scenes:
        xs, ys = _centres(grid, scene.place.epsg)
        values = _taken(scene, *scene.place.columns_and_rows(xs, ys))
        found = np.where(found == 0, values, found)
    return found


def neighbourhood(grid: Grid, scenes: Sequence[Scene]) -> npt.NDArray[np.uint16]:
    """Return for each pixel of the grid the nine that nearest sampling could hit at most.

    The last axis has them; the scenes are mosaicked before.
    """
    shifts = [(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
    layers = []
    for dx, dy in shifts:
        found = np.zeros((grid.height, grid.width), np.uint16)
        for scene in scenes:
            xs, ys = _centres(grid, scene.place.epsg)
            step = scene.place.resolution
            values = _taken(scene, *scene.place.columns_and_rows(xs + dx * step, ys + dy * step))
            found = np.where(found == 0, values, found)
        layers.append(found)
    return np.stack(layers, axis=-1)


def read_raster(path: Path) -> tuple[Pixels, dict[str, object]]:
    """Return the pixels of a result and what its head says."""
    with rasterio.open(path) as dataset:
        head = {
            "driver": dataset.driver,
            "crs": dataset.crs.to_string(),
            "transform": tuple(dataset.transform)[:6],
            "size": (dataset.width, dataset.height),
            "dtypes": dataset.dtypes,
            "nodata": dataset.nodata,
            "compression": dataset.compression,
        }
        pixels: Pixels = dataset.read(1)
    return pixels, head


def _taken(scene: Scene, columns: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> Pixels:
    place = scene.place
    inside = (columns >= 0) & (columns < place.width) & (rows >= 0) & (rows < place.height)
    values = np.zeros(columns.shape, np.uint16)
    values[inside] = scene.pixels[rows[inside], columns[inside]]
    return values


@lru_cache(16)
def _centres(grid: Grid, epsg: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    xs = grid.minx + (np.arange(grid.width) + 0.5) * grid.resolution
    ys = grid.maxy - (np.arange(grid.height) + 0.5) * grid.resolution
    across, down = np.meshgrid(xs, ys)
    found = _transformer(3413, epsg).transform(across, down)
    return np.asarray(found[0]), np.asarray(found[1])


def _outline(bounds: Bounds, epsg: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    steps = np.linspace(0.0, 1.0, 21)
    xs = bounds.minx + (bounds.maxx - bounds.minx) * steps
    ys = bounds.miny + (bounds.maxy - bounds.miny) * steps
    across, down = np.meshgrid(xs, ys)
    found = _transformer(3413, epsg).transform(across, down)
    return np.asarray(found[0]), np.asarray(found[1])


def _ring(place: Place) -> list[list[float]]:
    right = place.left + place.width * place.resolution
    bottom = place.top - place.height * place.resolution
    xs = [place.left, right, right, place.left, place.left]
    ys = [bottom, bottom, place.top, place.top, bottom]
    longitudes, latitudes = _transformer(place.epsg, 4326).transform(xs, ys)
    return [[float(x), float(y)] for x, y in zip(longitudes, latitudes, strict=True)]


@cache
def _transformer(source: int, target: int) -> Transformer:
    return Transformer.from_crs(source, target, always_xy=True)


def _iso(sensed: str) -> str:
    day, time = sensed[:8], sensed[9:]
    return f"{day[:4]}-{day[4:6]}-{day[6:]}T{time[:2]}:{time[2:4]}:{time[4:]}.024000Z"


def _down(metres: float) -> float:
    return float(np.floor(metres / RESOLUTION) * RESOLUTION)
