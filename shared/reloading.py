"""What follows when a daemon reads its configuration again. Pure.

Rule: a configuration applies as a whole or not at all. What is compared is what the daemon would
run with: its own settings, or those that wait while it finishes what is in flight.

| what was read                    | no others wait yet              | others wait already         |
|----------------------------------|---------------------------------|-----------------------------|
| something is wrong with it       | refused: all goes on as before  | refused: the others wait on |
| the same                         | unchanged                       | unchanged                   |
| other settings                   | they replace those that run     | they replace those that wait|
"""

from collections.abc import Mapping
from dataclasses import dataclass

Values = Mapping[str, object]
"""Settings by name."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Go on as before."""

    reasons: tuple[str, ...]
    """One a thing that is wrong, each a line."""


@dataclass(frozen=True, slots=True)
class Keep:
    """There is nothing to do."""


@dataclass(frozen=True, slots=True)
class Replace:
    """Let what runs come to its end, and open anew."""

    changed: tuple[str, ...]
    """The names of what differs from what runs now; empty when all was taken back meanwhile."""


def plan_reload(
    found: Values | str, running: Values, waiting: Values | None = None
) -> Refuse | Keep | Replace:
    """Decide by what was read: the values, or in lines what is wrong with them."""
    if isinstance(found, str):
        lines = (line.strip() for line in found.splitlines())
        return Refuse(tuple(line for line in lines if line) or ("no reason was given",))
    if not changed_names(running if waiting is None else waiting, found):
        return Keep()
    return Replace(changed_names(running, found))


def changed_names(before: Values, after: Values) -> tuple[str, ...]:
    """Return the names whose values differ, sorted; never a value, which may be a secret."""
    absent = object()
    names = before.keys() | after.keys()
    differing = (name for name in names if before.get(name, absent) != after.get(name, absent))
    return tuple(sorted(differing))
