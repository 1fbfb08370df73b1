"""Four raw tiles of 10,980² pixels as catalogues publish them, and two regions across their corner.

    python -m bench.glacier_tiles FOLDER

makes them: cloud-optimised, deflated, in blocks of 1024 pixels, with overviews. The land is gentle
waves under sensor noise, which is compressed about as badly as real scenes are.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rasterio.io import MemoryFile
from rasterio.shutil import copy
from rasterio.transform import from_origin
from rasterio.windows import Window

from pipelines.glacier.regions import Bounds
from tests.support.glacier_regions import Row, write_regions
from tests.support.glacier_scenes import Pixels, Place, Scene

EPSG = 32626
SIDE = 10_980
DAY = "2024-08-01"
_SENSED = "20240801T174909"
_CORNERS = {
    "26XMR": (399_960.0, 9_100_020.0),
    "26XNR": (499_980.0, 9_100_020.0),
    "26XMQ": (399_960.0, 9_000_000.0),
    "26XNQ": (499_980.0, 9_000_000.0),
}
REGIONS = {
    # As it is in the contract: the second largest of all.
    "191_Hagen_Brae": Bounds(218_680, -946_310, 328_780, -848_210),
    # About the area that half of all regions exceed, in the middle of the four.
    "074_four_corners": Bounds(288_000, -951_000, 318_000, -921_000),
}
_BLOCK, _NOISE = 1024, 30.0
_STRIP = 1098


def scenes() -> Sequence[Scene]:
    """Return the four, without their pixels, in merge priority order."""
    nothing = np.zeros((0, 0), np.uint16)
    places = {tile: Place(EPSG, left, top, SIDE, SIDE) for tile, (left, top) in _CORNERS.items()}
    return [
        Scene(place, nothing, tile=tile, sensed=_SENSED, orbit="R141")
        for tile, place in places.items()
    ]


def tile_path(folder: Path, scene: Scene) -> Path:
    """Return where a tile lies."""
    return folder / "tiles" / scene.file_name


def make_all(folder: Path) -> None:
    """Make the tiles and the region file; minutes, and once."""
    rows = [
        Row(
            name,
            tiles=",".join(_CORNERS),
            bounds=(bounds.minx, bounds.miny, bounds.maxx, bounds.maxy),
            area=(bounds.maxx - bounds.minx) * (bounds.maxy - bounds.miny) / 1e6,
        )
        for name, bounds in REGIONS.items()
    ]
    write_regions(folder / "regions.gpkg", rows)
    for number, scene in enumerate(scenes()):
        path = tile_path(folder, scene)
        path.parent.mkdir(exist_ok=True)
        _write(path, scene.place, number)
        print(f"{path.name}: {path.stat().st_size / 1e6:.0f} MB", flush=True)


def _write(path: Path, place: Place, number: int) -> None:
    profile = {
        "driver": "GTiff",
        "width": SIDE,
        "height": SIDE,
        "count": 1,
        "dtype": "uint16",
        "nodata": 0,
        "crs": f"EPSG:{EPSG}",
        "transform": from_origin(place.left, place.top, place.resolution, place.resolution),
    }
    options = {"BLOCKSIZE": _BLOCK, "COMPRESS": "DEFLATE", "PREDICTOR": "YES", "LEVEL": 6}
    with MemoryFile() as memory:
        with memory.open(**profile) as dataset:
            noise = np.random.default_rng(number).normal(0, _NOISE, (_STRIP, SIDE))
            for row in range(0, SIDE, _STRIP):
                strip = place.part(0, row, SIDE, _STRIP)
                dataset.write(_land(strip, noise), 1, window=Window(0, row, SIDE, _STRIP))
        draft = path.with_suffix(".part")
        copy(memory.name, str(draft), driver="COG", **options)
    draft.rename(path)


def _land(place: Place, noise: npt.NDArray[np.float64]) -> Pixels:
    """Return waves of some kilometres, which neighbouring tiles agree about, and noise."""
    x = place.left / 10 + np.arange(place.width)
    y = place.top / 10 - np.arange(place.height)
    waves = 1500 * np.sin(x / 400)[None, :] + 1000 * np.cos(y / 300)[:, None]
    land: Pixels = (5000 + waves + noise).astype(np.uint16)
    return land


if __name__ == "__main__":
    make_all(Path(sys.argv[1]))
