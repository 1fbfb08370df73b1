"""When the next pass is due. Pure: time and chance are arguments.

| how the last pass ended        | the next one is due                                             |
|--------------------------------|-----------------------------------------------------------------|
| there was none                 | now                                                             |
| well, within the interval      | one interval after it started: work does not delay the rhythm   |
| well, longer than the interval | at once; missed passes are not made up for                      |
| failed n times in a row        | after the back-off, but never before the rhythm would have it   |

The back-off is `first * 2**(n - 1)`, at most `limit`, of which a random part up to one half is
taken away, so that daemons that fell together do not come back together.
"""

from dataclasses import dataclass

_LARGEST_EXPONENT = 60


@dataclass(frozen=True, slots=True)
class Pace:
    """How often passes run, and how that slows down while they fail."""

    interval_seconds: float
    first_back_off_seconds: float = 1.0
    longest_back_off_seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class LastPass:
    """The pass that has just ended; both times on the monotonic clock."""

    started_at: float
    ended_at: float
    failures: int
    """How many passes have failed in a row, this one included; 0 after a good one."""


def next_pass_due(last: LastPass | None, pace: Pace, *, now: float, chance: float) -> float:
    """Return the monotonic time of the next pass, never before `now`; see the table above.

    `chance` is a random number in [0, 1).
    """
    if last is None:
        return now
    in_rhythm = last.started_at + pace.interval_seconds
    delay = back_off_seconds(last.failures, pace, chance=chance)
    return max(now, in_rhythm, last.ended_at + delay)


def back_off_seconds(failures: int, pace: Pace, *, chance: float) -> float:
    """Return how long to wait after so many failures in a row; 0 after none."""
    if failures <= 0:
        return 0.0
    exponent = min(failures - 1, _LARGEST_EXPONENT)
    full = min(pace.first_back_off_seconds * 2.0**exponent, pace.longest_back_off_seconds)
    return full * (1.0 - chance / 2.0)
