"""What frost is asked, and how its answers are read. Pure.

`/sources` names the stations near a point, `/observations` what they measured. Several elements in
a question for sources mean stations that have all of them, so only temperature is asked for there:
the one that almost every station has.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from urllib.parse import quote

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from pipelines.wildlife.weather.elements import Element, read_number, read_value
from pipelines.wildlife.weather.hours import HOUR
from pipelines.wildlife.weather.places import Position, Station, distance_km
from pipelines.wildlife.weather.reports import Report

ELEMENTS: Mapping[str, Element] = MappingProxyType(
    {
        "air_temperature": Element.TEMPERATURE,
        "relative_humidity": Element.HUMIDITY,
        "sum(precipitation_amount PT1H)": Element.PRECIPITATION,
        "wind_speed": Element.WIND,
        "wind_from_direction": Element.WIND_DIRECTION,
        "max(wind_speed_of_gust PT1H)": Element.GUST,
        "air_pressure_at_sea_level": Element.PRESSURE,
        "visibility_in_air_mor": Element.VISIBILITY,
        "cloud_area_fraction": Element.CLOUD,
        "dew_point_temperature": Element.DEW_POINT,
    }
)
_SOUGHT = "air_temperature"
_NEAREST = 10
_STATION = re.compile(r"[A-Z]{1,4}[0-9]{1,9}")
# Tuples, not sets: what is looked for in them came from outside, and a list has no hash.
_BAD_QUALITY = (5, 6, 7)
"""Very uncertain, or known to be wrong."""
_OCTA = 12.5
_OCTAS = tuple(range(9))
"""-3 and 9 say that the sky could not be seen."""
_NO_OFFSET = "PT0H"
_LAST = 10**9


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Geometry(_Lenient):
    coordinates: list[object] = Field(default_factory=list)


class _Source(_Lenient):
    id: str
    geometry: _Geometry | None = None
    distance: object = None


class _Sources(_Lenient):
    data: list[_Source]


class _Observation(_Lenient):
    element: str = Field(alias="elementId")
    value: object = None
    unit: object = None
    offset: object = Field(default=None, alias="timeOffset")
    quality: object = Field(default=None, alias="qualityCode")
    series: object = Field(default=None, alias="timeSeriesId")


class _Entry(_Lenient):
    source: str = Field(alias="sourceId")
    at: AwareDatetime = Field(alias="referenceTime")
    observations: list[_Observation]


class _Entries(_Lenient):
    data: list[_Entry]


_SOURCES = TypeAdapter(_Sources)
_ENTRIES = TypeAdapter(_Entries)


def sources_query(position: Position, hours: Sequence[datetime]) -> str:
    """Return path and query that name the stations near a position in the time of these hours."""
    first, last = min(hours).date(), max(hours).date()
    point = f"nearest(POINT({position.longitude:.4f} {position.latitude:.4f}))"
    return "/sources/v0.jsonld?" + _query(
        {
            "types": "SensorSystem",
            "elements": _SOUGHT,
            "geometry": point,
            "nearestmaxcount": str(_NEAREST),
            "validtime": f"{first}" if first == last else f"{first}/{last}",
        }
    )


def observations_query(station: str, hours: Sequence[datetime]) -> str:
    """Return path and query that tell what a station measured around these hours."""
    # The end is not included: one minute more, or the report at the last full hour were missing.
    end = (max(hours) + HOUR).replace(minute=1)
    return "/observations/v0.jsonld?" + _query(
        {
            "sources": station,
            "referencetime": f"{_moment(min(hours) - HOUR)}/{_moment(end)}",
            "elements": ",".join(ELEMENTS),
            "timeresolutions": "PT1H",
        }
    )


def parse_sources(body: bytes, position: Position, max_km: float) -> Sequence[Station]:
    """Return the stations within reach, nearest first; ValueError."""
    found: dict[str, Station] = {}
    for source in _SOURCES.validate_json(body).data:
        km = _distance(source, position)
        if km is not None and km <= max_km and _STATION.fullmatch(source.id):
            found.setdefault(source.id, Station(source.id, km))
    return sorted(found.values(), key=lambda each: (each.km or 0.0, each.id))


def parse_observations(body: bytes, station: str) -> Sequence[Report]:
    """Return what a station reported, in the order of time; ValueError.

    Of several series of an element, the one without an offset counts, then that of the first
    sensor, then the one of better quality.
    """
    best: dict[datetime, dict[Element, tuple[tuple[int, ...], float]]] = {}
    for entry in _ENTRIES.validate_json(body).data:
        name, _, sensor = entry.source.partition(":")
        if name != station:
            continue
        at = best.setdefault(entry.at.astimezone(UTC), {})
        for each in entry.observations:
            if (read := _read(each)) is None:
                continue
            element, value = read
            offered = (_rank(each, sensor), value)
            at[element] = min(at.get(element, offered), offered)
    return [
        Report(at, {element: values[element][1] for element in Element if element in values})
        for at, values in sorted(best.items())
        if values
    ]


def _read(each: _Observation) -> tuple[Element, float] | None:
    element = ELEMENTS.get(each.element)
    if element is None or each.quality in _BAD_QUALITY:
        return None
    value = _cloud(each) if element is Element.CLOUD else read_value(element, each.value)
    return None if value is None else (element, value)


def _cloud(each: _Observation) -> float | None:
    if each.unit in ("percent", "%"):
        return read_value(Element.CLOUD, each.value)
    octas = read_number(each.value)
    return octas * _OCTA if octas in _OCTAS else None


def _rank(each: _Observation, sensor: str) -> tuple[int, ...]:
    return (
        0 if each.offset in (None, _NO_OFFSET) else 1,
        _order(sensor),
        _order(each.quality),
        _order(each.series),
    )


def _order(raw: object) -> int:
    number = read_number(raw)
    return _LAST if number is None else int(min(max(number, 0), _LAST))


def _distance(source: _Source, position: Position) -> float | None:
    given = read_number(source.distance)
    if given is not None and given >= 0:
        return given
    if source.geometry is None or len(source.geometry.coordinates) < 2:  # noqa: PLR2004 - a pair
        return None
    longitude, latitude = map(read_number, source.geometry.coordinates[:2])
    if longitude is None or latitude is None:
        return None
    return distance_km(position, latitude, longitude)


def _query(fields: Mapping[str, str]) -> str:
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in fields.items())


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
