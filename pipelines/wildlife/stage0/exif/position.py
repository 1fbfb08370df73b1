"""Degrees, minutes and seconds to a position. Pure; what is missing or malformed is no position.

Nothing here asks whether a number is true: a zero is a latitude like any other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

_DECIMALS = 7
"""A centimetre."""
_PARTS_MAX = 60


@dataclass(frozen=True, slots=True)
class Position:
    """Degrees, WGS 84; metres above the sea where the camera knows."""

    latitude: float
    longitude: float
    altitude_meters: float | None = None

    @property
    def is_null_island(self) -> bool:
        """Whether it is what a receiver writes that has found nothing."""
        return self.latitude == 0 and self.longitude == 0


def decimal_degrees(parts: Sequence[float] | None, ref: str | None, axis: str) -> float | None:
    """Return a latitude (axis `NS`) or a longitude (`EW`), south and west negative."""
    sign = {axis[0]: 1, axis[1]: -1}.get((ref or "").upper())
    if parts is None or sign is None:
        return None
    degrees, minutes, seconds = parts
    if not (degrees >= 0 and 0 <= minutes <= _PARTS_MAX and 0 <= seconds <= _PARTS_MAX):
        return None
    value = degrees + minutes / 60 + seconds / 3600
    if value > (90 if axis == "NS" else 180):
        return None
    # Adding zero makes a zero of a negative zero.
    return round(sign * value, _DECIMALS) + 0.0
