"""Shows a run on stderr while it goes on: on a terminal a line that changes, else one a state."""

import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TextIO

import anyio

from pipelines.wildlife.commands.following import event_line, progress_line
from pipelines.wildlife.machine.history import Happened, parse_events
from pipelines.wildlife.machine.view import RunView

_FRAME_SECONDS = 0.25
_CLEAR = "\r\x1b[K"


class Onlooker:
    """Takes the events of a run, and shows what has become of it."""

    def __init__(self, execution: str, stream: TextIO | None = None) -> None:
        self.view = RunView(execution)
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty()
        self._told = 0

    def take(self, event: Happened) -> None:
        """Take the next event."""
        self.view.add(event)
        while self._told < len(self.view.visits) and self.view.visits[self._told].left_at:
            line = event_line(self.view.visits[self._told], event.at)
            self._write(f"{_CLEAR}{line}\n" if self._is_terminal else f"{line}\n")
            self._told += 1

    def take_line(self, line: bytes) -> None:
        """Take the next event as it is written down."""
        for event in parse_events(line):
            self.take(event)

    @asynccontextmanager
    async def showing(self) -> AsyncIterator[None]:
        """Keep the line fresh while the block lasts, where there is a terminal."""
        async with anyio.create_task_group() as tasks:
            if self._is_terminal:
                tasks.start_soon(self._draw)
            try:
                yield
            finally:
                tasks.cancel_scope.cancel()
                if self._is_terminal:
                    self._write(_CLEAR)

    async def _draw(self) -> None:
        while True:
            columns = shutil.get_terminal_size().columns
            line = progress_line(self.view, datetime.now(UTC), columns)
            self._write(f"{_CLEAR}{line}")
            await anyio.sleep(_FRAME_SECONDS)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
