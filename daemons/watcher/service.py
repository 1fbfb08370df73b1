"""The watcher at work: look, choose, attempt, report; one CID at a time."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import anyio
import structlog
from structlog.typing import FilteringBoundLogger

from daemons.watcher.candidates import Candidate, Candidates
from daemons.watcher.halts import halt_of
from daemons.watcher.job import CidJobs
from daemons.watcher.lookout import Lookout
from daemons.watcher.outcome import DONE, Ending, Outcome
from daemons.watcher.plan import ClaimWindow, Halted, Standing
from daemons.watcher.report import PassCounts, tell
from shared.errors import SuiteError
from shared.lifecycle import Control, run_passes
from shared.schedule import Pace, back_off_seconds

log: FilteringBoundLogger = structlog.get_logger()

FULL_LOOK_EVERY = 20
"""Looks, of which one is at everything."""

_LOOK_SECONDS = 900.0
"""How long a look may take before the watchdog ends us: a hundred thousand jobs, and retries."""
_PAUSE = Pace(interval_seconds=0, first_back_off_seconds=1.0, longest_back_off_seconds=300.0)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds and rules of the service."""

    poll_seconds: float
    job_seconds: float
    """How long one attempt may take at most, for the watchdog."""


PassEnd = Callable[["Watcher", PassCounts], Awaitable[None]]


async def _nothing_more(_service: "Watcher", _counts: PassCounts) -> None:
    """A pass may simply end."""


class Watcher:
    """Turns complete jobs into committed results."""

    def __init__(
        self,
        lookout: Lookout,
        jobs: CidJobs,
        limits: Limits,
        control: Control,
        *,
        once: bool = True,
        chance: Callable[[], float] = random.random,
        at_pass_end: PassEnd = _nothing_more,
    ) -> None:
        self.lookout = lookout
        self.jobs = jobs
        self.totals = PassCounts()
        self.counts = PassCounts()
        self.trouble = ""
        self.last_success_at: datetime | None = None
        self.parked: dict[str, str] = {}
        """CIDs that were parked here, and why."""
        self._limits = limits
        self._control = control
        self._once = once
        self._chance = chance
        self.at_pass_end = at_pass_end
        self._window = ClaimWindow()
        self._looks = 0
        self._leave = anyio.Event()
        self._draining = False

    @property
    def candidates(self) -> Candidates:
        """What is known of the jobs that are not done."""
        return self.lookout.candidates

    async def run(self, control: Control) -> None:
        """Work until the control says stop; the CID in hand is given back when it says leave."""
        self._once, self.jobs.patient = False, True
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._leave_when_told)
            await run_passes(self.run_once, control, Pace(self._limits.poll_seconds))
            tasks.cancel_scope.cancel()

    async def run_once(self) -> PassCounts:
        """Do one pass: look, and attempt what may be claimed.

        On its own, the pass ends when nothing is left to claim. Between others it also ends when
        what it saw is older than the poll interval, and the next one looks again.
        """
        self.counts = counts = PassCounts()
        ending: SuiteError | None = None
        async with anyio.create_task_group() as tasks:
            if self._once:
                tasks.start_soon(self._leave_when_told)
            try:
                if not self._draining:
                    await self._pass()
            except SuiteError as error:
                ending = error
            tasks.cancel_scope.cancel()
        self.trouble = "" if ending is None else str(ending)
        self._count_what_is_left()
        self.totals.add(counts)
        await self.at_pass_end(self, counts)
        if ending is not None:
            raise ending
        return counts

    def drain(self, *, draining: bool) -> None:
        """Give the CID in hand back and claim none, or go on claiming."""
        self._draining = draining
        if draining:
            self._leave.set()
        elif not self._control.leaving.is_set():
            self._leave = anyio.Event()

    async def _leave_when_told(self) -> None:
        await self._control.leaving.wait()
        self._leave.set()

    async def _pass(self) -> None:
        self.lookout.recorded = 0
        try:
            with self._control.waiting(_LOOK_SECONDS):
                await self.lookout.look(full=self._looks % FULL_LOOK_EVERY == 0)
            self._looks += 1
            self.last_success_at = datetime.now(UTC)
            # Only now: a look that lasts longer than the interval must not leave no time to work.
            looked_at = anyio.current_time()
            await self._claim_in_turn(looked_at)
            # What others won from us meanwhile may be done, or may have been dead for a while.
            if self._goes_on(looked_at) and await self.lookout.read_leases():
                await self._claim_in_turn(looked_at)
        finally:
            self.counts.recorded += self.lookout.recorded

    async def _claim_in_turn(self, looked_at: float) -> None:
        """Attempt what may be claimed now, in CID order but for the room that others need."""
        queue = self.candidates.claimable(self.lookout.clock())
        while queue and self._goes_on(looked_at):
            one = queue.pop(self._window.pick(len(queue), self._chance()))
            with self._control.waiting(self._limits.job_seconds):
                outcome = await self.jobs.attempt(self.candidates.target(one), self._leave)
            self._settle(one, outcome)

    def _goes_on(self, looked_at: float) -> bool:
        if self._leave.is_set() or self._control.stopping.is_set():
            return False
        return self._once or anyio.current_time() - looked_at < self._limits.poll_seconds

    def _settle(self, one: Candidate, outcome: Outcome) -> None:
        """Account for one attempt; one that halted ends the pass."""
        if outcome.ending is Ending.TAKEN:
            self._window.lost()
        elif outcome.ending is not Ending.RECORDED:
            self._window.won()
        pause = back_off_seconds(one.halts + 1, _PAUSE, chance=self._chance())
        self.candidates.settle(outcome, not_before=self.lookout.clock() + pause)
        tell(outcome, self.counts)
        if outcome.ending in DONE:
            self.last_success_at = datetime.now(UTC)
            self.parked.pop(one.cid, None)
        elif outcome.ending is Ending.PARKED:
            self.parked[one.cid] = outcome.reason
        if outcome.ending is Ending.HALTED and isinstance(outcome.why, Halted):
            raise halt_of(outcome.why.status, f"CID {one.cid}: {outcome.reason}")

    def _count_what_is_left(self) -> None:
        parked = self.candidates.of(Standing.PARKED)
        self.counts.set_aside = len(parked)
        self.counts.waiting = len(self.candidates) - len(parked)
        self.counts.unfinished = self.lookout.unfinished
