"""What was seen of a hand-shake by somebody who may only read. Pure; `board` decides from it."""

from dataclasses import dataclass, field
from datetime import datetime

from shared.handshake.failure import FailureReport
from shared.handshake.layout import JobFolder, Runout
from shared.handshake.lease import Lease
from shared.handshake.listing import Job, Result
from shared.handshake.summary import Summary


@dataclass(frozen=True, slots=True)
class SeenJob:
    """The folder of a CID below `from-prod/`; of several the first complete one."""

    folder: JobFolder
    begun_at: datetime | None
    """When the last of its objects was written."""
    sent_at: datetime | None
    """When its marker was written; None: it is not complete."""


@dataclass(frozen=True, slots=True)
class SeenResult:
    """A folder of a CID below `from-ec2/`; of several the first whole one."""

    runout: Runout
    has_manifest: bool
    finished_at: datetime | None
    """When the last object that it needs was written; None: it is not whole."""


@dataclass(frozen=True, slots=True)
class SeenClaim:
    """The lease of a CID."""

    lease: Lease | None
    """None: the object holds something else, and `fault` says what."""
    written_at: datetime
    """The last heartbeat, or the last step, on S3's clock."""
    fault: str = ""


@dataclass(frozen=True, slots=True)
class SeenSummary:
    """What a daemon last said about itself."""

    summary: Summary
    written_at: datetime
    """On S3's clock."""


@dataclass(slots=True)
class Facts:
    """All that was seen."""

    summaries: list[SeenSummary] = field(default_factory=list)
    ledgers: dict[str, tuple[str, frozenset[str]]] = field(default_factory=dict)
    """Name to the state that it records, and its CIDs."""
    jobs: dict[str, SeenJob] = field(default_factory=dict)
    results: dict[str, SeenResult] = field(default_factory=dict)
    claims: dict[str, SeenClaim] = field(default_factory=dict)
    reports: set[str] = field(default_factory=set)
    """CIDs with a failure report; it counts only beside a parked lease."""
    unseen: list[str] = field(default_factory=list)
    """What could not be looked at, and why: one line each."""
    faults: list[str] = field(default_factory=list)
    """What was looked at and makes no sense: one line each."""
    jobs_seen: bool = True
    claims_seen: bool = True

    def said(self, state: str) -> frozenset[str]:
        """Return the CIDs that a summary or a ledger says are in this state."""
        told = (seen.summary.cids.get(state, frozenset()) for seen in self.summaries)
        recorded = (cids for what, cids in self.ledgers.values() if what == state)
        return frozenset[str]().union(*told, *recorded)


@dataclass(slots=True)
class Story:
    """All that the bucket holds of one CID."""

    cid: str
    jobs: list[Job] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    report: FailureReport | None = None
