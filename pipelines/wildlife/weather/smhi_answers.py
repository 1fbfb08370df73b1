"""What smhi is asked, and how its answers are read. Pure.

Each parameter is a world of its own: it has its list of stations, and of each the values in four
periods. The three latest are JSON, the archive is a table of all that was ever measured.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from pipelines.wildlife.weather.elements import Element, read_number, read_value
from pipelines.wildlife.weather.hours import HOUR, REACH, hours_around
from pipelines.wildlife.weather.places import Position, Station, distance_km
from pipelines.wildlife.weather.reports import Report

PARAMETERS: Mapping[Element, int] = MappingProxyType(
    {
        Element.TEMPERATURE: 1,
        Element.HUMIDITY: 6,
        Element.PRECIPITATION: 7,
        Element.WIND: 4,
        Element.WIND_DIRECTION: 3,
        Element.GUST: 21,
        Element.PRESSURE: 9,
        Element.VISIBILITY: 12,
        Element.CLOUD: 16,
        Element.DEW_POINT: 39,
    }
)
_MOST_STATIONS = 5
_STATION = re.compile(r"[0-9]{1,12}")
# A tuple: what is looked for in it came from outside, and a list has no hash.
_GOOD = ("G", "Y")
"""Checked and approved; plausible, not checked by a person yet."""
_LATEST_DAY = timedelta(hours=22)
"""The period has 24 hours, and the report before the hour has to be in it."""
_LATEST_MONTHS = timedelta(days=110)
"""The period has about four months, the archive begins three months ago."""
_SLACK = timedelta(days=1)
_EARLIEST, _LATEST = -(10**11), 4 * 10**12
"""Milliseconds since 1970 that a date may be."""
_ROW = re.compile(
    rb"(\d{4}-\d\d-\d\d);(\d\d:\d\d(?::\d\d)?);\s*(-?[0-9]{1,9}(?:\.[0-9]{0,9})?)\s*;\s*([A-Z])"
)


class Period(StrEnum):
    """Of the four that there are; the latest hour is in the latest day."""

    DAY = "latest-day"
    MONTHS = "latest-months"
    ARCHIVE = "corrected-archive"


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Listed(_Lenient):
    """A station in the list of a parameter."""

    key: str = Field(coerce_numbers_to_str=True)
    latitude: object = None
    longitude: object = None
    begins: object = Field(default=None, alias="from")
    ends: object = Field(default=None, alias="to")


class _List(_Lenient):
    station: list[Listed]


class _Value(_Lenient):
    date: object = None
    value: object = None
    quality: object = None


class _Values(_Lenient):
    value: list[_Value] | None = None


_LIST = TypeAdapter(_List)
_VALUES = TypeAdapter(_Values)


def stations_path(element: Element) -> str:
    """Return where the stations of an element are listed."""
    return f"/parameter/{PARAMETERS[element]}.json"


def values_path(element: Element, station: str, period: Period) -> str:
    """Return where the values of a station in a period are."""
    form = "csv" if period is Period.ARCHIVE else "json"
    return f"/parameter/{PARAMETERS[element]}/station/{station}/period/{period}/data.{form}"


def period_of(hour: datetime, now: datetime) -> Period:
    """Return the period that an hour is in."""
    age = now - hour
    if age <= _LATEST_DAY:
        return Period.DAY
    return Period.MONTHS if age <= _LATEST_MONTHS else Period.ARCHIVE


def batches_of(hours: Iterable[datetime], now: datetime) -> Sequence[Sequence[datetime]]:
    """Put hours together by their periods; the latest day is in the latest months as well."""
    found: dict[Period, list[datetime]] = {}
    for hour in sorted(set(hours)):
        found.setdefault(period_of(hour, now), []).append(hour)
    if Period.MONTHS in found:
        found[Period.MONTHS] += found.pop(Period.DAY, [])
    return list(found.values())


def parse_stations(body: bytes) -> Sequence[Listed]:
    """Return the stations of an element; ValueError."""
    return [each for each in _LIST.validate_json(body).station if _STATION.fullmatch(each.key)]


def find_stations(
    lists: Mapping[Element, Sequence[Listed]],
    position: Position,
    hours: Sequence[datetime],
    max_km: float,
) -> Sequence[Station]:
    """Return the stations within reach that measured in that time.

    Those with a thermometer come first, the nearest of them before the others.
    """
    offers: dict[str, set[Element]] = {}
    near: dict[str, float] = {}
    for element, stations in lists.items():
        for each in stations:
            km = _distance(each, position)
            if km is not None and km <= max_km and _measured(each, hours):
                offers.setdefault(each.key, set()).add(element)
                near[each.key] = km
    found = [
        Station(key, near[key], tuple(each for each in Element if each in elements))
        for key, elements in offers.items()
    ]
    found.sort(key=lambda each: (Element.TEMPERATURE not in each.offers, each.km or 0.0, each.id))
    return found[:_MOST_STATIONS]


def parse_values(body: bytes, element: Element, hours: Sequence[datetime]) -> Sequence[Report]:
    """Return what was measured around these hours; ValueError."""
    wanted = frozenset(hours)
    # Of the thousands of values of four months, all but a few are passed over by this alone.
    first, last = min(wanted) - REACH, max(wanted) + REACH
    found: list[Report] = []
    for each in _VALUES.validate_json(body).value or ():
        at = _moment(each.date)
        if at is None or not first <= at <= last or each.quality not in _GOOD:
            continue
        value = read_value(element, each.value)
        if value is not None and wanted.intersection(hours_around(at)):
            found.append(Report(at, {element: value}))
    return found


def row_parser(element: Element, hours: Iterable[datetime]) -> Callable[[bytes], Report | None]:
    """Return what reads one line of the archive; None for those that matter to none of the hours.

    A file begins with tables that describe station and parameter, and has remarks behind the
    values of its first lines; a line of values is known by its date.
    """
    wanted = frozenset(hours)
    spans = ((hour - 2 * HOUR, hour, hour + 2 * HOUR) for hour in wanted)
    # Nearly all lines are of other days, and their dates tell so before anything is read of them.
    days = frozenset(f"{each:%Y-%m-%d}".encode() for span in spans for each in span)

    def parse(line: bytes) -> Report | None:
        if line[:10] not in days or (row := _ROW.match(line)) is None:
            return None
        try:
            at = datetime.fromisoformat(f"{row[1].decode()}T{row[2].decode()}").replace(tzinfo=UTC)
        except ValueError:
            return None
        value = read_value(element, row[3].decode())
        if value is None or row[4].decode() not in _GOOD or not wanted & {*hours_around(at)}:
            return None
        return Report(at, {element: value})

    return parse


def _measured(each: Listed, hours: Sequence[datetime]) -> bool:
    begins, ends = _moment(each.begins), _moment(each.ends)
    late = begins is not None and begins > max(hours)
    early = ends is not None and ends < min(hours) - _SLACK
    return not (late or early)


def _distance(each: Listed, position: Position) -> float | None:
    latitude, longitude = read_number(each.latitude), read_number(each.longitude)
    if latitude is None or longitude is None:
        return None
    return distance_km(position, latitude, longitude)


def _moment(raw: object) -> datetime | None:
    number = read_number(raw)
    if number is None or not _EARLIEST <= number <= _LATEST:
        return None
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=number)
