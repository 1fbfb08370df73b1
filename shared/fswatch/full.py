"""Scan the whole root when that is due, a piece each round, and flush when that is asked for."""

from dataclasses import dataclass
from math import inf

from shared.fswatch.delivery import Delivery
from shared.fswatch.feed import EventFeed
from shared.fswatch.hints import Hints
from shared.fswatch.items import FlushFinished, FoundBy
from shared.fswatch.stability import StabilityRule
from shared.fswatch.sweep import MOST_IN_A_CHUNK, Sweep
from shared.fswatch.timetable import Timetable
from shared.fswatch.waiting import Waiting


@dataclass(slots=True)
class _Flush:
    """A flush between its request and its report."""

    quiet_seconds: float
    looked_twice_at: float = inf
    """When the last file that its scan found is due for its second look."""


class FullScan:
    """The scan of the whole root: at most one at a time."""

    def __init__(
        self,
        delivery: Delivery,
        timetable: Timetable,
        *,
        waiting: Waiting,
        hints: Hints,
        feed: EventFeed,
    ) -> None:
        self._delivery = delivery
        self._timetable = timetable
        self._waiting = waiting
        self._hints = hints
        self._feed = feed
        self._sweep: Sweep | None = None
        self._flush: _Flush | None = None
        self._number = 0

    def drop(self) -> None:
        """End a running scan before its time."""
        if self._sweep is not None:
            self._sweep.close()
            self._sweep = None

    def begin_flush(self, rule: StabilityRule) -> None:
        """Judge by this rule from now on, and scan anew."""
        self.drop()
        self._delivery.intake.change_rule(rule)
        self._flush = _Flush(rule.quiet.total_seconds())
        self._timetable.ask()

    async def end_flush(self) -> None:
        """Report a flush even if it has not run its course; nothing if there is none."""
        if self._flush is not None:
            self._flush = None
            still_changing = tuple(sorted(self._waiting.told_paths()))
            await self._delivery.hand_over(FlushFinished(still_changing))

    def due_at(self) -> float:
        """When there is work apart from due looks; a moment in the past means now."""
        flush_at = inf if self._flush is None else self._flush.looked_twice_at
        return min(self._next_piece_at(), flush_at)

    def _next_piece_at(self) -> float:
        if self._sweep is None:
            return self._timetable.due_at(
                has_events=self._feed.is_armed,
                events_tried=self._feed.was_tried,
                anything_changed=self._hints.everything,
            )
        # A flush looks at every file twice, so it leaves none to a next scan for want of room: the
        # looks that are due make some.
        lacks_room = self._waiting and self._waiting.room < MOST_IN_A_CHUNK
        return inf if self._flush is not None and lacks_room else 0.0

    async def walk_on(self) -> bool:
        """Do the next piece if it is due; True at the beginning of a scan."""
        begins = False
        if self._delivery.now() >= self._next_piece_at():
            begins = self._sweep is None
            sweep = self._sweep or self._begin()
            await self._delivery.walk(sweep)
            if sweep.is_finished:
                await self._end(sweep)
        await self._report_flush()
        return begins

    def _begin(self) -> Sweep:
        found_by = FoundBy.FIRST_SCAN if self._timetable.expects_first else FoundBy.SCAN
        self._number += 1
        self._timetable.began(self._delivery.now())
        self._hints.clear()
        self._delivery.intake.begin_scan()
        self._sweep = self._delivery.sweep("", found_by)
        return self._sweep

    async def _end(self, sweep: Sweep) -> None:
        self._sweep = None
        now = self._delivery.now()
        self._timetable.ended(now, sweep.working_seconds)
        if self._flush is not None:
            self._flush.looked_twice_at = now + self._flush.quiet_seconds
        if sweep.has_failed:
            return
        self._delivery.intake.end_scan()
        await self._delivery.hand_over(sweep.finished(self._number))

    async def _report_flush(self) -> None:
        if self._flush is None or self._delivery.now() < self._flush.looked_twice_at:
            return
        due = self._waiting.next_look_at
        if due is None or due > self._flush.looked_twice_at:
            await self.end_flush()
