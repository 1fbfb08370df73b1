"""Corrections files from disk, and corrections over transcripts that are there already."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import structlog
from structlog.typing import FilteringBoundLogger

from daemons.ingester.project.files import read_text
from daemons.ingester.speech.corrections import Corrected, Correction, correct, parse_corrections
from daemons.ingester.speech.srt import decode_srt, parse_srt, render_srt
from shared.errors import PermanentError, UsageError
from shared.files import fsync_directory, write_durably

log: FilteringBoundLogger = structlog.get_logger()


def load_corrections(
    paths: Iterable[Path], on_broken: Callable[[Path, str], None] = lambda _path, _reason: None
) -> tuple[Correction, ...]:
    """Return the corrections of all files in order; a broken one is a warning, no failure."""
    found: list[Correction] = []
    for path in paths:
        try:
            text = read_text(path)
            found += parse_corrections(text) if text is not None else ()
        except (UsageError, ValueError) as error:
            log.warning("corrections_ignored", file=str(path), error=str(error))
            on_broken(path, str(error))
    return tuple(found)


class CuesNotRead(PermanentError):
    """A transcript has cues whose times cannot be; written anew, it would lose them."""


def reapply_corrections(transcript: Path, corrections: Sequence[Correction], folder: Path) -> int:
    """Correct a transcript that is there; returns how many replacements changed it.

    A file in which nothing changes is not touched. `folder` is on the same file system.

    Raises:
        CuesNotRead: it is left as it is.
    """
    corrected = _corrected(transcript, corrections)
    if corrected.count:
        temporary = folder / "corrected.srt"
        write_durably(temporary, render_srt(corrected.cues).encode())
        temporary.replace(transcript)
        fsync_directory(transcript.parent)
    return corrected.count


def count_corrections(transcript: Path, corrections: Sequence[Correction]) -> int:
    """Return how many replacements would change a transcript that is there.

    Raises:
        CuesNotRead: it would be left as it is.
    """
    return _corrected(transcript, corrections).count


def _corrected(transcript: Path, corrections: Sequence[Correction]) -> Corrected:
    found = parse_srt(decode_srt(transcript.read_bytes()))
    if found.invalid:
        cues = "1 cue" if found.invalid == 1 else f"{found.invalid} cues"
        raise CuesNotRead(
            f"not corrected: {cues} with times that cannot be would be lost; mend the times"
        )
    return correct(found.cues, corrections)
