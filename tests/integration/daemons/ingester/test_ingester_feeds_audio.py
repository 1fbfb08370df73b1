import errno
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from daemons.ingester.archive.folders import MANIFEST_PATH, Folder
from daemons.ingester.mirror import manifest_file
from daemons.ingester.phases import feeds
from daemons.ingester.phases.feeds import FeedRules, FeedsReport
from daemons.ingester.phases.outcome import PhaseStatus
from daemons.ingester.web.partial import Partial
from tests.support.feeding import FeedsGround, item, music, reasons, rss, warnings
from tests.support.gate import Gate
from tests.support.podcast_web import LIMITS, answer, endless, held
from tests.support.syncing import episode, manifest_bytes


def known(ground: FeedsGround, *numbers: int) -> list[str]:
    """Have entries whose audio is not here, and return where it belongs."""
    entries = [episode(number, originalAudioURL=ground.audio(number)) for number in numbers]
    ground.file(MANIFEST_PATH, manifest_bytes(entries))
    ground.podcast("hard-fork", answer(rss()))
    return [f"audio/hard-fork/{entry['fileKey']}.mp3" for entry in entries]


@pytest.mark.asyncio
async def test_missing_audio_of_old_entries_comes_too(ground: FeedsGround) -> None:
    """An empty file counts as missing: it is what a crash of the original left."""
    paths = known(ground, 1, 2, 3)
    ground.file(paths[1], b"")
    ground.file(paths[2], b"somebody's")

    report = await ground.run()

    assert report.audio_downloads == 2
    assert [ground.files()[path] for path in paths] == [music(1), music(2), b"somebody's"]
    assert report.made == {"rss/hard-fork.xml", *paths[:2]}


@pytest.mark.asyncio
async def test_name_in_another_unicode_form_is_here(ground: FeedsGround) -> None:
    """A Mac has stored a legacy key decomposed; it is the same file."""
    entry = episode(1, fileKey="2020-01-23_Caf\u00e9", originalAudioURL=ground.audio(1))
    ground.file(MANIFEST_PATH, manifest_bytes([entry]))
    ground.file("audio/hard-fork/2020-01-23_Cafe\u0301.mp3")
    ground.podcast("hard-fork", answer(rss()))

    report = await ground.run()

    assert (report.audio_downloads, ground.web.asked("/1.mp3")) == (0, [])


@pytest.mark.asyncio
@pytest.mark.parametrize("whole_folder", [True, False])
async def test_what_s3_may_have_is_not_downloaded_anew(
    ground: FeedsGround,
    whole_folder: bool,  # noqa: FBT001 - a row
) -> None:
    """Other bytes under the same key would meet later; what is new today S3 cannot have."""
    path = known(ground, 1)[0]
    ground.podcast("hard-fork", answer(rss(*ground.items(5))))
    rules = FeedRules(avoid_folders=[Folder.AUDIO]) if whole_folder else FeedRules(avoid=[path])

    report = await ground.run(rules)

    assert f"{path}: not downloaded" in warnings(report)
    assert report.outcome.status is PhaseStatus.OK
    assert ground.web.asked("/1.mp3") == []
    assert ground.audio_here() == {"hard-fork/2024-07-06_Episode_5": music(5)}


@pytest.mark.asyncio
async def test_three_downloads_a_site(ground: FeedsGround) -> None:
    """A backlog of years must not take the line from everybody; each host has a bound beside."""
    gate = Gate()
    items = [item(n, ground.web.put(f"/{n}.mp3", held(music(n), gate))) for n in range(1, 6)]
    ground.podcast("hard-fork", answer(rss(*items)))
    report = FeedsReport()

    async def run() -> None:
        await ground.run(limits=replace(LIMITS, per_host=10), report=report)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await gate.reached(3)
        with anyio.move_on_after(0.2):
            await gate.reached(4)
        assert gate.arrivals == 3
        gate.open()

    assert report.audio_downloads == 5


@pytest.mark.asyncio
async def test_cancelled_phase_says_what_it_did(
    ground: FeedsGround, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The summary of an interrupted run must not forget what is on the disk; and it was told."""
    monkeypatch.setattr(feeds, "BEAT_SECONDS", 0.001)
    gate = Gate()
    second = item(2, ground.web.put("/2.mp3", endless(music(2), gate)))
    ground.podcast("hard-fork", answer(rss(*ground.items(1), second)))
    report = FeedsReport()
    placed = anyio.Event()

    async def run() -> None:
        await ground.run(
            report=report, step=lambda name: placed.set() if name == "audio_placed" else None
        )

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await gate.reached()
        with anyio.fail_after(20):
            await placed.wait()
        tasks.cancel_scope.cancel()
    gate.open()

    assert (report.new_episodes, report.audio_downloads) == (2, 1)
    assert report.made == set(ground.files())


@pytest.mark.asyncio
async def test_full_disk_ends_the_phase(
    ground: FeedsGround, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else would fit: no further server is asked, and the entries keep their keys."""

    def full(_partial: Partial, _piece: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    ground.podcast("hard-fork", answer(rss(*ground.items(*range(1, 30)))))
    ground.podcast("second", answer(rss()))
    with monkeypatch.context() as patch:
        patch.setattr(Partial, "append", full)
        report = await ground.run()

    assert report.outcome.status is PhaseStatus.FAILED
    assert "the disk is full" in report.outcome.fatal
    assert ground.web.asked("/second.xml") == []
    assert len(ground.web.seen) < 29
    keys = [entry["fileKey"] for entry in ground.entries()]
    again = await ground.run()
    assert (again.outcome.status, again.audio_downloads) == (PhaseStatus.OK, 29)
    assert [entry["fileKey"] for entry in ground.entries()] == keys


@pytest.mark.asyncio
async def test_nothing_is_downloaded_under_keys_that_are_not_saved(
    ground: FeedsGround, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next run would give other keys, and the files would be nobody's."""
    ground.podcast("hard-fork", answer(rss(*ground.items(1))))
    monkeypatch.setattr(manifest_file, "MANIFEST_BYTES_MAX", 10)

    report = await ground.run()

    assert "manifest of 'hardfork' would have" in report.outcome.fatal
    assert report.new_episodes == 0
    assert ground.web.asked("/1.mp3") == []
    assert list(ground.files()) == ["rss/hard-fork.xml"]


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["link", "folder"])
async def test_nothing_is_written_through_what_is_no_file(
    ground: FeedsGround, tmp_path: Path, kind: str
) -> None:
    """A link in the mirror leads wherever somebody made it lead; a folder would be tried daily."""
    path, other = known(ground, 1, 2)
    target = ground.root / path
    target.parent.mkdir(parents=True)
    if kind == "link":
        target.symlink_to(tmp_path / "elsewhere")
    else:
        target.mkdir()

    report = await ground.run()

    assert f"{path}: " in reasons(report)
    assert report.audio_downloads == 1
    assert ground.files()[other] == music(2)
    assert ground.web.asked("/1.mp3") == []
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.asyncio
async def test_feed_that_cannot_be_archived_is_taken_in(ground: FeedsGround) -> None:
    """A file where a folder belongs: the episodes come, and the feed is asked for in full again."""
    ground.file("rss", b"a file")
    ground.podcast("hard-fork", answer(rss(*ground.items(1)), ETag='"1"'))

    report = await ground.run()

    assert report.outcome.problems.named[0].path == "hard-fork"
    assert report.outcome.status is PhaseStatus.PARTIAL


@pytest.mark.asyncio
async def test_link_in_the_archive_is_not_followed(ground: FeedsGround, tmp_path: Path) -> None:
    """It costs the feed; what it leads to is neither read nor overwritten."""
    outside = tmp_path / "outside.xml"
    outside.write_bytes(b"mine")
    (ground.root / "rss").mkdir(parents=True)
    (ground.root / "rss" / "hard-fork.xml").symlink_to(outside)
    ground.podcast("hard-fork", answer(rss(*ground.items(1))))

    report = await ground.run()

    assert "symbolic link" in reasons(report)
    assert outside.read_bytes() == b"mine"


@pytest.mark.asyncio
async def test_unfinished_downloads_that_nobody_wants_are_removed(ground: FeedsGround) -> None:
    """An episode that failed once and is here by now must not fill the work folder for ever."""
    known(ground, 1)
    ground.place.downloads.mkdir(parents=True)
    for name in ("aa.part", "aa.json"):
        (ground.place.downloads / name).write_bytes(b"half")

    await ground.run()

    assert ground.left_over() == []
