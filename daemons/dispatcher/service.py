"""The dispatcher at work: observe, plan, act, report.

One task follows the folder of positions, the other sends one CID after the other. A pass ends after
an interval at the latest, so that a chunk with a smaller number is not kept waiting by a backlog of
days. Rule: the bucket is the truth. Before the first CID of a life is sent, the jobs in the bucket
are listed once; a pass with nothing to send asks S3 for nothing.
"""

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import anyio
import structlog
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

from daemons.dispatcher.backlog import Survey
from daemons.dispatcher.halts import FolderUnusable, on_disk
from daemons.dispatcher.job import ChunkJobs, Ending, Result
from daemons.dispatcher.lookout import Lookout
from daemons.dispatcher.plan import Facts, KnownJob, Record, Send, Skip, plan_cid, prefer_job
from daemons.dispatcher.quarantine import Held, Quarantine
from daemons.dispatcher.report import PassCounts, Rate, tell_failed, tell_sent
from daemons.dispatcher.staging import Chunk
from shared.errors import SuiteError
from shared.fswatch.items import WatchItem
from shared.handshake.layout import JobFolder, Layout
from shared.handshake.listing import list_jobs
from shared.ledger import Ledger
from shared.lifecycle import Control, run_passes
from shared.s3.store import ObjectStore
from shared.schedule import Pace

log: FilteringBoundLogger = structlog.get_logger()


_REPORT_SECONDS = 30.0
"""How long telling about a pass may take; what is not told now is told after the next one."""


class Source(Protocol):
    """Where chunks and answers are seen: `shared.fswatch.watch.Watch`, or a test's script."""

    def __aiter__(self) -> AsyncIterator[WatchItem]: ...


@dataclass(frozen=True, slots=True)
class Means:
    """What the service works with."""

    jobs: ChunkJobs
    store: ObjectStore
    layout: Layout
    ledger: Ledger
    quarantine: Quarantine


@dataclass(frozen=True, slots=True)
class Limits:
    """Rhythm of the service."""

    interval_seconds: float
    pause_seconds: float = 0.0
    """Between two CIDs."""


@dataclass(frozen=True, slots=True)
class States:
    """Every CID that is known, by what has become of it."""

    new: AbstractSet[str]
    answered: AbstractSet[str]
    sent: AbstractSet[str]
    failing: AbstractSet[str]
    """Of the new ones, those that failed and are tried again."""
    quarantined: AbstractSet[str]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why nothing goes on at present."""

    reason: str
    since: datetime


PassEnd = Callable[["Dispatcher"], Awaitable[None]]


async def _nothing_more(_service: "Dispatcher") -> None:
    """A pass may simply end."""


class Dispatcher:
    """Makes a job of every chunk that nobody has answered, in the order of their CIDs."""

    def __init__(
        self,
        means: Means,
        limits: Limits,
        control: Control,
        *,
        begun: Sequence[JobFolder] = (),
        at_pass_end: PassEnd = _nothing_more,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        step: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.lookout = Lookout(control.wake)
        self.quarantine = means.quarantine
        self.totals = PassCounts()
        self.rate = Rate(anyio.current_time())
        self.trouble: Trouble | None = None
        self.last_success_at: datetime | None = None
        self._jobs = means.jobs
        self._store = means.store
        self._layout = means.layout
        self._ledger = means.ledger
        self._limits = limits
        self._control = control
        self._begun = {folder.cid: folder for folder in begun}
        self._at_pass_end = at_pass_end
        self._clock = clock
        self._step = step
        self._sent: set[str] = set()
        self._survey = Survey()
        self._surveyed_at = -math.inf
        self._known: dict[str, KnownJob] | None = None

    async def prepare(self) -> None:
        """Learn from ledger and names which chunks need no look, before the watch begins."""
        await self._observe()

    async def run(self, source: Source) -> None:
        """Work until the control says stop; the CID in hand is finished first."""
        interval = self._limits.interval_seconds
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._follow, source)
            # Before all is seen, neither the order nor the answers are known.
            while not self.lookout.has_looked and not self._control.stopping.is_set():
                await self._control.wait(interval)
            await run_passes(self._run_pass, self._control, Pace(interval))
            tasks.cancel_scope.cancel()

    async def run_once(self, items: AsyncIterator[WatchItem]) -> PassCounts:
        """Send everything that `items` shows; raises what stands in the way of all of it."""
        await self._observe()
        async for item in items:
            self.lookout.see(item)
        if self.lookout.missing:
            raise FolderUnusable(self.lookout.missing)
        while not self._control.stopping.is_set():
            if not (await self._run_pass()).waiting:
                break
        if not any((self.totals.sent, self.totals.recorded, self.totals.failed)):
            log.info("nothing_to_do", chunks=len(self._survey.chunks))
        return self.totals

    def states(self) -> States:
        """Return every CID that is known, by what has become of it."""
        settled = self.lookout.backlog.chunks
        answered = self._survey.answers - self._sent
        held = {
            held.cid: held.final
            for held in self.quarantine
            if held.cid in settled
            and held.cid not in self.lookout.done
            and self.quarantine.concerns(held, settled[held.cid])
        }
        quarantined = frozenset(cid for cid, final in held.items() if final)
        return States(
            new=(self._survey.chunks | settled.keys()) - self._sent - answered - quarantined,
            answered=answered,
            sent=frozenset(self._sent),
            failing=held.keys() - quarantined,
            quarantined=quarantined,
        )

    async def _follow(self, source: Source) -> None:
        async for item in source:
            self.lookout.see(item)
            if not self.lookout.has_looked:
                self._control.progress()

    async def _run_pass(self) -> PassCounts:
        counts = PassCounts()
        try:
            await self._observe()
            await self._act(counts)
        except SuiteError as error:
            # A chunk's own failure has been dealt with by now: this one is everybody's.
            since = self._clock() if self.trouble is None else self.trouble.since
            self.trouble = Trouble(str(error), since)
            raise
        else:
            self.trouble = None
            self.last_success_at = self._clock()
            if counts.waiting:
                self._control.wake()
        finally:
            with anyio.move_on_after(_REPORT_SECONDS, shield=True):
                await self._end_pass(counts)
        return counts

    async def _end_pass(self, counts: PassCounts) -> None:
        states = self.states()
        counts.failed = len(states.failing) + len(states.quarantined)
        self.totals.add(counts)
        await self._at_pass_end(self)

    async def _observe(self) -> None:
        """Take in what people and scripts have done to ledger and quarantine."""
        await to_thread.run_sync(self._ledger.refresh)
        if len(self._ledger) != len(self._sent):
            sent = await to_thread.run_sync(self._ledger.load)
            if not self._sent <= sent:
                # Lines were taken out; what the ledger has forgotten, the bucket knows.
                self._known = None
            self._sent = set(sent)
        await self._look_at_names()
        for cid in await on_disk(self.quarantine.take_back):
            log.info("quarantine_left", cid=cid)

    async def _look_at_names(self) -> None:
        now = anyio.current_time()
        if now - self._surveyed_at >= self._limits.interval_seconds:
            self._survey = await self._jobs.survey()
            self._surveyed_at = now
            self.lookout.are_misnamed(self._survey.misnamed)
            self.lookout.are_done(self._sent | self._survey.answers)

    async def _act(self, counts: PassCounts) -> None:
        began = anyio.current_time()
        waiting = sorted(self.lookout.backlog.chunks.keys() - self._sent - self._survey.answers)
        counts.waiting = len(waiting)
        for number, cid in enumerate(waiting):
            is_over = number > 0 and anyio.current_time() - began > self._limits.interval_seconds
            if is_over or self._control.stopping.is_set():
                return
            action = await self._plan(cid)
            if isinstance(action, Record):
                await self._record(cid, action.folder, counts)
            elif isinstance(action, Send):
                await self._send(cid, action, counts)
                if self._limits.pause_seconds:
                    await self._control.rest(self._limits.pause_seconds)
            counts.waiting -= 1

    async def _plan(self, cid: str) -> Send | Record | Skip:
        """Decide about a CID; the bucket is asked once, when there is something to send."""
        action = self._decide(cid)
        if isinstance(action, Send) and self._known is None:
            self._known = await list_known(self._store, self._layout, self._sent)
            self._step("listed")
            action = self._decide(cid)
        return action

    def _decide(self, cid: str) -> Send | Record | Skip:
        identity = self.lookout.backlog.chunks.get(cid)
        if identity is None:
            return Skip("gone")
        facts = Facts(
            cid=cid,
            sent=cid in self._ledger,
            answered=cid in self._survey.answers,
            job=None if self._known is None else self._known.get(cid),
            intended=self._begun.get(cid),
            held=self.quarantine.why_not(cid, identity, anyio.current_time()),
        )
        return plan_cid(facts, self._clock())

    # One CID

    async def _send(self, cid: str, action: Send, counts: PassCounts) -> None:
        began = anyio.current_time()
        chunk = Chunk(cid, self.lookout.backlog.chunks[cid])
        was_begun = cid in self._begun
        self._begun[cid] = action.folder
        try:
            result = await self._jobs.send(chunk, action.folder)
            if result.complete:
                if self._known is not None:
                    self._known[cid] = KnownJob(action.folder, complete=True)
                await self._jobs.record(cid)
        finally:
            await self._jobs.tidy(cid)
        await self._jobs.done()
        self._control.progress()
        if not (result.asked or was_begun):
            del self._begun[cid]
        if result.complete:
            self._is_sent(cid)
            tell_sent(cid, action, result, anyio.current_time() - began)
        await self._settle(chunk, result, counts)

    async def _settle(self, chunk: Chunk, result: Result, counts: PassCounts) -> None:
        """Count what became of a CID, and remember what the next pass has to know."""
        match result.ending:
            case Ending.SENT:
                counts.sent += 1
                counts.bytes += result.size_bytes
                self.rate.count(anyio.current_time())
            case Ending.ALREADY_THERE:
                counts.recorded += 1
            case Ending.ANSWERED:
                counts.answered += 1
                self._is_done(chunk.cid)
                log.info("cid_answered", cid=chunk.cid)
            case Ending.CHANGED:
                counts.changed += 1
                self.lookout.backlog.drop(chunk.cid)
                log.info("chunk_changed", cid=chunk.cid)
            case Ending.FAILED:
                await self._blame(chunk, result)
                return
        await on_disk(self.quarantine.forgive, chunk.cid)

    async def _record(self, cid: str, folder: JobFolder, counts: PassCounts) -> None:
        """The bucket holds the whole job: an earlier life, or a script, came so far."""
        await self._jobs.record(cid)
        await self._jobs.tidy(cid)
        await self._jobs.done()
        await on_disk(self.quarantine.forgive, cid)
        counts.recorded += 1
        self._is_sent(cid)
        log.info("cid_recorded", cid=cid, job=str(folder))

    def _is_sent(self, cid: str) -> None:
        self._sent.add(cid)
        self._begun.pop(cid, None)
        self._is_done(cid)

    def _is_done(self, cid: str) -> None:
        self.lookout.backlog.drop(cid)
        self.lookout.done.add(cid)

    async def _blame(self, chunk: Chunk, result: Result) -> None:
        failed = Held(
            cid=chunk.cid,
            reason=result.reason,
            final=result.final,
            attempts=1,
            stamp="",
            since=self._clock().isoformat(timespec="seconds"),
            exit_status=result.exit_status,
            log_tail=result.tail,
        )
        now = anyio.current_time()
        tell_failed(await on_disk(self.quarantine.blame, failed, chunk.identity, now))


async def list_known(
    store: ObjectStore, layout: Layout, sent: AbstractSet[str]
) -> dict[str, KnownJob]:
    """Return the jobs in the bucket of all CIDs that are not in the ledger."""
    known: dict[str, KnownJob] = {}
    async for job in list_jobs(store, layout):
        cid = job.folder.cid
        if cid not in sent:
            known[cid] = prefer_job(known.get(cid), KnownJob(job.folder, job.complete))
    if known:
        log.info("jobs_found", cids=len(known), complete=sum(j.complete for j in known.values()))
    return known
