"""The chain of providers over all questions: each is asked what those before it could not tell.

| after everybody was asked                         | status of the question |
|---------------------------------------------------|------------------------|
| somebody had an answer                            | ok                     |
| time ran out before everybody was asked           | deadline               |
| else somebody refused us, or we lack the key      | provider_refused       |
| else somebody failed, or said nonsense            | error                  |
| else                                              | no_data                |

The status without an answer is the one that a person can do most about.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import anyio
import structlog
from structlog.typing import FilteringBoundLogger

from pipelines.wildlife.models.weather import WeatherStatus
from pipelines.wildlife.weather.asking import Answer, Asking, Open
from pipelines.wildlife.weather.chain import Chain
from pipelines.wildlife.weather.questions import Question

log: FilteringBoundLogger = structlog.get_logger()

_WORST = (WeatherStatus.PROVIDER_REFUSED, WeatherStatus.ERROR, WeatherStatus.NO_DATA)


@dataclass(slots=True)
class Found:
    """What came of all questions."""

    answers: dict[Question, Answer] = field(default_factory=dict)
    statuses: dict[Question, WeatherStatus] = field(default_factory=dict)
    """Of every question."""
    asked: list[str] = field(default_factory=list)
    """Names of those who were asked anything."""
    attributions: list[str] = field(default_factory=list)
    """Of those whose answers were used."""
    cache_hits: int = 0


async def ask_chain(
    chain: Chain,
    lookups: Mapping[Question, int],
    *,
    seconds: float,
    progress: Callable[[int, int], None],
) -> Found:
    """Look for the answers; `lookups` says for how many sightings each question stands."""
    askings: list[Asking] = []
    told = _Told(lookups, progress)
    limit = None if math.isinf(seconds) else max(seconds, 0.0)
    with anyio.move_on_after(limit) as scope:
        for link in chain.links:
            if not (left := told.left()):
                break
            askings.append(Asking(link.provider, link.cache, told.note))
            await askings[-1].ask(left)
    cut = scope.cancelled_caught
    if cut:
        log.warning("weather_deadline_reached", questions=len(lookups), left=len(told.left()))
    found = Found(asked=[str(each.provider.name) for each in askings if each.open])
    for question, sightings in lookups.items():
        states = [each.open[question] for each in askings if question in each.open]
        answer = next((state.best for state in states if state.best), None)
        if answer:
            found.answers[question] = answer
        found.statuses[question] = _status(answer, states, cut=cut, locked_out=chain.locked_out)
        if _from_memory(answer, states, found.statuses[question]):
            found.cache_hits += sightings - any(state.fresh for state in states)
    used = {id(answer.provider) for answer in found.answers.values()}
    found.attributions = [each.attribution for each in chain.links if id(each.provider) in used]
    return found


@dataclass(slots=True)
class _Told:
    """Which questions have an answer, for those who look on and for the next provider."""

    lookups: Mapping[Question, int]
    progress: Callable[[int, int], None]
    known: set[Question] = field(default_factory=set)
    done: int = 0
    total: int = field(init=False)

    def __post_init__(self) -> None:
        """Count once for how many sightings all questions stand."""
        self.total = sum(self.lookups.values())

    def note(self, question: Question) -> None:
        """Take it that there is an answer."""
        if question not in self.known:
            self.known.add(question)
            self.done += self.lookups[question]
            self.progress(self.done, self.total)

    def left(self) -> Sequence[Question]:
        """Return the questions without an answer."""
        return [each for each in self.lookups if each not in self.known]


def _status(
    answer: Answer | None, states: Sequence[Open], *, cut: bool, locked_out: bool
) -> WeatherStatus:
    """Return what became of a question; see the table above."""
    if answer:
        return WeatherStatus.OK
    if cut:
        return WeatherStatus.DEADLINE
    told = {state.trouble for state in states}
    if locked_out:
        told.add(WeatherStatus.PROVIDER_REFUSED)
    return next((each for each in _WORST if each in told), WeatherStatus.NO_DATA)


def _from_memory(answer: Answer | None, states: Sequence[Open], status: WeatherStatus) -> bool:
    """Tell whether a look-up came to an end among those who are remembered."""
    if answer:
        return answer.provider.remembered
    return status is WeatherStatus.NO_DATA and any(state.remembered for state in states)
