"""Whether what a recogniser wrote about a chunk can be taken. Pure.

| transcript                                             | verdict                              |
|--------------------------------------------------------|--------------------------------------|
| has cues, no text ten times in a row                   | taken                                |
| the same text ten times in a row, or more              | refused: it loops                    |
| no cue with text, from a chunk of more than 30 s       | refused: it would leave a hole       |
| no cue with text, from a shorter chunk, nothing written| taken: silence                       |
| something written, and no cue in it                    | refused: nobody can read it          |

One refused chunk refuses the episode: a transcript with a hole looks complete for ever.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from daemons.ingester.speech.looping import longest_run
from daemons.ingester.speech.srt import Cue, Parsed, parse_srt

UNPUNCTUATED_MS = 45_000
"""A stretch as long as this without the end of a sentence is odd."""
_SENTENCE_ENDS = ".!?"


@dataclass(frozen=True, slots=True)
class JudgeLimits:
    """What is still taken for speech."""

    loop_cues: int = 10
    """The same text so many times in a row is a loop."""
    silence_ms: int = 30_000
    """A longer chunk has words in it."""


def judge(text: str, length_ms: int, limits: JudgeLimits) -> Parsed:
    """Read the transcript of a chunk; ValueError says why it cannot be taken."""
    parsed = parse_srt(text)
    if not any(cue.text for cue in parsed.cues):
        if text.strip("\ufeff \t\r\n") and not parsed.cues:
            raise ValueError("the transcript has no readable cue")
        if length_ms > limits.silence_ms:
            raise ValueError(f"the transcript of {length_ms / 1000:g} s of audio is empty")
    run = longest_run(parsed.cues)
    if run.count >= limits.loop_cues:
        raise ValueError(f"the transcript loops: {run}")
    return parsed


def unpunctuated_ms(cues: Iterable[Cue]) -> int:
    """Return the length of the longest stretch of cues without `.`, `!` or `?`."""
    longest = 0
    since: int | None = None
    for cue in cues:
        since = cue.start_ms if since is None else since
        if any(mark in cue.text for mark in _SENTENCE_ENDS):
            longest = max(longest, cue.start_ms - since)
            since = cue.end_ms
        else:
            longest = max(longest, cue.end_ms - since)
    return longest
