"""Time and events under a test's control, for whatever watches files."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import anyio
from anyio.lowlevel import checkpoint

from shared.fswatch.events import EventsUnavailable
from shared.fswatch.items import WatchItem
from shared.fswatch.watch import Watch

ItemT = TypeVar("ItemT", bound=WatchItem)

_BOUND_SECONDS = 10.0
_NS = 1_000_000_000


class FakeClock:
    """Both clocks of a machine, moved by hand; whoever sleeps wakes when its time is reached."""

    def __init__(self) -> None:
        self._now_ns = 1_000 * _NS
        self._wall_offset_ns = 1_700_000_000 * _NS
        self._sleepers: list[tuple[float, anyio.Event]] = []
        self._changed = anyio.Event()

    def monotonic(self) -> float:
        """Seconds on a clock that is never set."""
        return self._now_ns / _NS

    def wall_ns(self) -> int:
        """Nanoseconds since the epoch."""
        return self._now_ns + self._wall_offset_ns

    async def sleep_until(self, at: float) -> None:
        """Return once the clock was moved to `at`."""
        if at <= self.monotonic():
            await checkpoint()
            return
        sleeper = (at, anyio.Event())
        self._sleepers.append(sleeper)
        self._changed.set()
        try:
            await sleeper[1].wait()
        finally:
            self._sleepers.remove(sleeper)

    def advance(self, seconds: float) -> None:
        """Let time pass on both clocks."""
        self._now_ns += round(seconds * _NS)
        for at, event in self._sleepers:
            if at <= self.monotonic():
                event.set()

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock, as an operator or a time daemon does."""
        self._wall_offset_ns += round(seconds * _NS)

    async def everyone_sleeps(self) -> None:
        """Wait until somebody sleeps into the future again: all work for now is done."""
        with anyio.fail_after(_BOUND_SECONDS):
            while not any(not event.is_set() for _, event in self._sleepers):
                self._changed = anyio.Event()
                await self._changed.wait()


@dataclass
class FakeSource:
    """Events that the test sends."""

    arms: int = 0
    refusal: str = ""
    """Why it cannot be armed, as long as that is not empty."""

    def __post_init__(self) -> None:
        self.touched: Callable[[Sequence[str]], None] = lambda _: None
        self._broken = anyio.Event()

    async def follow(
        self, root: Path, armed: Callable[[], None], touched: Callable[[Sequence[str]], None]
    ) -> None:
        """Arm at once and stay armed until broken."""
        self.arms += 1
        if self.refusal:
            raise EventsUnavailable(self.refusal)
        self.touched = touched
        self._broken = anyio.Event()
        armed()
        await self._broken.wait()
        raise EventsUnavailable("broken by the test")

    def break_off(self) -> None:
        """End the events, as a name that is not UTF-8 does."""
        self._broken.set()


def make_file(path: Path, clock: FakeClock, *, age_seconds: float, content: bytes = b"x") -> None:
    """A file whose mtime is that old on the wall clock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    mtime_ns = clock.wall_ns() - round(age_seconds * _NS)
    # A whole second would look like a coarse file system.
    os.utime(path, ns=(mtime_ns, mtime_ns if mtime_ns % _NS else mtime_ns + 1))


async def next_item(watch: Watch, kind: type[ItemT]) -> ItemT:
    """The next item of that kind; the others in between are dropped."""
    with anyio.fail_after(_BOUND_SECONDS):
        async for item in watch:
            if isinstance(item, kind):
                return item
    raise AssertionError(f"the watch ended without a {kind.__name__}")
