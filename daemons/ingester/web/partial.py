"""A download that is not finished: its bytes, and how many of them survived for certain.

Two files lie in the work folder: `<name>.part` with the bytes, `<name>.json` with the ETag that
they belong to and the number of bytes that were on the disk when that was written. Rule: bytes
beyond that number are cut off before anything is added: after a power cut they may be anything.

These calls block: use them through `anyio.to_thread`.
"""

import json
import os
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import TypeGuard

from daemons.ingester.web.headers import strong_etag
from shared.files import make_folders, place_without_overwriting, write_durably

_SCHEMA = 1
_NOTE_BYTES_MAX = 4096
_MODE = 0o644
_BYTES_SUFFIX, _NOTE_SUFFIX = ".part", ".json"


@dataclass(frozen=True, slots=True)
class Note:
    """What is written beside the bytes."""

    etag: str
    size: int
    total: int | None

    def to_bytes(self) -> bytes:
        """Return the file's content."""
        return json.dumps(
            {"schema": _SCHEMA, "etag": self.etag, "size": self.size, "total": self.total}
        ).encode()


def parse_note(body: bytes) -> Note | None:
    """Read a note; None where it does not say what is needed to go on."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("schema") != _SCHEMA:
        return None
    etag, size, total = found.get("etag"), found.get("size"), found.get("total")
    if not isinstance(etag, str) or not strong_etag(etag) or not _is_count(size):
        return None
    if total is not None and (not _is_count(total) or total < size):
        return None
    return Note(etag, size, total)


class Partial:
    """An unfinished file; `size` bytes of it are there."""

    def __init__(self, folder: Path, name: str) -> None:
        self._bytes = folder / f"{name}{_BYTES_SUFFIX}"
        self._note = folder / f"{name}{_NOTE_SUFFIX}"
        self._stream: FileIO | None = None
        self.etag = ""
        """The strong ETag of what is being downloaded, empty where there is none."""
        self.total: int | None = None
        """How large the whole will be, where that is known."""
        self.size = 0

    def open(self) -> None:
        """Begin, with the bytes that an earlier download left for certain."""
        make_folders(self._bytes.parent)
        note = self._read_note()
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        # Without a buffer, so that the disk refuses here and not when the file is closed.
        self._stream = os.fdopen(os.open(self._bytes, flags, 0o600), "r+b", buffering=0)
        if note is not None and os.fstat(self._stream.fileno()).st_size >= note.size:
            self.etag, self.total, self.size = note.etag, note.total, note.size
        self._cut()

    def restart(self, etag: str, total: int | None) -> None:
        """Throw away what is there and begin anew, with bytes of this ETag."""
        self._note.unlink(missing_ok=True)
        self.etag, self.total, self.size = strong_etag(etag), total, 0
        self._cut()

    @property
    def is_open(self) -> bool:
        """Whether anything can be added."""
        return self._stream is not None

    def append(self, piece: bytes | bytearray) -> None:
        """Add bytes; where the disk refuses, nothing of the file can be gone on with."""
        left = memoryview(piece)
        try:
            while left:
                left = left[self._opened.write(left) :]
        except OSError:
            # Part of the piece may be there, and nobody knows which.
            self.etag = ""
            raise
        self.size += len(piece)

    def checkpoint(self) -> None:
        """Make sure that what is there will be there, where it could ever be gone on with."""
        if self.etag and self.size:
            self._sync()
            write_durably(self._note, Note(self.etag, self.size, self.total).to_bytes(), 0o600)

    def finish(self, target: Path) -> bool:
        """Give the whole its name; False where another file has that name, which stays.

        A file of no bytes in the way counts as absent, as it does everywhere.
        """
        self._sync()
        os.fchmod(self._opened.fileno(), _MODE)
        make_folders(target.parent)
        with suppress(FileNotFoundError):
            if target.lstat().st_size == 0:
                target.unlink()
        try:
            place_without_overwriting(self._bytes, target)
        except FileExistsError:
            self.discard()
            return False
        self.discard()
        return True

    def keep(self) -> None:
        """Let go; what can be gone on with stays, anything else goes."""
        if self._stream is None:
            return
        if self.etag and self.size:
            self.checkpoint()
            self.let_go()
        else:
            self.discard()

    def discard(self) -> None:
        """Let go and leave nothing."""
        self.let_go()
        self._note.unlink(missing_ok=True)
        self._bytes.unlink(missing_ok=True)

    @property
    def _opened(self) -> FileIO:
        if self._stream is None:
            raise ValueError(f"{str(self._bytes)!r} is not open")
        return self._stream

    def _read_note(self) -> Note | None:
        try:
            with self._note.open("rb") as stream:
                return parse_note(stream.read(_NOTE_BYTES_MAX))
        except FileNotFoundError:
            return None

    def _cut(self) -> None:
        self._opened.seek(self.size)
        self._opened.truncate(self.size)

    def _sync(self) -> None:
        os.fsync(self._opened.fileno())

    def let_go(self) -> None:
        """Close the file and note nothing, as the end of the process would."""
        if self._stream is not None:
            stream, self._stream = self._stream, None
            stream.close()


def remove_others(folder: Path, names: Collection[str]) -> int:
    """Remove the unfinished downloads that nobody will go on with; return how many files went.

    `names` are those of the downloads that are still wanted. What a download that was killed in
    its last moment left beside the finished file goes here too.
    """
    if not folder.is_dir():
        return 0
    others = [
        path
        for path in folder.iterdir()
        if path.suffix in (_BYTES_SUFFIX, _NOTE_SUFFIX) and path.stem not in names
    ]
    for path in others:
        path.unlink(missing_ok=True)
    return len(others)


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
