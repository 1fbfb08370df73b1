"""From degrees to a drawing, and round numbers for its scale. Pure.

Equirectangular around the middle: true to distance within a few hundred kilometres, which is more
than a walk along cameras is.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_METERS_A_DEGREE = math.pi * 6_371_000 / 180
_SPAN_MIN = 120.0
"""Metres across the map at the least: a single place is not drawn as large as a hand."""
_STEPS = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Frame:
    """The part of the drawing in which places lie."""

    width: float
    height: float
    margin: float


@dataclass(frozen=True, slots=True)
class Projection:
    """Maps degrees onto units of the drawing; north is up."""

    latitude: float
    """In the middle."""
    longitude: float
    units_a_meter: float
    frame: Frame

    def place(self, latitude: float, longitude: float) -> tuple[float, float]:
        """Return x and y."""
        east = around(longitude - self.longitude) * self._meters_east
        north = (latitude - self.latitude) * _METERS_A_DEGREE
        return (
            self.frame.width / 2 + east * self.units_a_meter,
            self.frame.height / 2 - north * self.units_a_meter,
        )

    def parallels(self) -> Iterator[tuple[float, float]]:
        """Yield round latitudes on the map and where they lie."""
        high = self.frame.height / self.units_a_meter / _METERS_A_DEGREE
        for degrees in round_steps(self.latitude - high / 2, self.latitude + high / 2):
            yield degrees, self.place(degrees, self.longitude)[1]

    def meridians(self) -> Iterator[tuple[float, float]]:
        """Yield round longitudes on the map and where they lie."""
        wide = self.frame.width / self.units_a_meter / self._meters_east
        for degrees in round_steps(self.longitude - wide / 2, self.longitude + wide / 2):
            yield around(degrees), self.place(self.latitude, degrees)[0]

    @property
    def _meters_east(self) -> float:
        # Even at a pole a degree is wider than nothing.
        return _METERS_A_DEGREE * max(0.01, math.cos(math.radians(self.latitude)))


def fit(points: Sequence[tuple[float, float]], frame: Frame) -> Projection:
    """Return the projection on which all of the points are seen; there is at least one."""
    latitudes = [latitude for latitude, _ in points]
    # Counted from the first, places on both sides of the date line are neighbours.
    easts = [around(longitude - points[0][1]) for _, longitude in points]
    north = (min(latitudes) + max(latitudes)) / 2
    east = around(points[0][1] + (min(easts) + max(easts)) / 2)
    meters = Projection(north, east, 1.0, frame)
    wide = (max(easts) - min(easts)) * meters._meters_east  # noqa: SLF001 - of the same module
    high = (max(latitudes) - min(latitudes)) * _METERS_A_DEGREE
    across, up = frame.width - 2 * frame.margin, frame.height - 2 * frame.margin
    scale = min(across / max(wide, _SPAN_MIN), up / max(high, _SPAN_MIN))
    return Projection(north, east, scale, frame)


def scale_bar(units_a_meter: float, longest: float) -> tuple[float, float]:
    """Return the metres and the length of the longest round bar that fits."""
    meters = _round_down(longest / units_a_meter)
    return meters, meters * units_a_meter


def round_steps(low: float, high: float) -> Iterator[float]:
    """Yield two to five round numbers between two others."""
    step = _round_down((high - low) / 2)
    for number in range(math.ceil(low / step), math.floor(high / step) + 1):
        yield round(number * step, 9)


def around(degrees: float) -> float:
    """Return a longitude between -180 and 180."""
    return (degrees + 540) % 360 - 180


def _round_down(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return max(step * power for step in _STEPS if step * power <= value * (1 + 1e-9))
