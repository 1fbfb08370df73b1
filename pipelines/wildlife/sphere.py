"""Distances and means on the earth, taken as a ball. Pure."""

from collections.abc import Sequence
from math import asin, cos, fsum, isnan, nan, radians, sin, sqrt
from typing import TypeAlias

EARTH_METERS = 6_371_000.0
SAME_METERS = 1e-6
"""What rounding may make of a distance: a limit that is inclusive is so within a micrometre."""
_HALF_TURN, _TURN = 180.0, 360.0

Position: TypeAlias = tuple[float, float]
"""Latitude and longitude in degrees."""
Vector: TypeAlias = tuple[float, float, float]


def distance_meters(one: Position, other: Position) -> float:
    """Return how far two positions are apart, by the haversine formula."""
    (latitude, longitude), (its_latitude, its_longitude) = one, other
    upright = sin(radians(its_latitude - latitude) / 2) ** 2
    across = sin(radians(its_longitude - longitude) / 2) ** 2
    share = upright + cos(radians(latitude)) * cos(radians(its_latitude)) * across
    return 2 * EARTH_METERS * asin(min(1.0, sqrt(share)))


def vector_of(position: Position) -> Vector:
    """Return a position as metres from the earth's middle; no chord is longer than its arc."""
    latitude, longitude = map(radians, position)
    wide = EARTH_METERS * cos(latitude)
    return wide * cos(longitude), wide * sin(longitude), EARTH_METERS * sin(latitude)


def east_of(longitude: float, base: float) -> float:
    """Return how many degrees a longitude is east of another, the short way round."""
    east = longitude - base
    if east > _HALF_TURN:
        return east - _TURN
    return east + _TURN if east < -_HALF_TURN else east


def moved(base: Position, north: float, east: float) -> Position:
    """Return the position so many degrees away."""
    longitude = base[1] + east
    if not -_HALF_TURN <= longitude <= _HALF_TURN:
        longitude = east_of(longitude, 0.0)
    return base[0] + north, longitude


def mean_position(latitudes: Sequence[float], longitudes: Sequence[float]) -> Position:
    """Return the mean of positions near one another; those that are not a number do not count.

    What is summed is how far they are from the first, so that a position that is said often comes
    out as it went in. Where no position counts, what comes out is not a number.
    """
    if len(set(latitudes)) == len(set(longitudes)) == 1:
        return latitudes[0], longitudes[0]
    if any(map(isnan, latitudes)):
        known = [each for each in zip(latitudes, longitudes, strict=True) if not isnan(each[0])]
        if not known:
            return nan, nan
        latitudes, longitudes = zip(*known, strict=True)
    count, (base_north, base_east) = len(latitudes), (latitudes[0], longitudes[0])
    if max(longitudes) - min(longitudes) <= _HALF_TURN:
        east = fsum([longitude - base_east for longitude in longitudes])
    else:
        east = fsum([east_of(longitude, base_east) for longitude in longitudes])
    north = fsum([latitude - base_north for latitude in latitudes])
    return moved((base_north, base_east), north / count, east / count)
