"""A chain of providers over all questions: who is asked, until when, and what it comes to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import anyio
import anyio.lowlevel
import pytest

from pipelines.wildlife.document.places import parse_place
from pipelines.wildlife.models.weather import WeatherStatus
from pipelines.wildlife.storage.bucket import BucketStorage
from pipelines.wildlife.weather.cache import Cache
from pipelines.wildlife.weather.chain import Chain, Link
from pipelines.wildlife.weather.choice import Name
from pipelines.wildlife.weather.elements import Element
from pipelines.wildlife.weather.enrichment import Found, ask_chain
from pipelines.wildlife.weather.errors import WeatherError, WeatherNonsense, WeatherRefused
from pipelines.wildlife.weather.places import Position, Station
from pipelines.wildlife.weather.provider import Provider, Reports, Stations
from pipelines.wildlife.weather.questions import Question
from pipelines.wildlife.weather.reports import Report
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import MemoryBuckets
from tests.support.virtual_time import run_in_virtual_time

NOON = datetime(2025, 6, 11, 12, tzinfo=UTC)
HERE, THERE = Position(60.0, 10.0), Position(61.0, 10.0)
WARM, WET = {Element.TEMPERATURE: 11.0}, {Element.PRECIPITATION: 0.5}
REFUSED, BROKEN = WeatherRefused("frost", "says no"), WeatherNonsense("frost", "is broken")


@dataclass(slots=True)
class _Scripted(Provider):
    """Answers from what the test says of each station; an error is raised."""

    name: Name = Name.FROST
    told: Mapping[str, Mapping[Element, float] | WeatherError] = field(default_factory=dict)
    near: Mapping[Position, Sequence[str]] = field(default_factory=dict)
    remembered: bool = True
    seconds: float = 0.0
    asked: list[tuple[str, int]] = field(default_factory=list)

    def serves(self, question: Question) -> bool:
        """Answer anything."""
        del question
        return True

    async def stations(self, position: Position, hours: Sequence[datetime]) -> Stations:
        """Return them in the order that the test gives."""
        await anyio.lowlevel.checkpoint()
        del hours
        names = self.near.get(position, [*self.told])
        return Stations([Station(name, number + 1.0) for number, name in enumerate(names)])

    def batches(self, hours: Sequence[datetime]) -> Sequence[Sequence[datetime]]:
        """Ask for all at once."""
        return [hours]

    async def reports(self, station: Station, hours: Sequence[datetime]) -> Reports:
        """Take the time that the test gives, and answer."""
        self.asked.append((station.id, len(hours)))
        await anyio.sleep(self.seconds)
        told = self.told[station.id]
        if isinstance(told, WeatherError):
            raise told
        return Reports([Report(hour, told) for hour in hours] if told else [])


def _chain(*providers: _Scripted, locked_out: bool = False) -> Chain:
    storage = BucketStorage(MemoryStore(MemoryBuckets("bucket")))
    place = parse_place("s3://bucket/out/")
    links = [
        Link(each, Cache(storage, place, each.name, NOON), f"by {each.name}") for each in providers
    ]
    return Chain(links, locked_out)


async def _asked(
    chain: Chain, questions: Mapping[Question, int], seconds: float = float("inf")
) -> Found:
    return await ask_chain(chain, questions, seconds=seconds, progress=lambda _done, _total: None)


@pytest.mark.asyncio
async def test_a_thermometer_counts_before_a_nearer_rain_gauge() -> None:
    """All values of a row are of one station, so it had better be one that has some."""
    question = Question(HERE, NOON)
    gauge, weather = {"gauge": WET}, {"weather": {**WARM, **WET}}
    both = _Scripted(told={**gauge, **weather})

    found = await _asked(_chain(both), {question: 1})
    alone = await _asked(_chain(_Scripted(told=gauge)), {question: 1})

    assert found.answers[question].station == Station("weather", 2.0)
    assert alone.answers[question].station == Station("gauge", 1.0)


@pytest.mark.asyncio
async def test_questions_of_a_station_are_asked_together_and_counted_once() -> None:
    """Look-ups that cost nothing are hits: those for whom another one had asked already."""
    provider = _Scripted(told={"one": WARM})
    questions = {
        Question(place, NOON - timedelta(hours=n)): 3 for place in (HERE, THERE) for n in (0, 5)
    }

    found = await _asked(_chain(provider), questions)

    assert provider.asked == [("one", 2)]
    assert {*found.statuses.values()} == {WeatherStatus.OK}
    # Two places were new, and so were two hours of the station, one of them for another question.
    assert found.cache_hits == 12 - 3


@pytest.mark.parametrize(
    ("first", "second", "locked_out", "status"),
    [
        ({}, {}, False, WeatherStatus.NO_DATA),
        ({"a": {}}, {"b": {}}, False, WeatherStatus.NO_DATA),
        ({"a": REFUSED}, {"b": {}}, False, WeatherStatus.PROVIDER_REFUSED),
        ({"a": {}}, {"b": BROKEN}, False, WeatherStatus.ERROR),
        ({"a": BROKEN}, {"b": REFUSED}, False, WeatherStatus.PROVIDER_REFUSED),
        ({"a": BROKEN}, {"b": {}}, True, WeatherStatus.PROVIDER_REFUSED),
        ({"a": BROKEN}, {"b": WARM}, True, WeatherStatus.OK),
        ({"a": BROKEN, "c": WARM}, {}, False, WeatherStatus.OK),
    ],
)
@pytest.mark.asyncio
async def test_without_an_answer_the_reason_is_what_a_person_can_mend(
    first: Mapping[str, Mapping[Element, float] | WeatherError],
    second: Mapping[str, Mapping[Element, float] | WeatherError],
    locked_out: bool,  # noqa: FBT001 - a column of the table
    status: WeatherStatus,
) -> None:
    """A key that is refused outweighs that somebody else had no data."""
    chain = _chain(_Scripted(told=first), _Scripted(Name.SMHI, told=second), locked_out=locked_out)

    found = await _asked(chain, {Question(HERE, NOON): 1})

    assert [*found.statuses.values()] == [status]
    assert found.attributions == (["by smhi"] if second.get("b") == WARM else []) + (
        ["by frost"] if first.get("c") == WARM else []
    )


def test_what_was_heard_before_the_deadline_is_kept() -> None:
    """An answer is an answer, however little time was left for the others."""
    here, there = Question(HERE, NOON), Question(THERE, NOON)
    quick = _Scripted(told={"a": WARM}, near={HERE: ["a"], THERE: []}, seconds=10)
    slow = _Scripted(Name.SMHI, told={"b": WARM}, seconds=1000)
    statuses: list[Found] = []

    async def main() -> None:
        statuses.append(await _asked(_chain(quick, slow), {here: 1, there: 1}, seconds=60))

    run_in_virtual_time(main)

    (found,) = statuses
    assert found.statuses == {here: WeatherStatus.OK, there: WeatherStatus.DEADLINE}
    assert found.asked == ["frost", "smhi"]


@pytest.mark.asyncio
async def test_nobody_is_asked_without_time() -> None:
    """A state that comes too late writes its rows and goes."""
    provider = _Scripted(told={"a": WARM})

    found = await _asked(_chain(provider), {Question(HERE, NOON): 1}, seconds=-5)

    assert [*found.statuses.values()] == [WeatherStatus.DEADLINE]
    assert provider.asked == []
