"""Keep an event source armed: again after every failure, anew when the root was replaced.

While no events come the feed says so, and the watch scans more often instead.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import anyio
import structlog

from shared.fswatch.clock import Clock
from shared.fswatch.events import EventSource, EventsUnavailable
from shared.fswatch.hints import Hints
from shared.fswatch.names import printable

_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 60.0
_REARM_PAUSE_SECONDS = 0.25
_LIVED_WELL_SECONDS = 10.0

_log = structlog.get_logger(__name__)


class EventFeed:
    """Turns the events of a root into hints for as long as it runs."""

    def __init__(
        self, root: Path, source: EventSource, hints: Hints, clock: Clock, wake: Callable[[], None]
    ) -> None:
        self._root = root
        self._source = source
        self._hints = hints
        self._clock = clock
        self._wake = wake
        self._scope = anyio.CancelScope()
        self._wanted = anyio.Event()
        self._pause_seconds = _FIRST_PAUSE_SECONDS
        self._outage_told = False
        self._armed_at = 0.0
        self.is_armed = False
        self.was_tried = False
        """Whether the first attempt to arm it for the present root has succeeded or failed."""

    def start(self) -> None:
        """The root is there, or is another one than before: arm for what is there now."""
        self.stop()
        self._pause_seconds = _FIRST_PAUSE_SECONDS
        self._wanted.set()

    def stop(self) -> None:
        """The root is not there: listen to nothing."""
        # An event that is not set stays: `run` may be waiting for it.
        if self._wanted.is_set():
            self._wanted = anyio.Event()
        self.was_tried = self.is_armed = False
        self._scope.cancel()

    def rearm(self) -> None:
        """The events come under names that lead nowhere: survey and arm again, now and then."""
        if self.is_armed and self._lived_seconds() >= _LIVED_WELL_SECONDS:
            self._scope.cancel()

    async def run(self) -> None:
        """Keep the source armed until cancelled."""
        while True:
            while not self._wanted.is_set():
                await self._wanted.wait()
            with anyio.CancelScope() as self._scope:
                await self._follow_for_good()
            self.is_armed = False

    async def _follow_for_good(self) -> None:
        while True:
            try:
                await self._source.follow(self._root, self._armed, self._touched)
                pause_seconds = _REARM_PAUSE_SECONDS
            except EventsUnavailable as error:
                pause_seconds = self._failed(error)
            self.is_armed = False
            self.was_tried = True
            self._wake()
            await self._clock.sleep_until(self._clock.monotonic() + pause_seconds)

    def _armed(self) -> None:
        self.is_armed = self.was_tried = True
        self._armed_at = self._clock.monotonic()
        if self._outage_told:
            _log.info("events_restored", root=printable(str(self._root)))
        # What was touched before this moment went unheard.
        self._hints.add_everything()
        self._wake()

    def _touched(self, paths: Sequence[str]) -> None:
        self._hints.add(paths)
        self._wake()

    def _failed(self, error: EventsUnavailable) -> float:
        """Tell of an outage once, and say how long to pause: longer each time it fails at once."""
        if self.is_armed and self._lived_seconds() >= _LIVED_WELL_SECONDS:
            self._pause_seconds = _FIRST_PAUSE_SECONDS
            self._outage_told = False
        pause_seconds = self._pause_seconds
        self._pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)
        tell = _log.debug if self._outage_told else _log.warning
        tell("events_unavailable", reason=str(error), retry_seconds=pause_seconds)
        self._outage_told = True
        return pause_seconds

    def _lived_seconds(self) -> float:
        return self._clock.monotonic() - self._armed_at
