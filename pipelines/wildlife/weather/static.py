"""The provider static: weather from a file, for those without a network, and for tests.

    {
      "attribution": "Weather: our own station",
      "stations": [
        {
          "id": "yard",
          "latitude": 59.9423,
          "longitude": 10.72,
          "reports": [
            {"time": "2025-06-01T04:00:00Z", "weather_temp_c": 11.5, "weather_precip_mm": 0}
          ]
        }
      ]
    }

A station without a position is near everything. The names of what is measured are those of the
columns; what is left out was not measured.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import anyio.to_thread
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipelines.wildlife.models.moments import Latitude, Longitude, Moment
from pipelines.wildlife.weather.choice import ATTRIBUTIONS, Name
from pipelines.wildlife.weather.elements import Element, read_value
from pipelines.wildlife.weather.places import Position, Station, distance_km
from pipelines.wildlife.weather.provider import Provider, Reports, Stations
from pipelines.wildlife.weather.questions import Question
from pipelines.wildlife.weather.reports import Report
from shared.errors import UsageError

_MOST_BYTES = 64 * 1024 * 1024
_MISTAKES = 20


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Report(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)

    time: Moment

    @model_validator(mode="after")
    def _names_and_numbers(self) -> "_Report":
        for name, raw in (self.model_extra or {}).items():
            if name not in {*Element}:
                raise ValueError(f"{name[:40]!r} is not measured; use {', '.join(Element)}")
            if raw is not None and read_value(Element(name), raw) is None:
                raise ValueError(f"{name} cannot be {raw!r}")
        return self

    def read(self) -> Report:
        """Return what was measured."""
        extra = self.model_extra or {}
        values = ((element, read_value(element, extra.get(element))) for element in Element)
        return Report(self.time, {name: value for name, value in values if value is not None})


class _Station(_Strict):
    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    reports: list[_Report] = Field(default_factory=list)


class _File(_Strict):
    attribution: Annotated[str, Field(max_length=200)] = ATTRIBUTIONS[Name.STATIC]
    stations: list[_Station]

    @model_validator(mode="after")
    def _each_once(self) -> "_File":
        names = [each.id for each in self.stations]
        if twice := sorted({each for each in names if names.count(each) > 1}):
            raise ValueError(f"stations {twice!r} are there twice")
        return self


class Static(Provider):
    """Answers from a file; `read_static` makes it."""

    name = Name.STATIC
    remembered = False

    def __init__(self, file: _File, max_km: float) -> None:
        self.attribution = file.attribution
        self._stations = file.stations
        self._max_km = max_km
        self._reports = {
            station.id: [report.read() for report in station.reports] for station in file.stations
        }

    def serves(self, question: Question) -> bool:
        """Answer anything."""
        del question
        return True

    async def stations(self, position: Position, hours: Sequence[datetime]) -> Stations:
        """Return the stations within reach, nearest first."""
        del hours
        near = [
            Station(each.id, km)
            for each in self._stations
            if (km := _distance(each, position)) <= self._max_km
        ]
        return Stations(sorted(near, key=lambda each: (each.km or 0.0, each.id)))

    def batches(self, hours: Sequence[datetime]) -> Sequence[Sequence[datetime]]:
        """Answer all at once."""
        return [hours]

    async def reports(self, station: Station, hours: Sequence[datetime]) -> Reports:
        """Return what the file says."""
        del hours
        return Reports(self._reports[station.id])


async def read_static(path: Path, max_km: float) -> Static:
    """Read a file; UsageError with a line for each mistake."""
    return await anyio.to_thread.run_sync(load_static, path, max_km)


def load_static(path: Path, max_km: float) -> Static:
    """Read a file, and block meanwhile; UsageError with a line for each mistake."""
    try:
        body = _read(path)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"weather_file {str(path)!r} cannot be read: {reason}") from error
    try:
        return Static(_File.model_validate_json(body), max_km)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)[:_MISTAKES]
        lines = [
            f"weather_file {str(path)!r}: {'.'.join(map(str, each['loc']))}: {each['msg'][:300]}"
            for each in wrong
        ]
        raise UsageError("\n".join(lines)) from error


def _read(path: Path) -> bytes:
    with path.open("rb") as stream:
        body = stream.read(_MOST_BYTES + 1)
    if len(body) > _MOST_BYTES:
        raise OSError(f"it has more than {_MOST_BYTES} bytes")
    return body


def _distance(station: _Station, position: Position) -> float:
    if station.latitude is None or station.longitude is None:
        return 0.0
    return distance_km(position, station.latitude, station.longitude)
