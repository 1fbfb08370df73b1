"""Leases in the bucket: claim, keep, commit, give back. Every write is conditional on the last.

Rule: a process that has lost its lease cannot change anything any more. Its next write is refused,
and `LeaseLost` ends its work; this includes the commit, so a sleeper that wakes up late publishes
nothing. Where an answer is lost, the lease is read back: the owner and the beat in it say whether
our write was carried out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import anyio

from shared.errors import PermanentError
from shared.handshake import lease as steps
from shared.handshake.failure import FailureReport
from shared.handshake.fields import RECORD_BYTES_MAX
from shared.handshake.layout import JobFolder, Layout, Runout
from shared.handshake.lease import Lease, LeaseState, Owner, parse_lease
from shared.handshake.transfer import read_small
from shared.s3.errors import NotFound, OutcomeUnknown, PreconditionFailed, Unsupported
from shared.s3.store import ABSENT, ALWAYS, Matches, ObjectStore, PutOptions, When
from shared.s3.uri import S3Uri

_JSON = PutOptions(content_type="application/json")


class LeaseLost(PermanentError):
    """Somebody else owns the CID now; nothing of ours may become visible any more."""


class LeaseUnreadable(PermanentError):
    """A lease object holds something else; the CID is left alone until a person removes it."""


@dataclass(frozen=True, slots=True)
class SeenLease:
    """A lease as it was read."""

    lease: Lease
    etag: str


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
    ) -> None:
        self.owner = owner
        self.layout = layout
        self._store = store
        self._conditional = conditional
        self._clock = clock

    async def read(self, cid: str) -> SeenLease | None:
        """Return the lease of a CID, None when there is none; LeaseUnreadable."""
        uri = self.layout.lease(cid)
        try:
            body, etag = await read_small(self._store, uri, limit=RECORD_BYTES_MAX)
        except NotFound:
            return None
        try:
            return SeenLease(parse_lease(body, cid), etag)
        except ValueError as error:
            raise LeaseUnreadable(f"{uri}: {error}; remove the object to begin anew") from None

    async def claim(self, cid: str, job: JobFolder, seen: SeenLease | None) -> "Claim | None":
        """Take the CID over what was seen of it; None when somebody else was faster.

        The caller decides from `LeaseWatch` whether it may. A claim of this very process whose
        answer was lost is taken up again.
        """
        if seen is not None and self._is_ours(seen.lease):
            return Claim(self, seen)
        wanted = steps.claim(cid, job, self.owner, None if seen is None else seen.lease, self.now())
        try:
            return Claim(self, await self.write(wanted, None if seen is None else seen.etag))
        except (PreconditionFailed, NotFound):
            return None

    async def put_back(self, cid: str) -> bool:
        """Let a parked CID be tried again; False when it is not parked."""
        seen = await self.read(cid)
        parked = seen is not None and seen.lease.state is LeaseState.PARKED
        if seen is not None and parked:
            try:
                await self.write(steps.put_back(seen.lease, self.owner, self.now()), seen.etag)
            except PreconditionFailed:
                return False
        # The report goes last: its end is what tells the watchers to look at the lease again.
        await self._store.delete(self.layout.failure(cid))
        return parked

    async def report_failure(self, report: FailureReport) -> None:
        """Leave word of a failure where PROD sees it."""
        await self._store.put(self.layout.failure(report.cid), report.to_bytes(), options=_JSON)

    async def forget_failure(self, cid: str) -> None:
        """Remove the report of a failure that is over."""
        await self._store.delete(self.layout.failure(cid))

    async def write(self, lease: Lease, etag: str | None) -> SeenLease:
        """Write over the lease with this ETag, or where there is none."""
        when: When = ABSENT if etag is None else Matches(etag)
        if not self._conditional:
            when = ALWAYS
        uri = self.layout.lease(lease.cid)
        stored = await self._store.put(uri, lease.to_bytes(), when=when, options=_JSON)
        return SeenLease(lease, stored.etag)

    def now(self) -> str:
        """Return the time as it is written into records, for people."""
        return self._clock().isoformat(timespec="seconds")

    def _is_ours(self, lease: Lease) -> bool:
        return lease.state is LeaseState.CLAIMED and lease.owner.process == self.owner.process


class Claim:
    """A CID that this process owns, until it is committed, released, parked or lost.

    Steps of one claim never overlap: a heartbeat waits for a commit and the other way round.
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
        await self._step(lambda lease: steps.commit(lease, runout, self._book.now()))

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
        await self._book.report_failure(report)
        await self._step(lambda lease: steps.park(lease, report.reason, now))

    async def _step(self, step: Callable[[Lease], Lease]) -> None:
        async with self._turn:
            wanted = step(self._held.lease)
            try:
                self._held = await self._book.write(wanted, self._held.etag)
            except (PreconditionFailed, NotFound) as error:
                self._held = await self._read_back(wanted, error)
                if self._held.lease == wanted:
                    return
                # An earlier heartbeat of ours whose answer was lost moved the ETag on.
                wanted = step(self._held.lease)
                try:
                    self._held = await self._book.write(wanted, self._held.etag)
                except (PreconditionFailed, NotFound) as lost:
                    raise self._lost() from lost

    async def _read_back(self, wanted: Lease, error: Exception) -> SeenLease:
        """Return the lease if it is still ours as far as anybody knows."""
        seen = await self._book.read(wanted.cid)
        if seen is None:
            raise self._lost() from error
        found = seen.lease
        ours = (
            found.owner.process == self._book.owner.process
            and found.generation == wanted.generation
        )
        if not ours or (found.state is not LeaseState.CLAIMED and found != wanted):
            raise self._lost() from error
        return seen

    def _lost(self) -> LeaseLost:
        lease = self._held.lease
        return LeaseLost(f"CID {lease.cid} has another owner than generation {lease.generation}")


async def probe_conditional_writes(store: ObjectStore, layout: Layout, name: str) -> bool:
    """Find out whether the bucket refuses a second create and a write over another ETag.

    `name` makes the probe's key this process's own; the object is removed again.
    """
    uri = S3Uri(layout.bucket, f"{layout.leases.key}probe-{name}")
    try:
        await store.put(uri, name.encode(), when=ALWAYS)
        refused = 0
        for when in (ABSENT, Matches("0" * 32)):
            try:
                await store.put(uri, f"{name} {when}".encode(), when=when)
            except PreconditionFailed:
                refused += 1
            except (Unsupported, OutcomeUnknown):
                break
        return refused == 2  # noqa: PLR2004 - both kinds
    finally:
        with anyio.move_on_after(10, shield=True):
            await store.delete(uri)
