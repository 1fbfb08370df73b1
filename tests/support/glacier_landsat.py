"""Small scenes of Landsat as the USGS publishes them, and its bucket, in which the reader pays."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from aiohttp.web import BaseRequest, Response
from pyproj import Transformer

from pipelines.glacier.landsat.command import main
from pipelines.glacier.regions import Bounds
from pipelines.glacier.step.grid import Grid
from shared.cli import run_command
from tests.support.glacier_regions import Row, write_regions
from tests.support.glacier_scenes import Place, cog_bytes
from tests.support.glacier_stac import StacServer
from tests.support.serving import Served, ServerThread

BUCKET = "usgs-landsat"
KEY_ID = "AKIAREADERPAYS"
REGION = "134_Arsuk"
BOUNDS = Bounds(-159850, -3173900, -156850, -3170900)
"""A square of 3 km, of 200 by 200 pixels."""
GRID = Grid(BOUNDS.minx, BOUNDS.maxy, 15.0, 200, 200)

Answer: TypeAlias = Callable[[bytes], Response]
"""What comes instead of an object, of which it takes the content."""
Array: TypeAlias = npt.NDArray[Any]


def place(left: float = 0.0, top: float = 0.0, size: int = 340, resolution: float = 15) -> Place:
    """Return where a scene lies in UTM: it covers the region, but for what it is moved by."""
    xs, ys = _transformed(3413, 32622, [BOUNDS.minx, BOUNDS.maxx], [BOUNDS.miny, BOUNDS.maxy])
    middle = (xs[0] + xs[1]) / 2, (ys[0] + ys[1]) / 2
    half = size * resolution / 2
    return Place(
        32622,
        _snapped(middle[0] - half) + left,
        _snapped(middle[1] + half) + top,
        size,
        size,
        resolution,
    )


def hills(where: Place, dtype: str = "uint16", height: float = 4000.0) -> Array:
    """Return pixels of waves that are a few pixels long, so that each resampling looks another."""
    columns, rows = np.arange(where.width), np.arange(where.height)
    waves = np.sin(columns / 1.7)[None, :] + np.cos(rows / 2.3)[:, None]
    return np.asarray(np.rint(height * (1.2 + 0.4 * waves))).astype(dtype)


@dataclass(frozen=True, slots=True)
class LandsatScene:
    """One scene."""

    where: Place = field(default_factory=place)
    pixels: Array | None = None
    """`hills`, where none are given."""
    item_id: str = "LC08_L1TP_003017_20240704_20240712_02_T1"
    scene_id: str = "LC80030172024186LGN00"
    taken: str = "2024-07-04T14:25:14.123456Z"
    platform: str = "LANDSAT_8"
    instruments: tuple[str, ...] = ("OLI", "TIRS")
    asset: str = "pan"
    more: dict[str, Any] = field(default_factory=dict)
    """Properties that replace the usual ones; None removes one."""
    footprint: Place | None = None
    """Where the catalogue has it, if that is not where it lies."""

    @property
    def key(self) -> str:
        """Where the bucket has its raster."""
        return f"collection02/level-1/{self.item_id}/{self.item_id}_{self.asset}.TIF"

    @property
    def subset_id(self) -> str:
        """The name of what comes of it."""
        digits = re.sub(r"[^0-9]", "", self.taken)[:14]
        return f"{digits}_{self.scene_id}_{self.item_id}_ortho"

    def item(self) -> dict[str, Any]:
        """Return its STAC item."""
        ring = _ring(self.footprint or self.where)
        properties = {
            "datetime": self.taken,
            "eo:cloud_cover": 12,
            "view:sun_azimuth": 170.25,
            "view:sun_elevation": 50.5,
            "platform": self.platform,
            "instruments": list(self.instruments),
            "view:off_nadir": 0,
            "landsat:cloud_cover_land": 10.5,
            "landsat:wrs_type": "2",
            "landsat:wrs_path": "003",
            "landsat:wrs_row": "017",
            "landsat:scene_id": self.scene_id,
            "landsat:collection_category": "T1",
            "landsat:collection_number": "02",
            "landsat:correction": "L1TP",
            "proj:code": "EPSG:32622",
            "proj:shape": [self.where.height, self.where.width],
            "proj:transform": [15.0, 0.0, self.where.left, 0.0, -15.0, self.where.top],
            "created": "2024-07-12T00:00:00Z",
            "updated": "2024-07-13T00:00:00Z",
            **self.more,
        }
        kept = {name: value for name, value in properties.items() if value is not None}
        longitudes, latitudes = [x for x, _ in ring], [y for _, y in ring]
        return {
            "type": "Feature",
            "stac_version": "1.0.0",
            "id": self.item_id,
            "collection": "landsat-c2l1",
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "bbox": [min(longitudes), min(latitudes), max(longitudes), max(latitudes)],
            "properties": kept,
            "assets": {
                self.asset: {
                    "href": f"https://landsatlook.usgs.gov/data/{self.key}",
                    "alternate": {"s3": {"href": f"s3://{BUCKET}/{self.key}"}},
                }
            },
            "links": [],
        }

    def content(self) -> bytes:
        """Return its raster."""
        pixels = hills(self.where) if self.pixels is None else self.pixels
        return cog_bytes(self.where, pixels)


@dataclass(slots=True)
class PayingBucket(Served):
    """A bucket on loopback that answers whoever has a key and says that he pays."""

    objects: dict[str, bytes] = field(default_factory=dict)
    instead: dict[str, list[Answer]] = field(default_factory=dict)
    """By key: what comes instead of the object, each once."""
    keys_used: set[str] = field(default_factory=set)
    tokens_used: set[str] = field(default_factory=set)
    refused: int = 0
    sent_bytes: int = 0
    _thread: ServerThread = field(init=False)

    def __post_init__(self) -> None:
        """Have a thread to serve in."""
        self._thread = ServerThread(self._answer, name="paying-bucket")

    @property
    def url(self) -> str:
        """Its endpoint."""
        return self._thread.url

    async def _answer(self, request: BaseRequest) -> Response:
        signed = re.search(r"Credential=([^/]+)/", request.headers.get("Authorization", ""))
        if not signed or request.headers.get("x-amz-request-payer") != "requester":
            self.refused += 1
            return Response(status=403, text="<Error><Code>AccessDenied</Code></Error>")
        self.keys_used.add(signed[1])
        self.tokens_used.add(request.headers.get("x-amz-security-token", ""))
        key = request.path.removeprefix(f"/{BUCKET}/")
        content = self.objects.get(key)
        if content is None:
            return Response(status=404, text="<Error><Code>NoSuchKey</Code></Error>")
        if self.instead.get(key):
            return self.instead[key].pop(0)(content)
        span = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("Range", ""))
        begin, end = (int(span[1]), min(int(span[2]) + 1, len(content))) if span else (0, None)
        part = content[begin:end]
        self.sent_bytes += len(part)
        headers = {"Content-Range": f"bytes {begin}-{begin + len(part) - 1}/{len(content)}"}
        return Response(status=206 if span else 200, body=part, headers=headers if span else {})


@dataclass(slots=True)
class LandsatGround:
    """A catalogue, the bucket, a region file, and the step run between them."""

    folder: Path
    stac: StacServer
    bucket: PayingBucket
    said: Callable[[], tuple[str, str]]
    """Returns what was written to stdout and stderr."""

    def publish(self, *scenes: LandsatScene) -> None:
        """Put scenes into the catalogue and the bucket."""
        for scene in scenes:
            self.bucket.objects[scene.key] = scene.content()
            self.stac.items.append(scene.item())

    @property
    def output(self) -> Path:
        """The satellite's folder."""
        return self.folder / "out" / "landsat"

    def raster(self, scene: LandsatScene, region: str = REGION) -> Path:
        """Return where a scene's result lies."""
        return self.output / region / f"{scene.subset_id}.tif"

    def run(self, *argv: str) -> tuple[int, dict[str, Any], str]:
        """Run the step; returns exit status, summary and stderr."""
        status = run_command("glacier landsat", main, ["--base_dir", str(self.output), *argv])
        out, err = self.said()
        return status, json.loads(out.splitlines()[-1]) if out else {}, err


def write_region_file(folder: Path, *rows: Row) -> Path:
    """Write a region file: the usual region, unless others are given."""
    bounds = (BOUNDS.minx, BOUNDS.miny, BOUNDS.maxx, BOUNDS.maxy)
    return write_regions(
        folder / "regions.gpkg", rows or (Row(REGION, bounds=bounds),), layer="regions"
    )


def cubic(grid: Grid, where: Place, pixels: Array) -> npt.NDArray[np.float64]:
    """Return the truth: cubic convolution (a = -1/2) at the centre of each pixel of the grid.

    Made of the formula and `pyproj`; the scene must reach two pixels beyond the grid.
    """
    xs = grid.minx + (np.arange(grid.width) + 0.5) * grid.resolution
    ys = grid.maxy - (np.arange(grid.height) + 0.5) * grid.resolution
    across, down = np.meshgrid(xs, ys)
    east, north = _transformer(3413, where.epsg).transform(across, down)
    columns = (np.asarray(east) - where.left) / where.resolution - 0.5
    rows = (where.top - np.asarray(north)) / where.resolution - 0.5
    first_column, first_row = np.floor(columns).astype(int), np.floor(rows).astype(int)
    found = np.zeros(across.shape)
    for down_by in range(-1, 3):
        for right_by in range(-1, 3):
            weights = _kernel(columns - first_column - right_by) * _kernel(
                rows - first_row - down_by
            )
            found += weights * pixels[first_row + down_by, first_column + right_by]
    return found


def _kernel(distances: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    far = np.abs(distances)
    near = 1.5 * far**3 - 2.5 * far**2 + 1
    beyond = -0.5 * far**3 + 2.5 * far**2 - 4 * far + 2
    return np.where(far <= 1, near, np.where(far < 2, beyond, 0.0))


def _ring(where: Place) -> list[list[float]]:
    right, bottom = (
        where.left + where.width * where.resolution,
        where.top - where.height * where.resolution,
    )
    xs = [where.left, right, right, where.left, where.left]
    ys = [bottom, bottom, where.top, where.top, bottom]
    longitudes, latitudes = _transformed(where.epsg, 4326, xs, ys)
    return [[x, y] for x, y in zip(longitudes, latitudes, strict=True)]


def _transformed(
    source: int, target: int, xs: list[float], ys: list[float]
) -> tuple[list[float], list[float]]:
    found = _transformer(source, target).transform(xs, ys)
    return [float(x) for x in found[0]], [float(y) for y in found[1]]


def _transformer(source: int, target: int) -> Transformer:
    return Transformer.from_crs(source, target, always_xy=True)


def _snapped(metres: float) -> float:
    return float(np.floor(metres / 15) * 15)
