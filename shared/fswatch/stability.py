"""When a file has settled: observations in, a verdict out. Pure: time is always an argument.

A modification time alone lies (copies that preserve times, clocks stepped back, coarse file
systems), so two clocks are used: the wall clock against the file's mtime, and the monotonic clock
against what was seen before.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

_NS_PER_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """Which file this is and which content it is believed to hold; a change means another look."""

    device: int
    inode: int
    size: int
    """Bytes."""
    mtime_ns: int
    """Nanoseconds since the epoch, as the file system reports them."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A regular file below a root."""

    path: str
    """Relative to the root, `/` between the parts, bytes that are not UTF-8 as surrogate escapes.

    A plain string: a hundred thousand of these may wait at once.
    """
    identity: FileIdentity


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at a file."""

    identity: FileIdentity
    monotonic: float
    """Seconds on the observer's monotonic clock at the moment of the look."""
    wall_ns: int
    """Nanoseconds since the epoch on the observer's wall clock at the same moment."""


@dataclass(frozen=True, slots=True)
class StabilityRule:
    """How long a file must have been left alone."""

    quiet: timedelta
    tolerance: timedelta = timedelta(seconds=1)
    """For file systems that keep whole seconds, and for clocks that differ a little."""
    equal_looks_only: bool = False
    """Ignore mtime: settled means unchanged for `quiet` on the monotonic clock (spot flush)."""


@dataclass(frozen=True, slots=True)
class Settled:
    """Nobody has touched the file for the required time."""

    identity: FileIdentity


@dataclass(frozen=True, slots=True)
class NotYet:
    """Look again at `look_again_at` (monotonic seconds), with `since` as the earlier look."""

    look_again_at: float
    since: Observation


def judge(since: Observation | None, now: Observation, rule: StabilityRule) -> Settled | NotYet:
    """Decide whether a file has settled.

    `since` is the observation that an earlier `NotYet` handed back for the same path, or None.

    | what is seen                                   | verdict                                  |
    |------------------------------------------------|------------------------------------------|
    | age of mtime >= quiet                          | Settled                                  |
    |   (whole-second mtime: quiet + tolerance)      |                                          |
    | younger                                        | NotYet until that age is reached         |
    | mtime in the future by more than the tolerance | Settled once equal for quiet (monotonic) |
    | changed since, and mtime older than that look  | Settled once equal for quiet (monotonic) |
    | equal_looks_only                               | Settled once equal for quiet (monotonic) |

    A clock stepped back makes an mtime lie in the future; a clock stepped forward since the earlier
    look does not make a file older, whether or not it was written in between. The fourth row is a
    file whose times were set, or that another was renamed over.
    `look_again_at` is never before `now`.
    """
    now = _without_step(since, now)
    if rule.equal_looks_only or _mtime_lies(since, now, rule):
        return _judge_by_equal_looks(since, now, rule)
    missing_ns = _required_ns(now.identity, rule) - (now.wall_ns - now.identity.mtime_ns)
    if missing_ns <= 0:
        return Settled(now.identity)
    earliest = since if since is not None and since.identity == now.identity else now
    return NotYet(now.monotonic + missing_ns / _NS_PER_SECOND, earliest)


def _judge_by_equal_looks(
    since: Observation | None, now: Observation, rule: StabilityRule
) -> Settled | NotYet:
    quiet = rule.quiet.total_seconds()
    if since is None or since.identity != now.identity:
        return NotYet(now.monotonic + quiet, now)
    # Written as the sum that was handed out, so that a look at exactly that moment is late enough
    # whatever the rounding.
    due = since.monotonic + quiet
    return Settled(now.identity) if now.monotonic >= due else NotYet(due, since)


def _mtime_lies(since: Observation | None, now: Observation, rule: StabilityRule) -> bool:
    """Whether the age of the mtime says nothing about when the file was last touched."""
    tolerance_ns = _nanoseconds(rule.tolerance)
    if now.identity.mtime_ns - now.wall_ns > tolerance_ns:
        return True
    if since is None:
        return False
    if since.identity != now.identity:
        return now.identity.mtime_ns < since.wall_ns - tolerance_ns
    # Why did the earlier look not settle? A future mtime, or an age that would have been enough,
    # means that it already waited for an equal look, and the present one continues that wait.
    earlier_age_ns = since.wall_ns - since.identity.mtime_ns
    young = -tolerance_ns <= earlier_age_ns < _required_ns(since.identity, rule)
    return not young


def _without_step(since: Observation | None, now: Observation) -> Observation:
    """Return the look with the wall clock as far on as the monotonic one went since the earlier."""
    if since is None:
        return now
    passed_ns = round((now.monotonic - since.monotonic) * _NS_PER_SECOND)
    return replace(now, wall_ns=min(now.wall_ns, since.wall_ns + passed_ns))


def _required_ns(identity: FileIdentity, rule: StabilityRule) -> int:
    """How old the mtime must be; one without a fraction may come from a coarse file system."""
    coarse = identity.mtime_ns % _NS_PER_SECOND == 0
    return _nanoseconds(rule.quiet + rule.tolerance if coarse else rule.quiet)


def _nanoseconds(span: timedelta) -> int:
    return span // timedelta(microseconds=1) * 1000
