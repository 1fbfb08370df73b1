"""What happens in an execution, as events: named as Step Functions names them, one JSON a line.

An event of a local run has the form that GetExecutionHistory gives, besides the execution it
belongs to; so one reader serves both. `TaskProgressed` is the local runner's own.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from pipelines.wildlife.models.moments import write_moment

PROGRESS = "TaskProgressed"
_ENDS = frozenset(f"Execution{how}" for how in ("Succeeded", "Failed", "TimedOut", "Aborted"))
Sink: TypeAlias = Callable[[bytes], object]
"""Takes a line, its end included, and keeps it."""


@dataclass(frozen=True, slots=True)
class Happened:
    """An event, from wherever."""

    number: int
    at: datetime
    kind: str
    details: Mapping[str, object] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """The state that was entered or left; empty for other events."""
        return str(self.details.get("name", "")) if "State" in self.kind else ""

    @property
    def is_end(self) -> bool:
        """Whether the execution has ended with it."""
        return self.kind in _ENDS

    @property
    def error(self) -> str:
        """The error's name; empty for what is none."""
        return str(self.details.get("error", ""))

    @property
    def cause(self) -> str:
        """Why."""
        return str(self.details.get("cause", ""))


class History:
    """Writes the events of one execution."""

    def __init__(self, execution: str, sink: Sink, now: Callable[[], datetime]) -> None:
        self._execution = execution
        self._sink = sink
        self._now = now
        self._last = 0

    def add(self, kind: str, **details: object) -> None:
        """Write an event of this kind."""
        self._last += 1
        event: dict[str, object] = {
            "id": self._last,
            "previousEventId": self._last - 1,
            "timestamp": write_moment(self._now()),
            "type": kind,
            "executionId": self._execution,
        }
        if details:
            event[details_name(kind)] = details
        self._sink(json.dumps(event).encode() + b"\n")


def details_name(kind: str) -> str:
    """Return the name of the field that an event of this kind keeps its details in."""
    for end, name in (("StateEntered", "stateEntered"), ("StateExited", "stateExited")):
        if kind.endswith(end):
            return f"{name}EventDetails"
    return f"{kind[:1].lower()}{kind[1:]}EventDetails"


def read_event(said: Mapping[str, object], at: datetime) -> Happened:
    """Return an event as a service or a file has it."""
    kind = str(said.get("type", ""))
    details = said.get(details_name(kind))
    number = said.get("id")
    return Happened(
        number if isinstance(number, int) else 0,
        at,
        kind,
        details if isinstance(details, Mapping) else {},
    )


def parse_events(lines: bytes) -> Iterator[Happened]:
    """Read whole lines; one that is none of ours, as after a crash, is passed over."""
    for line in lines.splitlines():
        try:
            said = json.loads(line)
            at = datetime.fromisoformat(said["timestamp"])
        except (ValueError, KeyError, TypeError):
            continue
        if isinstance(said, Mapping):
            yield read_event(said, at)
