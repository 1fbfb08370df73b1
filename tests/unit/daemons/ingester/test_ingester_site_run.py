"""One site's phases in their order: what a failure in one of them means for the next."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest

from daemons.ingester.archive.folders import Folder
from daemons.ingester.phases.index_marker import PendingMarker, pending_marker, stale_marker
from daemons.ingester.phases.outcome import Phase, PhaseStatus
from daemons.ingester.syncing.one_way import SyncRules
from shared.s3.errors import AccessDenied, ObjectError
from shared.s3.memory_buckets import Verb
from shared.s3.uri import S3Uri
from tests.support.site_runs import ARCHIVED, ENTRIES, IN_AWS, SRT, RunGround, statuses
from tests.support.syncing import (
    AUDIO,
    SITE,
    TRANSCRIPT,
    manifest_bytes,
    manifest_path,
)


@pytest.fixture
def ground(tmp_path: Path) -> RunGround:
    """A site with nothing in it."""
    return RunGround(tmp_path)


@pytest.mark.asyncio
async def test_a_first_backlog_goes_up_is_indexed_once_and_then_nothing_more_is_done(
    ground: RunGround,
) -> None:
    """Every visitor's search depends on the trigger, every dollar on there being only one."""
    ground.fill_here()

    first = await ground.run()
    ground.requests.seen.clear()
    second = await ground.run()

    assert set(statuses(first).values()) == {PhaseStatus.OK}
    assert set(ground.objects()) == {AUDIO, TRANSCRIPT, ENTRIES, manifest_path()}
    assert ground.account.invoked == [(f"srt-indexing-{SITE}", b"{}")]
    assert ground.account.invalidated == ["E2EXAMPLE"]
    assert (ground.writes(), second.upload_total, second.has_errors) == (0, 0, False)
    assert statuses(second)[Phase.INDEXING] is PhaseStatus.SKIPPED


@pytest.mark.asyncio
async def test_a_run_opens_one_session(ground: RunGround) -> None:
    """Each one is an AssumeRole, and an account has a limit of them."""
    ground.fill_here()
    await ground.run()
    assert ground.account.opened == 1


@pytest.mark.asyncio
async def test_without_s3_and_without_a_manifest_the_site_is_blocked(ground: RunGround) -> None:
    """Going on would download and transcribe the whole archive again."""
    ground.account.refusals = 9

    result = await ground.run()

    found = statuses(result)
    assert found.pop(Phase.PRE_SYNC) is PhaseStatus.FAILED
    assert set(found.values()) == {PhaseStatus.BLOCKED}
    assert ground.account.opened == 1


@pytest.mark.asyncio
async def test_without_s3_but_with_a_manifest_the_work_here_is_done(ground: RunGround) -> None:
    """A night without AWS need not be a night without new transcripts."""
    ground.fill_here()
    ground.account.refusals = 9

    result = await ground.run()

    found = statuses(result)
    assert found[Phase.SEARCH_ENTRIES] is PhaseStatus.OK
    assert found[Phase.UPLOAD] is PhaseStatus.FAILED
    assert result.entry_files_written == 1


@pytest.mark.asyncio
async def test_the_upload_tries_again_what_the_pre_sync_could_not_reach(ground: RunGround) -> None:
    """Hours lie between the two when there is much to transcribe."""
    ground.fill_here()
    ground.account.refusals = 1

    result = await ground.run()

    assert statuses(result)[Phase.UPLOAD] is PhaseStatus.OK
    assert AUDIO in ground.objects()
    assert result.index_accepted


@pytest.mark.asyncio
@pytest.mark.parametrize("side", ["here", "in S3"])
async def test_an_unreadable_manifest_blocks_the_site(ground: RunGround, side: str) -> None:
    """It is mended by a person; anything that is written meanwhile makes that harder."""
    ground.file(manifest_path(), manifest_bytes([ARCHIVED]) if side != "here" else b"{ torn")
    ground.object(manifest_path(), manifest_bytes([ARCHIVED]) if side == "here" else b"{ torn")

    result = await ground.run()

    found = statuses(result)
    assert found[Phase.PRE_SYNC] is PhaseStatus.FAILED
    assert found[Phase.UPLOAD] is PhaseStatus.BLOCKED
    assert (ground.writes(), ground.account.invoked) == (0, [])


@pytest.mark.asyncio
async def test_a_transcript_that_s3_has_is_not_made_again_when_it_does_not_come(
    ground: RunGround,
) -> None:
    """It was paid for; the next run brings it here."""
    ground.file(AUDIO)
    ground.file(manifest_path(), manifest_bytes([ARCHIVED]))
    ground.object(TRANSCRIPT, SRT)
    ground.requests.fault = _refuse(Verb.GET, TRANSCRIPT)

    result = await ground.run()

    # Without a recogniser the phase would have failed, had there been something to transcribe.
    assert statuses(result)[Phase.AUDIO] is PhaseStatus.OK
    assert result.transcribed == 0
    assert [note.path for note in result.outcomes[Phase.PRE_SYNC].problems.named] == [TRANSCRIPT]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("before", "is_made"),
    [
        (lambda ground: ground.run(skip_audio_processing=True), True),
        (lambda ground: ground.sync().look(), False),
        (lambda ground: ground.run(dry_run=True), False),
        (lambda ground: ground.sync().push(), False),
        (lambda ground: ground.sync(SyncRules(folders=(Folder.RSS,))).pull(), False),
    ],
    ids=["brought here", "looked at", "planned", "uploaded", "one folder brought"],
)
async def test_without_s3_nothing_is_made_that_it_may_have(
    ground: RunGround, before: Callable[[RunGround], Awaitable[object]], *, is_made: bool
) -> None:
    """Every transcript may be there, until a pull has brought here whatever there was."""
    ground.file(AUDIO)
    ground.file(manifest_path(), manifest_bytes([ARCHIVED]))
    await before(ground)
    ground.account.opened, ground.account.refusals = 0, 9

    result = await ground.run()

    # Without a recogniser the phase fails where there is something to transcribe.
    assert (statuses(result)[Phase.AUDIO] is PhaseStatus.FAILED) == is_made


@pytest.mark.asyncio
async def test_counts_that_cannot_be_read_block_their_site_also_without_s3(
    ground: RunGround,
) -> None:
    """Raised out of the site, it would end the runs of all others."""
    ground.fill_here()
    await ground.run()
    ground.place.counts.write_bytes(b"{ torn")
    ground.account.opened, ground.account.refusals = 0, 9

    result = await ground.run()

    found = statuses(result)
    assert found.pop(Phase.PRE_SYNC) is PhaseStatus.FAILED
    assert set(found.values()) == {PhaseStatus.BLOCKED}
    assert "files.json' cannot be read" in result.outcomes[Phase.UPLOAD].blocked


@pytest.mark.asyncio
async def test_what_cannot_be_transcribed_stops_nothing_else(ground: RunGround) -> None:
    """Audio that waits for a recogniser is no reason to keep the rest from visitors."""
    ground.file(AUDIO)
    ground.file(manifest_path(), manifest_bytes([ARCHIVED]))

    result = await ground.run()

    assert result.outcomes[Phase.AUDIO].fatal.startswith("WHISPER_API_PROVIDER")
    assert AUDIO in ground.objects()
    assert result.has_errors


@pytest.mark.asyncio
async def test_a_trigger_that_failed_is_made_by_the_next_run(ground: RunGround) -> None:
    """It uploads nothing, and so would have no reason of its own."""
    ground.fill_here()
    ground.account.functions_there = False
    first = await ground.run()
    ground.account.functions_there = True

    second = await ground.run()
    third = await ground.run()

    assert statuses(first)[Phase.INDEXING] is PhaseStatus.FAILED
    assert (second.upload_total, second.index_accepted) == (0, True)
    assert not third.index_triggered


@pytest.mark.asyncio
async def test_caches_that_did_not_forget_are_asked_by_the_next_run(ground: RunGround) -> None:
    """Nothing is uploaded by then, and visitors would go on reading what was replaced."""
    ground.fill_here()
    ground.account.caches_there = False
    first = await ground.run()
    ground.account.caches_there = True

    second = await ground.run()
    await ground.run()

    assert statuses(first)[Phase.INVALIDATION] is PhaseStatus.FAILED
    assert (second.upload_total, statuses(second)[Phase.INVALIDATION]) == (0, PhaseStatus.OK)
    assert ground.account.invalidated == ["E2EXAMPLE"]


@pytest.mark.asyncio
@pytest.mark.parametrize("marker_of", [pending_marker, stale_marker])
async def test_nothing_is_uploaded_before_what_follows_is_noted_as_due(
    ground: RunGround, marker_of: Callable[[Path, str], PendingMarker]
) -> None:
    """A process that dies after its first upload must leave the notes behind."""
    ground.fill_here()
    marked: list[bool] = []

    def watch(verb: Verb, _uri: S3Uri) -> None:
        if verb is Verb.PUT:
            marked.append(marker_of(ground.state, SITE).is_set())

    ground.requests.watch = watch
    await ground.run(skip_cloud_indexing=True, skip_cloudfront_invalidation=True)

    assert marked
    assert all(marked)
    assert marker_of(ground.state, SITE).is_set()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("option", "phase"),
    [
        ("skip_pre_sync", Phase.PRE_SYNC),
        ("skip_consistency_check", Phase.CONSISTENCY),
        ("skip_rss_retrieval", Phase.RSS),
        ("skip_audio_processing", Phase.AUDIO),
        ("skip_search_entries", Phase.SEARCH_ENTRIES),
        ("skip_s3_sync", Phase.UPLOAD),
        ("skip_cloud_indexing", Phase.INDEXING),
        ("skip_cloudfront_invalidation", Phase.INVALIDATION),
    ],
)
async def test_each_phase_can_be_left_out(ground: RunGround, option: str, phase: Phase) -> None:
    """Its status says that it was asked for, and it is no error."""
    ground.fill_here()

    result = await ground.run(**{option: True})

    assert result.outcomes[phase].skipped == f"--{option.replace('_', '-')}"
    assert not result.has_errors


@pytest.mark.asyncio
async def test_local_only_asks_nobody_in_aws(ground: RunGround) -> None:
    """It is for a train without a network, and for people without keys."""
    ground.fill_here()

    result = await ground.run(local_only=True)

    found = statuses(result)
    assert {phase for phase, status in found.items() if status is PhaseStatus.SKIPPED} == {*IN_AWS}
    assert (ground.account.opened, ground.requests.seen) == (0, [])
    assert result.entry_files_written == 1


@pytest.mark.asyncio
async def test_a_cancelled_phase_is_told_as_interrupted(ground: RunGround) -> None:
    """The summary of a run that was stopped says how far it came."""
    ground.fill_here()
    run = ground.prepared()

    with anyio.CancelScope() as scope:

        def cancel(verb: Verb, _uri: S3Uri) -> None:
            if verb is Verb.PUT:
                scope.cancel()

        ground.requests.watch = cancel
        await run.run()

    assert scope.cancelled_caught
    assert list(run.result.outcomes)[-1] is Phase.UPLOAD
    assert run.result.outcomes[Phase.UPLOAD].fatal == "it was interrupted"


def _refuse(refused: Verb, key: str) -> Callable[[Verb, S3Uri], ObjectError | None]:
    def fault(verb: Verb, uri: S3Uri) -> ObjectError | None:
        return AccessDenied(uri) if verb is refused and uri.key == key else None

    return fault
