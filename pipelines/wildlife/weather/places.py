"""Where weather is asked for, and where it was measured. Pure."""

from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from pipelines.wildlife.sphere import distance_meters
from pipelines.wildlife.weather.elements import Element

_KILOMETRE = 1000
_STEP = Decimal("0.0001")


def truncate(degrees: float) -> float:
    """Cut degrees toward zero to 4 decimals: about 10 m, and as many as providers allow."""
    # By way of the digits that people see: 59.9423 times 10,000 is a little less than 599,423.
    cut = float(Decimal(repr(degrees)).quantize(_STEP, ROUND_DOWN))
    return cut + 0.0


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where weather is asked for; made by `position_of` and nothing else."""

    latitude: float
    longitude: float

    @property
    def text(self) -> str:
        """What stands for it in the name of an object."""
        return f"{self.latitude:.4f}_{self.longitude:.4f}"


@dataclass(frozen=True, slots=True)
class Station:
    """Where it is measured, as seen from a position."""

    id: str
    km: float | None
    """How far away; None for a forecast, which is made for the position itself."""
    offers: tuple[Element, ...] = ()
    """What it measures; empty where the provider does not say."""


def position_of(latitude: float, longitude: float) -> Position:
    """Return the position that stands for a place."""
    return Position(truncate(latitude), truncate(longitude))


def distance_km(position: Position, latitude: float, longitude: float) -> float:
    """Return the length of the great circle between two points, to the metre."""
    meters = distance_meters((position.latitude, position.longitude), (latitude, longitude))
    return round(meters / _KILOMETRE, 3)
