import errno
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Never

import anyio
import pytest
from structlog.testing import capture_logs

from daemons.ingester.archive.folders import MANIFEST_PATH, Folder, audio_path, transcript_path
from daemons.ingester.phases import speech
from daemons.ingester.phases.outcome import PhaseStatus
from daemons.ingester.phases.speech import SpeechReport, SpeechRules, transcribe_site
from daemons.ingester.speech.backend import Piece, RecognitionRefused
from daemons.ingester.speech.locks import EpisodeLock, lock_path, take_lock
from daemons.ingester.speech.transcribe import Transcriber
from shared.errors import UsageError
from tests.support.speech_ground import PODCAST, WORDS, Listener, SpeechGround
from tests.support.syncing import episode

FIRST, SECOND, THIRD = (f"2024-07-2{day}_E--1700000000000" for day in (1, 2, 3))
KEYS = (FIRST, SECOND, THIRD)
NEWER = "2024-07-21_E--1800000000000"
NIGHTLY = SpeechRules()


@pytest.fixture
def ground(tmp_path: Path) -> SpeechGround:
    """A site with three episodes that have audio alone."""
    place = SpeechGround(tmp_path)
    place.audio(*KEYS)
    place.manifest(*KEYS)
    return place


async def transcribe(
    ground: SpeechGround,
    listener: Listener | None = None,
    *,
    rules: SpeechRules = NIGHTLY,
    slots: anyio.CapacityLimiter | None = None,
    step: Callable[[str], None] = lambda _name: None,
) -> SpeechReport:
    """Run the phase, as one process would."""
    with anyio.fail_after(20):
        return await transcribe_site(
            ground.site,
            ground.place,
            lambda: ground.transcriber(listener or Listener()),
            rules,
            slots=slots or anyio.CapacityLimiter(1),
            step=step,
        )


def nobody() -> Never:
    """Be asked for a transcriber where there is nothing to do."""
    raise AssertionError("a transcriber was asked for")


def transcripts(ground: SpeechGround) -> set[str]:
    """The keys that have a transcript."""
    return {path.stem for path in (ground.root / "transcripts").rglob("*.srt")}


@pytest.mark.asyncio
async def test_what_waits_is_transcribed_newest_first_and_only_once(ground: SpeechGround) -> None:
    """The second run does not even ask for a recogniser: the settings may name none."""
    listener = Listener()

    report = await transcribe(ground, listener)
    before = ground.stamps()
    again = await transcribe_site(ground.site, ground.place, nobody, slots=anyio.CapacityLimiter(1))

    assert listener.asked == [THIRD, SECOND, FIRST]
    assert transcripts(ground) == set(KEYS)
    assert report.transcribed == 3
    assert report.made == {transcript_path(PODCAST, key) for key in KEYS}
    assert report.outcome.status is PhaseStatus.OK
    assert (again.transcribed, again.made, again.outcome.status) == (0, set(), PhaseStatus.OK)
    assert ground.stamps() == before
    assert ground.leftovers() == []


@pytest.mark.asyncio
@pytest.mark.parametrize("at_check", [True, False])
async def test_without_a_recogniser_the_phase_has_failed_once(
    ground: SpeechGround, *, at_check: bool
) -> None:
    """One clear error before any work, not one for each of a thousand episodes."""
    error = UsageError("WHISPER_API_PROVIDER is not set; choose one")

    def choose() -> Transcriber:
        if at_check:
            return ground.transcriber(Listener(unready=error))
        raise error

    report = await transcribe_site(
        ground.site, ground.place, choose, slots=anyio.CapacityLimiter(1)
    )

    assert report.outcome.fatal == str(error)
    assert (report.outcome.status, report.failures) == (PhaseStatus.FAILED, 0)
    assert transcripts(ground) == set()


@pytest.mark.asyncio
async def test_a_bad_episode_costs_itself(ground: SpeechGround) -> None:
    """And it is in the result with its reason, whatever the log's level."""
    listener = Listener({SECOND: RecognitionRefused("too large")})

    report = await transcribe(ground, listener)

    assert transcripts(ground) == {FIRST, THIRD}
    assert (report.transcribed, report.failures) == (2, 1)
    assert report.outcome.status is PhaseStatus.PARTIAL
    note = report.outcome.problems.named[0]
    assert note.path == audio_path(PODCAST, SECOND)
    assert note.reason.endswith("too large")


@pytest.mark.asyncio
@pytest.mark.parametrize("at_once", [1, 3])
async def test_the_limit_counts_what_was_transcribed(ground: SpeechGround, at_once: int) -> None:
    """A broken episode at the head must not keep the others waiting for ever."""
    listener = Listener({THIRD: RecognitionRefused("no")})
    rules = SpeechRules(limit=1)

    for left in ({SECOND}, {SECOND, FIRST}, {SECOND, FIRST}):
        await transcribe(ground, listener, rules=rules, slots=anyio.CapacityLimiter(at_once))
        assert transcripts(ground) == left


@pytest.mark.asyncio
async def test_all_sites_share_the_slots(tmp_path: Path) -> None:
    """Two models in memory at once would bring a small machine down."""
    slots = anyio.CapacityLimiter(1)
    together: set[Path] = set()

    class Alone(Listener):
        async def recognise(
            self, piece: Piece, *, prompt: str, limit_seconds: float, progress: Callable[[], None]
        ) -> str:
            together.add(piece.audio)
            assert len(together) == 1
            self.asked.append(piece.file_key)
            while len(self.asked) == 1 and not slots.statistics().tasks_waiting:
                await anyio.lowlevel.checkpoint()
            together.clear()
            return WORDS.format("so")

    listener = Alone()
    async with anyio.create_task_group() as tasks:
        for site in (SpeechGround(tmp_path, "one"), SpeechGround(tmp_path, "two")):
            site.audio(*KEYS)
            site.manifest(*KEYS)
            tasks.start_soon(lambda site: transcribe(site, listener, slots=slots), site)

    assert len(listener.asked) == 6


@pytest.mark.asyncio
async def test_several_slots_are_used(ground: SpeechGround) -> None:
    """Whoever has the cores may have several at once."""
    two = anyio.Event()

    class Together(Listener):
        async def recognise(
            self, piece: Piece, *, prompt: str, limit_seconds: float, progress: Callable[[], None]
        ) -> str:
            self.asked.append(piece.file_key)
            if len(self.asked) == 2:
                two.set()
            await two.wait()
            return WORDS.format("so")

    await transcribe(ground, Together(), slots=anyio.CapacityLimiter(2))

    assert transcripts(ground) == set(KEYS)


@pytest.mark.asyncio
async def test_what_another_worker_has_is_left_to_it(ground: SpeechGround) -> None:
    """Also when it takes an episode over in the middle; none of it is a failure."""
    held = take_lock(lock_path(ground.locks, PODCAST, FIRST))
    assert isinstance(held, EpisodeLock)

    def rob(key: str) -> None:
        if key == THIRD:
            lock_path(ground.locks, PODCAST, THIRD).unlink()

    report = await transcribe(ground, Listener(meanwhile=rob))

    assert transcripts(ground) == {SECOND}
    assert (report.transcribed, report.left_to_others, report.failures) == (1, 2, 0)
    assert {note.path for note in report.outcome.warnings.named} == {
        audio_path(PODCAST, FIRST),
        audio_path(PODCAST, THIRD),
    }


@pytest.mark.asyncio
async def test_a_transcript_that_comes_meanwhile_is_not_counted(ground: SpeechGround) -> None:
    """Skipped is not processed."""

    def bring(key: str) -> None:
        ground.file(transcript_path(PODCAST, key), "theirs")

    report = await transcribe(ground, Listener(meanwhile=bring))

    assert (report.transcribed, report.left_to_others, report.failures) == (0, 0, 0)
    assert report.made == set()
    assert ground.text(transcript_path(PODCAST, FIRST)) == "theirs"


@pytest.mark.asyncio
async def test_a_full_disk_ends_the_phase(ground: SpeechGround) -> None:
    """Hours of recognition would end in the same error, one episode after another."""
    listener = Listener()

    def step(name: str) -> None:
        if name == "transcription_begun":
            raise OSError(errno.ENOSPC, "no space left on device")

    report = await transcribe(ground, listener, step=step)

    assert listener.asked == []
    assert report.outcome.fatal == "the disk is full; nothing else was begun"
    assert report.failures == 1


@pytest.mark.asyncio
async def test_orphans_and_undecided_ones_are_warnings(ground: SpeechGround) -> None:
    """An orphan cannot be indexed; what S3 may have is not paid for again."""
    ground.manifest(FIRST, SECOND)
    rules = SpeechRules(avoid=[transcript_path(PODCAST, SECOND)])

    report = await transcribe(ground, rules=rules)

    assert transcripts(ground) == {FIRST}
    assert report.orphans == (audio_path(PODCAST, THIRD),)
    assert report.outcome.status is PhaseStatus.OK
    assert [
        (note.path, note.reason.partition(";")[0]) for note in report.outcome.warnings.named
    ] == [
        (audio_path(PODCAST, THIRD), "audio without an entry in the manifest"),
        (
            audio_path(PODCAST, SECOND),
            "S3 may have its transcript, which could not be had",
        ),
    ]


@pytest.mark.asyncio
async def test_with_s3_unknown_nothing_is_transcribed(ground: SpeechGround) -> None:
    """The transcripts of all episodes may be there."""
    rules = SpeechRules(avoid_folders=[Folder.TRANSCRIPTS])

    report = await transcribe(ground, rules=rules)

    assert transcripts(ground) == set()
    assert report.outcome.warnings.count == 3


@pytest.mark.asyncio
async def test_a_dry_run_says_what_it_would_do(ground: SpeechGround) -> None:
    """Within the same limits, and without a recogniser, a lock or a folder."""
    before = ground.stamps()

    report = await transcribe_site(
        ground.site,
        ground.place,
        nobody,
        SpeechRules(limit=2, dry_run=True),
        slots=anyio.CapacityLimiter(1),
    )

    assert report.planned == [
        f"transcribe {transcript_path(PODCAST, key)}" for key in (THIRD, SECOND)
    ]
    assert ground.stamps() == before
    assert [path.name for path in ground.base.iterdir()] == ["data"]


@pytest.mark.asyncio
async def test_older_versions_are_superseded_when_the_newer_transcript_is_there(
    ground: SpeechGround,
) -> None:
    """Not before: a failed newer one leaves the older as the only text."""
    ground.whole(FIRST)
    ground.audio(NEWER)
    ground.manifest(SECOND, THIRD, NEWER)
    deaf = Listener({NEWER: RecognitionRefused("no")})

    failed = await transcribe(ground, deaf)
    done = await transcribe(ground)

    assert failed.superseded == ()
    assert done.made == {transcript_path(PODCAST, NEWER)}
    assert [Path(path).stem for path in done.superseded] == [FIRST] * 3


@pytest.mark.asyncio
async def test_transcripts_are_corrected_before_they_are_saved(ground: SpeechGround) -> None:
    """A broken file of the shared corrections is a warning, and the site's own still works."""
    ground.corrections("turdice", "turdis")
    ground.site.corrections[1].write_text("{,}")
    listener = Listener({FIRST: WORDS.format("a Turdice")})

    report = await transcribe(ground, listener)

    assert "a turdis" in ground.text(transcript_path(PODCAST, FIRST))
    assert report.corrections == 1
    assert report.outcome.status is PhaseStatus.OK
    assert [note.path for note in report.outcome.warnings.named] == ["spelling-corrections.json"]


@pytest.mark.asyncio
async def test_an_unreadable_manifest_blocks(ground: SpeechGround) -> None:
    """Nobody knows then what is an orphan."""
    ground.file(MANIFEST_PATH, "{")

    report = await transcribe(ground)

    assert report.outcome.status is PhaseStatus.BLOCKED
    assert transcripts(ground) == set()


@pytest.mark.asyncio
async def test_a_link_in_the_way_is_not_written_through(ground: SpeechGround) -> None:
    """It leads wherever somebody made it lead."""
    elsewhere = ground.base / "elsewhere"
    elsewhere.mkdir()
    (ground.root / "transcripts").mkdir()
    (ground.root / "transcripts" / PODCAST).symlink_to(elsewhere)

    report = await transcribe(ground)

    assert report.failures == 3
    assert list(elsewhere.iterdir()) == []


@pytest.mark.asyncio
async def test_interrupted_the_report_says_what_was_done(ground: SpeechGround) -> None:
    """The summary of an interrupted run counts the transcripts that it made."""
    second = anyio.Event()

    class Endless(Listener):
        async def recognise(
            self, piece: Piece, *, prompt: str, limit_seconds: float, progress: Callable[[], None]
        ) -> str:
            self.asked.append(piece.file_key)
            if len(self.asked) > 1:
                second.set()
                await anyio.sleep_forever()
            return WORDS.format("so")

    report = SpeechReport()
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(
                partial(
                    transcribe_site,
                    ground.site,
                    ground.place,
                    lambda: ground.transcriber(Endless()),
                    slots=anyio.CapacityLimiter(1),
                    report=report,
                )
            )
            await second.wait()
            tasks.cancel_scope.cancel()

    assert report.transcribed == 1
    assert report.made == {transcript_path(PODCAST, THIRD)}
    assert ground.leftovers() == []


@pytest.mark.asyncio
async def test_a_site_says_how_far_it_is(
    ground: SpeechGround, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A night of transcribing without a word looks like one that hangs."""
    monkeypatch.setattr(speech, "PROGRESS_SECONDS", 0.01)
    ground.manifest(
        episodes=[episode(1, fileKey=key, durationInSeconds=600) for key in KEYS],
    )
    first_done, told = anyio.Event(), anyio.Event()

    class Waiting(Listener):
        async def recognise(
            self, piece: Piece, *, prompt: str, limit_seconds: float, progress: Callable[[], None]
        ) -> str:
            if self.asked:
                first_done.set()
                await told.wait()
            self.asked.append(piece.file_key)
            return WORDS.format("so")

    def alive() -> None:
        # Called just before a line, so that the second call is after one.
        if first_done.is_set():
            beats.append("beat")
        if len(beats) > 1:
            told.set()

    beats: list[str] = []
    with capture_logs() as logs, anyio.fail_after(20):
        await transcribe_site(
            ground.site,
            ground.place,
            lambda: ground.transcriber(Waiting()),
            slots=anyio.CapacityLimiter(1),
            alive=alive,
        )

    lines = [
        (entry["done"], entry["failed"], entry["episodes"], entry["left"])
        for entry in logs
        if entry["event"] == "transcriptions_progressed"
    ]
    assert (1, 0, 3, "about 5 s left") in lines
