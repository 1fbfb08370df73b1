"""A dry run of a site: it says what the next run does, and changes nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from daemons.ingester.archive.episode import epoch_ms
from daemons.ingester.phases.index_marker import pending_marker
from tests.support.site_runs import ARCHIVED, ENTRIES, PODCAST, SRT, OneFeed, RunGround, feed_of
from tests.support.syncing import (
    NOON,
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
async def test_a_dry_run_plans_every_phase_and_changes_nothing(ground: RunGround) -> None:
    """Somebody moves a large archive in, and wants to know first."""
    ground.fill_here()
    before = ground.inodes()

    result = await ground.run(dry_run=True)

    assert {line.partition(" ")[0] for line in result.planned} >= {"upload", "write", "invoke"}
    assert (ground.writes(), ground.account.invoked, ground.inodes()) == (0, [], before)
    assert not pending_marker(ground.state, SITE).is_set()


@pytest.mark.asyncio
@pytest.mark.parametrize("runs_before", [0, 1])
async def test_a_dry_run_writes_nothing_into_the_state_folder(
    ground: RunGround, runs_before: int
) -> None:
    """It may be another user's, or lie on a disk that is read-only; a plan needs no more."""
    ground.fill_here()
    for _ in range(runs_before):
        await ground.run()
    ground.file(ENTRIES, b"[]")
    before = _stamps(ground.state)

    result = await ground.run(dry_run=True)

    assert result.planned
    assert _stamps(ground.state) == before
    assert ground.state.exists() == bool(runs_before)


@pytest.mark.asyncio
async def test_a_dry_run_follows_a_new_episode_through_all_phases(ground: RunGround) -> None:
    """Its files are on no disk yet, and yet it is transcribed, uploaded and indexed by the run."""
    ground.podcast = replace(PODCAST, active=True)
    ground.web = OneFeed(feed_of("https://cdn.example/pilot.mp3"))

    result = await ground.run(dry_run=True)

    key = f"hard-fork/2022-09-27_Pilot--{epoch_ms(NOON)}"
    paths = [f"audio/{key}.mp3", f"transcripts/{key}.srt", f"search-entries/{key}.json"]
    made = [*paths, manifest_path(), "rss/hard-fork.xml"]
    assert set(result.planned) == {
        f"add {key} 'Pilot'",
        *(
            f"{verb} {path}"
            for verb, path in zip(("download", "transcribe", "write"), paths, strict=True)
        ),
        f"write {manifest_path()}",
        "archive rss/hard-fork.xml",
        *(f"upload {path}" for path in made),
        f"invoke srt-indexing-{SITE}",
        "invalidate the caches of E2EXAMPLE",
    }
    assert ground.files() == {}


@pytest.mark.asyncio
async def test_a_dry_run_transcribes_nothing_that_s3_has(ground: RunGround) -> None:
    """A lost audio file is fetched from the web again, and its transcript is not made again."""
    ground.object(manifest_path(), manifest_bytes([ARCHIVED]))
    ground.object(TRANSCRIPT, SRT)
    ground.podcast = replace(PODCAST, active=True)
    ground.web = OneFeed(feed_of(str(ARCHIVED["originalAudioURL"])))

    result = await ground.run(dry_run=True)

    assert f"download {TRANSCRIPT}" in result.planned
    assert not [line for line in result.planned if line.startswith("transcribe ")]


@pytest.mark.asyncio
async def test_a_dry_run_judges_by_the_manifest_that_the_pre_sync_would_leave(
    ground: RunGround,
) -> None:
    """On a new machine every episode would otherwise be planned as a new one."""
    ground.object(manifest_path(), manifest_bytes([ARCHIVED]))
    ground.podcast = replace(PODCAST, active=True)
    ground.web = OneFeed(feed_of(str(ARCHIVED["originalAudioURL"])))

    result = await ground.run(dry_run=True)

    assert [line for line in result.planned if line.startswith("add ")] == []
    assert result.new_episodes == 0
    assert ground.files() == {}


def _stamps(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return what changes when anything below a folder is made, written or replaced."""
    return {
        path: (path.stat().st_ino, path.stat().st_ctime_ns)
        for path in (folder, *folder.rglob("*"))
        if path.exists()
    }
