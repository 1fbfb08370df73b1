import json
import re
from collections.abc import Iterable
from resource import RUSAGE_CHILDREN, getrusage

import pytest

from daemons.ingester.project.credentials import FILE_NAME
from daemons.ingester.project.mappings import LOCAL_FILES_NAME, MAPPINGS_NAME
from daemons.ingester.project.sites import CONFIG_NAME
from tests.support.daemon import start_fresh
from tests.support.ingest_archive import EARLIER, archive, lay_here, lay_there, without
from tests.support.ingest_checks import check_in_step
from tests.support.ingest_feed import Published
from tests.support.ingest_project import ACCOUNT_A, ACCOUNT_B, SiteSetup
from tests.support.ingest_world import IngestWorld
from tests.support.podcast_web import answer
from tests.support.speaking import NEEDS_FFMPEG

pytestmark = NEEDS_FFMPEG

SITE = SiteSetup("hardfork", ACCOUNT_B, ("hard-fork",), distribution="E2HARDFORK")
OTHER = SiteSetup("naddpod", ACCOUNT_A, ("nadd-pod",))


def lay_out(world: IngestWorld) -> None:
    """Two sites with an episode each."""
    for site in (SITE, OTHER):
        world.add_site(site)
        world.publish(site.id, Published(site.podcasts[0], "First", 0))


def nothing_happened(world: IngestWorld) -> bool:
    """Say whether nobody was asked for anything."""
    return not (world.s3.requests() or world.aws.asked or world.web.seen)


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["--sites", "nosuch"], ["nosuch", "hardfork", "naddpod"]),
        (["--sites", "hardfork,nosuch"], ["nosuch"]),
        (["--sites", " , "], ["names no site"]),
        (["--skip-presync"], ["--skip-presync"]),
        (["--sync-folders", "audio,videos"], ["videos"]),
        (["--max-episodes", "0"], ["--max-episodes", "0"]),
        (["nosuch-verb"], ["nosuch-verb", "gap"]),
    ],
)
def test_a_mistake_in_the_command_is_told_before_anything_is_done(
    world: IngestWorld, argv: list[str], named: list[str]
) -> None:
    """Status 2 and a line that names it: a typo must neither run all sites nor skip none."""
    lay_out(world)

    run = world.run(*argv) if argv[0].startswith("-") else world.command(*argv)

    assert run.status == 2, run.why
    assert all(word in run.text for word in named), run.text
    assert "Traceback" not in run.text
    assert nothing_happened(world)


@pytest.mark.parametrize("name", [FILE_NAME, MAPPINGS_NAME, LOCAL_FILES_NAME])
def test_a_project_that_lacks_something_begins_nothing(world: IngestWorld, name: str) -> None:
    """No keys, no mappings, or a drive that is not mounted: nothing is downloaded elsewhere."""
    lay_out(world)
    path = world.project.root / name
    if name == LOCAL_FILES_NAME:
        path.write_text(json.dumps({"localFilesPath": str(world.folder / "not-mounted")}))
    else:
        path.unlink()

    run = world.run()

    assert run.status == 2, run.why
    assert name in run.text
    assert nothing_happened(world)


def test_a_broken_site_is_an_error_of_its_own(world: IngestWorld) -> None:
    """The others run, the summary names it, and status 1 says that something is wrong."""
    lay_out(world)
    (world.project.folder(OTHER.id) / CONFIG_NAME).write_text("{ not json")
    unmapped = SiteSetup("unmapped", ACCOUNT_A, ("un-mapped",))
    world.add_site(unmapped)
    path = world.project.root / MAPPINGS_NAME
    mappings = json.loads(path.read_text())
    del mappings[unmapped.id]
    path.write_text(json.dumps(mappings))

    run = world.run()

    assert run.status == 1, run.why
    check_in_step(world, SITE.id)
    for site in (OTHER, unmapped):
        assert [phase for phase, _ in run.errors(site.id)] == ["configuration"]
        assert site.id in run.text
        assert not world.project.mirror(site.id).exists()
    assert world.aws.count("AssumeRole") == 1


def test_a_dry_run_says_exactly_what_the_next_run_does(world: IngestWorld) -> None:
    """It asks S3 and the feeds, writes nothing anywhere, and is believed before a first run."""
    world.add_site(SITE)
    episodes = [Published("hard-fork", f"Old {day}", day) for day in range(3)]
    world.publish(SITE.id, *episodes)
    files = archive(world, SITE.id, episodes)
    world.publish(SITE.id, Published("hard-fork", "New", 3))
    here, there = without(files, "Old_0", "rss/"), without(files, "Old_2", "rss/")
    lay_here(world, SITE.id, here, EARLIER)
    lay_there(world, SITE.id, there)
    before = world.touched()

    dry = world.run("--dry-run")

    assert dry.status == 0, dry.why
    assert world.writes() == []
    assert world.aws.invoked == []
    assert world.touched() == before
    assert not (world.state / "runs").exists()
    planned = [line.partition("\t")[2] for line in dry.daemon.output.splitlines() if "\t" in line]
    run = world.run()
    assert run.status == 0, run.why
    check_in_step(world, SITE.id)
    new = [path for path in world.local(SITE.id) if "_New--" in path]
    assert of_verb(planned, "download") == undated(
        [*(there.keys() - here), *(path for path in new if path.startswith("audio/"))]
    )
    assert of_verb(planned, "transcribe") == undated(
        path for path in new if path.startswith("transcripts/")
    )
    assert of_verb(planned, "upload") == undated(each.key for each in world.writes())
    assert f"invoke {SITE.indexer}" in planned
    assert f"invalidate the caches of {SITE.distribution}" in planned


def of_verb(planned: Iterable[str], verb: str) -> set[str]:
    """Return the paths about which so much is planned."""
    return undated(line.removeprefix(f"{verb} ") for line in planned if line.startswith(f"{verb} "))


def undated(paths: Iterable[str]) -> set[str]:
    """Return paths without the time in their key: a later run takes an episode in later."""
    return {re.sub(r"--\d+\.", ".", path) for path in paths}


def test_a_local_run_needs_no_keys_and_asks_nobody_in_aws(world: IngestWorld) -> None:
    """Fetching and transcribing can go on where the keys are not."""
    lay_out(world)
    (world.project.root / FILE_NAME).unlink()

    run = world.run("--local-only")

    assert run.status == 0, run.why
    assert world.s3.requests() == []
    assert world.aws.asked == []
    assert run.summary["totalEpisodesTranscribed"] == 2
    assert run.summary["totalSearchEntryFilesWritten"] == 2
    assert run.statuses(SITE.id)["s3-sync"] == "skipped"


def test_a_run_that_is_not_due_ends_at_once(world: IngestWorld) -> None:
    """A login item calls it at every login: under a second, nobody asked, though an item failed."""
    lay_out(world)
    world.publish(SITE.id, Published("hard-fork", "Not there", 1), audio=answer(b"", 404))
    assert world.run().status == 1
    world.forget()
    before = getrusage(RUSAGE_CHILDREN)

    run = world.run("--min-interval-hours", "24", starter=start_fresh)

    after = getrusage(RUSAGE_CHILDREN)
    # Of processor time: the clock on the wall tells how busy the machine is.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1
    assert run.status == 0, run.why
    assert run.summary == {}
    assert nothing_happened(world)


def test_an_index_that_is_built_here_is_uploaded_and_searched(world: IngestWorld) -> None:
    """The second way: a command makes the index, and the search is told to fetch it."""
    world.add_site(SITE)
    world.publish(SITE.id, Published("hard-fork", "First", 0))
    build = world.folder / "build.sh"
    build.write_text('#!/bin/sh\nls "$2" > "$3"\n')
    build.chmod(0o755)
    argv = ["--index-mode", "local"]
    for word in (str(build), "{site}", "{root}", "{index}"):
        argv += ["--index-command", word]

    run = world.run(*argv)

    assert run.status == 0, run.why
    index = world.remote(SITE.id)["search-index/orama_index.msp"]
    assert b"transcripts" in index
    assert [(each.function, json.loads(each.payload)) for each in world.aws.invoked] == [
        (SITE.searcher, {"forceFreshDBFileDownload": True})
    ]


def test_the_gap_is_reported_and_nothing_is_moved(world: IngestWorld) -> None:
    """What a first run would do, in the words of the old report."""
    world.add_site(SITE)
    episodes = [Published("hard-fork", f"Episode {day}", day) for day in range(4)]
    world.publish(SITE.id, *episodes)
    files = archive(world, SITE.id, episodes)
    lay_here(world, SITE.id, without(files, "Episode_0"), EARLIER)
    lay_there(world, SITE.id, without(files, "Episode_3"))
    before = world.touched()

    run = world.command("gap", "--sites", SITE.id, "--format", "json")

    assert run.status == 0, run.why
    report = json.loads(run.daemon.output)
    report = report[0] if isinstance(report, list) else report
    assert report["siteId"] == SITE.id
    assert report["bucket"] == SITE.bucket
    assert [path for path in report["localOnly"]["audio"] if "Episode_3" in path]
    assert [path for path in report["s3Only"]["transcripts"] if "Episode_0" in path]
    assert len(report["consistent"]["searchEntries"]) == 2
    assert report["summary"]["totalConflictFiles"] == len(report["conflicts"]) == 0
    assert world.writes() == []
    assert world.touched() == before
