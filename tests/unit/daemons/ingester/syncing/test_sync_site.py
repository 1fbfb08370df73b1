"""A site in step: the scenarios of a first run, a backlog, a mix, and of one thing going wrong."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from daemons.ingester.archive.folders import Folder
from daemons.ingester.syncing.compare import ConflictRule, State
from daemons.ingester.syncing.gap import Part
from daemons.ingester.syncing.one_way import SyncRules
from daemons.ingester.syncing.place import LocalFilesMissing
from daemons.ingester.syncing.report import SyncReport, SyncStatus
from shared.s3.errors import AccessDenied, ObjectError, Unreachable
from shared.s3.memory_buckets import Verb
from shared.s3.uri import S3Uri
from tests.support.syncing import (
    AUDIO,
    BUCKET,
    NOON,
    TRANSCRIPT,
    SyncGround,
    episode,
    manifest_bytes,
    manifest_path,
)

LATER = NOON + timedelta(seconds=3)


@pytest.fixture
def ground(tmp_path: Path) -> SyncGround:
    """A site with nothing in it."""
    return SyncGround(tmp_path)


def fill_s3(ground: SyncGround) -> None:
    """Lay down a small archive."""
    ground.object(AUDIO, b"audio" * 1000)
    ground.object(TRANSCRIPT, b"1\n00:00:00,000 --> 00:00:01,000\nHello.\n")
    ground.object("search-entries/hard-fork/2022-09-27_Pilot--1749472638931.json", b"[]")
    ground.object("rss/hard-fork.xml", b"<rss/>")
    ground.object(manifest_path(), manifest_bytes([episode(1), episode(2)]))
    ground.object("index.html", b"the web client")
    ground.object("audio/hard-fork/", b"")
    ground.object("transcripts/.processing-lock.json", b"{}")
    ground.object("search-index/orama_index.msp", b"index")


def assert_quiet(report: SyncReport) -> None:
    """Check that a run found nothing to do and nothing to say."""
    assert report.status is SyncStatus.OK
    assert report.moved == 0
    assert report.skipped.named == []
    assert report.deferred.named == []
    assert report.conflicts.named == []


@pytest.mark.asyncio
async def test_a_clean_slate_brings_everything_here_and_sends_nothing(ground: SyncGround) -> None:
    """The contract's first scenario: byte-identical, times of S3, nothing outside the folders."""
    fill_s3(ground)

    pulled = await ground.sync().pull()
    pushed = await ground.sync().push()

    expected = {
        key: body
        for key, body in ground.objects().items()
        if body and not key.startswith(("index", "transcripts/.", "search-index"))
    }
    assert ground.files() == expected
    assert (ground.root / AUDIO).stat().st_mtime == NOON.timestamp()
    assert pulled.status is SyncStatus.OK
    assert pulled.moved == 5
    assert pulled.total(State.ONLY_S3) == 5
    assert pulled.gap.summary()["totalConsistentFiles"] == 5
    assert pulled.gap.summary()["hasS3OnlyFiles"] is False
    assert_quiet(pushed)
    assert ground.writes() == 0
    assert not any(ground.place.work.iterdir())


@pytest.mark.asyncio
async def test_a_second_run_touches_nothing_and_asks_for_listings_alone(ground: SyncGround) -> None:
    """The night in which nothing happened costs one listing a folder and phase."""
    fill_s3(ground)
    ground.file("transcripts/hard-fork/new.srt", b"new")
    for run in (ground.sync().pull, ground.sync().push):
        await run()
    before = ground.inodes()
    ground.requests.seen.clear()

    assert_quiet(await ground.sync().pull())
    assert_quiet(await ground.sync().push())

    assert {verb for verb, _ in ground.requests.seen} == {Verb.LIST}
    assert ground.requests.count(Verb.LIST) == 10
    assert ground.inodes() == before


@pytest.mark.asyncio
async def test_a_backlog_goes_up_in_order_with_the_manifest_last(ground: SyncGround) -> None:
    """A visitor never sees an entry whose files are missing, and the marker is written before."""
    ground.file(manifest_path(), manifest_bytes([episode(1)]))
    ground.file("rss/hard-fork.xml", b"<rss/>")
    ground.file(TRANSCRIPT)
    ground.file(AUDIO)
    ground.file("audio/hard-fork/.DS_Store")
    told: list[int] = []

    async def announce() -> None:
        told.append(ground.writes())

    report = await ground.sync().push(before_indexed=announce, made_now={AUDIO})

    assert ground.requests.keys(Verb.PUT) == [
        AUDIO,
        TRANSCRIPT,
        "rss/hard-fork.xml",
        manifest_path(),
    ]
    assert told == [0]
    assert report.upload_counts() == {
        "audioFilesSynced": 1,
        "transcriptFilesSynced": 1,
        "searchEntryFilesSynced": 0,
        "manifestFilesSynced": 1,
        "rssFilesSynced": 1,
        "totalFilesSynced": 4,
    }
    assert report.had_previous_files
    kept = ground.buckets.look(S3Uri(BUCKET, TRANSCRIPT))
    assert kept is not None
    assert kept.options.content_type == "application/x-subrip"


@pytest.mark.asyncio
async def test_a_feed_alone_needs_no_index(ground: SyncGround) -> None:
    """Feeds change on every fetch; a marker for each of them would index every night."""
    ground.file("rss/hard-fork.xml", b"<rss/>")
    told: list[int] = []

    async def announce() -> None:
        told.append(1)

    report = await ground.sync().push(before_indexed=announce)

    assert report.moved == 1
    assert told == []


@pytest.mark.asyncio
async def test_newer_wins_in_both_directions(ground: SyncGround) -> None:
    """The contract's mixed scenario: one conflict each way, of equal size and of another one."""
    ground.file("audio/p/s3-newer.mp3", b"old")
    ground.object("audio/p/s3-newer.mp3", b"new", LATER)
    ground.file("audio/p/here-newer.mp3", b"new one", LATER)
    ground.object("audio/p/here-newer.mp3", b"old")
    ground.file("audio/p/within-two-seconds.mp3", b"here", NOON + timedelta(seconds=2))
    ground.object("audio/p/within-two-seconds.mp3", b"in S3")
    ground.file("transcripts/p/same.srt", b"same", LATER)
    ground.object("transcripts/p/same.srt", b"same")

    pulled = await ground.sync().pull()
    pushed = await ground.sync().push()

    assert ground.files() == ground.objects()
    assert ground.held("audio/p/s3-newer.mp3") == b"new"
    assert ground.held("audio/p/here-newer.mp3") == b"new one"
    assert ground.held("audio/p/within-two-seconds.mp3") == b"in S3"
    assert [note.path for note in pulled.conflicts.named] == ["audio/p/here-newer.mp3"]
    assert pulled.gap.summary()["totalConflictFiles"] == 1
    assert pushed.conflicts.named == []
    assert pushed.moved == 1


@pytest.mark.asyncio
async def test_push_leaves_what_s3_has_newer_to_the_next_run(ground: SyncGround) -> None:
    """Somebody wrote to S3 after phase 0: sending ours would undo it."""
    ground.file(TRANSCRIPT, b"ours")
    ground.object(TRANSCRIPT, b"theirs", LATER)

    report = await ground.sync().push()

    assert ground.held(TRANSCRIPT) == b"theirs"
    assert [note.path for note in report.conflicts.named] == [TRANSCRIPT]
    assert report.status is SyncStatus.OK


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("rule", "ends_with"),
    [
        (ConflictRule.S3, (b"in S3", b"in S3")),
        (ConflictRule.LOCAL, (b"here", b"here")),
        (ConflictRule.NONE, (b"here", b"in S3")),
    ],
)
async def test_the_rule_of_the_command_settles_conflicts(
    ground: SyncGround, rule: ConflictRule, ends_with: tuple[bytes, bytes]
) -> None:
    """`sync` on its own takes another rule than the nightly run, whatever the times say."""
    ground.file(TRANSCRIPT, b"here", LATER)
    ground.object(TRANSCRIPT, b"in S3")

    await ground.sync(SyncRules(conflicts=rule)).pull()
    await ground.sync(SyncRules(conflicts=rule)).push()

    assert (ground.files()[TRANSCRIPT], ground.held(TRANSCRIPT)) == ends_with


@pytest.mark.asyncio
async def test_files_of_no_bytes_count_as_absent(ground: SyncGround) -> None:
    """They are what an old crash left; the whole one of the other side takes their place."""
    ground.file(AUDIO, b"")
    ground.object(AUDIO, b"whole")
    ground.file(TRANSCRIPT, b"whole")
    ground.object(TRANSCRIPT, b"")

    await ground.sync().pull()
    await ground.sync().push()

    assert ground.files() == ground.objects() == {AUDIO: b"whole", TRANSCRIPT: b"whole"}


@pytest.mark.asyncio
async def test_a_dry_run_lists_and_names_and_does_nothing(ground: SyncGround) -> None:
    """An operator moves in by reading what a first run would change."""
    fill_s3(ground)
    ground.file("transcripts/hard-fork/new.srt")
    before = ground.inodes()

    pulled = await ground.sync(SyncRules(dry_run=True)).pull()
    pushed = await ground.sync(SyncRules(dry_run=True)).push()

    assert list(pushed.planned) == ["upload transcripts/hard-fork/new.srt"]
    assert f"download {AUDIO}" in list(pulled.planned)
    assert len(pulled.planned) == 5
    assert ground.inodes() == before
    assert ground.requests.count(Verb.LIST) == len(ground.requests.seen)


@pytest.mark.asyncio
async def test_one_refused_file_costs_itself(ground: SyncGround) -> None:
    """The rest of the site is in step, and the next run repairs exactly the missing part."""
    fill_s3(ground)
    ground.requests.fault = _denied(Verb.GET, AUDIO)

    broken = await ground.sync().pull()
    ground.requests.fault = lambda _verb, _uri: None
    ground.requests.seen.clear()
    mended = await ground.sync().pull()

    assert broken.status is SyncStatus.PARTIAL
    assert [note.path for note in broken.failures.named] == [AUDIO]
    assert broken.moved == 4
    assert list(broken.gap.parts[Part.S3_ONLY][Folder.AUDIO]) == [AUDIO]
    assert mended.moved == 1
    assert ground.requests.keys(Verb.GET) == [AUDIO]


@pytest.mark.asyncio
async def test_a_failed_upload_does_not_hold_the_others_back(ground: SyncGround) -> None:
    """A file that can never be sent must not keep the manifest from visitors for ever."""
    for path in (AUDIO, TRANSCRIPT):
        ground.file(path)
    ground.file(manifest_path(), manifest_bytes([episode(1)]))
    ground.requests.fault = _denied(Verb.PUT, AUDIO)

    report = await ground.sync().push()

    assert report.status is SyncStatus.PARTIAL
    assert report.moved == 2
    assert ground.held(manifest_path()) is not None


@pytest.mark.asyncio
async def test_a_folder_that_cannot_be_listed_is_not_an_empty_one(ground: SyncGround) -> None:
    """Taken for empty, every local file would look missing in S3 and be sent again."""
    ground.file(AUDIO)
    ground.file(TRANSCRIPT)
    ground.requests.fault = _denied(Verb.LIST, "audio/")

    report = await ground.sync().push()

    assert report.status is SyncStatus.FAILED
    assert list(report.unlisted) == [Folder.AUDIO]
    assert ground.objects().keys() == {TRANSCRIPT}


@pytest.mark.asyncio
async def test_a_link_in_the_place_of_a_folder_is_not_an_empty_one(ground: SyncGround) -> None:
    """Whoever moved the audio elsewhere by a link must not have it downloaded again."""
    fill_s3(ground)
    elsewhere = ground.data / "elsewhere"
    elsewhere.mkdir()
    ground.root.mkdir(parents=True)
    (ground.root / "audio").symlink_to(elsewhere)

    report = await ground.sync().pull()

    assert list(report.unlisted) == [Folder.AUDIO]
    assert list(elsewhere.iterdir()) == []


@pytest.mark.asyncio
async def test_an_archive_that_was_there_and_is_gone_stops_the_site(ground: SyncGround) -> None:
    """It is a drive that is not mounted; downloading it all again would fill the wrong disk."""
    fill_s3(ground)
    await ground.sync().pull()
    ground.root.rename(ground.data / "unmounted")
    ground.requests.seen.clear()

    with pytest.raises(LocalFilesMissing, match="held 5 files and holds none"):
        await ground.sync().pull()
    with pytest.raises(LocalFilesMissing):
        await ground.sync().push()

    assert ground.requests.seen == []
    assert not ground.root.exists()


@pytest.mark.asyncio
async def test_an_object_that_appears_meanwhile_is_not_overwritten(ground: SyncGround) -> None:
    """Between the listing and the upload another machine may have sent the same file."""
    ground.file(TRANSCRIPT, b"ours")

    def appear(verb: Verb, uri: S3Uri) -> None:
        if verb is Verb.PUT:
            ground.object(TRANSCRIPT, b"theirs", LATER)

    ground.requests.watch = appear
    report = await ground.sync().push()

    assert ground.held(TRANSCRIPT) == b"theirs"
    assert [note.path for note in report.deferred.named] == [TRANSCRIPT]


@pytest.mark.asyncio
async def test_a_file_that_changes_during_its_download_is_kept(ground: SyncGround) -> None:
    """Its owner has just written it; the next run compares anew."""
    ground.file(TRANSCRIPT, b"old")
    ground.object(TRANSCRIPT, b"from S3", LATER)

    def edit(verb: Verb, uri: S3Uri) -> None:
        if verb is Verb.GET:
            ground.file(TRANSCRIPT, b"edited", LATER)

    ground.requests.watch = edit
    report = await ground.sync().pull()

    assert ground.files()[TRANSCRIPT] == b"edited"
    assert [note.path for note in report.deferred.named] == [TRANSCRIPT]


@pytest.mark.asyncio
async def test_a_broken_download_is_tried_three_times(ground: SyncGround) -> None:
    """A dropped connection is no reason to leave a file for tomorrow."""
    ground.object(AUDIO, b"audio")
    tries: list[str] = []

    def fail_twice(verb: Verb, uri: S3Uri) -> ObjectError | None:
        if verb is not Verb.GET:
            return None
        tries.append(uri.key)
        return Unreachable(uri) if len(tries) < 3 else None

    ground.requests.fault = fail_twice
    report = await ground.sync().pull()

    assert report.status is SyncStatus.OK
    assert len(tries) == 3


def _denied(verb: Verb, key: str) -> Callable[[Verb, S3Uri], ObjectError | None]:
    def fault(each: Verb, uri: S3Uri) -> ObjectError | None:
        return AccessDenied(uri) if (each, uri.key) == (verb, key) else None

    return fault


@pytest.mark.asyncio
@pytest.mark.parametrize("rules", [SyncRules(), SyncRules(dry_run=True)])
async def test_looking_and_planning_leave_the_data_folder_as_it_is(
    ground: SyncGround, rules: SyncRules
) -> None:
    """Who asks what a first run would do has not begun one."""
    ground.object(AUDIO)

    sync = ground.sync(rules)
    report = await (sync.pull() if rules.dry_run else sync.look())

    assert report.total(State.ONLY_S3) == 1
    assert list(ground.data.iterdir()) == []
