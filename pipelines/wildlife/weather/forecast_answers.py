"""What locationforecast is asked, and how its answers are read. Pure.

It is a forecast and nothing else: it begins about now. Where it said what the weather was going to
be at an hour that has just begun, that is as good as an observation; of any other hour it says
nothing that had happened.
"""

from collections.abc import Sequence
from datetime import UTC

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from pipelines.wildlife.weather.elements import Element, Values, read_value
from pipelines.wildlife.weather.places import Position
from pipelines.wildlife.weather.reports import Report

_INSTANT = {
    "air_temperature": Element.TEMPERATURE,
    "relative_humidity": Element.HUMIDITY,
    "wind_speed": Element.WIND,
    "wind_from_direction": Element.WIND_DIRECTION,
    "wind_speed_of_gust": Element.GUST,
    "air_pressure_at_sea_level": Element.PRESSURE,
    "cloud_area_fraction": Element.CLOUD,
    "ultraviolet_index_clear_sky": Element.UV_INDEX,
    "dew_point_temperature": Element.DEW_POINT,
}
_NEXT_HOUR = {"precipitation_amount": Element.PRECIPITATION}
_ENTRIES = 6
"""From now on: what lies further ahead is of no hour that is asked for."""


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Part(_Lenient):
    details: dict[str, object] = Field(default_factory=dict)


class _Data(_Lenient):
    instant: _Part
    next_1_hours: _Part | None = None


class _Entry(_Lenient):
    time: AwareDatetime
    data: _Data


class _Properties(_Lenient):
    timeseries: list[_Entry]


class _Forecast(_Lenient):
    properties: _Properties


_FORECAST = TypeAdapter(_Forecast)


def forecast_query(position: Position) -> str:
    """Return path and query of the forecast for a position; it has 4 decimals, or is refused."""
    return f"/complete?lat={position.latitude:.4f}&lon={position.longitude:.4f}"


def parse_forecast(body: bytes) -> Sequence[Report]:
    """Return the first hours of a forecast; ValueError."""
    entries = sorted(
        _FORECAST.validate_json(body).properties.timeseries, key=lambda each: each.time
    )
    told = [Report(each.time.astimezone(UTC), _values(each.data)) for each in entries[:_ENTRIES]]
    return [each for each in told if each.values]


def _values(data: _Data) -> Values:
    found: dict[Element, float] = {}
    parts = [(_INSTANT, data.instant), (_NEXT_HOUR, data.next_1_hours or _Part())]
    for names, part in parts:
        for name, element in names.items():
            value = read_value(element, part.details.get(name))
            if value is not None:
                found[element] = value
    return found
