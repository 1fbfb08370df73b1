import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest

from daemons.ingester.speech import transcribe
from daemons.ingester.speech.audio import AudioTools, AudioUnusable
from daemons.ingester.speech.backend import Piece, RecognitionFailed, RecognitionRefused
from daemons.ingester.speech.corrections import Correction
from daemons.ingester.speech.double import Double
from daemons.ingester.speech.locks import EpisodeLock
from daemons.ingester.speech.progress import Progress
from daemons.ingester.speech.recognition import SpeechLimits
from daemons.ingester.speech.spelling import load_corrections, reapply_corrections
from daemons.ingester.speech.splitting import AudioFacts, Chunk
from daemons.ingester.speech.srt import Cue, render_srt
from daemons.ingester.speech.transcribe import (
    AlreadyThere,
    EpisodeAudio,
    Held,
    LockLost,
    Transcribed,
    Transcriber,
)
from shared.errors import UsageError

KEY = "2022-09-27_A--1749472638931"
MINUTE_MS = 60_000
LIMITS = SpeechLimits(pause_seconds=0.001)
LONG = AudioFacts(1, 41 * MINUTE_MS + 1, is_mp3=True)
WORDS = "1\n00:00:01,000 --> 00:00:02,000\n{}\n"


@dataclass(frozen=True)
class Tools(AudioTools):
    """ffmpeg and ffprobe that only pretend."""

    facts: AudioFacts = LONG
    broken: bool = False
    cuts: list[tuple[str, bool]] = field(default_factory=list)

    def check(self) -> None:
        """Be there."""

    async def examine(self, audio: Path) -> AudioFacts:
        """Know what every file is."""
        if self.broken:
            raise AudioUnusable(f"audio {audio.name!r} has no length")
        return self.facts

    async def cut(self, audio: Path, target: Path, chunk: Chunk, *, is_mp3: bool) -> None:
        """Write a chunk without sound."""
        self.cuts.append((target.name, is_mp3))
        await anyio.Path(target).write_bytes(b"x")


@dataclass
class Scripted:
    """A recogniser that says what it was told to say, or raises it."""

    answers: list[str | Exception]
    name: str = "scripted"
    asked: list[tuple[Piece, str, float]] = field(default_factory=list)
    files: list[bool] = field(default_factory=list)

    async def check(self) -> None:
        """Be ready."""

    async def recognise(
        self, piece: Piece, *, prompt: str, limit_seconds: float, progress: Callable[[], None]
    ) -> str:
        """Give the next answer."""
        progress()
        self.asked.append((piece, prompt, limit_seconds))
        self.files.append(piece.audio.is_file())
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass(frozen=True)
class Ground:
    """A site's folders."""

    root: Path

    @property
    def episode(self) -> EpisodeAudio:
        """The one episode."""
        return EpisodeAudio(
            "hard-fork",
            KEY,
            self.root / "site/audio/hard-fork" / f"{KEY}.mp3",
            self.root / "site/transcripts/hard-fork" / f"{KEY}.srt",
            "Hard Fork.",
            (Correction(("turdice",), "turdis"),),
        )

    def transcriber(self, recogniser: Double | Scripted, tools: Tools | None = None) -> Transcriber:
        """Return one that works here."""
        return Transcriber(
            recogniser,
            work=self.root / "work",
            locks=self.root / "state" / "locks",
            tools=tools or Tools(),
            limits=LIMITS,
        )

    def leftovers(self) -> list[Path]:
        """Return what should not be there after any end."""
        found = [*(self.root / "work").rglob("*"), *(self.root / "state").rglob("*.*")]
        return [path for path in found if path.is_file() or path.parent.name == "work"]


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """Make a site with the audio of one episode."""
    place = Ground(tmp_path)
    place.episode.audio.parent.mkdir(parents=True)
    place.episode.audio.write_bytes(b"sound")
    return place


@pytest.mark.asyncio
async def test_an_episode_is_cut_recognised_joined_corrected_and_saved(ground: Ground) -> None:
    """The whole way, with times to the millisecond."""
    recogniser = Scripted([WORDS.format("one"), WORDS.format("a Turdice"), WORDS.format("three")])
    tools = Tools()

    done = await ground.transcriber(recogniser, tools).transcribe(ground.episode)

    assert isinstance(done, Transcribed)
    assert (done.cues, done.chunks, done.corrections, done.invalid_cues) == (3, 3, 1, 0)
    assert math.isclose(done.audio_seconds, 2460.001)
    assert ground.episode.transcript.read_text() == (
        "1\n00:00:01,000 --> 00:00:02,000\none\n\n"
        "2\n00:13:41,000 --> 00:13:42,000\na turdis\n\n"
        "3\n00:27:21,000 --> 00:27:22,000\nthree\n"
    )
    assert tools.cuts == [(f"{KEY}.mp3.part{number}.mp3", True) for number in (1, 2, 3)]
    assert [asked[1] for asked in recogniser.asked] == [
        *("Hard Fork.", "Hard Fork. one", "Hard Fork. a Turdice"),
    ]
    assert [asked[2] for asked in recogniser.asked] == pytest.approx([2460] * 3, abs=0.01)
    assert recogniser.files == [True] * 3
    assert ground.leftovers() == []
    assert [path.name for path in ground.episode.transcript.parent.iterdir()] == [f"{KEY}.srt"]


@pytest.mark.asyncio
@pytest.mark.parametrize("is_mp3", [True, False])
async def test_short_audio_is_not_cut(ground: Ground, *, is_mp3: bool) -> None:
    """MP3 is read as it lies there; what only is called so is encoded, and limits have a floor."""
    recogniser = Scripted([WORDS.format("one")])
    tools = Tools(facts=AudioFacts(1, MINUTE_MS, is_mp3=is_mp3))

    await ground.transcriber(recogniser, tools).transcribe(ground.episode)

    assert tools.cuts == ([] if is_mp3 else [(f"{KEY}.mp3", False)])
    piece, _, limit = recogniser.asked[0]
    assert piece.audio.name == f"{KEY}.mp3"
    assert piece.audio.parent != ground.episode.audio.parent
    assert (piece.start_ms, piece.length_ms, limit) == (0, MINUTE_MS, 300)
    assert recogniser.files == [True]
    assert ground.episode.audio.read_bytes() == b"sound"


@pytest.mark.asyncio
async def test_a_chunk_has_two_attempts(ground: Ground) -> None:
    """The second without the words that may have led the first astray."""
    recogniser = Scripted(
        [
            WORDS.format("one"),
            render_srt([Cue(at, at, "so") for at in range(10)]),
            WORDS.format("two"),
            RecognitionFailed("crashed"),
            WORDS.format("three"),
        ]
    )

    done = await ground.transcriber(recogniser).transcribe(ground.episode)

    assert isinstance(done, Transcribed)
    assert [asked[1] for asked in recogniser.asked] == [
        *("Hard Fork.", "Hard Fork. one", "Hard Fork.", "Hard Fork. two", "Hard Fork."),
    ]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("answers", "error", "message"),
    [
        ([WORDS.format("one"), "", ""], RecognitionFailed, r"^chunk 2 of 3: the transcript of 820"),
        (
            [RecognitionFailed("a"), RecognitionFailed("b")],
            RecognitionFailed,
            r"^chunk 1 of 3: b$",
        ),
        ([RecognitionRefused("no money")], RecognitionRefused, r"^chunk 1 of 3: no money$"),
    ],
)
async def test_one_bad_chunk_fails_the_episode(
    ground: Ground, answers: list[str | Exception], error: type[Exception], message: str
) -> None:
    """A transcript with a hole would look complete for ever."""
    recogniser = Scripted(answers)

    with pytest.raises(error, match=message):
        await ground.transcriber(recogniser).transcribe(ground.episode)

    assert answers == []
    assert not ground.episode.transcript.exists()
    assert ground.leftovers() == []


@pytest.mark.asyncio
async def test_audio_that_is_none_fails_its_episode(ground: Ground) -> None:
    """An old error page called .mp3, for one."""
    with pytest.raises(AudioUnusable, match="has no length"):
        await ground.transcriber(Scripted([]), Tools(broken=True)).transcribe(ground.episode)

    assert ground.leftovers() == []


@pytest.mark.asyncio
async def test_nothing_is_transcribed_twice(ground: Ground) -> None:
    """It costs hours or money; an empty file is what an old crash left, and no transcript."""
    episode = ground.episode
    episode.transcript.parent.mkdir(parents=True)
    episode.transcript.write_bytes(b"")
    first = await ground.transcriber(Double()).transcribe(episode)
    body = episode.transcript.read_bytes()

    second = await ground.transcriber(Scripted([])).transcribe(episode)

    assert isinstance(first, Transcribed)
    assert second == AlreadyThere()
    assert episode.transcript.read_bytes() == body


@pytest.mark.asyncio
async def test_a_transcript_that_comes_meanwhile_stays(ground: Ground) -> None:
    """Another machine's, by way of S3: ours is as good, and theirs is there."""
    episode = ground.episode

    class Slow(Scripted):
        async def recognise(
            self, piece: Piece, *, prompt: str, limit_seconds: float, progress: Callable[[], None]
        ) -> str:
            episode.transcript.parent.mkdir(parents=True, exist_ok=True)
            episode.transcript.write_text("theirs")
            return WORDS.format("ours")

    assert await ground.transcriber(Slow([])).transcribe(episode) == AlreadyThere()
    assert episode.transcript.read_text() == "theirs"
    assert ground.leftovers() == []


@pytest.mark.asyncio
async def test_two_workers_do_not_do_the_same(ground: Ground) -> None:
    """The second leaves at once; when the first is done, it finds the transcript."""
    started, go_on = anyio.Event(), anyio.Event()

    class Waiting(Scripted):
        async def recognise(
            self, piece: Piece, *, prompt: str, limit_seconds: float, progress: Callable[[], None]
        ) -> str:
            started.set()
            await go_on.wait()
            return WORDS.format("one")

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ground.transcriber(Waiting([])).transcribe, ground.episode)
            await started.wait()
            found = await ground.transcriber(Scripted([])).transcribe(ground.episode)
            go_on.set()

    assert isinstance(found, Held)
    assert found.owner.pid == os.getpid()
    assert await ground.transcriber(Scripted([])).transcribe(ground.episode) == AlreadyThere()


@pytest.mark.asyncio
async def test_whoever_loses_the_lock_stops(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Meanwhile progress is told; then the episode is another's."""
    monkeypatch.setattr(transcribe, "BEAT_SECONDS", 0.01)
    told: list[Progress] = []

    class Robbed(Scripted):
        async def recognise(
            self, piece: Piece, *, prompt: str, limit_seconds: float, progress: Callable[[], None]
        ) -> str:
            for path in (ground.root / "state").rglob("*.lock"):
                path.unlink()
            await anyio.sleep_forever()
            return ""

    transcriber = Transcriber(
        Robbed([]),
        work=ground.root / "work",
        locks=ground.root / "state",
        tools=Tools(),
        on_progress=lambda _episode, progress: told.append(progress),
    )

    with anyio.fail_after(20), pytest.raises(LockLost, match="not ours any more"):
        await transcriber.transcribe(ground.episode)

    assert told[0] == Progress(1, 3, 0.0, 2460.001, None)
    assert not ground.episode.transcript.exists()
    assert ground.leftovers() == []


@pytest.mark.asyncio
async def test_a_lock_that_cannot_be_released_costs_nothing(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transcript is there; the lock is stale in two hours."""

    def refuse(_lock: EpisodeLock) -> None:
        raise PermissionError(13, "permission denied")

    monkeypatch.setattr(EpisodeLock, "release", refuse)

    assert isinstance(await ground.transcriber(Double()).transcribe(ground.episode), Transcribed)


@pytest.mark.asyncio
async def test_stopped_in_the_middle_nothing_is_left(ground: Ground) -> None:
    """Ctrl-C: no chunk, no lock, no half transcript."""
    started = anyio.Event()

    class Endless(Scripted):
        async def recognise(
            self, piece: Piece, *, prompt: str, limit_seconds: float, progress: Callable[[], None]
        ) -> str:
            started.set()
            await anyio.sleep_forever()
            return ""

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ground.transcriber(Endless([])).transcribe, ground.episode)
            await started.wait()
            tasks.cancel_scope.cancel()

    assert not ground.episode.transcript.exists()
    assert ground.leftovers() == []


@pytest.mark.asyncio
async def test_everything_needed_is_looked_for_first(ground: Ground) -> None:
    """One message before the first episode, not one for each."""
    await ground.transcriber(Double()).check()
    missing = Transcriber(
        Double(), work=ground.root, locks=ground.root, tools=AudioTools(ffmpeg="no-ffmpeg-here")
    )

    with pytest.raises(UsageError, match="program 'no-ffmpeg-here' is not there"):
        await missing.check()


def test_a_broken_corrections_file_is_passed_over(tmp_path: Path) -> None:
    """A comma too many must not stop the night's work."""
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text('{"correctionsToApply": [{"misspellings": ["a"], "correctedSpelling": "b"}]}')
    bad.write_text("{,}")

    assert load_corrections([bad, good, tmp_path / "none.json"]) == (Correction(("a",), "b"),)


def test_old_transcripts_are_corrected_only_where_something_changes(tmp_path: Path) -> None:
    """A rewritten file is uploaded and indexed again."""
    transcript = tmp_path / "k.srt"
    transcript.write_bytes(b"\xef\xbb\xbf1\r\n0:00:01.5 --> 0:00:02.5\r\na Turdice\r\n")
    before = transcript.stat()

    assert reapply_corrections(transcript, [Correction(("x",), "y")], tmp_path) == 0
    assert transcript.stat().st_mtime_ns == before.st_mtime_ns
    assert transcript.stat().st_ino == before.st_ino
    corrections = [Correction(("turdice",), "turdis")]
    assert reapply_corrections(transcript, corrections, tmp_path) == 1
    assert transcript.read_text() == "1\n00:00:01,500 --> 00:00:02,500\na turdis\n"
    assert reapply_corrections(transcript, corrections, tmp_path) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["k.srt"]
