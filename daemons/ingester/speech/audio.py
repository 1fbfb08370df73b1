"""ffprobe and ffmpeg as children: what a file is, and one chunk of it."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import anyio

from daemons.ingester.speech.backend import plain_environment
from daemons.ingester.speech.splitting import (
    AudioFacts,
    Chunk,
    brief_probe_argv,
    cut_argv,
    cut_seconds,
    measure_argv,
    parse_measure,
    parse_probe,
    probe_argv,
    settled,
)
from daemons.ingester.speech.whispercpp import with_words
from shared.commands import LONGEST_TAIL, CommandLimits, CommandOutcome, run_command
from shared.errors import PermanentError, UsageError

_PROBE_SECONDS = 60.0
_MEASURE_SECONDS = 300.0


class AudioUnusable(PermanentError):
    """A file holds no audio that could be recognised, or no chunk could be cut from it."""


@dataclass(frozen=True, slots=True)
class AudioTools:
    """The two programs, by name or path."""

    ffmpeg: str = "ffmpeg"
    ffprobe: str = "ffprobe"

    def check(self) -> None:
        """Look for both; UsageError names what is missing."""
        for program in (self.ffmpeg, self.ffprobe):
            if shutil.which(program) is None:
                raise UsageError(f"program {program!r} is not there; install ffmpeg")

    async def examine(self, audio: Path) -> AudioFacts:
        """Return what a file is; AudioUnusable when it is no audio."""
        size = await anyio.to_thread.run_sync(_size, audio)
        try:
            facts = await self._probe(audio, size)
            outcome = await _run(measure_argv(self.ffmpeg, str(audio)), _MEASURE_SECONDS)
            # A count that broke off says nothing about the end.
            return settled(facts, parse_measure(outcome.tail) if outcome.ok else 0)
        except ValueError as error:
            raise AudioUnusable(f"audio {audio.name!r} {error}") from None

    async def cut(self, audio: Path, target: Path, chunk: Chunk, *, is_mp3: bool) -> None:
        """Write one chunk; AudioUnusable when that fails."""
        argv = cut_argv(self.ffmpeg, str(audio), str(target), chunk, is_mp3=is_mp3)
        outcome = await _run(argv, cut_seconds(chunk))
        if not outcome.ok:
            raise AudioUnusable(f"ffmpeg: {with_words(outcome.reason(), outcome.tail)}")
        if await anyio.to_thread.run_sync(_size, target) == 0:
            raise AudioUnusable(f"ffmpeg wrote nothing into {target.name!r}")

    async def _probe(self, audio: Path, size: int) -> AudioFacts:
        outcome = await _run(probe_argv(self.ffprobe, str(audio)), _PROBE_SECONDS)
        if outcome.fault or outcome.timed_out:
            raise AudioUnusable(f"ffprobe: {outcome.reason()}")
        try:
            return parse_probe(outcome.tail, size)
        except ValueError:
            brief = await _run(brief_probe_argv(self.ffprobe, str(audio)), _PROBE_SECONDS)
            return parse_probe(brief.tail, size)


def _size(path: Path) -> int:
    """Return how large a file is, 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


async def _run(argv: tuple[str, ...], seconds: float) -> CommandOutcome:
    return await run_command(
        argv,
        env=plain_environment(os.environ),
        limits=CommandLimits(seconds, tail_bytes=LONGEST_TAIL),
    )
