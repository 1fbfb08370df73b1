"""Progress of a state, noted now and then in the history, where those who look on read it."""

import time

from pipelines.wildlife.machine.history import PROGRESS
from pipelines.wildlife.machine.interpreter import Call

_SECONDS = 0.5
"""Between two events."""


class Reports:
    """Takes what one try of a state tells."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._next = 0.0

    def take(self, done: int, total: int) -> None:
        """Take how much is done."""
        now = time.monotonic()
        if now >= self._next or done == total:
            self._next = now + _SECONDS
            self._call.note(PROGRESS, state=self._call.state, done=done, total=total)
