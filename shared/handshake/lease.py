"""Who owns a CID: one object per CID, and every step of its life is a conditional write. Pure.

    nothing -> claimed (generation 1) -> committed
    claimed -> claimed     by its owner: a heartbeat; by another, once expired: next generation
    claimed -> released    the owner stops or has failed; anybody may claim: next generation
    claimed -> parked      it failed too often; a person puts it back: released, attempts 0
    committed              the end: the result of this runout, and of no other, counts

Every other step is refused with ValueError, so that no mistake elsewhere can write it.

A lease is expired when an observer has seen it unchanged for the time to live on its own monotonic
clock. Clocks of two machines are never compared; `since` is for people. Every write differs from
all others (process, generation, beat), so that whoever reads it knows whose it was when an answer
was lost, and an ETag seen twice means that nothing happened in between.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from shared.handshake.fields import (
    count_field,
    dump_record,
    line_field,
    one_line,
    parse_record,
    text_field,
)
from shared.handshake.layout import CID, JobFolder, Runout, parse_job_folder, parse_runout

SCHEMA = 1
_IDENTITY = re.compile(r"[!-~]{1,200}")


class LeaseState(StrEnum):
    """Where a CID stands."""

    CLAIMED = "claimed"
    RELEASED = "released"
    COMMITTED = "committed"
    PARKED = "parked"


@dataclass(frozen=True, slots=True)
class Owner:
    """A process that owns, or last owned, a CID."""

    process: str
    """Random, one a process: equal means the very same process."""
    instance: str
    """Random, one a work folder: a process that starts in it knows that its former owner ended."""
    host: str
    """For people; and two hosts that are copies of one disk are not the same instance."""

    def __post_init__(self) -> None:
        """Refuse what would make two owners look like one, or a lease unreadable."""
        for name in (self.process, self.instance):
            if not _IDENTITY.fullmatch(name):
                raise ValueError(f"{name!r} names no owner; allowed: {_IDENTITY.pattern}")


@dataclass(frozen=True, slots=True)
class Lease:
    """The content of a lease object."""

    cid: str
    state: LeaseState
    generation: int
    beat: int
    """Counts the writes; whoever sees it move knows that the owner lives."""
    owner: Owner
    job: JobFolder
    attempts: int
    """Times the job itself has failed since its first claim, or since it was put back."""
    since: str
    """When this state began, on the owner's clock: for people only."""
    runout: Runout | None = None
    """The result that counts; only when committed."""
    reason: str = ""
    """Why it was released or parked."""

    def to_bytes(self) -> bytes:
        """Return the object's content."""
        record: dict[str, object] = {
            "schema": SCHEMA,
            "cid": self.cid,
            "state": self.state.value,
            "generation": self.generation,
            "beat": self.beat,
            "owner": {
                "process": self.owner.process,
                "instance": self.owner.instance,
                "host": one_line(self.owner.host),
            },
            "job": str(self.job),
            "attempts": self.attempts,
            "since": one_line(self.since),
            "reason": one_line(self.reason),
        }
        if self.runout is not None:
            record["runout"] = str(self.runout)
        return dump_record(record)

    def is_the_write(self, other: "Lease") -> bool:
        """Tell whether both are one and the same write; words for people are not compared."""
        same_owner = self.owner.process == other.owner.process
        same_turn = (self.generation, self.beat) == (other.generation, other.beat)
        return same_owner and same_turn and (self.state, self.runout) == (other.state, other.runout)


def parse_lease(body: bytes, cid: str) -> Lease:
    """Read the lease of a CID; ValueError says what is wrong with it."""
    record = parse_record(body, "the lease", SCHEMA)
    if text_field(record, "cid", CID) != cid:
        raise ValueError(f"the lease is of CID {record.get('cid')!r}, and lies under CID {cid}")
    try:
        state = LeaseState(text_field(record, "state", None))
    except ValueError:
        raise ValueError(f"the lease has the unknown state {record.get('state')!r}") from None
    lease = Lease(
        cid=cid,
        state=state,
        generation=count_field(record, "generation"),
        beat=count_field(record, "beat"),
        owner=_parse_owner(record),
        job=parse_job_folder(text_field(record, "job", None)),
        attempts=count_field(record, "attempts"),
        since=line_field(record, "since"),
        runout=parse_runout(text_field(record, "runout", None)) if "runout" in record else None,
        reason=line_field(record, "reason"),
    )
    if (lease.state is LeaseState.COMMITTED) != (lease.runout is not None):
        raise ValueError("the lease names a runout exactly when it is committed; this one does not")
    return lease


def _parse_owner(record: Mapping[str, object]) -> Owner:
    owner = record.get("owner")
    if not isinstance(owner, dict):
        raise ValueError("the lease has no owner")  # noqa: TRY004 - callers wait for one type
    return Owner(
        process=text_field(owner, "process", _IDENTITY),
        instance=text_field(owner, "instance", _IDENTITY),
        host=line_field(owner, "host"),
    )


def claim(cid: str, job: JobFolder, owner: Owner, before: Lease | None, since: str) -> Lease:
    """Return the lease as its new owner writes it; `before` is what it replaces."""
    if before is None:
        return Lease(cid, LeaseState.CLAIMED, 1, 1, owner, job, 0, since)
    _require(before, LeaseState.CLAIMED, LeaseState.RELEASED)
    return replace(
        before,
        state=LeaseState.CLAIMED,
        generation=before.generation + 1,
        beat=before.beat + 1,
        owner=owner,
        job=job,
        since=since,
        runout=None,
        reason="",
    )


def renew(lease: Lease) -> Lease:
    """Return it with one more heartbeat."""
    _require(lease, LeaseState.CLAIMED)
    return replace(lease, beat=lease.beat + 1)


def release(lease: Lease, reason: str, since: str, *, failed: bool) -> Lease:
    """Return it for anybody to claim; `failed` counts as an attempt of the job."""
    _require(lease, LeaseState.CLAIMED)
    return replace(
        lease,
        state=LeaseState.RELEASED,
        beat=lease.beat + 1,
        attempts=lease.attempts + failed,
        since=since,
        reason=one_line(reason),
    )


def commit(lease: Lease, runout: Runout, since: str) -> Lease:
    """Return it as the record that this runout counts."""
    _require(lease, LeaseState.CLAIMED)
    return replace(
        lease,
        state=LeaseState.COMMITTED,
        beat=lease.beat + 1,
        since=since,
        runout=runout,
        reason="",
    )


def park(lease: Lease, reason: str, since: str) -> Lease:
    """Return it as one that nobody claims until a person puts it back."""
    _require(lease, LeaseState.CLAIMED)
    return replace(
        lease,
        state=LeaseState.PARKED,
        beat=lease.beat + 1,
        attempts=lease.attempts + 1,
        since=since,
        reason=one_line(reason),
    )


def put_back(lease: Lease, owner: Owner, since: str) -> Lease:
    """Return a parked lease for anybody to claim, with all its attempts before it."""
    _require(lease, LeaseState.PARKED)
    return replace(
        lease,
        state=LeaseState.RELEASED,
        beat=lease.beat + 1,
        owner=owner,
        attempts=0,
        since=since,
        reason="put back",
    )


def _require(lease: Lease, *states: LeaseState) -> None:
    if lease.state not in states:
        raise ValueError(f"the lease of CID {lease.cid} is {lease.state}; it takes no such step")


@dataclass(slots=True)
class LeaseWatch:
    """Tells on one observer's own clock how long each lease has not changed.

    | state     | the observer may claim it                                            |
    |-----------|----------------------------------------------------------------------|
    | claimed   | when it has not changed for the time to live                         |
    | released  | when it has not changed for the delay of its attempts (none: at once)|
    | parked    | never                                                                |
    | committed | never                                                                |
    """

    time_to_live: float
    """Seconds."""
    first_delay: float
    """Seconds to wait after the first failure; each further failure doubles it."""
    longest_delay: float
    _seen: dict[str, tuple[str, float]]

    def __init__(self, time_to_live: float, first_delay: float, longest_delay: float) -> None:
        self.time_to_live = time_to_live
        self.first_delay = first_delay
        self.longest_delay = longest_delay
        self._seen = {}

    def claimable_at(self, lease: Lease, etag: str, now: float) -> float | None:
        """Note what was seen and return when it may be claimed on this clock; None: never."""
        known = self._seen.get(lease.cid)
        if known is None or known[0] != etag:
            known = self._seen[lease.cid] = (etag, now)
        match lease.state:
            case LeaseState.CLAIMED:
                return known[1] + self.time_to_live
            case LeaseState.RELEASED:
                return known[1] + self.delay(lease.attempts)
            case _:
                self._seen.pop(lease.cid)
                return None

    def delay(self, attempts: int) -> float:
        """Return how long a job that failed so often is left alone, in seconds."""
        if attempts == 0:
            return 0.0
        return min(self.longest_delay, self.first_delay * 2.0 ** min(attempts - 1, 30))

    def forget(self, cid: str) -> None:
        """Drop what is known of a CID; it is done."""
        self._seen.pop(cid, None)
