"""Things go wrong at several sites at once; all other work is done, and the next run mends them."""

from tests.support.aws_answers import throttled
from tests.support.ingest_archive import archive, key_of, lay_there
from tests.support.ingest_checks import check_idle, check_in_step
from tests.support.ingest_feed import Published
from tests.support.ingest_project import ACCOUNT_A, ACCOUNT_B, SiteSetup
from tests.support.ingest_world import IngestWorld, Run
from tests.support.speaking import NEEDS_FFMPEG
from tests.support.strict_s3.faults import Fail, Fault

pytestmark = NEEDS_FFMPEG

ACCOUNT_C = "333333333333"
DENIED = SiteSetup("denied", ACCOUNT_C, ("denied-pod",))
DOWNLOAD = SiteSetup("download", ACCOUNT_A, ("download-pod",))
CHUNK = SiteSetup("chunk", ACCOUNT_B, ("chunk-pod",), distribution="E4CHUNK")
UPLOAD = SiteSetup("upload", ACCOUNT_A, ("upload-pod",))
TRIGGER = SiteSetup("trigger", ACCOUNT_B, ("trigger-pod",))
BUSY = SiteSetup("busy", ACCOUNT_A, ("busy-pod",))
ALL = (BUSY, CHUNK, DENIED, DOWNLOAD, TRIGGER, UPLOAD)
MUMBLED = "Mumbled"


def lay_out(world: IngestWorld) -> None:
    """Give each site its trouble; some have an episode that has nothing to do with it."""
    for site in ALL:
        world.add_site(site)
        podcast = site.podcasts[0]
        title = MUMBLED if site is CHUNK else "First"
        world.publish(site.id, Published(podcast, title, 0, seconds=40))
        if site in (CHUNK, DOWNLOAD):
            world.publish(site.id, Published(podcast, "Second", 1))
    world.aws.accounts.discard(ACCOUNT_C)
    first = world.published[DOWNLOAD.id][0]
    lay_there(world, DOWNLOAD.id, archive(world, DOWNLOAD.id, world.published[DOWNLOAD.id]))
    lost = f"audio/download-pod/{key_of(first)}.mp3"
    world.s3.faults.add(Fault(Fail("InternalError"), "GetObject", bucket=DOWNLOAD.bucket, key=lost))
    world.s3.faults.add(
        Fault(Fail("SlowDown"), "PutObject", bucket=UPLOAD.bucket, key="audio/*First*")
    )
    (world.known / f"2024-03-01_{MUMBLED}.srt").write_text("no cue at all\n")
    world.aws.functions.discard(TRIGGER.indexer)
    world.aws.answers[BUSY.indexer] = [throttled()]


def mend(world: IngestWorld) -> None:
    """Take every trouble away."""
    world.aws.accounts.add(ACCOUNT_C)
    world.s3.faults.clear()
    (world.known / f"2024-03-01_{MUMBLED}.srt").unlink()
    world.aws.functions.add(TRIGGER.indexer)
    world.aws.answers.clear()


def test_each_failure_costs_itself_and_the_next_run_mends_it(world: IngestWorld) -> None:
    """A role, a download, a chunk of speech, an upload and two triggers fail in one night."""
    lay_out(world)

    run = world.run("--sites-at-once", "6")

    check_what_failed(world, run)
    mend(world)
    world.forget()
    again = world.run()
    check_what_was_mended(world, again)
    check_idle(world)


def check_what_failed(world: IngestWorld, run: Run) -> None:
    """Every failure is told, and nothing else has failed."""
    assert run.status == 1, run.why
    failed = {
        site.id: {phase for phase, _ in run.errors(site.id)} for site in ALL if site is not DENIED
    }
    assert failed == {
        BUSY.id: {"cloud-indexing"},
        CHUNK.id: {"audio-processing"},
        DOWNLOAD.id: {"pre-sync"},
        TRIGGER.id: {"cloud-indexing"},
        UPLOAD.id: {"s3-sync"},
    }, run.why
    assert set(run.statuses(DENIED.id).values()) <= {"failed", "blocked", "skipped"}
    assert world.remote(DENIED.id) == {}
    assert run.site(CHUNK.id)["newEpisodesTranscribed"] == 1
    assert run.site(CHUNK.id)["transcriptionFailures"] == 1
    assert run.summary["errorCount"] >= len(ALL)
    assert world.web.asked("/audio/download-pod/0.mp3") == []
    assert sorted({each.function for each in world.aws.invoked}) == [CHUNK.indexer, UPLOAD.indexer]
    for site in ALL:
        assert site.id in run.text


def check_what_was_mended(world: IngestWorld, run: Run) -> None:
    """The second run did what was missing, and nothing a second time."""
    assert run.status == 0, run.why
    for site in ALL:
        check_in_step(world, site.id)
    written = {site.id: set[str]() for site in ALL}
    for each in world.writes():
        written[each.bucket.removesuffix("-browse-dot-show")].add(each.key.partition("/")[0])
    assert written[BUSY.id] == written[TRIGGER.id] == written[DOWNLOAD.id] == set()
    assert written[UPLOAD.id] == {"audio"}
    assert written[CHUNK.id] == {"transcripts", "search-entries"}
    assert sorted(each.function for each in world.aws.invoked) == sorted(
        site.indexer for site in ALL if site is not DOWNLOAD
    )
    assert run.summary["totalEpisodesTranscribed"] == 2
    assert run.site(DOWNLOAD.id)["s3PreSyncFilesDownloaded"] == 1
