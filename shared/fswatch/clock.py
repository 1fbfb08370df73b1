"""The two clocks that a watch reads and waits by, as a seam: tests bring their own time."""

import time
from dataclasses import dataclass
from typing import Protocol

import anyio


class Clock(Protocol):
    """Monotonic time to measure and wait by, wall time to compare with an mtime."""

    def monotonic(self) -> float:
        """Seconds on a clock that is never set."""

    def wall_ns(self) -> int:
        """Nanoseconds since the epoch."""

    async def sleep_until(self, at: float) -> None:
        """Return once `monotonic()` has reached `at`."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One reading of both clocks."""

    monotonic: float
    wall_ns: int


class SystemClock:
    """The machine's clocks."""

    def monotonic(self) -> float:
        """Seconds on a clock that is never set."""
        return time.monotonic()

    def wall_ns(self) -> int:
        """Nanoseconds since the epoch."""
        return time.time_ns()

    async def sleep_until(self, at: float) -> None:
        """Return once `monotonic()` has reached `at`, give or take the loop's timer."""
        await anyio.sleep(max(at - time.monotonic(), 0))


def moment(clock: Clock) -> Moment:
    """Read both clocks."""
    return Moment(clock.monotonic(), clock.wall_ns())


async def wait_until(at: float, event: anyio.Event, clock: Clock) -> None:
    """Return when the event is set, at the latest when the clock reaches `at`."""

    async def ring() -> None:
        await clock.sleep_until(at)
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(ring)
        await event.wait()
        group.cancel_scope.cancel()
