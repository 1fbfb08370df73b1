"""The weather columns of a row, from what counts for its hour. Pure."""

from pipelines.wildlife.models.weather import WeatherLine, WeatherStatus
from pipelines.wildlife.weather.elements import Element
from pipelines.wildlife.weather.places import Station
from pipelines.wildlife.weather.reports import Report

_POINTS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")
_FULL_CIRCLE = 360
_CLOUDY, _PARTLY_CLOUDY = 80, 30
"""More than so many percent."""


def cardinal(degrees: float | None) -> str | None:
    """Return the one of eight points that the wind comes from."""
    if degrees is None:
        return None
    sector = _FULL_CIRCLE / len(_POINTS)
    return _POINTS[int((degrees + sector / 2) / sector) % len(_POINTS)]


def condition(
    precipitation: float | None, cloud: float | None, temperature: float | None
) -> str | None:
    """Return the weather in a word.

    | precipitation | temperature | cloud      | word          |
    |---------------|-------------|------------|---------------|
    | > 0           | <= 0        | any        | snow          |
    | > 0           | > 0 or None | any        | rain          |
    | 0 or None     | any         | > 80       | cloudy        |
    | 0 or None     | any         | > 30       | partly_cloudy |
    | 0 or None     | any         | <= 30      | clear         |
    | 0             | any         | None       | clear         |
    | None          | any         | None       | None          |
    """
    if precipitation is None and cloud is None:
        return None
    if precipitation is not None and precipitation > 0:
        return "snow" if temperature is not None and temperature <= 0 else "rain"
    if cloud is None or cloud <= _PARTLY_CLOUDY:
        return "clear"
    return "cloudy" if cloud > _CLOUDY else "partly_cloudy"


def line_without(observation_id: str, status: WeatherStatus) -> WeatherLine:
    """Return the line of an observation that has no weather, and why."""
    return WeatherLine(observation_id=observation_id, weather_status=status)


def line_with(observation_id: str, provider: str, station: Station, report: Report) -> WeatherLine:
    """Return the line of an observation whose weather is known."""
    values = report.values
    return WeatherLine(
        observation_id=observation_id,
        weather_temp_c=values.get(Element.TEMPERATURE),
        weather_humidity_pc=values.get(Element.HUMIDITY),
        weather_precip_mm=values.get(Element.PRECIPITATION),
        weather_wind_ms=values.get(Element.WIND),
        weather_wind_dir_deg=values.get(Element.WIND_DIRECTION),
        weather_wind_dir_card=cardinal(values.get(Element.WIND_DIRECTION)),
        weather_gust_ms=values.get(Element.GUST),
        weather_pressure_hpa=values.get(Element.PRESSURE),
        weather_visibility_m=values.get(Element.VISIBILITY),
        weather_cloud_pc=values.get(Element.CLOUD),
        weather_uv_index=values.get(Element.UV_INDEX),
        weather_dew_point_c=values.get(Element.DEW_POINT),
        weather_condition_code=condition(
            values.get(Element.PRECIPITATION),
            values.get(Element.CLOUD),
            values.get(Element.TEMPERATURE),
        ),
        weather_time=report.at,
        weather_source=provider,
        weather_station_id=None if station.km is None else station.id,
        weather_station_km=station.km,
        weather_status=WeatherStatus.OK,
    )
