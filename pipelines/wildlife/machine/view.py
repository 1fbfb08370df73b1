"""How an execution stands, as its events tell it, for `status` and whoever follows it. Pure."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pipelines.wildlife.costs.prices import BOOKS, REFERENCE
from pipelines.wildlife.costs.running import running_cost
from pipelines.wildlife.machine.endings import Status
from pipelines.wildlife.machine.failures import said_by
from pipelines.wildlife.machine.history import PROGRESS, Happened

_ENDINGS: Mapping[str, Status] = {
    "ExecutionSucceeded": Status.SUCCEEDED,
    "ExecutionFailed": Status.FAILED,
    "ExecutionTimedOut": Status.TIMED_OUT,
    "ExecutionAborted": Status.ABORTED,
}


@dataclass(slots=True)
class Visit:
    """One state that was entered."""

    state: str
    entered_at: datetime
    left_at: datetime | None = None
    tries: int = 0
    error: str = ""
    """Of the last try that failed."""
    done: int = 0
    total: int = 0
    told_at: datetime | None = None
    """When it last told of progress."""

    def seconds(self, now: datetime) -> float:
        """How long it was, or is, at work."""
        return ((self.left_at or now) - self.entered_at).total_seconds()

    def rate(self) -> float | None:
        """Pictures, or whatever it counts, a second; None where nothing is known."""
        if self.told_at is None or not self.done:
            return None
        seconds = (self.told_at - self.entered_at).total_seconds()
        return self.done / seconds if seconds > 0 else None

    def seconds_left(self) -> float | None:
        """How long this state will take at its rate so far; None where nothing is known."""
        rate = self.rate()
        return None if rate is None or not self.total else (self.total - self.done) / rate


@dataclass(slots=True)
class RunView:
    """What is known of an execution; events are added in their order."""

    execution: str
    status: Status = Status.RUNNING
    started_at: datetime | None = None
    ended_at: datetime | None = None
    visits: list[Visit] = field(default_factory=list)
    facts: Mapping[str, object] = field(default_factory=dict)
    """The payload, as far as states were told it."""
    output: object = None
    error: str = ""
    cause: str = ""

    def add(self, event: Happened) -> None:
        """Take the next event."""
        if event.kind == "ExecutionStarted":
            self.started_at = event.at
            self.facts = _document(event.details.get("input"))
        elif event.kind in _ENDINGS:
            self._end(event)
        elif event.kind.endswith("StateEntered"):
            self.visits.append(Visit(event.state, event.at))
            self.facts = {**self.facts, **_document(event.details.get("input"))}
        elif self.visits:
            self._add_to(self.visits[-1], event)

    @property
    def current(self) -> Visit | None:
        """The state that is at work."""
        over = self.status != Status.RUNNING or not self.visits
        return None if over or self.visits[-1].left_at else self.visits[-1]

    @property
    def reason(self) -> str:
        """Why it failed, in words; empty where it has not."""
        return said_by(self.cause) or self.error

    @property
    def warnings(self) -> list[str]:
        """What is odd about its results, and why they have no weather where that failed."""
        found = self.facts.get("warnings")
        lines = [str(each) for each in found] if isinstance(found, list) else []
        failed = self.facts.get("weather_error")
        if isinstance(failed, Mapping):
            said = said_by(str(failed.get("Cause", ""))) or str(failed.get("Error", ""))
            lines += [f"no weather: {line}" for line in said.splitlines()]
        return lines

    def cost_dkk(self, now: datetime) -> float:
        """Return what it has cost so far."""
        seconds: dict[str, float] = {}
        for visit in self.visits:
            seconds[visit.state] = seconds.get(visit.state, 0.0) + visit.seconds(
                self.ended_at or now
            )
        prices = BOOKS.get(str(self.facts.get("price_book", REFERENCE)), BOOKS[REFERENCE])
        spot = self.facts.get("use_spot") is not False
        return running_cost(seconds, entered=len(self.visits), prices=prices, spot=spot)

    def number(self, name: str) -> float | None:
        """Return a number of the payload."""
        value = self.facts.get(name)
        return value if isinstance(value, int | float) else None

    def _end(self, event: Happened) -> None:
        self.status, self.ended_at = _ENDINGS[event.kind], event.at
        self.error, self.cause = event.error, event.cause
        self.output = _loaded(event.details.get("output"))
        if self.visits and self.visits[-1].left_at is None:
            self.visits[-1].left_at = event.at

    def _add_to(self, visit: Visit, event: Happened) -> None:
        if event.kind.endswith("StateExited"):
            visit.left_at = event.at
        elif event.kind == "TaskScheduled":
            visit.tries += 1
        elif event.kind in {"TaskFailed", "TaskTimedOut"}:
            visit.error = event.error
            if event.kind == "TaskTimedOut":
                visit.error = visit.error or "States.Timeout"
        elif event.kind == PROGRESS:
            self._add_progress(visit, event)

    def _add_progress(self, visit: Visit, event: Happened) -> None:
        done, total = event.details.get("done"), event.details.get("total")
        if isinstance(done, int) and isinstance(total, int):
            visit.done, visit.total, visit.told_at = done, total, event.at


def view_of(execution: str, events: Iterable[Happened]) -> RunView:
    """Return how an execution stands after these events."""
    view = RunView(execution)
    for event in events:
        view.add(event)
    return view


def _loaded(text: object) -> object:
    try:
        return json.loads(str(text))
    except ValueError:
        return None


def _document(text: object) -> Mapping[str, object]:
    found = _loaded(text)
    return found if isinstance(found, Mapping) else {}
