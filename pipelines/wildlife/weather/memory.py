"""What is remembered of a provider's answers, and for how long. Pure.

| what was answered                                | is good for |
|--------------------------------------------------|-------------|
| nothing                                          | 24 hours    |
| an hour that is more than 7 days ago             | 365 days    |
| any other hour                                   | 6 hours     |
| which stations there are                         | 7 days      |
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic import TypeAdapter

from pipelines.wildlife.models.moments import Moment
from pipelines.wildlife.weather.elements import Element, read_value
from pipelines.wildlife.weather.places import Station
from pipelines.wildlife.weather.reports import Report

_NOTHING, _NEW, _OLD = timedelta(hours=24), timedelta(hours=6), timedelta(days=365)
_STATIONS = timedelta(days=7)
_SETTLED = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Remembered:
    """What counts for an hour at a station; `at` is None where there was nothing."""

    expires_at: Moment
    at: Moment | None = None
    values: dict[Element, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Month:
    """A month of a station, as it lies in storage: what is known of its hours."""

    hours: dict[Moment, Remembered] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The stations near a position."""

    expires_at: Moment
    stations: list[Station] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Forecast:
    """A forecast, and when to ask for the next one, and how."""

    expires_at: Moment
    last_modified: str = ""
    """Exactly as it was received."""
    reports: list[Remembered] = field(default_factory=list)


MONTH = TypeAdapter(Month)
NEIGHBOURS = TypeAdapter(Neighbours)
FORECAST = TypeAdapter(Forecast)


def remember(hour: datetime, report: Report | None, now: datetime) -> Remembered:
    """Return what to keep of an answer about an hour."""
    if report is None:
        return Remembered(now + _NOTHING)
    life = _OLD if now - hour > _SETTLED else _NEW
    return Remembered(now + life, report.at, dict(report.values))


def remember_stations(stations: list[Station], now: datetime) -> Neighbours:
    """Return what to keep of the stations near a position."""
    return Neighbours(now + (_STATIONS if stations else _NOTHING), stations)


def recall(kept: Remembered) -> Report | None:
    """Return the report that was kept; None where there was nothing, or nothing possible."""
    values = {
        element: value
        for element, raw in kept.values.items()
        if (value := read_value(element, raw)) is not None
    }
    return Report(kept.at, values) if kept.at is not None and values else None


def still_good(hours: Mapping[datetime, Remembered], now: datetime) -> dict[datetime, Remembered]:
    """Return what has not expired."""
    return {hour: kept for hour, kept in sorted(hours.items()) if kept.expires_at > now}
