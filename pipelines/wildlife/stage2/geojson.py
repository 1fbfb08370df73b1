"""Places as GeoJSON, for maps: the text of a collection, piece by piece. Pure."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pipelines.wildlife.stage2.clustering import Cluster, Overlap
from pipelines.wildlife.stage2.outline import Outline

_DEGREE_DECIMALS = 7
"""A centimetre."""
_METER_DECIMALS = 3
_POINT, _LINE = 1, 2


@dataclass(frozen=True, slots=True)
class SeenPlace:
    """A place and what was seen there."""

    cluster: Cluster
    outline: Outline
    first_seen: datetime
    last_seen: datetime


def collection_pieces(places: Iterable[SeenPlace], overlaps: Sequence[Overlap]) -> Iterator[bytes]:
    """Yield the text of a FeatureCollection, a line for each place."""
    said = [
        {
            "cluster_ids": list(overlap.cluster_ids),
            "distance_meters": round(overlap.distance_meters, _METER_DECIMALS),
        }
        for overlap in overlaps
    ]
    yield f'{{"type":"FeatureCollection","overlaps":{_text(said)},"features":['.encode()
    behind = "\n"
    for place in places:
        yield f"{behind}{_text(feature_of(place))}".encode()
        behind = ",\n"
    yield b"\n]}\n"


def feature_of(place: SeenPlace) -> Mapping[str, object]:
    """Return a place as a Feature."""
    cluster, outline = place.cluster, place.outline
    latitude, longitude = cluster.center
    return {
        "type": "Feature",
        "id": cluster.cluster_id,
        "bbox": [_degrees(degrees) for degrees in outline.bounds],
        "geometry": _geometry(outline),
        "properties": {
            "cluster_id": cluster.cluster_id,
            "name": cluster.name,
            "is_known": cluster.is_known,
            "center_latitude": _degrees(latitude),
            "center_longitude": _degrees(longitude),
            "radius_meters": cluster.radius_meters,
            "point_count": cluster.points,
            "first_seen": _moment(place.first_seen),
            "last_seen": _moment(place.last_seen),
            "area_square_meters": round(outline.area_square_meters, _METER_DECIMALS),
            "perimeter_meters": round(outline.perimeter_meters, _METER_DECIMALS),
        },
    }


def _geometry(outline: Outline) -> Mapping[str, object]:
    corners = [[_degrees(longitude), _degrees(latitude)] for latitude, longitude in outline.corners]
    if len(corners) == _POINT:
        return {"type": "Point", "coordinates": corners[0]}
    if len(corners) == _LINE:
        return {"type": "LineString", "coordinates": corners}
    return {"type": "Polygon", "coordinates": [[*corners, corners[0]]]}


def _degrees(value: float) -> float:
    return round(value, _DEGREE_DECIMALS)


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
