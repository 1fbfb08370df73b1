"""What every provider of weather can be asked. Types alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pipelines.wildlife.weather.choice import Name
from pipelines.wildlife.weather.places import Position, Station
from pipelines.wildlife.weather.questions import Question
from pipelines.wildlife.weather.reports import Report


@dataclass(frozen=True, slots=True)
class Stations:
    """Stations near a position, the nearest first."""

    found: Sequence[Station]
    whole: bool = True
    """Whether all was heard that there is; what is not may not be remembered."""


@dataclass(frozen=True, slots=True)
class Reports:
    """What a station reported."""

    found: Sequence[Report]
    whole: bool = True
    """As above."""


class Provider(Protocol):
    """Stations and their reports; each verb may be called concurrently and is bounded in time.

    Raises:
        pipelines.wildlife.weather.errors.WeatherError: the provider did not answer to any use.
    """

    @property
    def name(self) -> Name:
        """Who it is."""

    @property
    def remembered(self) -> bool:
        """Whether answers are worth remembering for the next run."""

    def serves(self, question: Question) -> bool:
        """Tell whether it may be asked this at all."""

    async def stations(self, position: Position, hours: Sequence[datetime]) -> Stations:
        """Return the stations within reach that measured at one of these hours or may have."""

    def batches(self, hours: Sequence[datetime]) -> Sequence[Sequence[datetime]]:
        """Divide hours into those that are asked for together."""

    async def reports(self, station: Station, hours: Sequence[datetime]) -> Reports:
        """Return what a station reported around these hours; they are one of the batches."""
