"""The provider smhi: stations of Sweden and what they measured, one parameter at a time."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime

import anyio

from pipelines.wildlife.weather.bodies import Lines, Reader, Whole
from pipelines.wildlife.weather.choice import Name
from pipelines.wildlife.weather.client import ProviderClient
from pipelines.wildlife.weather.elements import Element
from pipelines.wildlife.weather.errors import WeatherError
from pipelines.wildlife.weather.places import Position, Station
from pipelines.wildlife.weather.provider import Provider, Reports, Stations
from pipelines.wildlife.weather.questions import Question
from pipelines.wildlife.weather.reports import Report
from pipelines.wildlife.weather.smhi_answers import (
    PARAMETERS,
    Listed,
    Period,
    batches_of,
    find_stations,
    parse_stations,
    parse_values,
    period_of,
    row_parser,
    stations_path,
    values_path,
)

NO_SUCH = frozenset({404})
"""What smhi answers where a station does not have a parameter, or nothing of it in a period."""


class Smhi(Provider):
    """Asks opendata-download-metobs.smhi.se."""

    name = Name.SMHI
    remembered = True

    def __init__(self, client: ProviderClient, url: str, max_km: float, now: datetime) -> None:
        self._client = client
        self._url = url.rstrip("/")
        self._max_km = max_km
        self._now = now
        self._lists: dict[Element, Sequence[Listed]] = {}
        self._listing = anyio.Lock()

    def serves(self, question: Question) -> bool:
        """Answer anything."""
        del question
        return True

    async def stations(self, position: Position, hours: Sequence[datetime]) -> Stations:
        """Find the stations near a position in the lists of all parameters, asked for once."""
        async with self._listing:
            await self._fill_lists()
        found = find_stations(self._lists, position, hours, self._max_km)
        return Stations(found, whole=len(self._lists) == len(PARAMETERS))

    def batches(self, hours: Sequence[datetime]) -> Sequence[Sequence[datetime]]:
        """Ask for the hours of a period together."""
        return batches_of(hours, self._now)

    async def reports(self, station: Station, hours: Sequence[datetime]) -> Reports:
        """Ask for every parameter that the station has."""
        period = period_of(min(hours), self._now)
        found: dict[Element, Sequence[Report]] = {}

        async def ask(element: Element) -> None:
            found[element] = await self._values(element, station, period, hours)

        failed = await _each(station.offers, ask)
        if len(failed) == len(station.offers) and failed:
            raise failed[0]
        told = [report for element in Element for report in found.get(element, ())]
        return Reports(told, whole=not failed)

    async def _values(
        self, element: Element, station: Station, period: Period, hours: Sequence[datetime]
    ) -> Sequence[Report]:
        def lines() -> Reader[Sequence[Report]]:
            return Lines(row_parser(element, hours))

        def whole() -> Reader[Sequence[Report]]:
            return Whole(lambda body: parse_values(body, element, hours))

        archive = period is Period.ARCHIVE
        answer = await self._client.fetch(
            self._url + values_path(element, station.id, period),
            lines if archive else whole,
            long=archive,
        )
        return (answer.body if answer else None) or ()

    async def _fill_lists(self) -> None:
        async def ask(element: Element) -> None:
            answer = await self._client.fetch(
                self._url + stations_path(element), lambda: Whole(parse_stations)
            )
            self._lists[element] = (answer.body if answer else None) or ()

        missing = [each for each in PARAMETERS if each not in self._lists]
        failed = await _each(missing, ask)
        if Element.TEMPERATURE not in self._lists and failed:
            raise failed[0]


async def _each(
    elements: Iterable[Element], ask: Callable[[Element], Awaitable[None]]
) -> Sequence[WeatherError]:
    """Ask for several elements side by side and return what went wrong."""
    failed: list[WeatherError] = []

    async def safely(element: Element) -> None:
        try:
            await ask(element)
        except WeatherError as error:
            failed.append(error)

    async with anyio.create_task_group() as group:
        for element in elements:
            group.start_soon(safely, element)
    return failed
