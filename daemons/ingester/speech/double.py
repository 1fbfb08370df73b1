"""The test double: a recogniser that knows what will be said, or makes something up.

It stands in where no model is at hand, in tests and demonstrations. Of an episode whose transcript
lies in its folder, as `<file key>.srt` or under the key without its timestamp, which nobody knows
before the episode was found, it gives the cues that belong to the piece; of another one a sentence
every four seconds, always the same.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import anyio

from daemons.ingester.speech.backend import Piece
from daemons.ingester.speech.srt import Cue, decode_srt, parse_srt, render_srt
from shared.errors import UsageError

NAME = "test-double"
_EVERY_MS = 4000


@dataclass(frozen=True, slots=True)
class Double:
    """The recogniser `test-double`."""

    folder: Path | None = None

    @property
    def name(self) -> str:
        """What it is called in settings."""
        return NAME

    async def check(self) -> None:
        """UsageError where it was told of a folder that is not there."""
        if self.folder is not None and not self.folder.is_dir():
            raise UsageError(f"folder of known transcripts {str(self.folder)!r} does not exist")

    async def recognise(
        self, piece: Piece, *, prompt: str, limit_seconds: float, progress: Callable[[], None]
    ) -> str:
        """Return the cues of the piece."""
        del prompt, limit_seconds
        progress()
        known = await anyio.to_thread.run_sync(self._known, piece.file_key)
        return render_srt(made_up(piece) if known is None else stretch(known, piece))

    def _known(self, file_key: str) -> tuple[Cue, ...] | None:
        if self.folder is None:
            return None
        for name in (file_key, file_key.rpartition("--")[0]):
            with suppress(FileNotFoundError):
                return parse_srt(decode_srt((self.folder / f"{name}.srt").read_bytes())).cues
        return None


def stretch(cues: tuple[Cue, ...], piece: Piece) -> Iterator[Cue]:
    """Return the cues that begin in a piece, with times that begin with it."""
    end_ms = piece.start_ms + piece.length_ms
    return (cue.shifted(-piece.start_ms) for cue in cues if piece.start_ms <= cue.start_ms < end_ms)


def made_up(piece: Piece) -> Iterator[Cue]:
    """Return sentences that name the second at which they are said."""
    edges = [*range(0, piece.length_ms, _EVERY_MS), piece.length_ms]
    return (
        Cue(start_ms, end_ms, f"This is said at second {(piece.start_ms + start_ms) // 1000}.")
        for start_ms, end_ms in pairwise(edges)
    )
