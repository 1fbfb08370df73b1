"""Leases, jobs and results as tests of the hand-shake want them: typical, with one thing odd."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.handshake.claims import LeaseBook
from shared.handshake.failure import FailureReport
from shared.handshake.layout import JobFolder, Layout, Runout, closest_name, quality_name
from shared.handshake.lease import Lease, LeaseState, Owner
from shared.handshake.manifest import Manifest, ResultFile
from shared.s3.store import ObjectStore

BUCKET = "sky-hand-shake"
LAYOUT = Layout(BUCKET)
CID = "02104"
JOB = JobFolder("2026-03-01", CID)
RUNOUT = Runout("2026-03-01-1207", CID)
OTHER_RUNOUT = Runout("2026-03-01-1208", CID)
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def owner(name: str) -> Owner:
    """Name a process, alone in its work folder on a host of its own."""
    return Owner(f"process-{name}", f"instance-{name}", f"host-{name}")


def lease(state: LeaseState = LeaseState.CLAIMED, **odd: Any) -> Lease:
    """Return a lease in a state, of the owner `a`, with fields of the test's own."""
    runout = RUNOUT if state is LeaseState.COMMITTED else None
    plain = Lease(CID, state, 3, 17, owner("a"), JOB, 1, "2026-03-01T12:00:00+00:00", runout)
    return replace(plain, **odd)


def book(store: ObjectStore, name: str, *, layout: Layout = LAYOUT, hours: float = 0) -> LeaseBook:
    """Return the leases as the process of this name uses them, its clock so many hours off."""
    moment = NOON + timedelta(hours=hours)
    return LeaseBook(store, layout, owner(name), clock=lambda: moment)


def report(**odd: Any) -> FailureReport:
    """Return the report of a failure."""
    plain = FailureReport(
        cid=CID,
        job=JOB,
        step="sidecar",
        reason="the seeds have no column 'opt_ra_deg'; send the CID again",
        exit_status=2,
        attempts=3,
        host="ip-10-0-0-7",
        failed_at="2026-03-01T12:07:00+00:00",
        log_tail="reading\nfailed",
    )
    return replace(plain, **odd)


def manifest(**odd: Any) -> Manifest:
    """Return the manifest of a result with its two files."""
    files = (
        ResultFile(closest_name(CID), 1234, "AAAAAAAAAAA="),
        ResultFile(quality_name(CID), 56, "AAAAAAAAAAE="),
    )
    plain = Manifest(CID, JOB, 3, "process-a", "towpath 0.1.0", "2026-03-01T12:07:00Z", files)
    return replace(plain, **odd)
