import errno
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from daemons.ingester.archive.folders import Folder, transcript_path
from daemons.ingester.phases.correcting import CorrectingReport, reapply_all
from daemons.ingester.phases.outcome import PhaseStatus
from tests.support.speech_ground import PODCAST, WORDS, SpeechGround

KEYS = tuple(f"2024-07-2{day}_E--1700000000000" for day in (1, 2, 3))
WRONG, OTHER_WRONG, RIGHT = (transcript_path(PODCAST, key) for key in KEYS)


@pytest.fixture
def ground(tmp_path: Path) -> SpeechGround:
    """A site with three transcripts, two of which have what is to be corrected."""
    place = SpeechGround(tmp_path)
    place.corrections("turdice", "turdis")
    place.file(WRONG, WORDS.format("Turdice and turdice"))
    place.file(OTHER_WRONG, WORDS.format("a turdice"))
    place.file(RIGHT, WORDS.format("a turdis"))
    return place


async def reapply(
    ground: SpeechGround,
    *,
    avoid: tuple[str, ...] = (),
    avoid_folders: tuple[Folder, ...] = (),
    dry_run: bool = False,
    step: Callable[[str], None] = lambda _name: None,
) -> CorrectingReport:
    """Correct all transcripts."""
    with anyio.fail_after(20):
        return await reapply_all(
            ground.site,
            ground.place,
            avoid=avoid,
            avoid_folders=avoid_folders,
            dry_run=dry_run,
            step=step,
        )


@pytest.mark.asyncio
async def test_what_is_wrong_is_corrected_and_what_is_right_is_not_touched(
    ground: SpeechGround,
) -> None:
    """Each file written is uploaded and indexed again; so a second time writes none."""
    right = ground.stamps()[RIGHT]

    first = await reapply(ground)
    before = ground.stamps()
    second = await reapply(ground)

    assert ground.text(WRONG) == WORDS.format("turdis and turdis")
    assert (first.corrections, first.made) == (3, {WRONG, OTHER_WRONG})
    assert before[RIGHT] == right
    assert (second.corrections, second.made) == (0, set())
    assert ground.stamps() == before
    assert ground.leftovers() == []


@pytest.mark.asyncio
async def test_what_s3_may_have_newer_is_left(ground: SpeechGround) -> None:
    """Ours would be the newer one for it, and overwrite what was mended there."""
    report = await reapply(ground, avoid=(WRONG,))

    assert report.made == {OTHER_WRONG}
    assert [note.path for note in report.outcome.warnings.named] == [WRONG]

    unknown = await reapply(ground, avoid_folders=(Folder.TRANSCRIPTS,))
    assert unknown.outcome.status is PhaseStatus.BLOCKED
    assert unknown.made == set()


@pytest.mark.asyncio
@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize(
    "times", ["00:00:09,000 --> 00:00:08,000", "00:61:00,000 --> 01:02:00,000"]
)
async def test_a_transcript_that_would_lose_a_cue_is_left(
    ground: SpeechGround, times: str, *, dry_run: bool
) -> None:
    """What is spoken there would vanish here, and with the upload in S3 too."""
    ground.file(WRONG, f"{WORDS.format('Turdice')}\n\n2\n{times}\nSpoken words.\n")
    before = ground.stamps()[WRONG]

    report = await reapply(ground, dry_run=dry_run)

    assert ground.stamps()[WRONG] == before
    (warning,) = report.outcome.warnings.named
    assert warning.path == WRONG
    assert "1 cue with times that cannot be" in warning.reason
    assert (report.outcome.status, report.corrections) == (PhaseStatus.OK, 1)


@pytest.mark.asyncio
async def test_a_dry_run_says_what_it_would_correct(ground: SpeechGround) -> None:
    """And touches nothing."""
    before = ground.stamps()

    report = await reapply(ground, dry_run=True)

    assert report.planned == [f"correct {WRONG}", f"correct {OTHER_WRONG}"]
    assert (report.corrections, report.made) == (3, set())
    assert ground.stamps() == before


@pytest.mark.asyncio
async def test_broken_corrections_are_a_warning(ground: SpeechGround) -> None:
    """A comma too many must not stop the night's work."""
    ground.site.corrections[0].write_text("{,}")

    report = await reapply(ground)

    assert report.outcome.status is PhaseStatus.OK
    assert report.outcome.warnings.count == 1
    assert report.made == set()


@pytest.mark.asyncio
async def test_one_that_fails_costs_itself_and_a_full_disk_ends_it(ground: SpeechGround) -> None:
    """The others are corrected, unless nothing would fit."""
    errors = [OSError(errno.EIO, "input/output error"), OSError(errno.ENOSPC, "no space left")]

    def step(name: str) -> None:
        if name == "correction_begun" and errors:
            raise errors.pop(0)

    report = await reapply(ground, step=step)

    assert [note.path for note in report.outcome.problems.named] == [WRONG, OTHER_WRONG]
    assert report.outcome.fatal == "the disk is full; nothing else was corrected"
    assert (await reapply(ground)).made == {WRONG, OTHER_WRONG}
