"""One CID's way: claimed, pulled, computed, pushed, committed, recorded. Each may be the last step.

The order is the promise. The lease is ours before anything is read, what is pushed was checked, the
lease names the result that counts after all of it is there, and the CID is recorded after that.
Killed between any two of these, the lease ends by itself; the next owner finds either nothing that
counts, or a whole result that it only has to commit.
"""

import errno
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import count
from pathlib import Path

import anyio
import structlog
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

from daemons.watcher.keeping import LeaseKeeper, back_off, rest
from daemons.watcher.outcome import DONE, AttemptEnded, Ending, Outcome, Target
from daemons.watcher.outputs import BadOutput, Outputs, open_outputs
from daemons.watcher.plan import Blamed, Halted, judge_step
from daemons.watcher.publish import Publication, Publisher, prepare
from daemons.watcher.steps import STEPS, Steps
from daemons.watcher.workspace import JobPlace, Workspace
from shared.errors import ExitStatus
from shared.files import OutsideRoot, contained
from shared.handshake.claims import Claim, LeaseBook, LeaseLost
from shared.handshake.layout import Runout
from shared.handshake.listing import OBJECTS_KEPT, Job
from shared.handshake.transfer import fetch_file
from shared.ledger import Ledger
from shared.s3.errors import InvalidKey, NotFound, ObjectError, SourceChanged, TooLarge
from shared.s3.store import ObjectStore

log: FilteringBoundLogger = structlog.get_logger()

_STOP_FOLLOWS_SECONDS = 0.25
"""A service manager tells a step to stop at the same moment as us; which comes first is chance."""
_MACHINE = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
)
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_JOB_ERRORS = (NotFound, TooLarge, InvalidKey, SourceChanged)


@dataclass(frozen=True, slots=True)
class JobRules:
    """What the settings say about every CID."""

    attempts: int
    lease_seconds: float
    file_bytes_max: int


@dataclass(slots=True)
class _Attempt:
    """One attempt under way."""

    target: Target
    keeper: LeaseKeeper
    leave: anyio.Event
    files: ExitStack
    computing: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    place: JobPlace | None = None
    stage: str = "pull"

    @property
    def claim(self) -> Claim:
        return self.keeper.claim

    async def heed(self) -> None:
        """End the computing when it is time to leave."""
        await self.leave.wait()
        self.computing.cancel()


async def _nothing() -> None:
    """A heartbeat may be all."""


class CidJobs:
    """Attempts CIDs, one at a time."""

    def __init__(
        self,
        store: ObjectStore,
        book: LeaseBook,
        workspace: Workspace,
        ledger: Ledger,
        steps: Steps,
        rules: JobRules,
        *,
        clock: Callable[[], datetime],
        step: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Work for this book's owner in this workspace.

        `step` is told of each step that was taken, for tests that end the process there.
        """
        self.at_beat: Callable[[], Awaitable[None]] = _nothing
        """Called with each heartbeat."""
        self.at_hand = ""
        """The CID in hand and what is done with it, for the status."""
        self.patient = False
        """Push a result again and again while S3 does not answer, instead of giving it up."""
        self._store = store
        self._book = book
        self._workspace = workspace
        self._ledger = ledger
        self._steps = steps
        self._rules = rules
        self._clock = clock
        self._step = step
        self._publisher = Publisher(
            store, book.layout, file_bytes_max=rules.file_bytes_max, step=step
        )

    async def attempt(self, target: Target, leave: anyio.Event) -> Outcome:
        """Claim one CID and bring it to an end; `leave` makes it give the CID back.

        Raises:
            shared.s3.errors: it is not known whether it was claimed.
            shared.ledger.LedgerNotWritten: it is committed, and will be recorded another time.
        """
        if await to_thread.run_sync(self._is_recorded, target.cid):
            return Outcome(target, Ending.RECORDED)
        claim = await self._book.claim(target.cid, target.job.folder, target.seen)
        if claim is None:
            return Outcome(target, Ending.TAKEN)
        self._step("claimed")
        log.info("job_claimed", cid=target.cid, generation=claim.lease.generation)
        began = anyio.current_time()
        outcome = Outcome(target, Ending.LOST)
        with ExitStack() as files:
            keeper = LeaseKeeper(
                claim, target, lease_seconds=self._rules.lease_seconds, clock=self._clock
            )
            attempt = _Attempt(target, keeper, leave, files)
            try:
                outcome = await self._own(attempt)
            finally:
                self.at_hand = ""
                with anyio.CancelScope(shield=True):
                    done = outcome.ending in DONE
                    await to_thread.run_sync(self._close, attempt, target.cid if done else "")
        return replace(outcome, seconds=anyio.current_time() - began)

    async def _own(self, attempt: _Attempt) -> Outcome:
        """Do everything that is done under the lease, while a second task keeps it."""
        outcome = Outcome(attempt.target, Ending.LOST)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(attempt.keeper.beat, self._beat, tasks.cancel_scope)
            tasks.start_soon(attempt.heed)
            outcome = await self._work(attempt)
            tasks.cancel_scope.cancel()
        return outcome

    async def _work(self, attempt: _Attempt) -> Outcome:
        keeper = attempt.keeper
        try:
            outcome = await self._deliver(attempt)
        except LeaseLost:
            return Outcome(attempt.target, Ending.LOST)
        except AttemptEnded as ended:
            return await keeper.end(ended.why, self._rules.attempts)
        except (ObjectError, OSError, OutsideRoot) as error:
            why = self._blame(attempt, error)
            return await keeper.end(why, self._rules.attempts)
        except anyio.get_cancelled_exc_class():
            if not keeper.lost:
                await keeper.release("stopped by force")
            raise
        if outcome is None:
            return await keeper.release("stopping")
        return outcome

    async def _deliver(self, attempt: _Attempt) -> Outcome | None:
        """Compute, or find, a result; push and commit it. None: it is time to leave instead."""
        made: Runout | Publication | None = None
        with attempt.computing:
            made = await self._make(attempt)
        if made is None:
            return None
        claim, target = attempt.claim, attempt.target
        if isinstance(made, Runout):
            runout, ending, rows = made, Ending.ADOPTED, 0
        else:
            self._at(attempt, "push")
            runout = await self._push(made, attempt)
            ending, rows = Ending.PROCESSED, made.outputs.rows
        self._at(attempt, "commit")
        await attempt.keeper.commit(runout, attempt.leave)
        self._step("committed")
        if claim.lease.generation > 1:
            with suppress(ObjectError):
                await self._book.forget_failure(target.cid)
        return Outcome(target, ending, runout=runout, rows=rows, attempts=claim.lease.attempts)

    async def _make(self, attempt: _Attempt) -> Runout | Publication:
        place = attempt.place = await to_thread.run_sync(self._workspace.begin, attempt.target.cid)
        job = attempt.target.job
        if attempt.claim.lease.generation > 1:
            self._at(attempt, "look for a former result")
            former = await self._publisher.find(job, place.scratch)
            if former is not None:
                return former
        self._at(attempt, "pull")
        await self._pull(job, place)
        self._step("pulled")
        for name in STEPS:
            await self._run(name, attempt, place)
            self._step(name)
        self._at(attempt, "check")
        outputs = await self._check(attempt, place)
        self._step("checked")
        return prepare(job, attempt.claim, outputs, self._clock())

    async def _pull(self, job: Job, place: JobPlace) -> None:
        """Bring the CID's seeds, and nothing else, onto the disk."""
        cid = job.folder.cid
        wanted = {
            path: info for path, info in job.seeds.items() if path.startswith(f"chunk_{cid}/")
        }
        if not wanted:
            raise AttemptEnded(Blamed("pull", f"{job.folder} has no seeds of CID {cid}"))
        if len(job.seeds) >= OBJECTS_KEPT:
            raise AttemptEnded(Blamed("pull", f"{job.folder} has {OBJECTS_KEPT} seeds or more"))
        for path, info in wanted.items():
            target = await to_thread.run_sync(_make_way, place, path)
            await fetch_file(self._store, info.uri, target, limit=self._rules.file_bytes_max)

    async def _run(self, name: str, attempt: _Attempt, place: JobPlace) -> None:
        self._at(attempt, name)
        end = await self._steps.run(name, place)
        why = judge_step(end)
        if why is None:
            return
        await rest(_STOP_FOLLOWS_SECONDS, attempt.leave)
        await anyio.lowlevel.checkpoint()  # a stop that came meanwhile ends the computing here
        raise AttemptEnded(self._own_fault(attempt, why))

    async def _check(self, attempt: _Attempt, place: JobPlace) -> Outputs:
        call = partial(
            open_outputs,
            place.out_dir,
            place.cid,
            limit=self._rules.file_bytes_max,
            stack=attempt.files,
        )
        try:
            outputs = await to_thread.run_sync(call)
        except BadOutput as error:
            reason = f"the steps ended well, and left no result: {error}"
            raise AttemptEnded(Blamed("check", reason)) from None
        if outputs.left:
            log.warning(
                "output_left", files=list(outputs.left), reason="no plain files with plain names"
            )
        return outputs

    async def _push(self, made: Publication, attempt: _Attempt) -> Runout:
        """Push; what was computed is not given up because S3 does not answer."""
        for failures in count(1):
            try:
                return await self._publisher.push(made)
            except _JOB_ERRORS:
                raise
            except ObjectError as error:
                if not self.patient or attempt.leave.is_set() or not error.survivable:
                    raise
                log.warning("push_failed", code=error.code, reason=str(error), failures=failures)
            if await rest(back_off(failures), attempt.leave):
                # One last time: it may have come back, and an hour's work is at stake.
                return await self._publisher.push(made)
        raise AssertionError("counts without end")

    def _blame(
        self, attempt: _Attempt, error: ObjectError | OSError | OutsideRoot
    ) -> Blamed | Halted:
        """Say whose fault an error is that S3 or the disk raised."""
        reason = f"{attempt.stage}: {error}"
        if isinstance(error, (*_JOB_ERRORS, OutsideRoot)):
            return Blamed(attempt.stage, reason)
        if isinstance(error, OSError):
            if error.errno not in _MACHINE:
                return Blamed(attempt.stage, reason)
            full = error.errno in _FULL
            status = ExitStatus.SAFETY_STOP if full else ExitStatus.UNEXPECTED
            return self._own_fault(attempt, Halted(status, attempt.stage, reason))
        return Halted(error.status, attempt.stage, reason)

    def _own_fault(self, attempt: _Attempt, why: Blamed | Halted) -> Blamed | Halted:
        if isinstance(why, Halted) and not attempt.target.own_fault:
            return why
        return Blamed(why.step, why.reason, why.exit_status, why.tail)

    def _at(self, attempt: _Attempt, stage: str) -> None:
        attempt.stage = stage
        self.at_hand = f"{attempt.target.cid} {stage}"

    async def _beat(self) -> None:
        await self.at_beat()

    def _is_recorded(self, cid: str) -> bool:
        self._ledger.refresh()
        return cid in self._ledger

    def _close(self, attempt: _Attempt, cid: str) -> None:
        """Record a CID that is committed, and remove the work folder, whatever else is wrong."""
        try:
            if cid:
                self._ledger.append(cid)
                self._step("recorded")
        finally:
            if attempt.place is not None:
                try:
                    attempt.place.clear()
                except OSError as error:
                    log.warning(
                        "work_folder_left", folder=str(attempt.place.folder), reason=str(error)
                    )
        self._step("cleared")


def _make_way(place: JobPlace, path: str) -> Path:
    """Return where a seed goes, its folder made; OutsideRoot for a path that leads elsewhere."""
    target = contained(place.optical_root, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    return target
