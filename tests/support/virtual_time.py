"""An event loop whose clock jumps to the next timer whenever nothing else is left to do.

A day of waiting takes as long as what is done in it. While a worker thread within anyio's usual
limit is at work, time passes as it does for everybody.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from anyio import CapacityLimiter, to_thread

_LIMIT_SECONDS = 60.0
"""Real seconds after which it is taken for hung that nobody waits for a timer at all."""


class _JumpingSelector(selectors.BaseSelector):
    """Moves the clock on where it was told to wait."""

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()
        self.ahead = 0.0
        """Seconds that were never waited."""
        self.threads: CapacityLimiter | None = None

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Watch a file."""
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Watch it no more."""
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Watch it for something else."""
        return self._real.modify(fileobj, events, data)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; where nothing is, move the clock on."""
        if timeout is None:
            ready = self._real.select(_LIMIT_SECONDS)
            if not ready:
                raise TimeoutError("everybody waits, and nobody for a time")
            return ready
        if self.threads is not None and self.threads.borrowed_tokens:
            return self._real.select(timeout)
        ready = self._real.select(0)
        if not ready:
            self.ahead += timeout
        return ready

    def close(self) -> None:
        """Close it."""
        self._real.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """Return what is watched."""
        return self._real.get_map()


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop with a clock of its own; anyio's and asyncio's waits and limits go by it."""

    def __init__(self) -> None:
        self.jumping = _JumpingSelector()
        super().__init__(self.jumping)

    def time(self) -> float:
        """Return the time, in seconds."""
        return super().time() + self.jumping.ahead


def run_in_virtual_time(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine on such a loop to its end."""
    loop = VirtualLoop()

    async def run() -> None:
        loop.jumping.threads = to_thread.current_default_thread_limiter()
        await main()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(run())
