"""A gate that a test opens: how a fake waits without sleeping, across threads and loops."""

import asyncio
import threading
from concurrent.futures import Future

LIMIT_SECONDS = 20.0
"""How long anybody waits here at most."""


class Signal:
    """An event that is set once, in any thread, and awaited in any loop or thread."""

    def __init__(self) -> None:
        self.future: Future[None] = Future()
        """Done once it is set; for those who must wait without a limit."""
        self._lock = threading.Lock()

    def set(self) -> None:
        """Let everybody go on, now and later."""
        with self._lock:
            if not self.future.done():
                self.future.set_result(None)

    def is_set(self) -> bool:
        """Say whether it is set."""
        return self.future.done()

    async def wait(self, limit_seconds: float = LIMIT_SECONDS) -> None:
        """Await it in the running loop.

        Raises:
            TimeoutError: nobody set it in time.
        """
        # Shielded, or cancelling one waiter would cancel the signal of all.
        waiting = asyncio.shield(asyncio.wrap_future(self.future))
        async with asyncio.timeout(limit_seconds):
            await waiting

    def wait_blocking(self, limit_seconds: float = LIMIT_SECONDS) -> None:
        """Block this thread until it is set.

        Raises:
            TimeoutError: nobody set it in time.
        """
        self.future.result(limit_seconds)


class Gate:
    """Holds whoever arrives until the test opens it; opened once, it stays open."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._arrivals = 0
        self._reached: dict[int, Signal] = {}
        self._opened = Signal()

    @property
    def arrivals(self) -> int:
        """How many have come here, held or not."""
        with self._lock:
            return self._arrivals

    def open(self) -> None:
        """Let everybody through, now and later."""
        self._opened.set()

    async def reached(self, count: int = 1, limit_seconds: float = LIMIT_SECONDS) -> None:
        """Await the arrival of the `count`-th."""
        await self._signal(count).wait(limit_seconds)

    def reached_blocking(self, count: int = 1, limit_seconds: float = LIMIT_SECONDS) -> None:
        """Block this thread until the arrival of the `count`-th."""
        self._signal(count).wait_blocking(limit_seconds)

    async def enter(self, limit_seconds: float = 60.0) -> None:
        """Be held here: what the fake awaits."""
        with self._lock:
            self._arrivals += 1
            arrived = [signal for count, signal in self._reached.items() if count <= self._arrivals]
        for signal in arrived:
            signal.set()
        await self._opened.wait(limit_seconds)

    def _signal(self, count: int) -> Signal:
        with self._lock:
            signal = self._reached.setdefault(count, Signal())
            if self._arrivals >= count:
                signal.set()
            return signal
