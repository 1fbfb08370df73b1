"""whisper.cpp's command line: one child a chunk, its output read and removed."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import anyio

from daemons.ingester.speech.backend import (
    Piece,
    RecognitionFailed,
    plain_environment,
    plain_prompt,
)
from daemons.ingester.speech.srt import decode_srt
from shared.commands import CommandLimits, run_command
from shared.errors import UsageError

NAME = "local-whisper.cpp"
RECOMMENDED_MODEL = "large-v3-turbo"
_SRT_BYTES_MAX = 64 * 1024 * 1024
_LINES_SHOWN = 3


def whisper_argv(
    folder: PurePath, model: str, audio: PurePath, prompt: str, extra: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the command that writes `audio`'s name with `.srt` instead of its extension."""
    return (
        *(str(program_of(folder)), "-m", str(model_of(folder, model)), "-f", str(audio)),
        *("--output-srt", "-of", str(audio.with_suffix("")), "--prompt", prompt, *extra),
    )


def program_of(folder: PurePath) -> PurePath:
    """Return where the program lies."""
    return folder / "build" / "bin" / "whisper-cli"


def model_of(folder: PurePath, model: str) -> PurePath:
    """Return where a model lies."""
    return folder / "models" / f"ggml-{model}.bin"


@dataclass(frozen=True, slots=True)
class WhisperCpp:
    """The recogniser `local-whisper.cpp`."""

    folder: Path
    """Where whisper.cpp was built."""
    model: str = RECOMMENDED_MODEL
    extra: tuple[str, ...] = ()
    """More flags, such as `-t 8` or `-l da`."""

    @property
    def name(self) -> str:
        """What it is called in settings."""
        return NAME

    async def check(self) -> None:
        """Look for folder, program and model; UsageError for the first that is missing."""
        await anyio.to_thread.run_sync(self._check)

    async def recognise(
        self, piece: Piece, *, prompt: str, limit_seconds: float, progress: Callable[[], None]
    ) -> str:
        """Run the program over a piece."""
        argv = whisper_argv(self.folder, self.model, piece.audio, plain_prompt(prompt), self.extra)
        result = piece.audio.with_suffix(".srt")
        try:
            outcome = await run_command(
                argv,
                cwd=self.folder,
                env=plain_environment(os.environ),
                limits=CommandLimits(limit_seconds),
                progress=progress,
            )
            if not outcome.ok:
                raise RecognitionFailed(
                    f"whisper.cpp: {with_words(outcome.reason(), outcome.tail)}"
                )
            return await anyio.to_thread.run_sync(read_result, result)
        finally:
            result.unlink(missing_ok=True)

    def _check(self) -> None:
        program, model = Path(program_of(self.folder)), Path(model_of(self.folder, self.model))
        if not self.folder.is_dir():
            raise UsageError(
                f"whisper.cpp folder {str(self.folder)!r} does not exist; set WHISPER_CPP_PATH"
            )
        if not program.is_file() or not os.access(program, os.X_OK):
            raise UsageError(f"whisper.cpp program {str(program)!r} cannot be run; build it there")
        if not model.is_file():
            raise UsageError(
                f"whisper.cpp model {str(model)!r} does not exist; put it there, "
                "or set WHISPER_CPP_MODEL"
            )


def read_result(path: Path) -> str:
    """Return what a program has written; RecognitionFailed where that is nothing."""
    try:
        with path.open("rb") as stream:
            body = stream.read(_SRT_BYTES_MAX + 1)
    except FileNotFoundError:
        raise RecognitionFailed(f"{path.name!r} was not written") from None
    if len(body) > _SRT_BYTES_MAX:
        raise RecognitionFailed(f"{path.name!r} is larger than {_SRT_BYTES_MAX} bytes")
    return decode_srt(body)


def with_words(reason: str, tail: str) -> str:
    """Return why a program failed with the last of what it said."""
    lines = [line.strip() for line in tail.splitlines() if line.strip()][-_LINES_SHOWN:]
    return f"{reason}: {' | '.join(lines)}"[:500] if lines else reason
