"""Of which sightings weather is asked, and which of them share a question. Pure.

The first line that fits says what becomes of a sighting:

| sighting                                                    | becomes              |
|-------------------------------------------------------------|----------------------|
| of a person, a vehicle, something else than an animal       | not_positive         |
| before the year 2000, or a day after the run began          | implausible_time     |
| without latitude or longitude                               | no_position          |
| longer before the start of the run than it is to look back  | too_old              |
| at an hour that nobody can have measured yet                | no_data              |
| any other                                                   | a question           |

An animal of an unknown kind is an animal: some detectors tell no kinds at all. A time that cannot
be right goes before one that is too old, since it is always both.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pipelines.wildlife.labels import UNKNOWN, label_of
from pipelines.wildlife.models.moments import Latitude, Longitude, Moment
from pipelines.wildlife.models.pictures import is_plausible
from pipelines.wildlife.models.weather import WeatherStatus
from pipelines.wildlife.weather.hours import HOUR, REACH, hour_of
from pipelines.wildlife.weather.places import Position, position_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What of an observation matters to the weather."""

    observation_id: str
    species: str
    start_time: Moment
    latitude: Latitude | None
    longitude: Longitude | None


@dataclass(frozen=True, slots=True, order=True)
class Question:
    """What was the weather there, at that hour?"""

    position: Position
    hour: datetime
    fresh: bool = False
    """Of the last hour: a forecast may answer it."""


@dataclass(frozen=True, slots=True)
class Window:
    """Between which times weather is asked for."""

    started_at: datetime
    """Of the run."""
    now: datetime
    days_back: int


def question_of(sighting: Sighting, window: Window) -> Question | WeatherStatus:
    """Return what to ask about a sighting, or why nothing is asked; see the table above."""
    start = sighting.start_time
    label = label_of(sighting.species)
    if not (label.is_animal or label.name == UNKNOWN):
        return WeatherStatus.NOT_POSITIVE
    if not is_plausible(start, window.started_at):
        return WeatherStatus.IMPLAUSIBLE_TIME
    if sighting.latitude is None or sighting.longitude is None:
        return WeatherStatus.NO_POSITION
    if start < window.started_at - timedelta(days=window.days_back):
        return WeatherStatus.TOO_OLD
    hour = hour_of(start)
    if hour > window.now + REACH:
        return WeatherStatus.NO_DATA
    position = position_of(sighting.latitude, sighting.longitude)
    return Question(position, hour, fresh=start >= window.now - HOUR)
