"""A dozen glaciers at the edge of an ice sheet, and what three passes of a satellite saw of them.

They are made anew, so that every pixel is known. Their regions have one to four tiles; two lie
across the border of two UTM zones. The second pass has seen three quarters of each, the third less
than half.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from math import cos, sin
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from pyproj import Transformer

from pipelines.glacier.regions import Bounds
from pipelines.glacier.step.grid import EPSG, Grid
from scripts.demo.stage import ScaleName
from tests.support.glacier_scenes import RESOLUTION, Place, Scene

Field: TypeAlias = npt.NDArray[np.float32]

FIRST_DAY, LAST_DAY = "2024-08-01", "2024-08-10"
_OVERLAP_PIXELS = 40
_TILE_STEP = 250
"""Each tile is a little brighter than the one before, so that it shows which of two was taken."""
_WAVES = 11


@dataclass(frozen=True, slots=True)
class Pass:
    """One time that the satellite came by."""

    mission: str
    sensed: str
    brightness: float
    seen: float
    """How much of each region lies in the swath."""

    @property
    def is_kept(self) -> bool:
        """Whether more than half was seen, so that it becomes a scene."""
        return self.seen > 0.5  # noqa: PLR2004 - the rule is "more than half"


PASSES: Sequence[Pass] = (
    Pass("S2B", "20240801T143749", 1.0, 1.0),
    Pass("S2A", "20240804T143751", 0.96, 0.75),
    Pass("S2B", "20240806T142749", 1.04, 0.4),
)


@dataclass(frozen=True, slots=True)
class Glacier:
    """One region."""

    name: str
    tiles: tuple[str, ...]
    """In merge priority order; the number of the zone begins each."""
    easting: float
    northing: float
    """Its middle, in the zone of the first tile."""
    kilometres: float
    """The length of its sides."""

    @property
    def seed(self) -> int:
        """What makes it different from the others."""
        return int(self.name[:3])

    @property
    def zones(self) -> Sequence[int]:
        """The EPSG numbers of its zones, the first tile's first."""
        return list(dict.fromkeys(_epsg(tile) for tile in self.tiles))

    @property
    def bounds(self) -> Bounds:
        """Its rectangle in EPSG:3413, on multiples of ten metres."""
        [x], [y] = _transformer(self.zones[0], EPSG).transform([self.easting], [self.northing])
        left, bottom = (round(value / 10) * 10 - self.kilometres * 500 for value in (x, y))
        side = self.kilometres * 1000
        return Bounds(left, bottom, left + side, bottom + side)

    @property
    def grid(self) -> Grid:
        """The pixels of its results."""
        return Grid.of(self.bounds, RESOLUTION)


GLACIERS: Sequence[Glacier] = (
    Glacier("001_alison", ("21XWC",), 535_000, 8_290_000, 3.0),
    Glacier("030_two_locks", ("22WEV", "22WEU"), 520_000, 7_500_000, 4.5),
    Glacier("049_jakobshavn", ("22WEB",), 548_000, 7_676_000, 3.6),
    Glacier("090_petermann", ("20XNQ", "20XNR", "20XMQ", "20XMR"), 500_000, 8_970_000, 6.0),
    Glacier("101_sermiligarssuk", ("22VEP",), 560_000, 6_830_000, 3.0),
    Glacier("122_upernavik_central", ("21WWT", "22WDD", "22WDC"), 602_500, 8_020_000, 4.5),
    Glacier("134_Arsuk", ("22VFP",), 640_000, 6_800_000, 3.0),
    Glacier("138_SermiitsiaqInTasermiut", ("23VMH",), 480_000, 6_700_000, 3.0),
    Glacier("140_CentralLindenow", ("23VNH",), 560_000, 6_710_000, 3.0),
    Glacier("160_side_pond", ("24WWU", "24WWT"), 530_000, 7_610_000, 4.5),
    Glacier("190_Academy", ("25XEL", "26XMP", "26XNP"), 549_000, 9_020_000, 4.5),
    Glacier("191_Hagen_Brae", ("26XMR", "26XNR", "26XMQ", "26XNQ"), 482_000, 9_033_000, 6.0),
)
BY_NAME: Mapping[str, Glacier] = {glacier.name: glacier for glacier in GLACIERS}
_FEW = ("001_alison", "090_petermann", "134_Arsuk", "190_Academy")


def glaciers_of(scale: ScaleName) -> Sequence[Glacier]:
    """Return all, or of each kind one."""
    return [each for each in GLACIERS if scale == "full" or each.name in _FEW]


def scenes_of(glacier: Glacier) -> Sequence[Sequence[Scene]]:
    """Return what each pass saw, a scene for each tile in merge priority order."""
    places = list(_places(glacier))
    seen = [_seen(glacier, place) for _, place in places]
    return [
        [
            _scene(each, tile, place, ground, swath, number)
            for number, ((tile, place), (ground, swath)) in enumerate(
                zip(places, seen, strict=True)
            )
        ]
        for each in PASSES
    ]


def _scene(each: Pass, tile: str, place: Place, ground: Field, swath: Field, number: int) -> Scene:
    values = (ground + number * _TILE_STEP) * each.brightness
    is_seen = (swath <= each.seen) | (each.seen >= 1)
    pixels = np.where(is_seen, values, 0).astype(np.uint16)
    return Scene(place, pixels, tile=tile, mission=each.mission, sensed=each.sensed)


def _places(glacier: Glacier) -> Iterator[tuple[str, Place]]:
    """Share a region out among its tiles: zones side by side, the tiles of each as a square."""
    for zone in glacier.zones:
        tiles = [tile for tile in glacier.tiles if _epsg(tile) == zone]
        whole = Place.around(glacier.bounds, zone, margin=300)
        if len(glacier.zones) > 1:
            # West of the border, or east of it, and a little more.
            width = int(whole.width * 0.6)
            whole = whole.part(
                0 if zone == glacier.zones[0] else whole.width - width, 0, width, whole.height
            )
        yield from zip(tiles, _cut(whole, len(tiles)), strict=True)


def _cut(whole: Place, count: int) -> Sequence[Place]:
    """Cut a place into one, two or four that overlap."""
    across = (0, whole.width // 2, whole.width) if count > 2 else (0, whole.width)  # noqa: PLR2004 - two lie one above the other
    down = (0, whole.height // 2, whole.height) if count > 1 else (0, whole.height)
    return [
        whole.part(left, top, _more(right, whole.width) - left, _more(bottom, whole.height) - top)
        for left, right in pairwise(across)
        for top, bottom in pairwise(down)
    ]


def _more(end: int, limit: int) -> int:
    return min(limit, end + _OVERLAP_PIXELS)


def _seen(glacier: Glacier, place: Place) -> tuple[Field, Field]:
    """Return the ground of a place, and for each pixel how far across the region it lies."""
    u, v = _about_middle(glacier, place)
    share: Field = ((u + 1) / 2).astype(np.float32)
    return draw_ground(u, v, glacier.seed), share


def _about_middle(glacier: Glacier, place: Place) -> tuple[Field, Field]:
    """Return where the pixels of a place lie in the region, whose edges are at -1 and 1.

    Over a few kilometres the two projections differ by a turn and a scale, but for some metres.
    """
    right = place.left + place.width * place.resolution
    bottom = place.top - place.height * place.resolution
    xs, ys = _transformer(place.epsg, EPSG).transform(
        [place.left, right, place.left], [place.top, place.top, bottom]
    )
    across = (np.arange(place.width) + 0.5)[None, :] / place.width
    down = (np.arange(place.height) + 0.5)[:, None] / place.height
    bounds, half = glacier.bounds, glacier.kilometres * 500
    x, y = (
        each[0] + across * (each[1] - each[0]) + down * (each[2] - each[0]) for each in (xs, ys)
    )
    u: Field = ((x - bounds.minx) / half - 1).astype(np.float32)
    v: Field = ((y - bounds.miny) / half - 1).astype(np.float32)
    return u, v


def draw_ground(u: Field, v: Field, seed: int) -> Field:
    """Return reflectances: ice that flows between rocks into a fjord; u and v are about -1 to 1."""
    chance = np.random.default_rng(seed)
    turn: list[float] = chance.uniform(0, 2 * np.pi, size=4).tolist()
    height = _mountains(u, v, chance)
    light = np.gradient(height, axis=1) - np.gradient(height, axis=0)
    rock = np.where(height > 0.9, 6800, 1900 + 600 * height) + 26_000 * light  # noqa: PLR2004 - the line of snow
    middle = 0.25 * np.sin(2.2 * v + turn[0]) + 0.05 * np.sin(7 * v + turn[1])
    side = (u - middle) / (0.34 + 0.09 * np.cos(1.7 * v + turn[2]))
    flow = 350 * np.cos(16 * side) + 450 * np.sin(55 * v + 9 * side**2 + turn[3])
    ice = np.where(np.abs(side) > 0.86, 3600, 8000 + flow)  # noqa: PLR2004 - the moraine at its edge
    bergs = 300 + 7000 * (chance.random(u.shape, np.float32) > 0.996)  # noqa: PLR2004 - few of them
    valley = np.where(v > -0.55 + 0.08 * np.cos(9 * side), ice, bergs)
    ground = np.where(np.abs(side) < 1, valley, rock)
    ground += 40 * chance.standard_normal(u.shape, np.float32)
    # Zero means that nothing was seen.
    return np.clip(ground, 100, 12_000).astype(np.float32)


def _mountains(u: Field, v: Field, chance: np.random.Generator) -> Field:
    height = np.zeros_like(u)
    for number in range(_WAVES):
        length = 1.6 ** (number / 2)
        angle, turn = chance.uniform(0, 2 * np.pi, size=2).tolist()
        along = cos(angle) * u + sin(angle) * v
        height += np.sin(3 * length * along + turn) / length
    height /= 2
    return height


def _epsg(tile: str) -> int:
    return 32_600 + int(tile[:2])


@cache
def _transformer(source: int, target: int) -> Transformer:
    return Transformer.from_crs(source, target, always_xy=True)
