"""A daemon that lives several lives in one process, as a test says, and reads along its log."""

import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import structlog
from structlog.typing import EventDict, WrappedLogger

from shared.errors import AlreadyRunning, ExitStatus, UsageError
from shared.lifecycle import Control, run
from shared.lives import Setup, run_service
from shared.systemd import Notifier

LIMIT_SECONDS = 10


def hang_up() -> None:
    """Ask for a reload."""
    os.kill(os.getpid(), signal.SIGHUP)


@dataclass
class Carrier:
    """A daemon whose lives do what the test says, one after the other."""

    works: list["Work"]
    refuses: set[str] = field(default_factory=set)
    """Settings that it cannot be opened with."""
    configured: str | None = "a"
    """What the configuration says; None: something wrong."""
    grace_seconds: float = LIMIT_SECONDS
    finishes: bool = False
    once: bool = False
    at_opening: Callable[[str], Awaitable[object]] = lambda _name: anyio.lowlevel.checkpoint()
    steps: list[str] = field(default_factory=list)
    given_up: list[int] = field(default_factory=list)

    def setup(self, name: str) -> Setup:
        """Return what a life with these settings is opened with."""

        @asynccontextmanager
        async def opened(_control: Control) -> AsyncIterator[Carrier]:
            self.steps.append(f"open {name}")
            await self.at_opening(name)
            if name in self.refuses:
                raise AlreadyRunning(f"{name} is in use")
            try:
                yield self
            finally:
                self.steps.append(f"close {name}")

        return Setup(
            opened,
            self.grace_seconds,
            values={"name": name},
            prepare=lambda: self.steps.append(f"log {name}"),
            finishes=self.finishes,
        )

    def read_again(self) -> Setup:
        """Read the configuration."""
        if self.configured is None:
            raise UsageError("--interval 'x' is no number\n--prefix '' is too short")
        return self.setup(self.configured)

    async def run(self, control: Control) -> None:
        """Do what this life is to do."""
        await self.works.pop(0)(self, control)

    async def run_once(self) -> "Carrier":
        """Do one pass, and be its report."""
        hang_up()
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        return self

    @property
    def failed(self) -> int:
        """Nothing fails."""
        return 0

    def fields(self) -> Mapping[str, object]:
        """Return no counts."""
        return {}

    def live(self, notifier: Notifier | None = None) -> ExitStatus:
        """Live, from the first life to the last."""

        async def live() -> ExitStatus:
            with anyio.fail_after(LIMIT_SECONDS):
                return await run_service(
                    self.setup("a"),
                    notifier=notifier or Notifier({}),
                    once=self.once,
                    read_again=self.read_again,
                    give_up=self.given_up.append,
                )

        return run(live)

    @property
    def lives(self) -> list[str]:
        """What was opened and closed."""
        return [step for step in self.steps if not step.startswith("log")]


Work = Callable[[Carrier, Control], Awaitable[None]]


class Said:
    """What was logged, and a way to wait for more of it."""

    def __init__(self) -> None:
        self.entries: list[EventDict] = []
        self._news = anyio.Event()

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """Take one entry; a structlog processor."""
        self.entries.append(event)
        news, self._news = self._news, anyio.Event()
        news.set()
        raise structlog.DropEvent

    @property
    def events(self) -> list[str]:
        """The names of all so far."""
        return [str(entry["event"]) for entry in self.entries]

    def of(self, name: str) -> list[EventDict]:
        """Return the entries of an event."""
        return [entry for entry in self.entries if entry["event"] == name]

    async def until(self, name: str, count: int = 1) -> None:
        """Wait until an event was logged so often."""
        while self.events.count(name) < count:
            await self._news.wait()

    async def more(self, count: int, after: int) -> None:
        """Wait until so many were logged after the first ones."""
        while len(self.entries) < after + count:
            await self._news.wait()
