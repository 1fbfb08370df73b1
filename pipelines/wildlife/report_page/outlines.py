"""Outlines of places, out of what `stage2/clusters.geojson` holds. Pure.

Whatever is no outline is passed over: a map without one is still a map.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

Ring = list[tuple[float, float]]
"""Latitude and longitude of each corner."""

_CORNERS_MAX = 400
_PLACES_MAX = 20_000


def read_outlines(places: Mapping[str, Any], wanted: frozenset[str]) -> dict[str, Ring]:
    """Return the outlines of those places that are wanted, by their ids."""
    features = places.get("features")
    found: dict[str, Ring] = {}
    if not isinstance(features, list):
        return found
    for feature in features[:_PLACES_MAX]:
        name, ring = _name(feature), _ring(feature)
        if name in wanted and ring:
            found[name] = ring
    return found


def _name(feature: object) -> str:
    properties = feature.get("properties") if isinstance(feature, Mapping) else None
    name = properties.get("cluster_id") if isinstance(properties, Mapping) else None
    return name if isinstance(name, str) else ""


def _ring(feature: object) -> Ring | None:
    geometry = feature.get("geometry") if isinstance(feature, Mapping) else None
    if not isinstance(geometry, Mapping) or geometry.get("type") != "Polygon":
        return None
    rings = geometry.get("coordinates")
    if not isinstance(rings, list) or not rings or not isinstance(rings[0], list):
        return None
    corners = [_corner(each) for each in rings[0][:_CORNERS_MAX]]
    known = [corner for corner in corners if corner is not None]
    return known if len(known) == len(corners) else None


def _corner(said: object) -> tuple[float, float] | None:
    """Return latitude and longitude of a pair that has them the other way round."""
    if not isinstance(said, Sequence) or len(said) < 2:  # noqa: PLR2004 - a pair
        return None
    longitude, latitude = said[0], said[1]
    if not isinstance(longitude, int | float) or not isinstance(latitude, int | float):
        return None
    if not (math.isfinite(longitude) and math.isfinite(latitude)):
        return None
    return (latitude, longitude) if abs(latitude) <= 90 and abs(longitude) <= 180 else None  # noqa: PLR2004 - degrees
