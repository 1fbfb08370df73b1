"""Full hours: which one stands for a moment, and which can be asked for together. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

HOUR = timedelta(hours=1)
REACH = timedelta(minutes=90)
"""How far from the hour a report may be to count for it."""


def hour_of(moment: datetime) -> datetime:
    """Return the nearest full hour; the exact half belongs to the earlier one."""
    hour = moment.replace(minute=0, second=0, microsecond=0)
    return hour + HOUR if moment - hour > HOUR / 2 else hour


def hours_around(moment: datetime) -> Sequence[datetime]:
    """Return the full hours for which a report of this moment counts."""
    hour = moment.replace(minute=0, second=0, microsecond=0)
    near = (hour - HOUR, hour, hour + HOUR, hour + 2 * HOUR)
    return [each for each in near if abs(moment - each) <= REACH]


def batches(
    hours: Iterable[datetime], *, gap: timedelta, longest: timedelta
) -> Sequence[Sequence[datetime]]:
    """Put hours together that one request for a span of time can cover.

    A span has no hole wider than `gap`, and its last hour is at most `longest` after its first.
    """
    found: list[list[datetime]] = []
    for hour in sorted(set(hours)):
        if found and hour - found[-1][-1] <= gap and hour - found[-1][0] <= longest:
            found[-1].append(hour)
        else:
            found.append([hour])
    return found
