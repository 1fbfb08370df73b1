"""The gap report: what is only here, only in S3, the same, or in conflict. Pure.

A site may have a million paths, and the report names each. They are kept compressed, about ten
bytes a path since they come sorted, and the JSON is written in pieces.
"""

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice
from operator import le

from daemons.ingester.archive.episode import format_time
from daemons.ingester.archive.folders import Folder

LIST_NAMES: Mapping[Folder, str] = {
    Folder.AUDIO: "audio",
    Folder.TRANSCRIPTS: "transcripts",
    Folder.MANIFEST: "manifest",
    Folder.RSS: "rss",
    Folder.SEARCH_ENTRIES: "searchEntries",
    Folder.INDEX: "searchIndex",
}
"""What the six lists of a part are called, in the order in which they are written."""

_PIECE_BYTES = 64 * 1024
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ENCODER = json.JSONEncoder(ensure_ascii=False)
"""Made once: `json.dumps` makes one for each path."""


class Part(StrEnum):
    """Where a path of the report belongs; a conflict is in no other part."""

    LOCAL_ONLY = "localOnly"
    S3_ONLY = "s3Only"
    CONSISTENT = "consistent"


@dataclass(frozen=True, slots=True)
class Conflict:
    """A path that both sides have and that differs."""

    path: str
    local_size: int
    s3_size: int
    local_ns: int
    s3_ns: int
    resolution: str
    """`s3`, `local`, `merge` or `none`: who wins, or would."""

    def to_json(self) -> str:
        """Return it as the report has it."""
        fields = {
            "path": self.path,
            "localSize": self.local_size,
            "s3Size": self.s3_size,
            "localModified": _time(self.local_ns),
            "s3Modified": _time(self.s3_ns),
            "resolution": self.resolution,
        }
        return json.dumps(fields, ensure_ascii=False)


class TextList:
    """Lines of text, appended and read, kept compressed; read sorted where they came unsorted."""

    def __init__(self) -> None:
        self._count = 0
        self._sorted = True
        self._last = ""
        self._packer = zlib.compressobj(1)
        self._packed: list[bytes] = []
        self._fresh: list[str] = []
        self._fresh_size = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        return self._read() if self._sorted else iter(sorted(self._read()))

    def append(self, line: str) -> None:
        """Add a line; it may hold anything but a line feed."""
        self.extend((line,))

    def extend(self, lines: Sequence[str]) -> None:
        """Add lines, as `append` would one after another."""
        if not lines:
            return
        self._count += len(lines)
        in_order = self._last <= lines[0] and all(map(le, lines, islice(lines, 1, None)))
        self._sorted = self._sorted and in_order
        self._last = lines[-1]
        self._fresh += lines
        self._fresh_size += sum(map(len, lines))
        if self._fresh_size >= _PIECE_BYTES:
            self._packed.append(self._packer.compress(self._text().encode()))
            self._fresh.clear()
            self._fresh_size = 0

    def _text(self) -> str:
        return "".join(f"{line}\n" for line in self._fresh)

    def _read(self) -> Iterator[str]:
        rest = b""
        reader = zlib.decompressobj()
        for packed in (*self._packed, self._packer.copy().flush()):
            *lines, rest = (rest + reader.decompress(packed)).split(b"\n")
            yield from (line.decode() for line in lines)
        yield from self._fresh


def _lists() -> dict[Folder, TextList]:
    return {folder: TextList() for folder in LIST_NAMES}


@dataclass(slots=True)
class GapReport:
    """Both sides of a site, as they were when it was made."""

    site_id: str
    bucket: str
    parts: dict[Part, dict[Folder, TextList]] = field(
        default_factory=lambda: {part: _lists() for part in Part}
    )
    conflicts: TextList = field(default_factory=TextList)
    """Each as its path, a tab, and its JSON: so they sort as paths do."""

    def add(self, part: Part, folder: Folder, path: str) -> None:
        """Note a path."""
        self.parts[part][folder].append(path)

    def extend(self, part: Part, folder: Folder, paths: Sequence[str]) -> None:
        """Note paths of one part, in their order."""
        self.parts[part][folder].extend(paths)

    def add_conflict(self, conflict: Conflict) -> None:
        """Note a conflict."""
        self.conflicts.append(f"{conflict.path}\t{conflict.to_json()}")

    def total(self, part: Part) -> int:
        """Count the paths of a part."""
        return sum(map(len, self.parts[part].values()))

    def summary(self) -> Mapping[str, int | bool]:
        """Return the totals."""
        local, s3 = self.total(Part.LOCAL_ONLY), self.total(Part.S3_ONLY)
        return {
            "totalLocalOnlyFiles": local,
            "totalS3OnlyFiles": s3,
            "totalConsistentFiles": self.total(Part.CONSISTENT),
            "totalConflictFiles": len(self.conflicts),
            "hasLocalOnlyFiles": local > 0,
            "hasS3OnlyFiles": s3 > 0,
            "hasConflicts": len(self.conflicts) > 0,
        }

    def to_json(self, generated_at: datetime) -> Iterator[str]:
        """Yield the report as JSON text, a piece at a time."""
        head = {
            "siteId": self.site_id,
            "bucket": self.bucket,
            "generatedAt": format_time(generated_at),
        }
        yield json.dumps(head, indent=2, ensure_ascii=False).removesuffix("\n}")
        for part, lists in self.parts.items():
            yield f',\n  "{part.value}": {{'
            for at, (folder, name) in enumerate(LIST_NAMES.items()):
                yield f'{"," if at else ""}\n    "{name}": ['
                yield from _items((_quoted(path) for path in lists[folder]), "      ", "    ")
                yield "]"
            yield "\n  }"
        yield ',\n  "conflicts": ['
        yield from _items((line.partition("\t")[2] for line in self.conflicts), "    ", "  ")
        summary = json.dumps(self.summary(), indent=2).replace("\n", "\n  ")
        yield f'],\n  "summary": {summary}\n}}\n'

    def to_text(self) -> str:
        """Return totals and counts a folder, for people."""
        rows = [
            (
                folder.value,
                *(str(len(self.parts[part][folder])) for part in Part),
            )
            for folder in LIST_NAMES
        ]
        totals = ("in all", *(str(self.total(part)) for part in Part))
        lines = [f"{'folder':<18}{'only here':>12}{'only in S3':>12}{'the same':>12}"]
        lines += [f"{a:<18}{b:>12}{c:>12}{d:>12}" for a, b, c, d in (*rows, totals)]
        lines.append(f"conflicts: {len(self.conflicts)}")
        return "\n".join(lines)


def _items(texts: Iterator[str], indent: str, last_indent: str) -> Iterator[str]:
    any_yet = False
    for text in texts:
        yield f"{',' if any_yet else ''}\n{indent}{text}"
        any_yet = True
    if any_yet:
        yield f"\n{last_indent}"


def _quoted(path: str) -> str:
    return _ENCODER.encode(path)


def _time(ns: int) -> str:
    return format_time(_EPOCH + timedelta(microseconds=ns // 1000))
