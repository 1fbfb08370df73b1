"""The lines of `weather/observations_weather.jsonl`, and the weather columns of the tables."""

from dataclasses import dataclass
from enum import StrEnum

from pipelines.wildlife.models.moments import Moment


class WeatherStatus(StrEnum):
    """Why an observation has its weather, or has none."""

    OK = "ok"
    NO_DATA = "no_data"
    NOT_POSITIVE = "not_positive"
    NO_POSITION = "no_position"
    TOO_OLD = "too_old"
    IMPLAUSIBLE_TIME = "implausible_time"
    PROVIDER_REFUSED = "provider_refused"
    ERROR = "error"
    DEADLINE = "deadline"
    NOT_RUN = "not_run"
    """Nobody was asked: weather is switched off, or the step failed as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What the weather was; None is what nobody measured, never 0."""

    weather_temp_c: float | None = None
    weather_humidity_pc: float | None = None
    weather_precip_mm: float | None = None
    """Of the hour."""
    weather_wind_ms: float | None = None
    weather_wind_dir_deg: float | None = None
    weather_wind_dir_card: str | None = None
    """One of eight points: N NE E SE S SW W NW."""
    weather_gust_ms: float | None = None
    weather_pressure_hpa: float | None = None
    """At sea level."""
    weather_visibility_m: float | None = None
    weather_cloud_pc: float | None = None
    weather_uv_index: float | None = None
    weather_dew_point_c: float | None = None
    weather_condition_code: str | None = None
    """`rain`, `snow`, `cloudy`, `partly_cloudy` or `clear`."""
    weather_time: Moment | None = None
    weather_source: str | None = None
    """Name of the provider."""
    weather_station_id: str | None = None
    weather_station_km: float | None = None
    weather_status: WeatherStatus = WeatherStatus.NO_DATA


@dataclass(frozen=True, slots=True, kw_only=True)
class WeatherLine(Weather):
    """One line of `weather/observations_weather.jsonl`."""

    observation_id: str
