"""The rounds that a watch makes: the root, due looks, hints, then a piece of the full scan.

One task makes all rounds, so nothing here needs a lock. Each round does a bounded piece of each
kind of work: a long scan delays no fresh file, and a flood of events stops no scan. Handing over
waits for the consumer, and while it waits only the bounded hints grow.
"""

from pathlib import Path

import anyio
from anyio import to_thread
from anyio.lowlevel import checkpoint

from shared.fswatch.clock import Clock, wait_until
from shared.fswatch.delivery import Delivery, HandOver
from shared.fswatch.events import EventSource
from shared.fswatch.feed import EventFeed
from shared.fswatch.follow import Follower
from shared.fswatch.full import FullScan
from shared.fswatch.hints import Hints
from shared.fswatch.intake import Intake
from shared.fswatch.items import RootMissing
from shared.fswatch.options import WatchOptions
from shared.fswatch.root import RootGuard, RootState
from shared.fswatch.stability import StabilityRule
from shared.fswatch.timetable import Timetable
from shared.fswatch.waiting import Waiting

_ROOT_CHECK_SECONDS = 1.0


class Patrol:
    """Makes the rounds of one root until cancelled."""

    def __init__(
        self,
        root: Path,
        options: WatchOptions,
        *,
        clock: Clock,
        source: EventSource,
        hand_over: HandOver,
    ) -> None:
        self._root = root
        self._clock = clock
        self._hand_over = hand_over
        self._wake = anyio.Event()
        self._guard = RootGuard(root)
        self._root_state = RootState.ANOTHER
        self._check_root_at = 0.0
        self._root_told = False
        self._flush_asked: StabilityRule | None = None
        self._timetable = Timetable(options.interval_seconds, options.polling_seconds)
        hints = Hints()
        self.waiting = Waiting(options.most_waiting)
        self.feed = EventFeed(root, source, hints, clock, self.wake)
        delivery = Delivery(
            root,
            options.rules,
            clock=clock,
            intake=Intake(options.stability, self.waiting),
            hand_over=hand_over,
        )
        self._follower = Follower(delivery, waiting=self.waiting, hints=hints, feed=self.feed)
        self._full_scan = FullScan(
            delivery, self._timetable, waiting=self.waiting, hints=hints, feed=self.feed
        )

    def wake(self) -> None:
        """Begin the next round now."""
        self._wake.set()

    def ask_for_scan(self) -> None:
        """Scan the whole root: now, or again when the running scan has ended."""
        self._timetable.ask()
        self.wake()

    def ask_for_flush(self, rule: StabilityRule) -> None:
        """Judge by this rule from now on, and scan at once."""
        self._flush_asked = rule
        self.wake()

    async def run(self) -> None:
        """Make the rounds until cancelled."""
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self.feed.run)
                while True:
                    # Whatever happens from here on is for the next round, if not for this one.
                    self._wake = anyio.Event()
                    await self._make_round()
                    await self._rest()
        finally:
            self._drop_walks()
            self._guard.close()

    async def _make_round(self) -> None:
        await self._check_root()
        # Applied between rounds only: no walk may be dropped while its thread is at work.
        rule, self._flush_asked = self._flush_asked, None
        if rule is not None:
            self._full_scan.begin_flush(rule)
        if self._root_state is RootState.MISSING:
            await self._full_scan.end_flush()
            return
        await self._follower.look_again()
        if await self._follower.follow_hints():
            self._check_root_at = 0.0
        await self._follower.walk_branch()
        if await self._full_scan.walk_on():
            self._follower.drop_branches()

    async def _rest(self) -> None:
        at = self._next_work_at()
        if at <= self._clock.monotonic():
            await checkpoint()
        else:
            await wait_until(at, self._wake, self._clock)

    def _next_work_at(self) -> float:
        if self._root_state is RootState.MISSING:
            return self._check_root_at
        if self._follower.is_busy:
            return 0.0
        times = [self._check_root_at, self._full_scan.due_at()]
        if self.waiting.next_look_at is not None:
            times.append(self.waiting.next_look_at)
        return min(times)

    async def _check_root(self) -> None:
        if self._clock.monotonic() < self._check_root_at:
            return
        self._root_state = await to_thread.run_sync(self._guard.check)
        now = self._clock.monotonic()
        self._check_root_at = now + _ROOT_CHECK_SECONDS
        if self._root_state is RootState.SAME:
            return
        self._drop_walks()
        if self._root_state is RootState.ANOTHER:
            self._root_told = False
            self._timetable.root_appeared(now)
            self.feed.start()
            return
        self.feed.stop()
        if not self._root_told:
            self._root_told = True
            await self._hand_over(RootMissing(str(self._root), self._guard.missing_reason))

    def _drop_walks(self) -> None:
        self._follower.drop_branches()
        self._full_scan.drop()
