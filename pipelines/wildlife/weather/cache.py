"""Answers of earlier runs in storage: an object for each provider, station and month.

The key of a record is provider, station and hour; hours of a month share an object, for a run reads
and writes a few of them instead of thousands. Losing one costs a request, never a value.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeVar

import anyio
import structlog
from pydantic import TypeAdapter, ValidationError
from structlog.typing import FilteringBoundLogger

from pipelines.wildlife.document.places import Place
from pipelines.wildlife.layout import WEATHER_CACHE, Kind
from pipelines.wildlife.storage.protocol import Missing, Storage, Unusable
from pipelines.wildlife.weather.choice import Name
from pipelines.wildlife.weather.memory import (
    FORECAST,
    MONTH,
    NEIGHBOURS,
    Forecast,
    Month,
    Remembered,
    recall,
    remember,
    remember_stations,
    still_good,
)
from pipelines.wildlife.weather.places import Position, Station
from pipelines.wildlife.weather.reports import Report
from shared.s3.errors import ObjectError

log: FilteringBoundLogger = structlog.get_logger()
Form = TypeVar("Form")

_MOST_BYTES = 16 * 1024 * 1024


class Cache:
    """What one provider has said."""

    def __init__(self, storage: Storage, place: Place, provider: Name, now: datetime) -> None:
        self._storage = storage
        self._place = place
        self._folder = f"{WEATHER_CACHE}{provider}/"
        self._now = now
        self._locks: dict[str, anyio.Lock] = {}

    async def hours(
        self, station: Station, hours: Sequence[datetime]
    ) -> Mapping[datetime, Report | None]:
        """Return what is known of these hours; None where it is known that there is nothing."""
        found: dict[datetime, Report | None] = {}
        for name, wanted in self._months(station, hours).items():
            month = await self._month(name)
            found.update({hour: recall(month[hour]) for hour in wanted if hour in month})
        return found

    async def keep_hours(self, station: Station, told: Mapping[datetime, Report | None]) -> None:
        """Remember what was said of these hours."""
        for name, hours in self._months(station, [*told]).items():
            async with self._locks.setdefault(name, anyio.Lock()):
                month = dict(await self._month(name))
                month.update({hour: remember(hour, told[hour], self._now) for hour in hours})
                await self._write(name, MONTH, Month(dict(sorted(month.items()))))

    async def stations(
        self, position: Position, hours: Sequence[datetime]
    ) -> Sequence[Station] | None:
        """Return the stations near a position; None where they have to be asked for."""
        found = await self._read(_neighbours(position, hours), NEIGHBOURS)
        return found.stations if found and found.expires_at > self._now else None

    async def keep_stations(
        self, position: Position, hours: Sequence[datetime], stations: Sequence[Station]
    ) -> None:
        """Remember which stations are near a position."""
        kept = remember_stations([*stations], self._now)
        await self._write(_neighbours(position, hours), NEIGHBOURS, kept)

    async def forecast(self, position: Position) -> Forecast | None:
        """Return the last forecast for a position, expired or not."""
        return await self._read(f"forecasts/{position.text}.json", FORECAST)

    async def keep_forecast(self, position: Position, forecast: Forecast) -> None:
        """Remember a forecast."""
        await self._write(f"forecasts/{position.text}.json", FORECAST, forecast)

    def _months(
        self, station: Station, hours: Sequence[datetime]
    ) -> Mapping[str, Sequence[datetime]]:
        found: dict[str, list[datetime]] = {}
        for hour in hours:
            found.setdefault(f"hours/{station.id}/{hour:%Y-%m}.json", []).append(hour)
        return found

    async def _month(self, name: str) -> Mapping[datetime, Remembered]:
        found: Month | None = await self._read(name, MONTH)
        return still_good(found.hours, self._now) if found else {}

    async def _read(self, name: str, form: "TypeAdapter[Form]") -> Form | None:
        uri = self._place.join(self._folder + name)
        try:
            body = await self._storage.read(uri, length=_MOST_BYTES)
            return form.validate_json(body)
        except Missing:
            return None
        except (ValidationError, Unusable, ObjectError, TimeoutError) as error:
            log.warning("weather_cache_unread", uri=uri, reason=str(error)[:200])
            return None

    async def _write(self, name: str, form: "TypeAdapter[Form]", kept: Form) -> None:
        uri = self._place.join(self._folder + name)
        try:
            await self._storage.write(uri, form.dump_json(kept), kind=Kind.CACHE)
        except (Unusable, ObjectError, TimeoutError) as error:
            log.warning("weather_cache_unwritten", uri=uri, reason=str(error)[:200])


def _neighbours(position: Position, hours: Sequence[datetime]) -> str:
    # Stations come and go: those of one time may not be there at another.
    return f"stations/{position.text}_{min(hours):%Y%m%d}_{max(hours):%Y%m%d}.json"
