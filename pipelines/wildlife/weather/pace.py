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
        self._order = anyio.Lock()
        self._next = 0.0

    async def turn(self) -> None:
        """Return when it is this request's turn."""
        async with self._order:
            # Asked anew after each sleep: all may have been told to wait longer meanwhile.
            while (left := self._next - self._clock()) > 0:
                await self._sleep(left)
            self._next = self._clock() + self._interval

    def hold(self, seconds: float) -> None:
        """Let nobody through for so long; those who wait already wait longer."""
        self._next = max(self._next, self._clock() + seconds)
