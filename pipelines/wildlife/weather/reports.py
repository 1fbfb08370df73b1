"""What a station reported, and what of it counts for an hour. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from pipelines.wildlife.weather.elements import Element, Values
from pipelines.wildlife.weather.hours import hours_around


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured at one time."""

    at: datetime
    values: Values


Offer: TypeAlias = tuple[timedelta, datetime, float]
"""How far from the hour, when, what."""


def pick(hours: Collection[datetime], reports: Iterable[Report]) -> Mapping[datetime, Report]:
    """Return for each hour what counts for it: of each element the nearest value in reach.

    Of two that are equally near, the earlier counts. The time is that of the nearest report that
    gave anything; hours for which nothing counts are not in it.
    """
    wanted = frozenset(hours)
    nearest: dict[datetime, dict[Element, Offer]] = {}
    for report in reports:
        for hour in wanted.intersection(hours_around(report.at)):
            offers = nearest.setdefault(hour, {})
            for element, value in report.values.items():
                offer = (abs(report.at - hour), report.at, value)
                if element not in offers or offer < offers[element]:
                    offers[element] = offer
    return {hour: _told(offers) for hour, offers in sorted(nearest.items()) if offers}


def _told(offers: Mapping[Element, Offer]) -> Report:
    _, at, _ = min(offers.values())
    return Report(at, {element: offers[element][2] for element in Element if element in offers})
