"""The provider locationforecast: what was about to be, for sightings of the last hour."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pipelines.wildlife.weather.bodies import Whole
from pipelines.wildlife.weather.cache import Cache
from pipelines.wildlife.weather.choice import Name
from pipelines.wildlife.weather.client import ProviderClient, read_date
from pipelines.wildlife.weather.forecast_answers import forecast_query, parse_forecast
from pipelines.wildlife.weather.memory import Forecast, Remembered, recall
from pipelines.wildlife.weather.places import Position, Station, position_of
from pipelines.wildlife.weather.provider import Provider, Reports, Stations
from pipelines.wildlife.weather.questions import Question
from pipelines.wildlife.weather.reports import Report

NO_SUCH = frozenset({404, 422})
"""What it answers for a place that it has no forecast for."""
_HEADER = re.compile(r"[ -~]{1,64}")


class Locationforecast(Provider):
    """Asks api.met.no, never again before it says that something may have changed."""

    name = Name.LOCATIONFORECAST
    remembered = True

    def __init__(self, client: ProviderClient, url: str, cache: Cache, now: datetime) -> None:
        self._client = client
        self._url = url.rstrip("/")
        self._cache = cache
        self._now = now

    def serves(self, question: Question) -> bool:
        """Answer nothing that was more than an hour ago."""
        return question.fresh

    async def stations(self, position: Position, hours: Sequence[datetime]) -> Stations:
        """Return the position itself."""
        del hours
        return Stations([Station(position.text, None)])

    def batches(self, hours: Sequence[datetime]) -> Sequence[Sequence[datetime]]:
        """One forecast has them all."""
        return [hours]

    async def reports(self, station: Station, hours: Sequence[datetime]) -> Reports:
        """Return the forecast for a position: one that is still good, or a new one."""
        del hours
        latitude, _, longitude = station.id.partition("_")
        position = position_of(float(latitude), float(longitude))
        kept = await self._cache.forecast(position)
        if kept and kept.expires_at > self._now:
            return _told(kept)
        asked = {"If-Modified-Since": kept.last_modified} if kept and kept.last_modified else {}
        answer = await self._client.fetch(
            self._url + forecast_query(position), lambda: Whole(parse_forecast), headers=asked
        )
        if answer is None:
            return Reports(())
        if answer.body is None and kept:
            fresh = Forecast(self._expiry(answer.headers), kept.last_modified, kept.reports)
        else:
            fresh = Forecast(
                self._expiry(answer.headers),
                _header(answer.headers, "Last-Modified"),
                [_kept(report, self._now) for report in answer.body or ()],
            )
        await self._cache.keep_forecast(position, fresh)
        return _told(fresh)

    def _expiry(self, headers: Mapping[str, str]) -> datetime:
        found = read_date(_header(headers, "Expires"))
        return self._now if found is None else found.astimezone(UTC)


def _told(forecast: Forecast) -> Reports:
    told = (recall(each) for each in forecast.reports)
    return Reports([each for each in told if each is not None])


def _kept(report: Report, now: datetime) -> Remembered:
    return Remembered(now, report.at, dict(report.values))


def _header(headers: Mapping[str, str], name: str) -> str:
    text = next((value for key, value in headers.items() if key.lower() == name.lower()), "")
    return text if _HEADER.fullmatch(text) else ""
