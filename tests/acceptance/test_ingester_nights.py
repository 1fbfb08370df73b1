import json
from fnmatch import fnmatchcase

from tests.support.aws_control import CENTRAL_SECRET
from tests.support.daemon import start_fresh
from tests.support.ingest_archive import archive, key_of, lay_here, without
from tests.support.ingest_checks import check_idle, check_in_step, manifest_of
from tests.support.ingest_feed import Published
from tests.support.ingest_project import ACCOUNT_A, ACCOUNT_B, SiteSetup
from tests.support.ingest_world import IngestWorld, Run
from tests.support.speaking import NEEDS_FFMPEG

pytestmark = NEEDS_FFMPEG

PHASES = (
    *("pre-sync", "consistency-check", "rss-retrieval", "audio-processing"),
    *("search-entries", "s3-sync", "cloud-indexing", "cloudfront-invalidation"),
)
LONG = SiteSetup("a-site-whose-name-has-thirty-two", ACCOUNT_A, ("long-names",))
FAIRPLAY = SiteSetup(
    "listenfairplay",
    ACCOUNT_B,
    ("football-cliches", "for-our-sins", "old-archive"),
    distribution="E3FAIRPLAY",
    inactive=frozenset({"old-archive"}),
    corrections={"This is said": "That was said"},
)
OLD = Published("old-archive", "From the attic", -400)


def lay_out(world: IngestWorld) -> None:
    """Two sites in two accounts: one from nothing, one with two feeds and an archive."""
    world.add_site(LONG)
    world.publish(LONG.id, *(Published("long-names", f"Chapter {day}", day) for day in range(2)))
    world.add_site(FAIRPLAY)
    world.publish(
        FAIRPLAY.id,
        Published("football-cliches", "Against all odds", 0),
        Published("football-cliches", "1984", 1, guid=""),
        Published("for-our-sins", "Of two halves", 2),
    )
    # Not fetched any more, and never transcribed so far.
    world.published[FAIRPLAY.id].append(OLD)
    old = without(archive(world, FAIRPLAY.id, [OLD]), "transcripts/", "search-entries/")
    lay_here(world, FAIRPLAY.id, {path: body for path, body in old.items() if "rss/" not in path})


def check_first_night(world: IngestWorld, run: Run) -> None:
    """Check that everything was done for both sites, and told."""
    assert run.status == 0, run.why
    for site in (LONG, FAIRPLAY):
        check_in_step(world, site.id)
        assert run.statuses(site.id) == {
            phase: "ok" if site.distribution or phase != PHASES[-1] else "skipped"
            for phase in PHASES
        }
    assert run.summary["totalEpisodesTranscribed"] == 6
    assert run.summary["totalAudioFilesDownloaded"] == 5
    assert run.site(FAIRPLAY.id)["spellingCorrectionsApplied"] > 0
    assert sorted(each.function for each in world.aws.invoked) == [LONG.indexer, FAIRPLAY.indexer]


def test_a_night_goes_from_the_feeds_to_the_index(world: IngestWorld) -> None:
    """The main job, by a process as a timer starts it; the next run finds nothing to do."""
    lay_out(world)

    run = world.run("--log-level", "debug", starter=start_fresh)

    check_first_night(world, run)
    check_rights(world, run)
    said = world.local(FAIRPLAY.id)
    assert b"This is said" not in b"".join(said[path] for path in said if path.endswith(".srt"))
    assert world.s3.count("*Multipart*") == 0
    check_idle(world)


def check_rights(world: IngestWorld, run: Run) -> None:
    """One AssumeRole a site, a session name that STS takes, a policy for this site alone."""
    assert world.aws.count("AssumeRole") == 2
    for site in (LONG, FAIRPLAY):
        assumed = next(each for each in world.aws.assumed if each.account_id == site.account)
        assert len(assumed.session_name) <= 64
        assert fnmatchcase(assumed.session_name, "auto-*-*[0-9]")
        other = (FAIRPLAY if site is LONG else LONG).bucket
        assert assumed.policy is not None
        assert assumed.allows("s3:PutObject", f"arn:aws:s3:::{site.bucket}/audio/x.mp3")
        assert not assumed.allows("s3:PutObject", f"arn:aws:s3:::{other}/audio/x.mp3")
    said = "".join(json.dumps(dict(event.fields)) for event in run.daemon.events()) + run.text
    assert CENTRAL_SECRET not in said
    assert not [each for each in world.aws.assumed if each.token in said]


def test_an_older_episode_moves_the_numbers_of_all_later_ones(world: IngestWorld) -> None:
    """Public links change, which is told; no entry keeps an old number, nothing is said twice."""
    world.add_site(FAIRPLAY)
    cliches = [Published("football-cliches", f"Week {day}", day) for day in (7, 14, 21)]
    world.publish(FAIRPLAY.id, *cliches)
    assert world.run().status == 0
    world.forget()
    world.publish(FAIRPLAY.id, Published("for-our-sins", "Found on a tape", 1))

    # Counts come from the work itself, never from lines that somebody may have switched off.
    run = world.run("--log-level", "error")

    assert run.status == 0, run.why
    assert run.daemon.events() == []
    check_in_step(world, FAIRPLAY.id)
    assert run.site(FAIRPLAY.id)["renumberedEpisodes"] == 3
    assert run.summary["totalEpisodesTranscribed"] == 1
    assert run.summary["totalSearchEntryFilesWritten"] == 4
    assert len([each for each in world.writes() if each.key.startswith("audio/")]) == 1
    assert len(world.aws.invoked) == 1
    check_idle(world)


def test_an_episode_that_two_feeds_publish_is_kept_once(world: IngestWorld) -> None:
    """One show, two feeds: the first one that was seen has it, whatever the other calls it."""
    world.add_site(FAIRPLAY)
    world.publish(FAIRPLAY.id, Published("football-cliches", "The same, twice", 3))
    world.repeat(FAIRPLAY.id, Published("for-our-sins", "The same, twice", 3, guid="other"))

    run = world.run()

    assert run.status == 0, run.why
    check_in_step(world, FAIRPLAY.id)
    entries = manifest_of(world.local(FAIRPLAY.id))
    assert [entry["podcastId"] for entry in entries] == ["football-cliches"]
    assert world.web.asked("/audio/for-our-sins/3.mp3") == []
    assert run.summary["totalEpisodesTranscribed"] == 1


def test_a_transcript_that_comes_before_its_audio_is_not_made_again(world: IngestWorld) -> None:
    """Whichever file arrives first, here or in S3: no minute of speech is paid for twice."""
    world.add_site(LONG)
    episode = Published("long-names", "Chapter 0", 0)
    world.publish(LONG.id, episode)
    files = archive(world, LONG.id, [episode])
    world.s3.seed(LONG.bucket, without(files, "audio/"))

    run = world.run()

    assert run.status == 0, run.why
    check_in_step(world, LONG.id)
    assert run.summary["totalAudioFilesDownloaded"] == 1
    assert run.summary["totalEpisodesTranscribed"] == 0
    assert f"audio/long-names/{key_of(episode)}.mp3" in world.remote(LONG.id)
