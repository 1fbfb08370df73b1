"""What the uploader's own log says, life by life. Pure: lines of JSON in, counts out."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

_FIRST_EVENT = "open"
_DELIVERED = ("file_uploaded", "file_already_there")


@dataclass(slots=True)
class Life:
    """One life of the daemon."""

    events: Counter[str] = field(default_factory=Counter)
    evidence: Counter[str] = field(default_factory=Counter)
    """What proved that S3 holds a file, of each that was delivered."""
    errors: list[str] = field(default_factory=list)
    """Events of level error, and lines that are no events at all."""


def read_lives(lines: Iterable[str]) -> Sequence[Life]:
    """Read a log; what stands before the first life belongs to it."""
    lives = [Life()]
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            lives[-1].errors.append(line.rstrip())
            continue
        event = str(entry.get("event"))
        if event == _FIRST_EVENT and lives[-1].events:
            lives.append(Life())
        _note(lives[-1], event, entry, line)
    return lives


def _note(life: Life, event: str, entry: dict[str, object], line: str) -> None:
    life.events[event] += 1
    if event in _DELIVERED:
        life.evidence[str(entry.get("evidence"))] += 1
    if entry.get("level") == "error":
        life.errors.append(line.rstrip())
