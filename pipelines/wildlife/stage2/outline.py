"""The shape of some positions near one another: convex hull, area, length around. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import cos, fsum, radians

from pipelines.wildlife.sphere import EARTH_METERS, Position, distance_meters

_TURN = 360.0
_CORNERS = 3


@dataclass(frozen=True, slots=True)
class Outline:
    """A convex shape."""

    corners: Sequence[Position]
    """Counterclockwise, each once; one of a point, two of a line. Longitudes may go beyond 180, so
    that a shape across the date line is in one piece."""
    area_square_meters: float
    perimeter_meters: float
    """Of a line, its length."""

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north."""
        latitudes, longitudes = zip(*self.corners, strict=True)
        return min(longitudes), min(latitudes), max(longitudes), max(latitudes)


def outline_of(positions: Iterable[Position]) -> Outline:
    """Return the shape around at least one position; their order plays no part."""
    distinct = set(positions)
    base = min(distinct)[1]
    near = sorted((_beside(longitude, base), latitude) for latitude, longitude in distinct)
    points = [(latitude, longitude) for longitude, latitude in near]
    corners = [*_half(points)[:-1], *_half(points[::-1])[:-1]] or points
    if len(corners) < _CORNERS:
        return Outline(corners, 0.0, distance_meters(corners[0], corners[-1]))
    sides = list(pairwise([*corners, corners[0]]))
    around = fsum(distance_meters(*side) for side in sides)
    return Outline(corners, _area(corners), around)


def _beside(longitude: float, base: float) -> float:
    """Return the same longitude, with a turn more or less where that is nearer."""
    return longitude + _TURN * round((base - longitude) / _TURN)


def _half(points: Sequence[Position]) -> list[Position]:
    """Return one side of the hull of points that come from west to east, or from east to west."""
    side: list[Position] = []
    for point in points:
        while len(side) > 1 and _turn(side[-2], side[-1], point) <= 0:
            side.pop()
        side.append(point)
    return side


def _turn(first: Position, then: Position, last: Position) -> float:
    """Return what is positive for a turn to the left."""
    north, east = then[0] - first[0], then[1] - first[1]
    further_north, further_east = last[0] - first[0], last[1] - first[1]
    return east * further_north - north * further_east


def _area(corners: Sequence[Position]) -> float:
    """Return the area as it is on a map without distortion in the middle of the corners."""
    first = corners[0]
    twice = fsum(_turn(first, *side) for side in pairwise(corners[1:]))
    middle = fsum(latitude for latitude, _ in corners) / len(corners)
    degree = radians(1.0) * EARTH_METERS
    return twice / 2 * degree * degree * cos(radians(middle))
