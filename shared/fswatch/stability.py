"""When a file has settled: observations in, a verdict out. Pure: time is always an argument.

A modification time alone lies (copies that preserve times, clocks stepped back, coarse file
systems), so two clocks are used: the wall clock against the file's mtime, and the monotonic clock
against what was seen before.
"""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """Which file this is and which content it is believed to hold; any change means another look."""

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
    """Look again at `look_again_at` (monotonic seconds), with `since` as the earlier observation."""

    look_again_at: float
    since: Observation


def judge(since: Observation | None, now: Observation, rule: StabilityRule) -> Settled | NotYet:
    """Decide whether a file has settled.

    `since` is the observation that an earlier `NotYet` handed back for the same path, or None.

    | what is seen                                   | verdict                                       |
    |------------------------------------------------|-----------------------------------------------|
    | age of mtime >= quiet (whole-second mtime: + tolerance) | Settled                              |
    | younger                                        | NotYet until that age is reached              |
    | mtime in the future by more than the tolerance | Settled once unchanged for quiet (monotonic)  |
    | equal_looks_only                               | Settled once unchanged for quiet (monotonic)  |
    """
    raise NotImplementedError
