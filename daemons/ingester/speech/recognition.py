"""The chunks of one episode, one after another: cut, recognised, judged, joined.

Rule: all chunks or none. What comes out covers the whole episode, with times to the millisecond.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import structlog
from structlog.typing import FilteringBoundLogger

from daemons.ingester.speech.audio import AudioTools, AudioUnusable
from daemons.ingester.speech.backend import (
    Piece,
    Recogniser,
    RecognitionFailed,
    RecognitionRefused,
)
from daemons.ingester.speech.judge import JudgeLimits, judge
from daemons.ingester.speech.progress import Pace, Progress, estimate
from daemons.ingester.speech.prompts import next_prompt
from daemons.ingester.speech.splitting import (
    AudioFacts,
    Chunk,
    chunk_name,
    needs_split,
    plan_chunks,
)
from daemons.ingester.speech.srt import Cue, Parsed, join
from shared.retry import RetryBudget, RetryPolicy, retrying

log: FilteringBoundLogger = structlog.get_logger()

_SECOND_MS = 1000


@dataclass(frozen=True, slots=True)
class SpeechLimits:
    """What recognition may cost, and what is taken for speech."""

    attempts: int = 2
    """A chunk, in all."""
    pause_seconds: float = 1.0
    """Between two attempts."""
    least_seconds: float = 300.0
    """The shortest time limit of an attempt ..."""
    factor: float = 3.0
    """... and how many seconds it has for a second of audio, where that is more."""
    carry_prompt: bool = True
    """Whether a chunk is told how the one before it ended."""
    judging: JudgeLimits = field(default_factory=JudgeLimits)

    def attempt_seconds(self, length_ms: int) -> float:
        """Return the time limit of an attempt."""
        return max(self.least_seconds, self.factor * length_ms / _SECOND_MS)


@dataclass(frozen=True, slots=True)
class Recognised:
    """A whole episode."""

    cues: tuple[Cue, ...]
    chunks: int
    invalid_cues: int
    """Left out because their times cannot be."""
    audio_ms: int


class Recognition:
    """One episode's way through the recogniser."""

    def __init__(
        self,
        recogniser: Recogniser,
        tools: AudioTools,
        limits: SpeechLimits,
        pace: Pace,
        *,
        alive: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = anyio.current_time,
    ) -> None:
        self._recogniser = recogniser
        self._tools = tools
        self._limits = limits
        self._pace = pace
        self._alive = alive
        self._clock = clock
        self._chunks: Sequence[Chunk] = ()
        self._at = 0
        self._since = 0.0
        # Exactly the pause: there is no herd that jitter would have to spread.
        self._policy = RetryPolicy(
            attempts=limits.attempts,
            base_seconds=limits.pause_seconds,
            ceiling_seconds=limits.pause_seconds,
            random=lambda: 1.0,
        )

    def progress(self) -> Progress | None:
        """Return how far it is; None while the audio is still looked at."""
        if not self._chunks:
            return None
        last = self._chunks[-1]
        total_ms = last.start_ms + last.length_ms
        if self._at == len(self._chunks):
            total_seconds = total_ms / _SECOND_MS
            return Progress(self._at, self._at, total_seconds, total_seconds, 0.0)
        current = self._chunks[self._at]
        end_ms = current.start_ms + current.length_ms
        return estimate(
            self._pace,
            chunk=(self._at + 1, len(self._chunks)),
            before_seconds=current.start_ms / _SECOND_MS,
            chunk_seconds=current.length_ms / _SECOND_MS,
            later_seconds=(total_ms - end_ms) / _SECOND_MS,
            in_chunk_seconds=self._clock() - self._since,
        )

    async def run(self, audio: Path, file_key: str, prompt: str, folder: Path) -> Recognised:
        """Recognise an episode; `folder` is for files that come and go.

        Raises:
            AudioUnusable, RecognitionFailed, RecognitionRefused: there is no transcript.
        """
        facts = await self._tools.examine(audio)
        self._chunks = plan_chunks(facts)
        parts: list[tuple[int, Sequence[Cue]]] = []
        invalid = 0
        for at, chunk in enumerate(self._chunks):
            self._at, self._since = at, self._clock()
            carried = parts[-1][1] if parts and self._limits.carry_prompt else ()
            try:
                path = await self._prepared(audio, file_key, facts, chunk, folder)
                piece = Piece(path, file_key, chunk.start_ms, chunk.length_ms)
                parsed = await self._recognised(piece, prompt, carried)
            except (AudioUnusable, RecognitionFailed, RecognitionRefused) as error:
                place = f"chunk {chunk.number} of {len(self._chunks)}"
                raise type(error)(f"{place}: {error}") from error
            await anyio.to_thread.run_sync(path.unlink)
            parts.append((chunk.start_ms, parsed.cues))
            invalid += parsed.invalid
            self._pace.note(chunk.length_ms / _SECOND_MS, self._clock() - self._since)
        self._at = len(self._chunks)
        return Recognised(join(parts), len(self._chunks), invalid, facts.duration_ms)

    async def _prepared(
        self, audio: Path, file_key: str, facts: AudioFacts, chunk: Chunk, folder: Path
    ) -> Path:
        """Return a chunk's audio, in a folder where a recogniser may write beside it."""
        if not needs_split(facts):
            whole = folder / f"{file_key}.mp3"
            if facts.is_mp3:
                await anyio.to_thread.run_sync(_link, whole, audio)
            else:
                await self._tools.cut(audio, whole, chunk, is_mp3=False)
            return whole
        path = folder / chunk_name(file_key, chunk.number)
        await self._tools.cut(audio, path, chunk, is_mp3=facts.is_mp3)
        return path

    async def _recognised(self, piece: Piece, prompt: str, carried: Sequence[Cue]) -> Parsed:
        """Make the attempts."""

        async def attempt(number: int) -> Parsed:
            # What the last chunk ended with may be what led the first attempt astray.
            told = next_prompt(prompt, carried if number == 1 else ())
            try:
                return await self._once(piece, told)
            except RecognitionFailed as error:
                log.warning(
                    "recognition_attempt_failed",
                    key=piece.file_key,
                    file=piece.audio.name,
                    attempt=number,
                    attempts=self._limits.attempts,
                    error=str(error),
                )
                raise

        return await retrying(attempt, policy=self._policy, budget=RetryBudget())

    async def _once(self, piece: Piece, prompt: str) -> Parsed:
        text = await self._recogniser.recognise(
            piece,
            prompt=prompt,
            limit_seconds=self._limits.attempt_seconds(piece.length_ms),
            progress=self._alive,
        )
        try:
            return judge(text, piece.length_ms, self._limits.judging)
        except ValueError as error:
            raise RecognitionFailed(str(error)) from None


def _link(whole: Path, audio: Path) -> None:
    whole.symlink_to(audio.absolute())
