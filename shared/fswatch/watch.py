"""Watch a root: files that have settled come out, whatever becomes of the events.

The scan is the truth and events are hints. Every interval a full scan hands over every settled file
that is there, whether or not it was handed over before: what to do about it is the consumer's
decision. Between scans events bring new files at once, and none twice with the same content. Lost
events, whole nested folders, a root that was replaced, names that are not UTF-8 and machines that
have no inotify watch left cost at most one interval. Nothing is ever changed on disk.
"""

from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import TaskGroup

from shared.fswatch.clock import Clock, SystemClock
from shared.fswatch.events import EventSource, WatchfilesSource
from shared.fswatch.items import WatchItem
from shared.fswatch.options import WatchOptions
from shared.fswatch.patrol import Patrol
from shared.fswatch.stability import StabilityRule

_SYSTEM_CLOCK = SystemClock()


class Watch:
    """An asynchronous source of `WatchItem`s for one consumer.

        async with Watch(Path("output/s3"), options) as watch:
            async for item in watch: ...

    The pace of the consumer is the pace of the watch, and memory is bounded whatever the backlog.
    The iteration ends after `stop()`; leaving the `async with` stops the watch.
    """

    def __init__(
        self,
        root: Path,
        options: WatchOptions,
        *,
        clock: Clock = _SYSTEM_CLOCK,
        source: EventSource | None = None,
    ) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[WatchItem](
            options.buffered_items
        )
        self._patrol = Patrol(
            root,
            options,
            clock=clock,
            source=source or WatchfilesSource(options.rules),
            hand_over=self._send.send,
        )
        self._scope = anyio.CancelScope()
        self._group: TaskGroup

    async def __aenter__(self) -> Self:
        self._group = await anyio.create_task_group().__aenter__()
        self._group.start_soon(self._run)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self.stop()
        with self._receive:
            if isinstance(error, anyio.get_cancelled_exc_class()):
                return await self._group.__aexit__(kind, error, traceback)
            # The body's own exception goes its way as it is: a task group would wrap it.
            return await self._group.__aexit__(None, None, None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WatchItem:
        try:
            return await self._receive.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    @property
    def waiting_files(self) -> int:
        """How many unsettled files are waited for."""
        return len(self._patrol.waiting)

    @property
    def has_events(self) -> bool:
        """Whether the system reports events; if not, the watch scans more often."""
        return self._patrol.feed.is_armed

    def scan_now(self) -> None:
        """Begin a full scan now, or as soon as the running one has ended."""
        self._patrol.ask_for_scan()

    def flush(self, rule: StabilityRule) -> None:
        """Judge by `rule` from now on and scan at once: everything on disk has to go.

        Once every file was looked at under the rule, a `FlushFinished` names those still changing.
        """
        self._patrol.ask_for_flush(rule)

    def stop(self) -> None:
        """End the iteration; what was handed over and not taken yet can still be taken."""
        self._scope.cancel()

    async def _run(self) -> None:
        with self._send, self._scope:
            await self._patrol.run()
