"""Looks at the bucket and learns what there is to do, with few requests.

| what is listed | each look                                            | each full look |
|----------------|------------------------------------------------------|----------------|
| jobs           | the newest day, and from the first that is unfinished| all            |
| results        | the newest few hundred, and what follows             | all            |
| reports        | all                                                  | all            |

A lease is read when one of these listings, or a lost claim, tells that something has happened to
its CID, and as long as somebody else has claimed it. Nothing is listed but jobs while every job is
in the ledger.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import anyio
import structlog
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

from daemons.watcher.candidates import Candidate, Candidates, JobsSeen
from daemons.watcher.plan import Record, Standing, judge_lease
from daemons.watcher.scripts import ScriptResults, Verdict
from shared.errors import SuiteError
from shared.handshake.claims import LeaseBook, LeaseUnreadable, SeenLease
from shared.handshake.layout import JobFolder, Runout
from shared.handshake.lease import LeaseWatch
from shared.handshake.listing import list_jobs, list_reports, list_results
from shared.ledger import Ledger
from shared.s3.store import ObjectStore

log: FilteringBoundLogger = structlog.get_logger()

_RESULTS_LISTED = 300
_READ_AT_ONCE = 8


class Lookout:
    """What one watcher knows of the bucket."""

    def __init__(
        self,
        store: ObjectStore,
        book: LeaseBook,
        ledger: Ledger,
        candidates: Candidates,
        scripts: ScriptResults,
        watch: LeaseWatch,
        *,
        clock: Callable[[], float],
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self.candidates = candidates
        self.unfinished = 0
        """Jobs that lack their marker, as of the last look."""
        self.recorded = 0
        """CIDs that were found done, since this was last set to 0."""
        self._store = store
        self._book = book
        self._ledger = ledger
        self._scripts = scripts
        self._watch = watch
        self.clock = clock
        self._stopping = stopping
        self._jobs_after: JobFolder | None = None
        self._newest_results: deque[Runout] = deque(maxlen=_RESULTS_LISTED)
        self._suspects: frozenset[str] = frozenset()

    def suspect(self, cids: Sequence[str]) -> None:
        """Have the leases of these CIDs read first: a former life had them in hand."""
        self._suspects = frozenset(cids)

    async def look(self, *, full: bool) -> None:
        """Learn what is new, and record what others have done.

        Raises:
            shared.s3.errors: the bucket does not answer.
            shared.ledger.LedgerUnreadable, LedgerNotWritten: CIDs cannot be recorded.
        """
        await self._drop_recorded()
        await self._list_jobs(full=full)
        for one in self.candidates:
            if one.cid in self._suspects:
                one.standing = Standing.UNREAD
        self._suspects = frozenset()
        if not len(self.candidates):
            return
        await self._list_results(full=full)
        await self._list_reports(full=full)
        self.candidates.ask_holders()
        await self.read_leases()
        await self._judge_scripts()

    async def read_leases(self) -> bool:
        """Read the leases of which nothing certain is known; tell whether there was one."""
        await self._drop_recorded()
        unread = self.candidates.of(Standing.UNREAD)
        await self._each(unread, self._read_lease)
        return bool(unread)

    async def _drop_recorded(self) -> None:
        """Forget what others who share the ledger have done."""
        await to_thread.run_sync(self._ledger.refresh)
        for one in self.candidates:
            if one.cid in self._ledger:
                self._watch.forget(one.cid)
                self.candidates.drop(one.cid)

    async def _list_jobs(self, *, full: bool) -> None:
        seen = JobsSeen(None if full else self._jobs_after)
        async for job in list_jobs(self._store, self._book.layout, after=seen.start):
            seen.take(job)
            if job.complete and job.folder.cid not in self._ledger:
                self.candidates.add(job)
        self.unfinished = seen.unfinished
        self._jobs_after = seen.resume()
        if full:
            self.candidates.keep(seen.complete)

    async def _list_results(self, *, full: bool) -> None:
        newest = self._newest_results
        known = len(newest) == newest.maxlen and not full
        after = newest[0] if known else None
        newest.clear()
        async for result in list_results(self._store, self._book.layout, after=after):
            newest.append(result.runout)
            self.candidates.note_result(result)

    async def _list_reports(self, *, full: bool) -> None:
        reports = await list_reports(self._store, self._book.layout)
        self.candidates.note_reports(reports, full=full)

    async def _read_lease(self, one: Candidate) -> None:
        try:
            seen = await self._book.read(one.cid)
        except LeaseUnreadable as error:
            one.standing = Standing.UNREADABLE
            # What is wrong is in the object, not here: no traceback.
            log.error("lease_unreadable", cid=one.cid, reason=str(error))  # noqa: TRY400
            return
        now = self.clock()
        verdict = judge_lease(
            None if seen is None else seen.lease,
            ended=seen is not None and self._book.has_ended(seen.lease),
            claimable_at=self._claimable_at(seen, now),
            now=now,
        )
        if isinstance(verdict, Record):
            await self._record(one, "its lease is committed")
        else:
            self.candidates.learn(one.cid, seen, verdict)

    def _claimable_at(self, seen: SeenLease | None, now: float) -> float | None:
        return None if seen is None else self._watch.claimable_at(seen.lease, seen.etag, now)

    async def _record(self, one: Candidate, reason: str) -> None:
        await to_thread.run_sync(self._ledger.append, one.cid)
        self._watch.forget(one.cid)
        self.candidates.drop(one.cid)
        self.recorded += 1
        log.info("job_recorded", cid=one.cid, reason=reason)

    async def _judge_scripts(self) -> None:
        await self._each(self.candidates.of(Standing.SCRIPTS), self._judge_script)

    async def _judge_script(self, one: Candidate) -> None:
        verdicts = set[Verdict]()
        for result in list(one.results.values()):
            verdict = await self._scripts.judge(result)
            verdicts.add(verdict)
            if verdict is Verdict.WHOLE:
                await self._record(one, f"the scripts' result {result.runout} is whole")
                return
        if Verdict.WAIT in verdicts:
            return
        one.standing = Standing.UNREAD if Verdict.OURS in verdicts else Standing.NEW

    async def _each(
        self, chosen: Sequence[Candidate], act: Callable[[Candidate], Awaitable[None]]
    ) -> None:
        """Do something with each, a few at once; the first error ends it."""
        errors: list[SuiteError] = []
        left = iter(chosen)

        async def take() -> None:
            for one in left:
                if errors or self._stopping():
                    return
                try:
                    await act(one)
                except SuiteError as error:
                    errors.append(error)

        async with anyio.create_task_group() as tasks:
            for _ in range(min(_READ_AT_ONCE, len(chosen))):
                tasks.start_soon(take)
        if errors:
            raise errors[0]
