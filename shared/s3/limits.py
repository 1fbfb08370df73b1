"""How much is under way at once: requests adapt to the service, bytes never pass a bound."""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType

import anyio

_LEAST_REQUESTS = 4
_SETTLE_SECONDS = 1.0


class AdaptiveLimit:
    """Requests in flight: one more after as many successes as are allowed, half after a SlowDown.

    Additive increase and multiplicative decrease, as TCP does (RFC 5681). Several refusals within
    a second count once: they answer the same burst.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._least = min(_LEAST_REQUESTS, most)
        self._limiter = anyio.CapacityLimiter(most)
        self._room = float(most)
        self._halved_at = -_SETTLE_SECONDS

    @property
    def allowed(self) -> int:
        """Requests that may be in flight now."""
        return int(self._limiter.total_tokens)

    async def __aenter__(self) -> None:
        """Wait for a place; a task holds at most one."""
        await self._limiter.acquire()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the place back."""
        self._limiter.release()

    def succeeded(self) -> None:
        """Note an answer: the limit grows back slowly."""
        if self._room < self._most:
            self._set(self._room + 1 / self._room)

    def throttled(self, now: float) -> None:
        """Note a refusal at the monotonic time `now` in seconds: the limit halves."""
        if now - self._halved_at >= _SETTLE_SECONDS:
            self._halved_at = now
            self._set(self._room / 2)

    def _set(self, room: float) -> None:
        self._room = min(float(self._most), max(float(self._least), room))
        self._limiter.total_tokens = int(self._room)


class ByteBudget:
    """Bytes held in memory at once; first come, first served.

    A request larger than the whole budget waits until it is alone and then gets its way: one piece
    of a very large file is the only thing that can exceed the bound.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.used = 0
        self._waiting: deque[tuple[int, anyio.Event]] = deque()

    @asynccontextmanager
    async def reserve(self, size: int) -> AsyncIterator[None]:
        """Wait until `size` bytes may be held, and hold them for the length of the block."""
        await self._take(size)
        try:
            yield
        finally:
            self.used -= size
            self._wake()

    async def _take(self, size: int) -> None:
        if not self._waiting and self._fits(size):
            self.used += size
            return
        place = (size, anyio.Event())
        self._waiting.append(place)
        try:
            await place[1].wait()
        except BaseException:
            # Cancelled while waiting, or just after the place was granted.
            if place[1].is_set():
                self.used -= size
            else:
                self._waiting.remove(place)
            self._wake()
            raise

    def _fits(self, size: int) -> bool:
        return self.used == 0 or self.used + size <= self.total

    def _wake(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            size, granted = self._waiting.popleft()
            self.used += size
            granted.set()
