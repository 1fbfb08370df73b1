"""Watches a run from outside: what the writer says, what S3 holds, what lies on the disk."""

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio import to_thread
from anyio.streams.buffered import BufferedByteReceiveStream

from scripts.demo.board import Board, Numbers
from scripts.demo.children import Child
from scripts.demo.disk import look_at
from scripts.demo.embedded_s3 import EmbeddedS3
from scripts.demo.records import Landed, Produced, parse_produced
from scripts.demo.stage import DemoFailed
from scripts.demo.timing import Outage, delays_of, shown, spread_of

_TICK_SECONDS = 0.2
_RATE_TICKS = 10
_LONGEST_LINE = 65536
_WRITER_END_SECONDS = 10.0


class Observer:
    """Keeps the numbers on the board true."""

    def __init__(self, root: Path, s3: EmbeddedS3, board: Board, planned: int) -> None:
        self.produced: list[Produced] = []
        self.outage: Outage | None = None
        self.writer_status: int | None = None
        self.drained = anyio.Event()
        """Set once the writer has ended and the disk is empty."""
        self._root = root
        self._s3 = s3
        self._board = board
        self._planned = planned
        self._recent: deque[int] = deque(maxlen=_RATE_TICKS)

    @asynccontextmanager
    async def watching(self, check: Callable[[], None]) -> AsyncIterator[None]:
        """Show the numbers for the length of a block; `check` raises where nothing can go on."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch, check)
            yield
            tasks.cancel_scope.cancel()

    async def follow(self, writer: Child) -> None:
        """Take in what the writer says, until it ends."""
        if writer.process.stdout is None:
            raise DemoFailed("the writer has no voice")
        lines = BufferedByteReceiveStream(writer.process.stdout)
        try:
            while True:
                line = await lines.receive_until(b"\n", _LONGEST_LINE)
                self.produced.append(parse_produced(line))
        except (anyio.EndOfStream, anyio.IncompleteRead):
            self.writer_status = await writer.ended(_WRITER_END_SECONDS)

    async def _watch(self, check: Callable[[], None]) -> None:
        # The disk tells nobody when it is empty, so it is looked at; everything else is in memory.
        while True:
            check()
            disk = await to_thread.run_sync(look_at, self._root)
            self._board.show(self._numbers(len(disk.files)))
            if self.writer_status is not None and disk.clear:
                self.drained.set()
            await anyio.sleep(_TICK_SECONDS)

    def _numbers(self, on_disk: int) -> Numbers:
        landed = self._s3.landed()
        self._recent.append(len(landed))
        seconds = max(1, len(self._recent) - 1) * _TICK_SECONDS
        complete = [one for one in self.produced if one.final]
        return Numbers(
            planned=max(self._planned, len(landed)),
            written=len(complete),
            waiting=_waiting(complete, landed),
            in_s3=len(landed),
            on_disk=on_disk,
            per_second=(self._recent[-1] - self._recent[0]) / seconds,
            delay=self._delay(complete, landed),
        )

    def _delay(self, complete: Sequence[Produced], landed: Sequence[Landed]) -> str:
        delays = delays_of(complete, landed, self.outage)
        spread = spread_of(delay.seconds for delay in delays if not delay.met_outage)
        if spread is None:
            return ""
        return f"settled to S3: median {shown(spread.median)}, p99 {shown(spread.p99)}"


def _waiting(complete: Sequence[Produced], landed: Sequence[Landed]) -> int:
    """Count the files whose newest content is not in S3."""
    newest = {(one.bucket, one.key): one.sha256 for one in complete}
    there = {(one.bucket, one.key): one.sha256 for one in landed}
    return sum(there.get(place) != content for place, content in newest.items())
