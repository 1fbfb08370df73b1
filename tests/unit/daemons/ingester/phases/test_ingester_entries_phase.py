import errno
import json
import os
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from daemons.ingester.archive.episode import Episode
from daemons.ingester.archive.folders import MANIFEST_PATH, search_entries_path, transcript_path
from daemons.ingester.mirror.episode_entries import expected_entries
from daemons.ingester.phases import entries
from daemons.ingester.phases.entries import EntriesPreview, EntriesReport, write_entries
from daemons.ingester.phases.outcome import PhaseStatus
from tests.support.speech_ground import PODCAST, WORDS, SpeechGround
from tests.support.syncing import episode

KEY = "2024-07-21_E--1700000000000"
NEWER = "2024-07-21_E--1800000000000"
OTHER = "2024-07-22_F--1700000000000"
LEGACY = "2020-01-23_Cafe\u0301"
TARGET = search_entries_path(PODCAST, KEY)


@pytest.fixture
def ground(tmp_path: Path) -> SpeechGround:
    """A site with one episode and its transcript."""
    place = SpeechGround(tmp_path)
    place.manifest(KEY)
    place.file(transcript_path(PODCAST, KEY), WORDS.format("Hello."))
    return place


async def write(ground: SpeechGround, *, dry_run: bool = False) -> EntriesReport:
    """Run the phase."""
    with anyio.fail_after(20):
        preview = EntriesPreview() if dry_run else None
        return await write_entries(ground.site, ground.place, preview=preview)


def ids(ground: SpeechGround, key: str = KEY) -> list[str]:
    """The ids in a file of search entries."""
    return [item["id"] for item in json.loads(ground.text(search_entries_path(PODCAST, key)))]


@pytest.mark.asyncio
async def test_entries_are_written_once_and_then_left_alone(ground: SpeechGround) -> None:
    """A file written again is uploaded again, and the index is built again."""
    first = await write(ground)
    before = ground.stamps()
    second = await write(ground)

    assert json.loads(ground.text(TARGET)) == [
        {
            "id": "1_1000",
            "startTimeMs": 1000,
            "endTimeMs": 2000,
            "text": "Hello.",
            "sequentialEpisodeIdAsString": "1",
            "episodePublishedUnixTimestamp": 1772452800000,
        }
    ]
    assert (first.written, first.made) == (1, {TARGET})
    assert (second.written, second.made) == (0, set())
    assert second.outcome.status is PhaseStatus.OK
    assert ground.stamps() == before
    assert ground.leftovers() == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "change",
    [
        {"sequentialId": 2},
        {"publishedAt": "2024-07-22T00:00:00.000Z"},
    ],
)
async def test_entries_follow_the_manifest(ground: SpeechGround, change: dict[str, object]) -> None:
    """After an older episode appeared, hits would lead to the wrong one."""
    await write(ground)
    before = ground.text(TARGET)
    ground.manifest(episodes=[episode(1, fileKey=KEY, **change)])

    report = await write(ground)

    assert report.written == 1
    assert ground.text(TARGET) != before


@pytest.mark.asyncio
@pytest.mark.parametrize("content", ["", "[]", "not JSON", "[" * 200])
async def test_whatever_else_lies_there_is_replaced(ground: SpeechGround, content: str) -> None:
    """The function that builds the index trusts it."""
    ground.file(TARGET, content)

    report = await write(ground)

    assert report.written == 1
    assert ids(ground) == ["1_1000"]


@pytest.mark.asyncio
async def test_entries_follow_the_transcript(ground: SpeechGround) -> None:
    """Corrected text of the same length is other text."""
    await write(ground)
    ground.file(transcript_path(PODCAST, KEY), WORDS.format("Hallo."))

    report = await write(ground)

    assert report.written == 1
    assert "Hallo." in ground.text(TARGET)


@pytest.mark.asyncio
async def test_only_what_counts_gets_entries(ground: SpeechGround) -> None:
    """An older version, an orphan and an empty transcript get none; the second is named."""
    ground.manifest(NEWER)
    ground.file(transcript_path(PODCAST, NEWER), WORDS.format("Hello."))
    ground.file(transcript_path(PODCAST, OTHER), WORDS.format("Who am I?"))
    ground.file(transcript_path(PODCAST, "2024-07-23_G--1700000000000"), "")

    report = await write(ground)

    assert report.made == {search_entries_path(PODCAST, NEWER)}
    assert [(note.path, note.reason) for note in report.outcome.warnings.named] == [
        (transcript_path(PODCAST, OTHER), "transcript without an entry in the manifest")
    ]
    assert report.outcome.status is PhaseStatus.OK


@pytest.mark.asyncio
async def test_a_transcript_without_cues_has_an_empty_list(ground: SpeechGround) -> None:
    """Silence is an episode too."""
    ground.file(transcript_path(PODCAST, KEY), "\n")

    await write(ground)

    assert ground.text(TARGET) == "[]"


@pytest.mark.asyncio
async def test_names_in_any_form_are_one(ground: SpeechGround) -> None:
    """A file that is there is written in its place, lest there be twins."""
    ground.manifest(LEGACY)
    composed = "2020-01-23_Café"
    ground.file(transcript_path(PODCAST, composed), WORDS.format("Hello."))
    ground.file(search_entries_path(PODCAST, composed), "[]")

    report = await write(ground)

    assert report.made == {search_entries_path(PODCAST, composed)}
    assert not (ground.root / search_entries_path(PODCAST, LEGACY)).exists()


@pytest.mark.asyncio
async def test_an_entry_without_a_number_is_a_problem(ground: SpeechGround) -> None:
    """Its ids would be those of all others without one."""
    ground.manifest(episodes=[episode(1, fileKey=KEY, sequentialId="1")])

    report = await write(ground)

    assert report.outcome.problems.named[0].path == transcript_path(PODCAST, KEY)
    assert report.made == set()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("key", "milliseconds"),
    [(KEY, 1721520000000), ("2024-99-99_E--1700000000000", 0)],
)
async def test_without_a_time_of_publication_the_key_serves(
    ground: SpeechGround, key: str, milliseconds: int
) -> None:
    """The same every time, and a warning says so."""
    ground.manifest(episodes=[episode(1, fileKey=key, publishedAt="soon")])
    ground.file(transcript_path(PODCAST, key), WORDS.format("Hello."))

    report = await write(ground)

    (item,) = json.loads(ground.text(search_entries_path(PODCAST, key)))
    assert item["episodePublishedUnixTimestamp"] == milliseconds
    assert any("no publishedAt" in note.reason for note in report.outcome.warnings.named)


@pytest.mark.asyncio
async def test_one_that_fails_costs_itself(ground: SpeechGround) -> None:
    """A folder has the name of its file; the next one is written."""
    ground.manifest(KEY, OTHER)
    ground.file(transcript_path(PODCAST, OTHER), WORDS.format("Hello."))
    (ground.root / TARGET).mkdir(parents=True)

    report = await write(ground)

    assert report.made == {search_entries_path(PODCAST, OTHER)}
    assert [note.path for note in report.outcome.problems.named] == [TARGET]
    assert report.outcome.status is PhaseStatus.PARTIAL
    assert ground.leftovers() == []


@pytest.mark.asyncio
async def test_a_full_disk_ends_the_phase(ground: SpeechGround) -> None:
    """Nothing else would fit; what was there is there still, and the next run goes on."""
    ground.manifest(KEY, OTHER)
    ground.file(transcript_path(PODCAST, OTHER), WORDS.format("Hello."))

    def step(name: str) -> None:
        if name == "file_written":
            raise OSError(errno.ENOSPC, "no space left on device")

    report = await write_entries(ground.site, ground.place, step=step)

    assert report.outcome.fatal == "the disk is full; nothing else was written"
    assert (report.written, report.outcome.problems.count) == (0, 1)
    assert ground.leftovers() == []
    assert (await write(ground)).written == 2


@pytest.mark.asyncio
async def test_a_dry_run_writes_nothing(ground: SpeechGround) -> None:
    """It says what it would write."""
    before = ground.stamps()

    report = await write(ground, dry_run=True)

    assert report.planned == [f"write {TARGET}"]
    assert report.written == 0
    assert ground.stamps() == before


@pytest.mark.asyncio
async def test_an_unreadable_manifest_blocks(ground: SpeechGround) -> None:
    """Without it every transcript would be an orphan."""
    ground.file(MANIFEST_PATH, "{")

    report = await write(ground)

    assert report.outcome.status is PhaseStatus.BLOCKED


@pytest.mark.asyncio
async def test_progress_is_told_every_twentieth(
    ground: SpeechGround, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand episodes take a while, and twenty lines are enough."""
    monkeypatch.setattr(entries, "TOGETHER", 1)
    keys = [f"2024-07-21_E{number}--1700000000000" for number in range(40)]
    ground.manifest(*keys)
    for key in keys:
        ground.file(transcript_path(PODCAST, key), WORDS.format("Hello."))
    beats: list[int] = []

    with capture_logs() as logs:
        await write_entries(ground.site, ground.place, alive=lambda: beats.append(1))

    told = [each["percent"] for each in logs if each["event"] == "search_entries_progressed"]
    assert told == list(range(5, 101, 5))
    assert len(beats) == 40


@pytest.mark.asyncio
async def test_what_was_compared_once_is_not_read_again(
    ground: SpeechGround, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand episodes would take a minute, every night."""
    read: list[str] = []

    def expected(entry: Episode, transcript: bytes) -> bytes:
        read.append(entry.file_key)
        return expected_entries(entry, transcript)

    monkeypatch.setattr(entries, "expected_entries", expected)
    await write(ground)
    await write(ground)
    assert read == [KEY]

    # A new file with the times and the size of the old one is another file.
    target = ground.root / TARGET
    found = target.stat()
    target.write_bytes(target.read_bytes().replace(b"Hello", b"Hallo"))
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert (await write(ground)).written == 1
    assert "Hello" in ground.text(TARGET)

    (ground.place.state / entries.PROOFS_NAME).write_bytes(b"torn")
    assert (await write(ground)).written == 0
    assert read == [KEY] * 3
