"""Wakes one that waits each time that something shows a sign of life. For a single waiter."""

import anyio


class Beat:
    """Struck by a command's keeper, say, and waited for by whoever reads the command's output."""

    def __init__(self) -> None:
        self._event = anyio.Event()
        self._over = False

    def strike(self) -> None:
        """Wake whoever waits."""
        self._event.set()

    def end(self) -> None:
        """Wake whoever waits, for the last time."""
        self._over = True
        self._event.set()

    async def wait(self) -> bool:
        """Wait for the next beat; False when there is none."""
        await self._event.wait()
        self._event = anyio.Event()
        return not self._over
