"""How long a file waited from *settled* to *visible in S3*. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from scripts.demo.records import Landed, Produced

_NS_PER_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Outage:
    """When the daemon was dead, by the wall clock."""

    killed_ns: int
    ready_ns: int | None = None
    """None: it is still dead."""

    def met(self, settled_ns: int, landed_ns: int) -> bool:
        """Say whether a file had to wait for the daemon's second life."""
        too_early = self.ready_ns is None or settled_ns <= self.ready_ns
        return landed_ns >= self.killed_ns and too_early


@dataclass(frozen=True, slots=True)
class Delay:
    """One content's way."""

    produced: Produced
    landed_ns: int
    met_outage: bool

    @property
    def seconds(self) -> float:
        """How long it took from settled to visible."""
        return (self.landed_ns - self.produced.settled_ns) / _NS_PER_SECOND


def delays_of(
    produced: Iterable[Produced], landed: Sequence[Landed], outage: Outage | None = None
) -> Sequence[Delay]:
    """Return the delay of each complete content that has landed."""
    moments: Mapping[tuple[str, str, str], int] = {
        (one.bucket, one.key, one.sha256): one.at_ns for one in landed
    }
    found = []
    for one in produced:
        at_ns = moments.get((one.bucket, one.key, one.sha256))
        if at_ns is None or not one.final:
            continue
        met = outage is not None and outage.met(one.settled_ns, at_ns)
        found.append(Delay(one, at_ns, met))
    return found


def split_by_burst(delays: Sequence[Delay]) -> tuple[Sequence[Delay], Sequence[Delay]]:
    """Tell files that came by themselves from those of a burst, or that settled amid one."""
    bursts = [delay for delay in delays if delay.produced.in_burst]
    alone: list[Delay] = []
    amid = list(bursts)
    for delay in delays:
        if delay.produced.in_burst:
            continue
        settled = delay.produced.settled_ns
        busy = any(burst.produced.settled_ns <= settled <= burst.landed_ns for burst in bursts)
        (amid if busy else alone).append(delay)
    return alone, amid


@dataclass(frozen=True, slots=True)
class Spread:
    """How delays are spread."""

    count: int
    median: float
    p99: float
    longest: float


def spread_of(seconds: Iterable[float]) -> Spread | None:
    """Return the spread by nearest rank; None of nothing."""
    ordered = sorted(seconds)
    if not ordered:
        return None
    return Spread(
        len(ordered), _at_rank(ordered, 0.5), _at_rank(ordered, 0.99), longest=ordered[-1]
    )


def _at_rank(ordered: Sequence[float], share: float) -> float:
    return ordered[math.ceil(share * len(ordered)) - 1]


def shown(seconds: float) -> str:
    """Write a time in the unit in which it is read best."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
