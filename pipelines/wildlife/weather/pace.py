"""How often a provider may be asked. Rule: requests begin no closer together than the interval.

It sleeps, as only a limiter of a rate must: there is no event to wait for.
"""

from collections.abc import Awaitable, Callable

import anyio


class Pace:
    """Lets requests through one by one, in the order in which they came."""

    def __init__(
        self,
        interval_seconds: float,
        *,
        clock: Callable[[], float] = anyio.current_time,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._interval = interval_seconds
        self._clock = clock
        self._sleep = sleep
        self._next = 0.0
        self._held_until = 0.0

    async def turn(self) -> None:
        """Return when it is this request's turn."""
        at = max(self._clock(), self._next)
        self._next = at + self._interval
        while (left := max(at, self._held_until) - self._clock()) > 0:
            await self._sleep(left)

    def hold(self, seconds: float) -> None:
        """Let nobody through for so long; those who wait already wait longer."""
        self._held_until = max(self._held_until, self._clock() + seconds)
        self._next = max(self._next, self._held_until)
