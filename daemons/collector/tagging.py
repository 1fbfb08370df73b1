"""Tags on what was merged, by which a rule of the bucket may let it expire; off unless asked for.

| a runout whose CID is recorded                  | it and its job                           |
|-------------------------------------------------|------------------------------------------|
| was merged in this life                         | get the tag                              |
| else, and the central folder has its very rows  | get the tag                              |
| anything else: an orphan, a conflict, no table  | do not: a person may still want to look  |

Rule: the tag comes after everything else, and whatever goes wrong with it delays no result. A CID
whose objects all have the tag is noted in a ledger of its own, in the state folder. So a listing of
results shows which recorded CIDs lack it, after a kill too, and only their tags are read; without
that ledger those of all are, once.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import anyio
import structlog
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

from daemons.collector.job import Ending, Found, RunoutJobs
from shared.errors import SuiteError
from shared.handshake.layout import Runout
from shared.handshake.listing import Result
from shared.ledger import Ledger
from shared.s3.errors import NotFound, ObjectError
from shared.s3.store import ObjectStore
from shared.s3.uri import S3Uri

log: FilteringBoundLogger = structlog.get_logger()

TAG, COLLECTED = "towpath", "collected"
"""The tag: `towpath=collected`."""

_WAITING_MAX = 5000
_KEPT_MAX = 20_000
_FAILURES_MAX = 3
_REQUEST_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class _Waiting:
    result: Result
    merged: bool
    """This life has merged it, so that nothing needs to be compared again."""


class Tagger:
    """Tags runouts and their jobs after each pass, for as long as a pass may take at most."""

    def __init__(
        self,
        jobs: RunoutJobs,
        store: ObjectStore,
        ledger: Ledger,
        *,
        seconds: float,
        in_flight: int,
    ) -> None:
        """Tag what `offer` brings; `ledger` holds the CIDs that are done with.

        What is not tagged within `seconds` waits for the next pass, `in_flight` runouts are under
        way at once.
        """
        self._jobs = jobs
        self._store = store
        self._ledger = ledger
        self._seconds = seconds
        self._in_flight = in_flight
        self._done: set[str] | None = None
        """What the ledger holds; None: it could not be read yet."""
        self._waiting: dict[Runout, _Waiting] = {}
        self._kept: set[Runout] = set()
        """Looked at, and not to be tagged; what a restart forgets is looked at again."""
        self._tagged = 0
        self._failures = 0
        """One after the other."""
        self._told: set[str] = set()

    @property
    def waiting(self) -> int:
        """How many runouts are still to be tagged, of those that were listed."""
        return len(self._waiting)

    def offer(self, result: Result, *, merged: bool = False) -> None:
        """Take note of a runout whose CID is recorded; one that is tagged costs nothing."""
        runout = result.runout
        if self._done is None or runout.cid in self._done or runout in self._kept:
            return
        known = self._waiting.get(runout)
        # What there is no room for is found by a later full listing.
        if known is not None or len(self._waiting) < _WAITING_MAX:
            merged = merged or (known is not None and known.merged)
            self._waiting[runout] = _Waiting(result, merged)

    async def load(self) -> None:
        """Read the ledger of tagged CIDs; as long as it cannot be read, nothing is tagged."""
        if self._done is None:
            try:
                self._done = set(await to_thread.run_sync(self._ledger.load))
            except SuiteError as error:
                self._tell(error, "")

    async def run(self, is_over: Callable[[], bool] = lambda: False) -> int:
        """Tag what waits, until time is up or `is_over`; says how many CIDs were done with."""
        self._tagged = self._failures = 0
        # The oldest first; those that fail come last next time.
        rest = iter(list(self._waiting.values()))

        async def work() -> None:
            for waiting in rest:
                if self._failures >= _FAILURES_MAX or is_over():
                    return
                await self._attempt(waiting)

        with anyio.move_on_after(self._seconds):
            async with anyio.create_task_group() as tasks:
                for _ in range(self._in_flight):
                    tasks.start_soon(work)
        return self._tagged

    async def _attempt(self, waiting: _Waiting) -> None:
        runout = waiting.result.runout
        try:
            done = await self._settle(waiting)
        except SuiteError as error:
            # The next pass tries again: nothing depends on a tag.
            self._failures += 1
            self._tell(error, runout.cid)
            self._waiting.pop(runout, None)
            self._waiting[runout] = waiting
            return
        self._failures = 0
        self._waiting.pop(runout, None)
        if done:
            self._tagged += 1
        else:
            self._keep(runout)

    async def _settle(self, waiting: _Waiting) -> bool:
        """Tag one runout and its job; False when it is not to be tagged."""
        runout = waiting.result.runout
        if self._done is None or runout.cid in self._done:
            return False
        if not waiting.merged and not await self._is_merged(waiting.result):
            return False
        job = await self._jobs.job_of(runout)
        if job is not None:
            jobs = self._jobs.layout.jobs
            folder = S3Uri(jobs.bucket, f"{jobs.key}{job}/")
            async for uri in self._objects(folder):
                await self._tag(uri)
        manifest = waiting.result.manifest
        for info in (*waiting.result.files.values(), *([manifest] if manifest else [])):
            await self._tag(info.uri)
        await to_thread.run_sync(self._ledger.append, runout.cid)
        self._done.add(runout.cid)
        log.debug("runout_tagged", cid=runout.cid, runout=str(runout), job=str(job or ""))
        return True

    async def _is_merged(self, result: Result) -> bool:
        """Tell whether the central folder has exactly the rows of a runout."""
        outcome = await self._jobs.run(Found(result, recorded=True, quiet=True))
        if outcome.error is not None:
            raise outcome.error
        return outcome.ending is Ending.SAME and bool(outcome.central)

    async def _objects(self, folder: S3Uri) -> AsyncIterator[S3Uri]:
        async for page in self._store.pages(folder, deadline=_REQUEST_SECONDS):
            for info in page.objects:
                yield info.uri

    async def _tag(self, uri: S3Uri) -> None:
        """Add the tag to those that an object has, unless it has it."""
        try:
            tags = await self._store.tags(uri, deadline=_REQUEST_SECONDS)
            if tags.get(TAG) != COLLECTED:
                wanted = {**tags, TAG: COLLECTED}
                await self._store.set_tags(uri, wanted, deadline=_REQUEST_SECONDS)
        except NotFound:
            return  # it has expired, or somebody has removed it: there is nothing left to tag

    def _keep(self, runout: Runout) -> None:
        if len(self._kept) >= _KEPT_MAX:
            self._kept.clear()
        self._kept.add(runout)

    def _tell(self, error: SuiteError, cid: str) -> None:
        """Say what is wrong, once for each kind; `waiting_to_be_tagged` says that it goes on."""
        code = error.code if isinstance(error, ObjectError) else type(error).__name__
        if code not in self._told:
            self._told.add(code)
            log.warning("runout_not_tagged", cid=cid, code=code, reason=str(error))
