"""One episode from audio to a saved transcript, by one worker at a time.

| found                                        | what is done                                     |
|----------------------------------------------|--------------------------------------------------|
| a transcript that is not empty               | nothing, however it came there                   |
| the lock of another worker                   | nothing                                          |
| neither                                      | recognised, corrected, saved                     |
| the lock is lost meanwhile                   | stopped: another worker has taken the episode    |

Rule: a transcript appears whole, corrected, under its name, or not at all; it costs money and hours
and is never made twice.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anyio
import structlog
from structlog.typing import FilteringBoundLogger

from daemons.ingester.speech.audio import AudioTools
from daemons.ingester.speech.backend import Recogniser
from daemons.ingester.speech.corrections import Correction, correct
from daemons.ingester.speech.locks import EpisodeLock, LockOwner, lock_path, take_lock
from daemons.ingester.speech.progress import Pace, Progress, format_left
from daemons.ingester.speech.recognition import Recognised, Recognition, SpeechLimits
from daemons.ingester.speech.srt import render_srt
from daemons.ingester.speech.workspace import open_workspace
from shared.errors import SuiteError, TransientError
from shared.files import fsync_directory, make_folders, write_durably

log: FilteringBoundLogger = structlog.get_logger()

BEAT_SECONDS = 20.0
"""How often the lock is refreshed and progress is told."""
_CLEAN_UP_SECONDS = 10.0


class LockLost(TransientError):
    """Another worker has taken the episode over, or the lock was removed."""


@dataclass(frozen=True, slots=True)
class EpisodeAudio:
    """An episode that is to be transcribed."""

    podcast_id: str
    file_key: str
    audio: Path
    transcript: Path
    prompt: str
    """The site's, passed on as it is."""
    corrections: tuple[Correction, ...] = ()


@dataclass(frozen=True, slots=True)
class Transcribed:
    """A transcript was made."""

    cues: int
    chunks: int
    corrections: int
    """Replacements that changed something."""
    invalid_cues: int
    audio_seconds: float
    work_seconds: float


@dataclass(frozen=True, slots=True)
class AlreadyThere:
    """A transcript was there."""


@dataclass(frozen=True, slots=True)
class Held:
    """Another worker is at it."""

    owner: LockOwner


class Transcriber:
    """Makes transcripts; one serves all episodes of a run, one at a time or several."""

    def __init__(
        self,
        recogniser: Recogniser,
        *,
        work: Path,
        locks: Path,
        tools: AudioTools | None = None,
        limits: SpeechLimits | None = None,
        alive: Callable[[], None] = lambda: None,
        on_progress: Callable[[EpisodeAudio, Progress], None] = lambda _episode, _progress: None,
    ) -> None:
        """`work` lies on the file system of the transcripts, `locks` where all workers see it.

        `alive` is called every second or so while anything goes on, for a watchdog.
        """
        self._recogniser = recogniser
        self._work = work
        self._locks = locks
        self._tools = tools or AudioTools()
        self._limits = limits or SpeechLimits()
        self._alive = alive
        self._on_progress = on_progress
        self._pace = Pace()

    @property
    def pace(self) -> Pace:
        """What recognition has cost so far in this run."""
        return self._pace

    async def check(self) -> None:
        """Make sure that everything needed is there, before any work; UsageError if not."""
        await anyio.to_thread.run_sync(self._tools.check)
        await self._recogniser.check()

    async def transcribe(self, episode: EpisodeAudio) -> Transcribed | AlreadyThere | Held:
        """Make the transcript of an episode, unless it is there or being made.

        Raises:
            AudioUnusable, RecognitionFailed, RecognitionRefused, LockLost: there is none now.
            OSError: the disk refuses.
        """
        if await anyio.to_thread.run_sync(_is_there, episode.transcript):
            return AlreadyThere()
        path = lock_path(self._locks, episode.podcast_id, episode.file_key)
        lock = await anyio.to_thread.run_sync(take_lock, path)
        if isinstance(lock, LockOwner):
            log.info("transcription_left_to_another", key=episode.file_key, owner=str(lock))
            return Held(lock)
        try:
            # Between the first look and the lock another worker may have finished.
            if await anyio.to_thread.run_sync(_is_there, episode.transcript):
                return AlreadyThere()
            return await self._locked(episode, lock)
        finally:
            with anyio.move_on_after(_CLEAN_UP_SECONDS, shield=True):
                await anyio.to_thread.run_sync(_let_go, lock, episode.file_key)

    async def _locked(self, episode: EpisodeAudio, lock: EpisodeLock) -> Transcribed | AlreadyThere:
        began = anyio.current_time()
        log.info(
            "transcription_started",
            podcast=episode.podcast_id,
            key=episode.file_key,
            recogniser=self._recogniser.name,
        )
        with open_workspace(self._work) as folder:
            recognised = await self._while_locked(episode, lock, folder)
            corrected = correct(recognised.cues, episode.corrections)
            if not await anyio.to_thread.run_sync(lock.refresh):
                raise LockLost(f"the lock of {episode.file_key!r} is not ours any more")
            body = render_srt(corrected.cues).encode()
            if not await anyio.to_thread.run_sync(save, episode.transcript, body, folder):
                return AlreadyThere()
        done = Transcribed(
            cues=len(corrected.cues),
            chunks=recognised.chunks,
            corrections=corrected.count,
            invalid_cues=recognised.invalid_cues,
            audio_seconds=recognised.audio_ms / 1000,
            work_seconds=anyio.current_time() - began,
        )
        _log_finished(episode, done)
        return done

    async def _while_locked(
        self, episode: EpisodeAudio, lock: EpisodeLock, folder: Path
    ) -> Recognised:
        """Recognise, and keep the lock fresh meanwhile."""
        recognition = Recognition(
            self._recogniser, self._tools, self._limits, self._pace, alive=self._alive
        )
        outcome: list[Recognised | SuiteError | OSError] = []
        async with anyio.create_task_group() as tasks:

            async def beat() -> None:
                while await self._beat(episode, lock, recognition):
                    pass
                tasks.cancel_scope.cancel()

            tasks.start_soon(beat)
            # A task group would pack what is raised in it into a group of its own.
            try:
                outcome.append(
                    await recognition.run(episode.audio, episode.file_key, episode.prompt, folder)
                )
            except (SuiteError, OSError) as error:
                outcome.append(error)
            tasks.cancel_scope.cancel()
        if not outcome:
            raise LockLost(f"the lock of {episode.file_key!r} is not ours any more")
        if isinstance(outcome[0], Recognised):
            return outcome[0]
        raise outcome[0]

    async def _beat(
        self, episode: EpisodeAudio, lock: EpisodeLock, recognition: Recognition
    ) -> bool:
        """Wait a while, tell progress and refresh the lock; False when that is lost."""
        await anyio.sleep(BEAT_SECONDS)
        progress = recognition.progress()
        if progress is not None:
            self._on_progress(episode, progress)
            log.info(
                "transcription_progressed",
                podcast=episode.podcast_id,
                key=episode.file_key,
                percent=progress.percent,
                chunk=progress.chunk,
                chunks=progress.chunks,
                left=format_left(progress.left_seconds),
            )
        try:
            return await anyio.to_thread.run_sync(lock.refresh)
        except OSError as error:
            # It is good for two hours; a disk that is full now need not be so in a minute.
            log.warning("lock_refresh_failed", key=episode.file_key, error=str(error))
            return True


def save(transcript: Path, body: bytes, folder: Path) -> bool:
    """Give a transcript its name, by way of a folder on its file system.

    False when another one has come there meanwhile; that stays. An empty file counts as none.
    """
    make_folders(transcript.parent)
    temporary = folder / "transcript.srt"
    write_durably(temporary, body)
    if _is_there(transcript):
        return False
    temporary.replace(transcript)
    fsync_directory(transcript.parent)
    return True


def _is_there(transcript: Path) -> bool:
    try:
        return transcript.stat().st_size > 0
    except FileNotFoundError:
        return False


def _let_go(lock: EpisodeLock, file_key: str) -> None:
    """Release a lock; one that stays is stale in two hours, and no reason to lose a transcript."""
    try:
        lock.release()
    except OSError as error:
        log.warning("lock_release_failed", key=file_key, error=str(error))


def _log_finished(episode: EpisodeAudio, done: Transcribed) -> None:
    log.info(
        "transcription_finished",
        podcast=episode.podcast_id,
        key=episode.file_key,
        cues=done.cues,
        chunks=done.chunks,
        corrections=done.corrections,
        audio_seconds=round(done.audio_seconds, 1),
        duration_seconds=round(done.work_seconds, 1),
    )
    if done.invalid_cues:
        log.warning("cues_dropped", key=episode.file_key, count=done.invalid_cues)
