import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest

from daemons.ingester.account.functions import CallFailed, CallRefused
from daemons.ingester.phases.index_marker import PendingMarker, pending_marker, stale_marker
from daemons.ingester.phases.indexing import IndexOrder, IndexReport, IndexWait, trigger_index
from daemons.ingester.phases.invalidation import PATHS, invalidate, run_reference
from daemons.ingester.phases.outcome import PhaseStatus
from shared.s3.errors import ServerError
from shared.s3.memory_buckets import Verb
from tests.support.syncing import BUCKET, NOON, SITE, SyncGround

INDEX = "search-index/orama_index.msp"


@dataclass
class Services:
    """Functions and distributions that note what they are asked, and may refuse."""

    failure: Exception | None = None
    invoked: list[tuple[str, bytes]] = field(default_factory=list)
    invalidated: list[tuple[str, Sequence[str], str]] = field(default_factory=list)

    async def invoke_event(self, name: str, payload: bytes) -> None:
        """Accept or refuse."""
        if self.failure:
            raise self.failure
        self.invoked.append((name, payload))

    async def invalidate(self, distribution: str, paths: Sequence[str], reference: str) -> str:
        """Create one or refuse."""
        if self.failure:
            raise self.failure
        self.invalidated.append((distribution, paths, reference))
        return "I1"


@pytest.fixture
def services() -> Services:
    """Services that accept."""
    return Services()


@pytest.fixture
def marker(tmp_path: Path) -> PendingMarker:
    """The marker of a site that has had no run yet."""
    return pending_marker(tmp_path / "state", SITE)


@pytest.fixture
def stale(tmp_path: Path) -> PendingMarker:
    """The marker of a distribution that has all there is."""
    return stale_marker(tmp_path / "state", SITE)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("mode", "function", "payload"),
    [
        ("cloud", "srt-indexing-hardfork", b"{}"),
        ("local", "search-api-hardfork", b'{"forceFreshDBFileDownload": true}'),
    ],
)
async def test_function_is_told_and_the_marker_goes(
    services: Services, marker: PendingMarker, mode: str, function: str, payload: bytes
) -> None:
    """Each mode has somebody else to tell."""
    marker.set("files were uploaded")

    report = await trigger_index(services, marker, IndexOrder(SITE, mode))

    assert services.invoked == [(function, payload)]
    assert not marker.is_set()
    assert report == IndexReport(triggered=True, accepted=True)
    assert report.outcome.status is PhaseStatus.OK


@pytest.mark.asyncio
@pytest.mark.parametrize("failure", [CallFailed("throttled"), CallRefused("denied")])
async def test_trigger_that_fails_is_left_to_the_next_run(
    services: Services, marker: PendingMarker, failure: Exception
) -> None:
    """The next run uploads nothing, so that only the marker tells it; also after --force-index."""
    services.failure = failure

    report = await trigger_index(services, marker, IndexOrder(SITE, reason="--force-index"))

    assert marker.is_set()
    assert marker.reason() == "--force-index"
    assert (report.triggered, report.accepted) == (True, False)
    assert report.outcome.status is PhaseStatus.FAILED
    assert str(failure) in report.outcome.fatal


@pytest.mark.asyncio
async def test_mode_none_leaves_a_note_and_tells_nobody(
    services: Services, marker: PendingMarker
) -> None:
    """Somebody builds it another way, or the mode is changed later."""
    report = await trigger_index(services, marker, IndexOrder(SITE, "none"))

    assert marker.is_set()
    assert services.invoked == []
    assert report.outcome.status is PhaseStatus.SKIPPED
    assert not report.triggered


@pytest.mark.asyncio
async def test_without_a_note_nobody_is_told(services: Services, tmp_path: Path) -> None:
    """A call that fails after a note that could not be written would be forgotten."""
    (tmp_path / "file").write_text("in the way")
    marker = PendingMarker(tmp_path / "file" / "hardfork.json")

    report = await trigger_index(services, marker, IndexOrder(SITE))

    assert services.invoked == []
    assert report.outcome.status is PhaseStatus.FAILED


@pytest.mark.asyncio
async def test_note_that_stays_is_a_warning(
    services: Services, marker: PendingMarker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was wanted is done; the next run does it once more."""

    def refuse(_marker: PendingMarker) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(PendingMarker, "clear", refuse)

    report = await trigger_index(services, marker, IndexOrder(SITE))

    assert report.accepted
    assert report.outcome.status is PhaseStatus.OK
    assert report.outcome.warnings.count == 1


def waiting(ground: SyncGround, *, appears_after: int | None) -> IndexWait:
    """Wait for an index that is written anew during the so-manieth rest."""
    rests = 0

    async def rest(_seconds: float) -> None:
        nonlocal rests
        rests += 1
        if rests == appears_after:
            ground.object(INDEX, b"new", NOON + timedelta(seconds=1))
        # What does not appear must come to the end of its time at once.
        await (anyio.sleep_forever() if appears_after is None else anyio.lowlevel.checkpoint())

    seconds = 60.0 if appears_after else 0.05
    return IndexWait(ground.store, BUCKET, seconds, sleep=rest)


@pytest.mark.asyncio
@pytest.mark.parametrize("before", [True, False])
async def test_new_index_confirms_the_trigger(
    services: Services, marker: PendingMarker, tmp_path: Path, *, before: bool
) -> None:
    """An accepted call says nothing of its end; a new index does."""
    ground = SyncGround(tmp_path)
    if before:
        ground.object(INDEX, b"old", NOON)

    report = await trigger_index(
        services, marker, IndexOrder(SITE), wait=waiting(ground, appears_after=2)
    )

    assert report.confirmed is True
    assert report.outcome.warnings.count == 0


@pytest.mark.asyncio
async def test_index_that_stays_old_is_not_confirmed(
    services: Services, marker: PendingMarker, tmp_path: Path
) -> None:
    """The largest site's function is known to run out of memory."""
    ground = SyncGround(tmp_path)
    ground.object(INDEX, b"old", NOON)

    report = await trigger_index(
        services, marker, IndexOrder(SITE), wait=waiting(ground, appears_after=None)
    )

    assert report.confirmed is False
    [note] = report.outcome.warnings.named
    assert note.reason.startswith("index not confirmed")
    assert not marker.is_set()


@pytest.mark.asyncio
async def test_index_of_which_nothing_is_known_confirms_nothing(
    services: Services, marker: PendingMarker, tmp_path: Path
) -> None:
    """While S3 did not answer, the old index must not pass for a new one."""
    ground = SyncGround(tmp_path)
    ground.object(INDEX, b"old", NOON)
    ground.requests.fault = lambda _verb, uri: (
        ServerError(uri) if ground.requests.count(Verb.HEAD) == 1 else None
    )

    report = await trigger_index(
        services, marker, IndexOrder(SITE), wait=waiting(ground, appears_after=None)
    )

    assert ground.requests.count(Verb.HEAD) == 2
    assert report.confirmed is False


@pytest.mark.asyncio
async def test_index_that_was_built_here_is_not_waited_for(
    services: Services, marker: PendingMarker, tmp_path: Path
) -> None:
    """It is in S3 already; nothing newer will come."""
    ground = SyncGround(tmp_path)

    report = await trigger_index(
        services, marker, IndexOrder(SITE, "local"), wait=waiting(ground, appears_after=None)
    )

    assert report.confirmed is None
    assert ground.requests.seen == []


def test_marker_outlives_what_it_stood_for_until_it_is_cleared(marker: PendingMarker) -> None:
    """It is the one memory of a trigger that failed."""
    assert not marker.is_set()
    assert marker.reason() == ""

    marker.set("first")
    marker.set("second")

    assert (marker.is_set(), marker.reason()) == (True, "first")
    marker.clear()
    marker.clear()
    assert not marker.is_set()


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b'{"reason": 3}', b"{" * 70_000])
def test_damaged_marker_is_one(tmp_path: Path, content: bytes) -> None:
    """To build an index once too often costs cents; once too seldom, a day's episodes."""
    (tmp_path / "m.json").write_bytes(content)
    marker = PendingMarker(tmp_path / "m.json")

    assert marker.is_set()
    assert marker.reason() == ""


def test_marker_is_durable(marker: PendingMarker, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a power cut in the middle of the upload there must be a marker."""
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)

    marker.set("files were uploaded")
    after_set = len(synced)
    marker.clear()

    assert after_set >= 2, "the file and its folder"
    assert len(synced) > after_set


@pytest.mark.asyncio
async def test_caches_forget_what_a_run_replaces(services: Services, stale: PendingMarker) -> None:
    """One invalidation, known by its run; nothing is due after it."""
    stale.set("files were uploaded")

    outcome = await invalidate(services, stale, "E2EXAMPLE", "towpath-1")

    assert services.invalidated == [("E2EXAMPLE", PATHS, "towpath-1")]
    assert outcome.status is PhaseStatus.OK
    assert not stale.is_set()


@pytest.mark.asyncio
@pytest.mark.parametrize("failure", [CallFailed("throttled"), CallRefused("denied")])
async def test_invalidation_that_fails_is_an_error_of_its_phase(
    services: Services, stale: PendingMarker, failure: Exception
) -> None:
    """It undoes nothing of what was uploaded, and stays due."""
    services.failure = failure

    outcome = await invalidate(services, stale, "E2EXAMPLE", "towpath-1")

    assert outcome.status is PhaseStatus.FAILED
    assert outcome.fatal == f"{failure}; the next run tries again"
    assert stale.is_set()


def test_reference_is_that_of_a_run_and_a_site() -> None:
    """Asked twice in a run it is the same invalidation; tomorrow's is another."""
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)

    assert run_reference("hardfork", at) == run_reference("hardfork", at)
    others = {run_reference("naddpod", at), run_reference("hardfork", at + timedelta(days=1))}
    assert run_reference("hardfork", at) not in others
