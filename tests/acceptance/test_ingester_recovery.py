"""Things go wrong at several sites at once; all other work is done, and the next run mends them."""

from daemons.ingester.archive.folders import MANIFEST_PATH
from tests.support.aws_answers import throttled
from tests.support.aws_control import ROLE_NAME
from tests.support.ingest_archive import EARLIER, archive, key_of, lay_here, lay_there
from tests.support.ingest_checks import check_idle, check_in_step
from tests.support.ingest_feed import Published
from tests.support.ingest_project import ACCOUNT_A, ACCOUNT_B, SiteSetup
from tests.support.ingest_world import IngestWorld, Run
from tests.support.speaking import NEEDS_FFMPEG
from tests.support.strict_s3.access import KeyState
from tests.support.strict_s3.faults import Do, Fail, Fault
from tests.support.strict_s3.protocol import Call

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


RENEWED = SiteSetup("renewed", ACCOUNT_A, ("renewed-pod",), distribution="E5RENEWED")
CALM = SiteSetup("calm", ACCOUNT_B, ("calm-pod",))
LOST = SiteSetup("lost", ACCOUNT_C, ("lost-pod",))


def end_session(world: IngestWorld, site: SiteSetup, key: str) -> None:
    """Let a site's session end once S3 has such a key; for one of them the role is gone as well."""

    def expire(_call: Call) -> None:
        if site is LOST:
            world.aws.accounts.discard(site.account)
        for assumed in world.aws.assumed:
            if assumed.account_id == site.account:
                world.s3.access.keys[assumed.access_key] = KeyState.EXPIRED

    world.s3.faults.add(Fault(Do(expire), "PutObject", bucket=site.bucket, key=key, nth=1))


def test_a_session_that_ends_in_mid_phase_is_renewed_or_costs_its_site(world: IngestWorld) -> None:
    """A long upload outlives its keys; where the role has gone as well, no other site suffers."""
    for site in (RENEWED, CALM, LOST):
        world.add_site(site)
        day_by_day = [Published(site.podcasts[0], f"Day {day}", day) for day in range(6)]
        world.publish(site.id, *day_by_day)
        lay_here(world, site.id, archive(world, site.id, day_by_day), EARLIER)
    end_session(world, RENEWED, "audio/*")
    end_session(world, LOST, "rss/*")

    run = world.run()

    assert run.status == 1, run.why
    for site, roles in ((RENEWED, 2), (CALM, 1)):
        check_in_step(world, site.id)
        assert run.errors(site.id) == []
        assert world.aws.count(f"AssumeRole {site.account}") == roles
    assert [phase for phase, _ in run.errors(LOST.id)] == ["s3-sync"], run.why
    assert f"{LOST.account}:role/{ROLE_NAME}' cannot be assumed" in run.text
    assert MANIFEST_PATH not in world.remote(LOST.id)
    world.aws.accounts.add(LOST.account)
    world.forget()
    again = world.run()
    assert again.status == 0, again.why
    check_in_step(world, LOST.id)
    assert [(each.bucket, each.key) for each in world.writes()] == [(LOST.bucket, MANIFEST_PATH)]
    assert [each.function for each in world.aws.invoked] == [LOST.indexer]
    check_idle(world)
