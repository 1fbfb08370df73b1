"""What the page shows of sightings, as it was counted. Pure.

A run may have a million rows: nothing here grows with them, but with species, cameras, places and
days, each of which is bounded. `counting` fills these in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, tzinfo

from pipelines.wildlife.report_page.sun import Light

HOURS = 24
SAMPLES_MAX = 24
"""Crops on a page."""
CROP_BYTES_MAX = 4 * 1024 * 1024
"""A crop that is larger need not be fetched: it will not be shown."""
DEGREES_A_BIN = 5
"""Celsius, of the histogram of temperatures."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Least, mean and greatest of the values that there are."""

    least: float
    mean: float
    greatest: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeciesSightings:
    """What was seen of one species."""

    species: str
    sightings: int
    animals: int
    """Most of them in one picture, added up over the sightings."""
    pictures: int
    needs_review: int
    best_confidence: float
    mean_confidence: float
    first_at: datetime
    last_at: datetime
    by_hour: tuple[int, ...]
    """Of the local day, 24 numbers."""
    by_light: Mapping[Light, int]
    """Of the sightings whose time and position are known."""
    cameras: tuple[str, ...]
    temperature: Spread | None
    """Degrees Celsius."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSightings:
    """What one camera saw."""

    camera_id: str
    sightings: int
    species: Mapping[str, int]
    position: tuple[float, float] | None
    """Mean of its sightings' latitude and longitude."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceSightings:
    """What was seen at one place."""

    cluster_id: str
    name: str
    latitude: float
    longitude: float
    sightings: int
    animals: int
    species: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A crop that may be shown."""

    crop_uri: str
    species: str
    camera_id: str
    place: str | None
    taken_at: datetime
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WeatherSightings:
    """The weather of those sightings that have any."""

    temperature: Spread | None
    humidity: Spread | None
    wind: Spread | None
    pressure: Spread | None
    rainy: int
    """With precipitation."""
    dry: int
    temperatures: Mapping[int, int]
    """Sightings by the lower end of a bin of `DEGREES_A_BIN`."""
    conditions: Mapping[str, int]
    wind_points: Mapping[str, int]
    """By the eight points that it blew from."""
    statuses: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Everything that the page says of sightings."""

    sightings: int
    animals: int
    needs_review: int
    unplaced: int
    """Without a position."""
    untimed: int
    """Of which the time cannot be right; they are in no figure by hour, day or light."""
    first_at: datetime | None
    last_at: datetime | None
    zone: tzinfo
    """Whose hours and days are shown."""
    position: tuple[float, float] | None
    """Mean latitude and longitude."""
    by_hour: tuple[int, ...]
    by_day: Mapping[date, Mapping[str, int]]
    """Sightings by local day and species."""
    species: tuple[SpeciesSightings, ...]
    """Most often seen first."""
    cameras: tuple[CameraSightings, ...]
    places: tuple[PlaceSightings, ...]
    """Most sightings first."""
    places_left_out: int
    """Sightings of places beyond those that are counted one by one."""
    weather: WeatherSightings
    samples: tuple[Sample, ...]
    """Crops to fetch, best first and every species among them."""
