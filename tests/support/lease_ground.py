"""A bucket in memory, a process whose requests fail as a test says, and another one beside it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from shared.handshake.claims import Claim, LeaseBook
from shared.handshake.lease import Lease, LeaseState, parse_lease
from shared.s3.errors import (
    AccessDenied,
    Conflict,
    ObjectError,
    OutcomeUnknown,
    ServerError,
    Throttled,
    Unreachable,
)
from shared.s3.memory import Faults, MemoryStore
from shared.s3.memory_buckets import MemoryBuckets, Verb
from shared.s3.uri import S3Uri
from tests.support.leasing import BUCKET, CID, JOB, LAYOUT, RUNOUT, book, report

LEASE = LAYOUT.lease(CID)
REPORT = LAYOUT.failure(CID)


@dataclass
class Script(Faults):
    """Raises what the test has put on the list, once each."""

    to_come: list[tuple[str, Verb, S3Uri, type[ObjectError]]] = field(default_factory=list)

    def add(self, when: str, verb: Verb, error: type[ObjectError], *, uri: S3Uri = LEASE) -> None:
        """Let the next such request fail `before` or `after` it is carried out."""
        self.to_come.append((when, verb, uri, error))

    async def before(self, verb: Verb, uri: S3Uri) -> None:
        """Fail a request that will not be carried out."""
        self._strike("before", verb, uri)

    async def after_commit(self, verb: Verb, uri: S3Uri) -> None:
        """Fail a request that was carried out."""
        self._strike("after", verb, uri)

    def _strike(self, when: str, verb: Verb, uri: S3Uri) -> None:
        for entry in self.to_come:
            if entry[:3] == (when, verb, uri):
                self.to_come.remove(entry)
                raise entry[3](uri)


@dataclass
class Ground:
    """A bucket, one process with scripted trouble, and another without."""

    buckets: MemoryBuckets
    script: Script
    ours: LeaseBook
    theirs: LeaseBook

    def lease(self) -> Lease:
        """Return the lease as it stands."""
        held = self.buckets.look(LEASE)
        assert held is not None
        return parse_lease(held.body, CID)

    def writes(self, uri: S3Uri = LEASE) -> int:
        """Count the changes of an object so far."""
        return sum(mutation.uri == uri for mutation in self.buckets.history())

    def lay(self, found: Lease | bytes) -> None:
        """Put a lease there as somebody else would."""
        self.buckets.put(LEASE, found if isinstance(found, bytes) else found.to_bytes())

    async def claimed(self) -> Claim:
        """Claim the CID for our process."""
        claim = await self.ours.claim(CID, JOB, await self.ours.read(CID))
        assert claim is not None
        return claim

    async def taken_over(self) -> Claim:
        """Claim the CID for the other process, whoever has it."""
        claim = await self.theirs.claim(CID, JOB, await self.theirs.read(CID))
        assert claim is not None
        return claim


def lease_ground() -> Ground:
    """Return an empty bucket and two processes whose clocks are half a day apart."""
    buckets, script = MemoryBuckets(BUCKET), Script()
    ours = book(MemoryStore(buckets, faults=script), "a", hours=-6)
    return Ground(buckets, script, ours, book(MemoryStore(buckets), "b", hours=6))


STEPS: Mapping[str, Callable[[Claim], Awaitable[None]]] = {
    "renew": lambda claim: claim.renew(),
    "commit": lambda claim: claim.commit(RUNOUT),
    "release": lambda claim: claim.release("stopping"),
    "fail": lambda claim: claim.fail("no luck"),
    "park": lambda claim: claim.park(report()),
}
ENDS = {
    "renew": LeaseState.CLAIMED,
    "commit": LeaseState.COMMITTED,
    "release": LeaseState.RELEASED,
    "fail": LeaseState.RELEASED,
    "park": LeaseState.PARKED,
}
WRITES = {"park": 2}
"""Parking renews first."""


LOST_ANSWERS = [OutcomeUnknown, Unreachable, ServerError, Throttled, AccessDenied, Conflict]
