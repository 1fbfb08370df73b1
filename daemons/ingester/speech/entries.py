"""Search entries: a transcript in pieces that a search can show, byte for byte the same. Pure.

Cues are added to an entry until one of these closes it, after a cue:

| span from the first cue's start to this cue's end | and the text ends with | closes |
|---------------------------------------------------|------------------------|--------|
| 15,000 ms or more                                 | anything               | yes    |
| 7,000 ms or more                                  | `.`, `!` or `?`        | yes    |
| any                                               | it is the last cue     | yes    |
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from daemons.ingester.speech.srt import Cue

LONG_MS = 15_000
SENTENCE_MS = 7_000
SENTENCE_ENDS = (".", "!", "?")


@dataclass(frozen=True, slots=True)
class SearchEntry:
    """One entry of the search."""

    id: str
    """Unique in the site: sequential id, start, and a number where two begin together."""
    start_ms: int
    end_ms: int
    text: str
    sequential_id: int
    published_ms: int

    def record(self) -> dict[str, object]:
        """Return the JSON object, in the order in which it is written."""
        return {
            "id": self.id,
            "startTimeMs": self.start_ms,
            "endTimeMs": self.end_ms,
            "text": self.text,
            "sequentialEpisodeIdAsString": str(self.sequential_id),
            "episodePublishedUnixTimestamp": self.published_ms,
        }


def search_entries(
    cues: Iterable[Cue], *, sequential_id: int, published_ms: int
) -> tuple[SearchEntry, ...]:
    """Return the entries of an episode, in the order of its cues."""
    entries = []
    starts: dict[int, int] = {}
    for start_ms, end_ms, text in _spans(cues):
        starts[start_ms] = nth = starts.get(start_ms, 0) + 1
        suffix = "" if nth == 1 else f"_{nth}"
        name = f"{sequential_id}_{start_ms}{suffix}"
        entries.append(SearchEntry(name, start_ms, end_ms, text, sequential_id, published_ms))
    return tuple(entries)


def render_entries(entries: Iterable[SearchEntry]) -> bytes:
    """Return the file's content: the same entries are always the same bytes."""
    records = [entry.record() for entry in entries]
    return json.dumps(records, indent=2, ensure_ascii=False).encode("utf-8", "replace")


def _spans(cues: Iterable[Cue]) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and text of each entry."""
    texts: list[str] = []
    start_ms = end_ms = 0
    for cue in cues:
        text = " ".join(cue.text.split("\n")).strip()
        if not text:
            continue
        start_ms = start_ms if texts else cue.start_ms
        end_ms = cue.end_ms
        texts.append(text)
        if _closes(end_ms - start_ms, text):
            yield start_ms, end_ms, " ".join(texts)
            texts.clear()
    if texts:
        yield start_ms, end_ms, " ".join(texts)


def _closes(span_ms: int, text: str) -> bool:
    return span_ms >= LONG_MS or (span_ms >= SENTENCE_MS and text.endswith(SENTENCE_ENDS))
