"""faster-whisper by a model's path, in a child: the library never enters the daemon's process.

Nothing is ever fetched: a model is a folder that holds everything, its tokenizer too, and the child
is told to be offline. A child can be killed at its time limit, as a thread cannot, and gives its
memory back; that the model is loaded for each chunk costs seconds where the chunk takes minutes.
"""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anyio

from daemons.ingester.speech.backend import (
    Piece,
    RecognitionFailed,
    plain_environment,
    plain_prompt,
)
from daemons.ingester.speech.srt import Cue, render_srt
from daemons.ingester.speech.whispercpp import read_result, with_words
from shared.commands import CommandLimits, run_command
from shared.errors import UsageError

NAME = "faster-whisper"
MODEL_FILES = ("config.json", "model.bin", "tokenizer.json")
"""Without its tokenizer the library would fetch one."""
_CHILD = Path(__file__).with_name("fasterwhisper_child.py")
_IS_THERE = (
    "import importlib.util, sys; sys.exit(importlib.util.find_spec('faster_whisper') is None)"
)
_CHECK_SECONDS = 30.0
_OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


@dataclass(frozen=True, slots=True)
class FasterWhisper:
    """The recogniser `faster-whisper`."""

    model: Path
    """A folder of CTranslate2's format."""
    language: str = ""
    """Empty: it listens and guesses."""
    threads: int = 0
    """0: as many as it likes."""
    compute_type: str = "default"
    python: str = sys.executable
    """Whose library is used: it may live in an environment of its own, being large."""

    @property
    def name(self) -> str:
        """What it is called in settings."""
        return NAME

    async def check(self) -> None:
        """Look for the library and the model; UsageError for what is missing."""
        await anyio.to_thread.run_sync(self._check_model)
        argv = (self.python, "-I", "-c", _IS_THERE)
        outcome = await run_command(argv, limits=CommandLimits(_CHECK_SECONDS))
        if not outcome.ok:
            raise UsageError(
                f"faster-whisper is not installed for {self.python!r} ({outcome.reason()}); "
                "install it there, or set WHISPER_API_PROVIDER to another one"
            )

    async def recognise(
        self, piece: Piece, *, prompt: str, limit_seconds: float, progress: Callable[[], None]
    ) -> str:
        """Run the library over a piece."""
        request, result = piece.audio.with_suffix(".ask"), piece.audio.with_suffix(".cues")
        asked = {
            "model": str(self.model),
            "audio": str(piece.audio),
            "result": str(result),
            "prompt": plain_prompt(prompt),
            "language": self.language or None,
            "threads": self.threads,
            "compute_type": self.compute_type,
        }
        try:
            await anyio.to_thread.run_sync(request.write_text, json.dumps(asked), "utf-8")
            outcome = await run_command(
                (self.python, "-I", str(_CHILD), str(request)),
                cwd=piece.audio.parent,
                env={**plain_environment(os.environ), **_OFFLINE},
                limits=CommandLimits(limit_seconds),
                progress=progress,
            )
            if not outcome.ok:
                reason = with_words(outcome.reason(), outcome.tail)
                raise RecognitionFailed(f"faster-whisper: {reason}")
            return segments_to_srt(await anyio.to_thread.run_sync(read_result, result))
        finally:
            request.unlink(missing_ok=True)
            result.unlink(missing_ok=True)

    def _check_model(self) -> None:
        for name in MODEL_FILES:
            if not (self.model / name).is_file():
                raise UsageError(
                    f"faster-whisper model {str(self.model)!r} has no {name!r}; "
                    "set FASTER_WHISPER_MODEL to a folder with a whole model"
                )


def segments_to_srt(lines: str) -> str:
    """Return the segments that the child wrote, a JSON list `[start, end, text]` a line, as SRT."""
    try:
        return render_srt(_cue(*json.loads(line)) for line in lines.splitlines() if line)
    except (ValueError, TypeError, OverflowError) as error:
        raise RecognitionFailed(f"faster-whisper wrote something odd: {error}") from None


def _cue(start: float, end: float, text: str) -> Cue:
    start_ms = max(0, round(start * 1000))
    return Cue(start_ms, max(start_ms, round(end * 1000)), text)
