"""From a clock on the wall to UTC. Pure; what Python makes of the hours of a change is told.

| the clock shows, in Stockholm | happens | taken as             | flag                     |
|-------------------------------|---------|----------------------|--------------------------|
| 02:30 as summer time ends     | twice   | the first, 00:30Z    | `ambiguous_local_time`   |
| 02:30 as summer time begins   | never   | before it, 01:30Z    | `nonexistent_local_time` |
| anything else                 | once    |                      |                          |

A clock that is never put forward shows standard time, and there each hour happens once.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

AMBIGUOUS = "ambiguous_local_time"
NONEXISTENT = "nonexistent_local_time"
_NONE = timedelta()


@dataclass(frozen=True, slots=True)
class Zone:
    """How a clock is set."""

    name: str
    tz: tzinfo
    standard_time: bool = False
    """It stays on standard time all year."""


@dataclass(frozen=True, slots=True)
class Localised:
    """A moment, and what was odd about how it was shown."""

    moment: datetime
    """In UTC."""
    flag: str | None = None


def localise(shown: datetime, zone: Zone) -> Localised:
    """Return when a clock in this zone shows this."""
    first = shown.replace(tzinfo=zone.tz, fold=0)
    before = first.utcoffset() or _NONE
    if zone.standard_time:
        return Localised(_utc(shown, before - (first.dst() or _NONE)))
    after = first.replace(fold=1).utcoffset() or _NONE
    moment = _utc(shown, before)
    if before > after:
        return Localised(moment, AMBIGUOUS)
    if before < after:
        return Localised(moment, NONEXISTENT)
    return Localised(moment)


def _utc(shown: datetime, offset: timedelta) -> datetime:
    return (shown - offset).replace(tzinfo=UTC, fold=0)
