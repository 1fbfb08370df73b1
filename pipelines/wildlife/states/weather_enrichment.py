"""WeatherEnrichment: what the weather was at each sighting of an animal.

A provider that fails costs values, never the run. What can be wrong with how it is configured is
said before anybody is asked.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import structlog
from pydantic import TypeAdapter
from structlog.typing import FilteringBoundLogger

from pipelines.wildlife import layout
from pipelines.wildlife.document.places import Place, parse_place
from pipelines.wildlife.models.payload import Payload, Stage2Results, WeatherResults
from pipelines.wildlife.models.weather import WeatherLine, WeatherStatus
from pipelines.wildlife.states.world import Event, World, parse_payload
from pipelines.wildlife.storage.lines import read_records, write_records
from pipelines.wildlife.weather.chain import Chain, Ground, open_chain
from pipelines.wildlife.weather.client import Manner
from pipelines.wildlife.weather.configuration import check_weather
from pipelines.wildlife.weather.derivations import line_with, line_without
from pipelines.wildlife.weather.enrichment import Found, ask_chain
from pipelines.wildlife.weather.questions import Question, Sighting, Window, question_of

log: FilteringBoundLogger = structlog.get_logger()

_SIGHTING = TypeAdapter(Sighting)
_LINE = TypeAdapter(WeatherLine)
_RESERVE_SECONDS = 20.0
"""Of the state's time, to write down what was heard."""
_MANNER = Manner()


async def run(event: Event, world: World, *, manner: Manner = _MANNER) -> Event:
    """Add `weather_results`; UsageError where weather cannot be asked for as it is configured."""
    given = parse_payload(event)
    source = _observations(given.stage2_results)
    check_weather(world.settings)
    window = Window(given.started_at, world.now(), given.weather_days_back)
    sightings = [each async for each in read_records(world.storage, source, _SIGHTING)]
    wanted = [question_of(each, window) for each in sightings]
    lookups = Counter(each for each in wanted if isinstance(each, Question))
    place = parse_place(given.output_uri)
    chain, found = await _ask(world, place, window, lookups, manner)
    lines = _lines(sightings, wanted, chain, found)
    uri = place.join(layout.WEATHER)
    await write_records(world.storage, uri, _LINE, lines, kind=layout.Kind.RESULT)
    results = _results(given, chain, found, lines, lookups.total())
    log.info("weather_told", **results.model_dump(mode="json", exclude={"attribution"}))
    return {**event, "weather_results": results.model_dump(mode="json")}


def _observations(results: Stage2Results | None) -> str:
    if results is None:
        raise ValueError("stage2_results is not in the event; Stage2Post has to come before")
    return results.observations_uri


async def _ask(
    world: World, place: Place, window: Window, lookups: Mapping[Question, int], manner: Manner
) -> tuple[Chain, Found]:
    """Ask for what there is to ask; nobody is even greeted where that is nothing."""
    if not lookups:
        return Chain(), Found()
    ground = Ground(world.storage, place, window.now)
    async with open_chain(world.settings, ground, manner) as chain:
        seconds = world.seconds_left() - _RESERVE_SECONDS
        found = await ask_chain(chain, lookups, seconds=seconds, progress=world.progress)
    return chain, found


def _lines(
    sightings: Sequence[Sighting],
    wanted: Sequence[Question | WeatherStatus],
    chain: Chain,
    found: Found,
) -> Sequence[WeatherLine]:
    lines: list[WeatherLine] = []
    for sighting, question in zip(sightings, wanted, strict=True):
        name = sighting.observation_id
        if isinstance(question, WeatherStatus):
            lines.append(line_without(name, question))
        elif answer := found.answers.get(question):
            told = line_with(name, answer.provider.name, answer.station, answer.report)
            lines.append(told)
        elif chain.links or chain.locked_out:
            lines.append(line_without(name, found.statuses[question]))
        else:
            lines.append(line_without(name, WeatherStatus.NOT_RUN))
    return lines


def _results(
    given: Payload, chain: Chain, found: Found, lines: Sequence[WeatherLine], lookups: int
) -> WeatherResults:
    statuses = Counter(str(each.weather_status) for each in lines)
    return WeatherResults(
        weather_uri=given.weather_uri,
        observations_enriched=statuses[WeatherStatus.OK],
        weather_observations=lookups,
        days_back=given.weather_days_back,
        provider=",".join(found.asked) or "none",
        weather_calls=chain.counter.calls,
        cache_hits=found.cache_hits,
        by_status=dict(sorted(statuses.items())),
        attribution=found.attributions,
    )
