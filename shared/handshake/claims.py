"""Leases in the bucket: claim, keep, commit, give back. Every write is conditional on the last.

Rule: a process that has lost its lease cannot change anything any more. Its next write is refused,
and `LeaseLost` ends its work; this includes the commit, so a sleeper that wakes up late publishes
nothing. Whenever a write fails, the lease is read back before anything is decided:

| what the bucket then holds                  | the write                                       |
|---------------------------------------------|-------------------------------------------------|
| this very write (process, generation, beat) | was carried out                                 |
| our claim, still or by an earlier heartbeat | is made anew on top of it, if it was refused    |
| the end of our claim                        | fits that end, or comes too late: `LeaseLost`   |
| anything else, or nothing                   | came too late: `LeaseLost`                      |
| it cannot be read                           | is unknown: the write's own error; call it again|
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import anyio

from shared.errors import PermanentError
from shared.handshake import lease as steps
from shared.handshake.failure import FailureReport
from shared.handshake.fields import RECORD_BYTES_MAX
from shared.handshake.layout import JobFolder, Layout, Runout
from shared.handshake.lease import Lease, LeaseState, Owner, parse_lease
from shared.handshake.transfer import read_small
from shared.s3.errors import (
    Conflict,
    NotFound,
    ObjectError,
    OutcomeUnknown,
    PreconditionFailed,
    TooLarge,
    Unsupported,
)
from shared.s3.store import ABSENT, ALWAYS, Matches, ObjectStore, PutOptions, When
from shared.s3.uri import S3Uri

_JSON = PutOptions(content_type="application/json")
_REFUSED = (PreconditionFailed, NotFound, Conflict)
_TRIES = 3
"""Of our own writes at most one can still arrive between a look and the next write."""


class LeaseLost(PermanentError):
    """Somebody else owns the CID now; nothing of ours may become visible any more."""


class LeaseUnreadable(PermanentError):
    """A lease object holds something else; the CID is left alone until a person removes it."""


@dataclass(frozen=True, slots=True)
class SeenLease:
    """A lease as it was read."""

    lease: Lease
    etag: str


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a write."""

    done: bool
    """Whether it was carried out."""
    found: SeenLease | None
    """What the bucket holds now."""


class LeaseBook:
    """The leases of one hand-shake, as one process uses them."""

    def __init__(
        self,
        store: ObjectStore,
        layout: Layout,
        owner: Owner,
        *,
        conditional: bool = True,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        request_seconds: float = 30.0,
    ) -> None:
        """Use the leases as `owner`; without `conditional` it must be the only one.

        Args:
            store: where they lie.
            layout: under which keys.
            owner: who writes.
            conditional: whether the bucket knows conditional writes.
            clock: for the times that people read; no decision depends on it.
            request_seconds: the limit of one request, retries included.
        """
        self.owner = owner
        self.layout = layout
        self._store = store
        self._conditional = conditional
        self._clock = clock
        self._request_seconds = request_seconds

    async def read(self, cid: str) -> SeenLease | None:
        """Return the lease of a CID, None when there is none; LeaseUnreadable."""
        uri = self.layout.lease(cid)
        try:
            body, etag = await read_small(
                self._store, uri, limit=RECORD_BYTES_MAX, deadline=self._request_seconds
            )
            return SeenLease(parse_lease(body, cid), etag)
        except NotFound:
            return None
        except (TooLarge, ValueError) as error:
            todo = "update this program, or remove the object if it is damaged"
            raise LeaseUnreadable(f"{uri}: {error}; {todo}") from None

    def has_ended(self, lease: Lease) -> bool:
        """Tell whether its owner is dead for certain, so that nobody needs to wait for its end.

        Only for the one process that holds the lock on the instance's work folder, and not of a
        lease that the same process still holds as a `Claim`. A copied disk has the instance's
        name on another host.
        """
        ours, theirs = self.owner, lease.owner
        return (
            lease.state is LeaseState.CLAIMED
            and ours.instance == theirs.instance
            and ours.host == theirs.host
        )

    async def claim(self, cid: str, job: JobFolder, seen: SeenLease | None) -> "Claim | None":
        """Take the CID over what was seen of it; None when somebody else was faster.

        The caller decides from `LeaseWatch` and `has_ended` whether it may; what is committed or
        parked is never claimed. A claim of this very process whose answer was lost is taken over
        like any other, by a new generation, so that late requests of the old one change nothing.

        Raises:
            LeaseUnreadable: something else lies there by now.
            shared.s3.errors: it is not known whether the CID was claimed; look again.
        """
        if seen is not None and seen.lease.state in {LeaseState.COMMITTED, LeaseState.PARKED}:
            return None
        wanted = steps.claim(cid, job, self.owner, None if seen is None else seen.lease, self.now())
        try:
            written = await self.write(wanted, None if seen is None else seen.etag, doubt=False)
        except PreconditionFailed:
            return None
        if not written.done or written.found is None:
            return None
        return Claim(self, written.found)

    async def put_back(self, cid: str) -> bool:
        """Let a parked CID be tried again; False when it is not parked.

        A report that is left over from a crash is removed as well, unless the CID is claimed: its
        owner may be writing a new one.
        """
        report = await self._report_etag(cid)
        seen = await self.read(cid)
        if seen is not None and seen.lease.state is LeaseState.CLAIMED:
            return False
        parked = seen is not None and seen.lease.state is LeaseState.PARKED
        if seen is not None and parked:
            back = steps.put_back(seen.lease, self.owner, self.now())
            if not (await self.write(back, seen.etag)).done:
                return False
        # The report goes last: its end is what tells the watchers to look at the lease again. By
        # now it may be the report of a failure that came after, which stays.
        if report is not None:
            with suppress(PreconditionFailed):
                await self._store.delete(self.layout.failure(cid), if_match=report)
        return parked

    async def report_failure(self, report: FailureReport) -> None:
        """Leave word of a failure where PROD sees it."""
        uri = self.layout.failure(report.cid)
        await self._store.put(uri, report.to_bytes(), options=_JSON, deadline=self._request_seconds)

    async def forget_failure(self, cid: str) -> None:
        """Remove the report of a failure that is over."""
        await self._store.delete(self.layout.failure(cid))

    async def write(self, lease: Lease, etag: str | None, *, doubt: bool = True) -> Written:
        """Write over the lease with this ETag, or where there is none, and know the outcome.

        Without `doubt` a refusal of the one and only attempt is believed and raised: a lost race
        for a CID is no more than that, and is lost often.

        Raises:
            PreconditionFailed: refused, and not doubted.
            LeaseUnreadable: refused, because something else lies there.
            shared.s3.errors: it is not known whether it was, or will be, carried out.
        """
        uri = self.layout.lease(lease.cid)
        try:
            stored = await self._store.put(
                uri,
                lease.to_bytes(),
                when=self._when(etag),
                options=_JSON,
                deadline=self._request_seconds,
            )
            return Written(done=True, found=SeenLease(lease, stored.etag))
        except ObjectError as error:
            if not doubt and isinstance(error, PreconditionFailed) and error.answer.attempts <= 1:
                raise
            # A refusal too: it may be the answer to a second sending of what was carried out.
            found = await self._read_back(lease.cid, error)
            if found is not None and found.lease.is_the_write(lease):
                return Written(done=True, found=found)
            if isinstance(error, _REFUSED):
                return Written(done=False, found=found)
            raise

    def now(self) -> str:
        """Return the time as it is written into records, for people."""
        return self._clock().isoformat(timespec="seconds")

    def _when(self, etag: str | None) -> When:
        if not self._conditional:
            return ALWAYS
        return ABSENT if etag is None else Matches(etag)

    async def _read_back(self, cid: str, error: ObjectError) -> SeenLease | None:
        try:
            return await self.read(cid)
        except ObjectError as unread:
            if not isinstance(error, _REFUSED):
                raise error from unread
            # Refused for good is what it must not look like: it may have been carried out before.
            note = f"{error.code}, and it cannot be read back: {unread}"
            raise OutcomeUnknown(error.uri, error.answer, note) from unread

    async def _report_etag(self, cid: str) -> str | None:
        try:
            info = await self._store.head(self.layout.failure(cid), deadline=self._request_seconds)
        except NotFound:
            return None
        return info.etag


class Claim:
    """A CID that this process owns, until it is committed, released, parked or lost.

    Steps of one claim never overlap: a heartbeat waits for a commit and the other way round, and
    one that comes behind the end does nothing. Whatever raised anything but `LeaseLost` may have
    been carried out; it may be called again, and then happens once.
    """

    def __init__(self, book: LeaseBook, held: SeenLease) -> None:
        self._book = book
        self._held = held
        self._turn = anyio.Lock()

    @property
    def lease(self) -> Lease:
        """The lease as it was last written."""
        return self._held.lease

    async def renew(self) -> None:
        """Show that the owner lives; LeaseLost."""
        await self._step(steps.renew)

    async def commit(self, runout: Runout) -> None:
        """Make this runout the one that counts; LeaseLost when it may not."""
        now = self._book.now()
        await self._step(lambda lease: steps.commit(lease, runout, now))

    async def release(self, reason: str) -> None:
        """Give the CID back unharmed; LeaseLost."""
        now = self._book.now()
        await self._step(lambda lease: steps.release(lease, reason, now, failed=False))

    async def fail(self, reason: str) -> None:
        """Give the CID back with one more failed attempt; LeaseLost."""
        now = self._book.now()
        await self._step(lambda lease: steps.release(lease, reason, now, failed=True))

    async def park(self, report: FailureReport) -> None:
        """Leave the CID to a person; LeaseLost. The report is there before the lease says so."""
        now = self._book.now()
        await self._step(steps.renew)  # an owner that was fenced writes no report
        if self.lease.state is LeaseState.CLAIMED:
            await self._book.report_failure(report)
        await self._step(lambda lease: steps.park(lease, report.reason, now))

    async def _step(self, step: Callable[[Lease], Lease]) -> None:
        async with self._turn:
            for _ in range(_TRIES):
                if self.lease.state is not LeaseState.CLAIMED:
                    self._check_end(step)
                    return
                written = await self._write(step(self.lease))
                if written.found is None or not self._is_ours(written.found.lease):
                    raise self._lost()
                self._held = written.found
                if written.done:
                    return
            raise self._lost()

    async def _write(self, wanted: Lease) -> Written:
        try:
            return await self._book.write(wanted, self._held.etag)
        except LeaseUnreadable as error:
            raise self._lost() from error

    def _check_end(self, step: Callable[[Lease], Lease]) -> None:
        """Accept a step behind the end of the claim if it leads to the same end, or nowhere."""
        ended = self.lease
        wanted = step(replace(ended, state=LeaseState.CLAIMED, runout=None))
        same = wanted.state is ended.state and wanted.runout == ended.runout
        if not same and wanted.state is not LeaseState.CLAIMED:
            raise LeaseLost(f"the claim of CID {ended.cid} has ended: it is {ended.state}")

    def _is_ours(self, found: Lease) -> bool:
        """Tell whether it is this claim; one that was put back by the same process is not."""
        return (
            found.owner.process == self._book.owner.process
            and found.generation == self.lease.generation
        )

    def _lost(self) -> LeaseLost:
        lease = self.lease
        return LeaseLost(f"CID {lease.cid} has another owner than generation {lease.generation}")


async def probe_conditional_writes(store: ObjectStore, layout: Layout, name: str) -> bool:
    """Find out whether the bucket refuses what it must: a second create, a write over another ETag.

    It must also take a write over the right ETag, or no lease could be kept. `name` makes the
    probe's key this process's own; the object is removed again.

    Raises:
        shared.s3.errors: the bucket could not be asked.
    """
    uri = S3Uri(layout.bucket, f"{layout.leases.key}probe-{name}")
    try:
        first = await store.put(uri, f"{name} 1".encode(), when=ALWAYS)
        for when in (ABSENT, Matches("0" * 32)):
            if not await _refuses(store, uri, f"{name} {when}".encode(), when):
                return False
        await store.put(uri, f"{name} 2".encode(), when=Matches(first.etag))
        # An engine may have put a HEAD in the precondition's place, which fences nobody.
        return (await store.capabilities(layout.bucket)).conditional_put is not False
    except (PreconditionFailed, Unsupported):
        return False
    finally:
        with anyio.move_on_after(10, shield=True), suppress(ObjectError):
            await store.delete(uri)


async def _refuses(store: ObjectStore, uri: S3Uri, body: bytes, when: When) -> bool:
    try:
        await store.put(uri, body, when=when)
    except PreconditionFailed:
        return True
    return False
