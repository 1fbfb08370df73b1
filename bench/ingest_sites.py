"""The sites whose sync is measured: laid on disk, and named to the stub line by line meanwhile.

Everything is in step: the same bytes, and the times that a download leaves. So whoever compares
them has nothing to do but to find that out.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from daemons.ingester.archive.episode import format_time
from daemons.ingester.archive.folders import (
    MANIFEST_PATH,
    Folder,
    audio_path,
    search_entries_path,
    transcript_path,
)
from daemons.ingester.speech.entries import SearchEntry, render_entries

MODIFIED = datetime(2026, 1, 1, tzinfo=UTC)
PAGE = 1000
"""Objects that one answer lists."""

_PODCASTS = 10
_AUDIO_BYTES = 256 * 1024
_SENTENCE = "and so the whole of it comes down to what people are willing to say out loud. "
_PATHS = {
    Folder.AUDIO: audio_path,
    Folder.TRANSCRIPTS: transcript_path,
    Folder.SEARCH_ENTRIES: search_entries_path,
}
_TINY = b"\0"
"""One byte that a file has without a block on disk."""


@dataclass(frozen=True, slots=True)
class Site:
    """Episodes with audio, transcript and search entries, and the manifest."""

    name: str
    episodes: int
    entries: int = 0
    """Search entries in all files together; 0 for a site whose files have one byte each."""

    @property
    def objects(self) -> int:
        """How many there are."""
        return self.episodes * len(_PATHS) + 1

    @property
    def pages(self) -> int:
        """How many answers list them all, one after the other."""
        return -(-self.objects // PAGE)

    def paths(self, folder: Folder) -> Iterator[str]:
        """Yield the paths of a folder in their order."""
        if folder is Folder.MANIFEST:
            yield MANIFEST_PATH
        for number in range(self.episodes if folder in _PATHS else 0):
            yield _PATHS[folder](*self._episode(number))

    def lay(self, root: Path) -> Iterator[str]:
        """Write every file below `root`, and yield what the stub is to have, a line each."""
        for folder in (*_PATHS, Folder.MANIFEST):
            parent = Path()
            for number, path in enumerate(self.paths(folder)):
                target = root / path
                if target.parent != parent:
                    parent = target.parent
                    parent.mkdir(parents=True)
                body = self._body(folder, number)
                _write(target, body)
                etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
                yield f"{len(body)} {etag} {MODIFIED.timestamp():.0f} {path}\n"

    def _episode(self, number: int) -> tuple[str, str]:
        """Return podcast and key, so that both go up with the number."""
        each = -(-self.episodes // _PODCASTS)
        key = f"2022-09-27_Episode_{number:07}_with_a_title--1749472638931"
        return f"podcast-{number // each}", key

    def _body(self, folder: Folder, number: int) -> bytes:
        if not self.entries:
            return _TINY
        if folder is Folder.MANIFEST:
            return self._manifest()
        if folder is Folder.AUDIO:
            return f"{number:08}".encode() * (_AUDIO_BYTES // 8)
        every, more = divmod(self.entries, self.episodes)
        count = every + (number < more)
        if folder is Folder.TRANSCRIPTS:
            return _transcript(number, 2 * count)
        return render_entries(_entry(number, at) for at in range(count))

    def _manifest(self) -> bytes:
        records = [self._record(number) for number in range(self.episodes)]
        content = {"lastUpdated": format_time(MODIFIED), "episodes": records}
        return json.dumps(content, indent=2, ensure_ascii=False).encode()

    def _record(self, number: int) -> dict[str, object]:
        podcast, key = self._episode(number)
        return {
            "sequentialId": number + 1,
            "podcastId": podcast,
            "title": f"Episode {number}, with a title",
            "fileKey": key,
            "originalAudioURL": f"https://cdn.example/{number}.mp3",
            "summary": _SENTENCE * 5,
            "publishedAt": "2022-09-27T10:00:00.000Z",
            "downloadedAt": "2025-06-09T12:37:18.931Z",
            "hasCompletedLLMAnnotations": False,
            "llmAnnotations": {},
        }


def _entry(number: int, at: int) -> SearchEntry:
    start = 8000 * at
    text = _SENTENCE * 3
    return SearchEntry(f"{number}_{start}", start, start + 7900, text, number, 1664272800000)


def _transcript(number: int, cues: int) -> bytes:
    blocks = (
        f"{at + 1}\n{_clock(4000 * at)} --> {_clock(4000 * at + 3900)}\n{number} {_SENTENCE}\n"
        for at in range(cues)
    )
    return "\n".join(blocks).encode()


def _clock(ms: int) -> str:
    seconds, ms = divmod(ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02},{ms:03}"


def _write(target: Path, body: bytes) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        if body == _TINY:
            os.ftruncate(descriptor, len(body))
        else:
            os.write(descriptor, body)
        os.utime(descriptor, (MODIFIED.timestamp(), MODIFIED.timestamp()))
    finally:
        os.close(descriptor)
