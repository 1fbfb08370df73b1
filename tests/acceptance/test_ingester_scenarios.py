from collections.abc import Sequence

from daemons.ingester.archive.folders import MANIFEST_PATH, UPLOAD_ORDER, folder_of
from tests.support.ingest_archive import (
    EARLIER,
    LATER,
    archive,
    key_of,
    lay_here,
    lay_there,
    of,
)
from tests.support.ingest_checks import check_idle, check_in_step, manifest_of
from tests.support.ingest_feed import Published
from tests.support.ingest_project import ACCOUNT_A, ACCOUNT_B, SiteSetup
from tests.support.ingest_world import IngestWorld

SITE = SiteSetup("hardfork", ACCOUNT_B, ("hard-fork",), distribution="E2HARDFORK")


def episodes(count: int, podcast: str = "hard-fork") -> Sequence[Published]:
    """Return so many episodes, a day apart."""
    return [Published(podcast, f"Episode {day}: the {day}th", day) for day in range(count)]


def test_a_clean_slate_is_filled_from_s3(world: IngestWorld) -> None:
    """A new workstation gets every byte, and pays for no word a second time."""
    world.add_site(SITE)
    world.publish(SITE.id, *episodes(6))
    files = archive(world, SITE.id, episodes(6))
    lay_there(world, SITE.id, files)

    run = world.run()

    assert run.status == 0, run.why
    assert world.local(SITE.id) == files
    assert run.summary["totalFilesDownloaded"] == len(files)
    assert run.site(SITE.id)["filesMissingLocally"] == len(files)
    assert run.summary["totalEpisodesTranscribed"] == 0
    assert world.writes() == []
    assert world.aws.invoked == []
    check_idle(world)


def test_a_local_backlog_is_uploaded_the_manifest_last(world: IngestWorld) -> None:
    """Visitors never see an episode whose files are missing; one index is built for all of it."""
    world.add_site(SITE)
    world.publish(SITE.id, *episodes(6))
    files = archive(world, SITE.id, episodes(6))
    lay_here(world, SITE.id, files, EARLIER)

    run = world.run()

    assert run.status == 0, run.why
    check_in_step(world, SITE.id)
    sent = [each.key for each in world.writes()]
    assert sorted(sent) == sorted(files)
    folders = [UPLOAD_ORDER.index(found) for key in sent if (found := folder_of(key)) is not None]
    assert folders == sorted(folders)
    assert sent[-1] == MANIFEST_PATH
    assert run.site(SITE.id)["hadPreviousFiles"]
    assert [each.function for each in world.aws.invoked] == [SITE.indexer]
    assert [each.kind for each in world.aws.invoked] == ["Event"]
    assert [each.paths for each in world.aws.invalidated] == [
        ("/episode-manifest/*", "/search-entries/*")
    ]
    check_idle(world)


def test_differences_flow_both_ways_and_the_newer_one_wins(world: IngestWorld) -> None:
    """Two machines have worked on one site, each with changes of its own."""
    world.add_site(SITE)
    six = episodes(6)
    world.publish(SITE.id, *six)
    theirs, ours = archive(world, SITE.id, six[1:]), archive(world, SITE.id, six[:5])
    path_there = f"transcripts/hard-fork/{key_of(six[2])}.srt"
    path_here = f"transcripts/hard-fork/{key_of(six[3])}.srt"
    text = b"1\n00:00:00,000 --> 00:00:02,900\n%s\n"
    lay_here(world, SITE.id, ours, EARLIER)
    lay_here(world, SITE.id, {path_here: text % b"Mended here."}, LATER)
    lay_there(world, SITE.id, {**theirs, path_there: text % b"Mended there."})

    run = world.run()

    assert run.status == 0, run.why
    check_in_step(world, SITE.id)
    local = world.local(SITE.id)
    assert local[path_there] == text % b"Mended there."
    assert local[path_here] == text % b"Mended here."
    assert [entry["title"] for entry in manifest_of(local)] == [each.title for each in six]
    assert run.summary["totalEpisodesTranscribed"] == 0
    assert run.site(SITE.id)["renumberedEpisodes"] > 0
    assert {each.key for each in world.writes()}.isdisjoint(of(theirs, "audio/"))
    assert [each.function for each in world.aws.invoked] == [SITE.indexer]
    check_idle(world)


def test_only_the_chosen_sites_are_touched(world: IngestWorld) -> None:
    """No role, no request and no file of a site that was not asked for."""
    for account, name in ((ACCOUNT_A, "naddpod"), (ACCOUNT_B, "hardfork"), (ACCOUNT_B, "other")):
        site = world.add_site(SiteSetup(name, account, (f"{name}-pod",)))
        world.publish(site.id, *episodes(1, f"{name}-pod"))

    chosen = ("--sites", " hardfork, naddpod")
    run = world.run(*chosen)

    assert run.status == 0, run.why
    for name in ("naddpod", "hardfork"):
        check_in_step(world, name)
    assert sorted(each["siteId"] for each in run.summary["results"]) == ["hardfork", "naddpod"]
    assert not world.project.mirror("other").exists()
    assert world.aws.count("AssumeRole") == 2
    assert not [each for each in world.aws.assumed if "other" in each.session_name]
    assert not [each for each in world.s3.requests() if each.bucket.startswith("other")]
    assert world.web.asked("/feeds/other-pod.xml") == []
    check_idle(world, *chosen)
