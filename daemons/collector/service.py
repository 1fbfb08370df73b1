"""Observe, plan, act: what the listing shows becomes bounded batches of jobs, one CID at a time.

The bucket is the truth and the ledger saves work: a CID in it is not pulled again. Most passes list
only the newest end of the bucket; the first one and every twentieth list all of it.
"""

from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import cast

import anyio
import structlog
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

from daemons.collector.central import prepare
from daemons.collector.job import Ending, Found, Outcome, RunoutJobs
from daemons.collector.plan import (
    NEWEST_KEPT,
    Patience,
    fingerprint,
    just_before,
    listing_start,
)
from daemons.collector.report import PassCounts, tell
from daemons.collector.tagging import Tagger
from daemons.collector.verdicts import Kind, Verdict, Verdicts
from shared.errors import SuiteError, TransientError
from shared.handshake.layout import Runout
from shared.handshake.listing import Result, list_results
from shared.ledger import Ledger
from shared.lifecycle import Control, run_passes
from shared.s3.store import ObjectStore
from shared.schedule import Pace

log: FilteringBoundLogger = structlog.get_logger()

FULL_LISTING_EVERY = 20
"""Passes from one full listing to the next."""

_BATCH = 256
_FAILURES_MAX = 3
_KINDS = {
    Ending.SAME: Kind.SAME,
    Ending.DIFFERENT: Kind.DIFFERENT,
    Ending.ORPHAN: Kind.ORPHAN,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What the settings say about the work as a whole."""

    poll_seconds: float
    runouts_in_flight: int


class Interrupted(TransientError):
    """A long comparison was ended because the daemon stops; it begins anew next time."""


class Collector:
    """Collects until told to stop; remembers what waits and what was decided."""

    def __init__(
        self,
        jobs: RunoutJobs,
        store: ObjectStore,
        ledger: Ledger,
        verdicts: Verdicts,
        limits: Limits,
        *,
        clock: Callable[[], float],
        at_pass_end: Callable[["Collector", PassCounts], Awaitable[None]],
        tagger: Tagger | None = None,
    ) -> None:
        self.jobs = jobs
        self.ledger = ledger
        self.verdicts = verdicts
        self.patience = Patience(limits.poll_seconds)
        self.totals = PassCounts()
        self.tagger = tagger
        self.trouble = ""
        """Why nothing can be collected at present."""
        self.last_success_at: datetime | None = None
        """When a pass last went through the listing."""
        self.last_collected_at: datetime | None = None
        self._store = store
        self._limits = limits
        self._clock = clock
        self._at_pass_end = at_pass_end
        self._control: Control | None = None
        self._counts = PassCounts()
        self._passes = 0
        self._loaded = False
        self._newest: deque[Runout] = deque(maxlen=NEWEST_KEPT)
        self._after: Runout | None = None
        self._first: dict[str, str] = {}
        self._failures = 0
        self._ending: SuiteError | None = None

    async def run(self, control: Control) -> None:
        """Collect until the control says stop."""
        self._control = control
        await run_passes(self.run_once, control, Pace(self._limits.poll_seconds))

    async def run_once(self) -> PassCounts:
        """Do one pass: list, and bring what is new to where it belongs."""
        self._counts = PassCounts()
        self._ending = None
        self._failures = 0
        try:
            await self._observe()
        except SuiteError as error:
            self._ending = error
        self.trouble = "" if self._ending is None else str(self._ending)
        if self._ending is None:
            self.last_success_at = datetime.now(UTC)
            self._passes += 1
            if self.tagger is not None and not self.is_stopping:
                self._counts.tagged = await self.tagger.run(lambda: self.is_stopping)
        self.totals.add(self._counts)
        await to_thread.run_sync(self.verdicts.save, self.patience.sightings())
        await self._at_pass_end(self, self._counts)
        if self._ending is not None:
            raise self._ending
        return self._counts

    @property
    def is_stopping(self) -> bool:
        """Whether nothing new is to be begun."""
        return self._control is not None and self._control.stopping.is_set()

    async def _observe(self) -> None:
        await self._look_at_disk()
        full = self._passes % FULL_LISTING_EVERY == 0
        if full:
            self._first.clear()
        # A short listing moves the start on only when enough new names have come.
        after = self._after = None if full else listing_start(self._newest) or self._after
        missing = self.patience.known() | self.verdicts.known() if full else set()
        self._newest.clear()
        batch: list[Found] = []
        async with aclosing(_listing(self._store, self.jobs, after)) as results:
            async for result in results:
                self._progress()
                self._counts.listed += 1
                self._newest.append(result.runout)
                missing.discard(result.runout)
                batch += await self._choose(result)
                if len(batch) >= _BATCH:
                    await self._act(batch)
                    batch = []
                if self._is_over():
                    return
        await self._act(batch)
        for runout in missing:
            # Somebody has removed it from the bucket.
            self.patience.forget(runout)
            self.verdicts.drop(runout)

    async def _look_at_disk(self) -> None:
        if not self._loaded:
            for runout, (seen, at) in (await to_thread.run_sync(self.verdicts.load)).items():
                self.patience.restore(runout, seen, at)
            await to_thread.run_sync(self.ledger.load)
            self._loaded = True
        if self.tagger is not None:
            await self.tagger.load()
        await to_thread.run_sync(self.ledger.refresh)
        merged = len(self.ledger)
        await to_thread.run_sync(lambda: prepare(self.jobs.folders, merged=merged))

    async def _choose(self, result: Result) -> list[Found]:
        """Say what of a listed runout is worth a job now: itself, and an earlier one of its CID."""
        runout = result.runout
        first = self._first.setdefault(runout.cid, runout.stamp)
        recorded = runout.cid in self.ledger
        if not recorded:
            return self._found(result, recorded=False)
        if self.tagger is not None:
            self.tagger.offer(result)
        if first == runout.stamp:
            return []
        found = []
        earlier = Runout(first, runout.cid)
        if earlier not in self.verdicts and earlier not in self.patience:
            # Of a single runout nothing is kept; now that there is another, it is looked up.
            again = await self._look_up(earlier)
            found += self._found(again, recorded=True) if again else []
        return found + self._found(result, recorded=True)

    def _found(self, result: Result, *, recorded: bool) -> list[Found]:
        runout, now, print_ = result.runout, self._clock(), fingerprint(result)
        verdict = self.verdicts.get(runout, print_)
        if verdict is not None and self._still_holds(verdict, runout, recorded=recorded):
            self._counts.orphans += verdict.kind is Kind.ORPHAN
            self._counts.conflicts += verdict.kind is Kind.DIFFERENT
            self._counts.failed += verdict.kind is Kind.DIFFERENT and not recorded
            return []
        if not self.patience.is_due(runout, print_, now):
            self._counts.waiting += 1
            return []
        return [Found(result, recorded, self.patience.is_quiet(runout, now))]

    def _still_holds(self, verdict: Verdict, runout: Runout, *, recorded: bool) -> bool:
        match verdict.kind:
            case Kind.SAME:
                return recorded
            case Kind.DIFFERENT:
                return verdict.central == self.jobs.central_identity(runout.cid)
            case _:
                return True

    async def _look_up(self, runout: Runout) -> Result | None:
        before = just_before(runout)
        async with aclosing(_listing(self._store, self.jobs, before)) as results:
            async for result in results:
                return result if result.runout == runout else None
        return None

    async def _act(self, batch: Sequence[Found]) -> None:
        """Run jobs side by side; those of one CID one after the other, in the listing's order."""
        groups: dict[str, list[Found]] = {}
        for found in batch:
            groups.setdefault(found.result.runout.cid, []).append(found)
        room = anyio.Semaphore(self._limits.runouts_in_flight)
        async with anyio.create_task_group() as tasks:
            for group in groups.values():
                await room.acquire()
                tasks.start_soon(self._run_group, group, room)

    async def _run_group(self, group: Sequence[Found], room: anyio.Semaphore) -> None:
        try:
            for found in group:
                if self._is_over():
                    return
                recorded = found.result.runout.cid in self.ledger
                self._settle(await self.jobs.run(replace(found, recorded=recorded)))
        except SuiteError as error:
            # It would be the same for every other one: the pass ends with it.
            self._ending = error
        finally:
            self._progress()
            room.release()

    def _settle(self, outcome: Outcome) -> None:
        result, now = outcome.found.result, self._clock()
        runout, ending, news = result.runout, outcome.ending, True
        self._failures = self._failures + 1 if ending is Ending.FAILED else 0
        if self._failures >= _FAILURES_MAX and outcome.error is not None:
            self._ending = outcome.error
        if ending is Ending.COLLECTED or (ending is Ending.SAME and not outcome.found.recorded):
            self.last_collected_at = datetime.now(UTC)
            self.patience.forget(runout)
            self.verdicts.drop(runout)
            if self.tagger is not None:
                self.tagger.offer(result, merged=True)
        elif kind := _KINDS.get(ending):
            self.patience.forget(runout)
            verdict = Verdict(kind, fingerprint(result), outcome.central, outcome.reason)
            news = self.verdicts.put(runout, verdict)
        elif ending is not Ending.FAILED:
            quiet = ending is Ending.QUIET
            news = self.patience.note(runout, outcome.reason, now, quiet=quiet)
        tell(outcome, self._counts, news=news)

    def _progress(self) -> None:
        if self._control is not None:
            self._control.progress()

    def _is_over(self) -> bool:
        return self.is_stopping or self._ending is not None


def _listing(
    store: ObjectStore, jobs: RunoutJobs, after: Runout | None
) -> AsyncGenerator[Result, None]:
    # What it is; its declared type hides that it can be closed.
    return cast("AsyncGenerator[Result, None]", list_results(store, jobs.layout, after=after))
