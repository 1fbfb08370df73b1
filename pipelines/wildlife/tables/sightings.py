"""The rows of `clusters.parquet`: observations in their order, each with its weather."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pipelines.wildlife.models.observations import ObservationLine, TimelineEntry, best_crop
from pipelines.wildlife.models.tables import ObservationRow
from pipelines.wildlife.models.weather import Weather, WeatherLine, WeatherStatus
from pipelines.wildlife.storage.protocol import Missing
from pipelines.wildlife.tables.columns import (
    Cell,
    Column,
    Kind,
    cells_of,
    columns_of,
    to_microseconds,
    values_of,
)
from pipelines.wildlife.tables.spool import Spool, fill

ORDER = ("start_time", "camera_id", "species")
"""What the rows are sorted by; those that are still equal, by their ids."""

_ID = Column("observation_id", Kind.TEXT, nullable=False)
_OBSERVATION = columns_of(ObservationLine, without={"detection_timeline"})
_MEMBER = columns_of(TimelineEntry)
_SAMPLE = tuple(Column(f"sample_{part.name}", part.kind, nullable=True) for part in _MEMBER)
_NO_SAMPLE: tuple[Cell, ...] = (None,) * len(_SAMPLE)
_WEATHER = (_ID, *columns_of(Weather))
_STATUSES: Mapping[str | None, WeatherStatus] = {
    None: WeatherStatus.NOT_RUN,
    **{status.value: status for status in WeatherStatus},
}
_SEEN = (
    Column("camera_id", Kind.TEXT, nullable=False),
    Column("moment", Kind.MOMENT, nullable=False),
    _ID,
)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A row, and what the table does not have of it."""

    row: ObservationRow
    sample: TimelineEntry | None
    """The best member of which there is a crop."""


async def load_observations(
    spool: Spool, lines: AsyncIterator[Sequence[ObservationLine]], *, moments: bool
) -> int:
    """Store observations, and when each camera saw them if asked; return how many there are."""
    spool.create("observation", (*_OBSERVATION, *_SAMPLE))
    spool.create("seen", _SEEN, key="camera_id, moment, observation_id")
    cells, sample = cells_of(_OBSERVATION), cells_of(_MEMBER)

    def whole(line: ObservationLine) -> tuple[Cell, ...]:
        best = best_crop(line.detection_timeline)
        return cells(line) + (_NO_SAMPLE if best is None else sample(best))

    def store(batch: Sequence[ObservationLine]) -> None:
        spool.add("observation", map(whole, batch))
        if moments:
            spool.add("seen", _moments(batch))

    return await fill(lines, store)


async def load_weather(spool: Spool, lines: AsyncIterator[Sequence[WeatherLine]] | None) -> int:
    """Store the weather; where there is none, each row says that the step was not run."""
    spool.create("weather", _WEATHER, key=_ID.name)
    cells = cells_of(_WEATHER)
    if lines is None:
        return 0
    with suppress(Missing):
        return await fill(lines, lambda batch: spool.add("weather", map(cells, batch)))
    return 0


def sightings(spool: Spool, session_id: str) -> Iterator[Sighting]:
    """Yield the rows in their order; both have to be loaded."""
    spool.run(
        "CREATE INDEX observation_in_order"
        " ON observation (start_time, camera_id, species, observation_id)"
    )
    found = spool.rows(
        "SELECT * FROM observation"
        " LEFT JOIN weather ON weather.observation_id = observation.observation_id"
        " ORDER BY start_time, camera_id, species, observation.observation_id"
    )
    return map(_builder(session_id), found)


def _builder(session_id: str) -> Callable[[sqlite3.Row], Sighting]:
    """Return what makes a found row a sighting; its cells are in the order of the tables."""
    first = len(_OBSERVATION)
    second = first + len(_SAMPLE)
    values = values_of((*_OBSERVATION, *_WEATHER[1:]))
    member = values_of(_MEMBER)

    def build(found: sqlite3.Row) -> Sighting:
        cells = tuple(found)
        told = values(cells[:first] + cells[second + 1 :])
        told["weather_status"] = _STATUSES[told["weather_status"]]
        row = ObservationRow(session_id=session_id, **told)
        sample = cells[first:second]
        return Sighting(row, None if sample == _NO_SAMPLE else TimelineEntry(**member(sample)))

    return build


def _moments(lines: Sequence[ObservationLine]) -> Iterator[tuple[Cell, ...]]:
    for line in lines:
        for entry in line.detection_timeline:
            yield line.camera_id, to_microseconds(entry.timestamp), line.observation_id
