"""One provider and all that is still open: stations first, then each of them once for all hours.

A question is settled by the nearest station that reports a temperature for its hour. A station that
only has a rain gauge may be nearer; what it says counts where no other within reach says more.
All values of a row are of one station.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import anyio
import structlog
from structlog.typing import FilteringBoundLogger

from pipelines.wildlife.models.weather import WeatherStatus
from pipelines.wildlife.weather.cache import Cache
from pipelines.wildlife.weather.elements import Element
from pipelines.wildlife.weather.errors import WeatherError, WeatherRefused
from pipelines.wildlife.weather.places import Position, Station
from pipelines.wildlife.weather.provider import Provider
from pipelines.wildlife.weather.questions import Question
from pipelines.wildlife.weather.reports import Report, pick

log: FilteringBoundLogger = structlog.get_logger()
Item = TypeVar("Item")

_TURNS = 4
"""Stations that are asked about one question at most."""
_AT_ONCE = 8
"""What is looked at side by side; how many requests that may become is the client's to say."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the weather was, and who says so."""

    provider: Provider
    station: Station
    report: Report


@dataclass(slots=True)
class Open:
    """How far a question has come."""

    stations: Sequence[Station] = ()
    remembered: bool = False
    """Whether it may have been asked in an earlier run."""
    best: Answer | None = None
    trouble: WeatherStatus = WeatherStatus.NO_DATA
    """Why there is no answer, where there is none."""
    fresh: bool = False
    """Whether something was asked that nobody had asked for another question."""

    @property
    def settled(self) -> bool:
        """Whether nothing better is to be had."""
        return self.best is not None and Element.TEMPERATURE in self.best.report.values


@dataclass(slots=True)
class Asking:
    """Asks one provider; what came of it can be read at any time, also after a cancellation."""

    provider: Provider
    cache: Cache
    noted: Callable[[Question], None]
    """Called whenever a question has an answer, or a better one."""
    open: dict[Question, Open] = field(default_factory=dict)
    _charged: set[object] = field(default_factory=set)

    async def ask(self, questions: Iterable[Question]) -> None:
        """Look for the answers of these questions."""
        remembered = self.provider.remembered
        served = (each for each in sorted(questions) if self.provider.serves(each))
        self.open = {each: Open(remembered=remembered) for each in served}
        positions: dict[Position, list[Question]] = {}
        for each in self.open:
            positions.setdefault(each.position, []).append(each)
        await side_by_side(self._find_stations, positions.items())
        for turn in range(_TURNS):
            await side_by_side(self._ask_station, self._next_stations(turn).items())

    def _next_stations(self, turn: int) -> Mapping[str, Sequence[tuple[Question, Station]]]:
        found: dict[str, list[tuple[Question, Station]]] = {}
        for question, state in self.open.items():
            if not state.settled and turn < len(state.stations):
                station = state.stations[turn]
                found.setdefault(station.id, []).append((question, station))
        return found

    async def _find_stations(self, item: tuple[Position, Sequence[Question]]) -> None:
        position, questions = item
        hours = [each.hour for each in questions]
        try:
            found = await self._known_stations(position, hours)
            if found is None:
                self._charge(questions[0], position)
                found = await self._new_stations(position, hours)
        except WeatherError as error:
            self._note_trouble(questions, error)
            return
        for each in questions:
            self.open[each].stations = found

    async def _known_stations(
        self, position: Position, hours: Sequence[datetime]
    ) -> Sequence[Station] | None:
        if not self.provider.remembered:
            return None
        return await self.cache.stations(position, hours)

    async def _new_stations(
        self, position: Position, hours: Sequence[datetime]
    ) -> Sequence[Station]:
        found = await self.provider.stations(position, hours)
        if self.provider.remembered and found.whole:
            await self.cache.keep_stations(position, hours, found.found)
        return found.found

    async def _ask_station(self, item: tuple[str, Sequence[tuple[Question, Station]]]) -> None:
        _, asked = item
        station = asked[0][1]
        hours = sorted({question.hour for question, _ in asked})
        known = await self.cache.hours(station, hours) if self.provider.remembered else {}
        self._tell(asked, known)
        missing = [each for each in hours if each not in known]
        for batch in self.provider.batches(missing) if missing else ():
            await self._ask_batch(station, batch, asked)

    async def _ask_batch(
        self,
        station: Station,
        batch: Sequence[datetime],
        asked: Sequence[tuple[Question, Station]],
    ) -> None:
        wanted = frozenset(batch)
        questions = [question for question, _ in asked if question.hour in wanted]
        try:
            reports = await self.provider.reports(station, batch)
        except WeatherError as error:
            self._note_trouble(questions, error)
            return
        picked = pick(batch, reports.found)
        if self.provider.remembered and reports.whole:
            await self.cache.keep_hours(station, {hour: picked.get(hour) for hour in batch})
        for question in questions:
            self._charge(question, (station.id, question.hour))
            if not reports.whole and question.hour not in picked:
                self.open[question].trouble = WeatherStatus.ERROR
        self._tell(asked, picked)

    def _charge(self, question: Question, key: object) -> None:
        """Note for whose sake something was asked: for the first of those who wanted it."""
        if key not in self._charged:
            self._charged.add(key)
            self.open[question].fresh = True

    def _tell(
        self,
        asked: Sequence[tuple[Question, Station]],
        told: Mapping[datetime, Report | None],
    ) -> None:
        for question, station in asked:
            report = told.get(question.hour)
            state = self.open[question]
            if report is None or state.settled:
                continue
            if state.best is None or Element.TEMPERATURE in report.values:
                state.best = Answer(self.provider, station, report)
                self.noted(question)

    def _note_trouble(self, questions: Iterable[Question], error: WeatherError) -> None:
        refused = isinstance(error, WeatherRefused)
        log.debug("weather_not_told", provider=self.provider.name, reason=str(error))
        for each in questions:
            self.open[each].trouble = (
                WeatherStatus.PROVIDER_REFUSED if refused else WeatherStatus.ERROR
            )


async def side_by_side(work: Callable[[Item], Awaitable[None]], items: Iterable[Item]) -> None:
    """Do the same with many things, a few at a time."""
    left = iter(items)

    async def worker() -> None:
        for item in left:
            await work(item)

    async with anyio.create_task_group() as group:
        for _ in range(_AT_ONCE):
            group.start_soon(worker)
