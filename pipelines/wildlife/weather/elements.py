"""What is measured, in our units, and which numbers can be a measurement at all. Pure.

A value is kept as it was received, unrounded. What no instrument in the open can have shown is
taken for a fault of the instrument, and that is as good as nothing measured: None, never 0.
"""

import math
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias

_LONGEST = 32
"""Characters of a number that is written as text."""


class Element(StrEnum):
    """What is measured; the value is the name of the column it goes to."""

    TEMPERATURE = "weather_temp_c"
    HUMIDITY = "weather_humidity_pc"
    PRECIPITATION = "weather_precip_mm"
    WIND = "weather_wind_ms"
    WIND_DIRECTION = "weather_wind_dir_deg"
    GUST = "weather_gust_ms"
    PRESSURE = "weather_pressure_hpa"
    VISIBILITY = "weather_visibility_m"
    CLOUD = "weather_cloud_pc"
    UV_INDEX = "weather_uv_index"
    DEW_POINT = "weather_dew_point_c"


Values: TypeAlias = Mapping[Element, float]
"""What one station says of one time; what it does not say is not in it."""

POSSIBLE: Mapping[Element, tuple[float, float]] = MappingProxyType(
    {
        Element.TEMPERATURE: (-90, 60),
        Element.HUMIDITY: (0, 100),
        Element.PRECIPITATION: (0, 400),
        Element.WIND: (0, 120),
        Element.WIND_DIRECTION: (0, 360),
        Element.GUST: (0, 150),
        Element.PRESSURE: (850, 1100),
        Element.VISIBILITY: (0, 200_000),
        # SMHI says 113 where fog hides the sky.
        Element.CLOUD: (0, 100),
        Element.UV_INDEX: (0, 50),
        Element.DEW_POINT: (-100, 50),
    }
)
"""Least and most of each, both included."""


def read_number(raw: object) -> float | None:
    """Return a finite number from what a provider sent, be it a number or a text of one."""
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        return None
    if isinstance(raw, str) and len(raw) > _LONGEST:
        return None
    try:
        value = float(raw)
    except (ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def read_value(element: Element, raw: object) -> float | None:
    """Return what was measured, None where it was not or cannot have been."""
    value = read_number(raw)
    if value is None:
        return None
    least, most = POSSIBLE[element]
    return value if least <= value <= most else None
