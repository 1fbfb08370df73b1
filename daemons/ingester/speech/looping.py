"""Transcripts in which a recogniser got stuck and said one thing over and over. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from daemons.ingester.speech.srt import Cue

_LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Run:
    """The same text in a row."""

    text: str
    count: int

    def __str__(self) -> str:
        shown = (
            self.text if len(self.text) <= _LONGEST_SHOWN else f"{self.text[:_LONGEST_SHOWN]}..."
        )
        return f"{shown!r} {self.count} times in a row"


def longest_run(cues: Iterable[Cue]) -> Run:
    """Return the longest run of cues with the same text; those without text do not break one."""
    texts = (" ".join(cue.text.split()) for cue in cues)
    runs = (Run(text, sum(1 for _ in same)) for text, same in groupby(filter(None, texts)))
    return max(runs, key=_count_of, default=Run("", 0))


def _count_of(run: Run) -> int:
    return run.count
