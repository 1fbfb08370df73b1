"""Open a file once and read exactly the bytes it had when it was found.

A path can be made to name another file between two calls, so everything after the opening works on
the descriptor, and every read ends at the size first seen. Blocking: call these in a thread.
"""

import base64
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from awscrt import checksums

from shared.fswatch.stability import FileIdentity
from shared.s3.store import PinnedFile

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1024 * 1024


class PinBroken(Exception):
    """The file is no longer the one that was found: it shrank, grew, or was rewritten."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a pinned file and their CRC64NVME."""

    body: bytes | bytearray
    crc: int


def identity_of(status: os.stat_result) -> FileIdentity:
    """Reduce a `stat` result to what identifies a file and its content."""
    return FileIdentity(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def open_pinned(path: bytes | str, *, directory: int | None = None) -> PinnedFile:
    """Open a regular file for reading, never a link, a pipe or a device; the caller closes it.

    Raises:
        OSError: it cannot be opened; ELOOP for a symbolic link.
        PinBroken: it is not a regular file.
    """
    descriptor = os.open(path, _FLAGS, dir_fd=directory)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise PinBroken("it is not a regular file")
    return PinnedFile(descriptor, identity_of(status), status.st_ctime_ns)


@contextmanager
def pinned(path: bytes | str, *, directory: int | None = None) -> Iterator[PinnedFile]:
    """Open a file as `open_pinned` does, and close it after the block."""
    source = open_pinned(path, directory=directory)
    try:
        yield source
    finally:
        os.close(source.descriptor)


def check_pin(source: PinnedFile) -> None:
    """Raise PinBroken unless the open file is still as it was found."""
    status = os.fstat(source.descriptor)
    now = identity_of(status)
    if now != source.identity or source.changed_ns not in {None, status.st_ctime_ns}:
        raise PinBroken(f"it had {source.identity.size} bytes and has {now.size} or was rewritten")


def read_whole(source: PinnedFile, buffer: bytearray) -> Piece:
    """Read the whole file into a buffer of its size.

    Raises:
        OSError: the disk failed.
        PinBroken: the file changed before or while it was read.
    """
    piece = read_into(source, buffer, 0)
    check_pin(source)
    return piece


def read_into(source: PinnedFile, buffer: bytearray, offset: int) -> Piece:
    """Fill `buffer` with the bytes at `offset`; the piece's body is that very buffer.

    Raises:
        OSError: the disk failed.
        PinBroken: the file ends too early.
    """
    _fill(source, buffer, offset)
    return Piece(buffer, crc64nvme(buffer))


def _fill(source: PinnedFile, buffer: bytearray, offset: int) -> None:
    view = memoryview(buffer)
    done = 0
    while done < len(buffer):
        count = os.preadv(source.descriptor, [view[done:]], offset + done)
        if count == 0:
            raise PinBroken(f"it ends at byte {offset + done} of {source.identity.size}")
        done += count


def crc64nvme(data: bytes | bytearray) -> int:
    """Return the CRC-64/NVME of the data (NVM Express specification; S3 `CRC64NVME`)."""
    return int(checksums.crc64nvme(data))


def joined_crc(first: int, second: int, second_size: int) -> int:
    """Return the CRC64NVME of two pieces in a row from their own; `second_size` in bytes."""
    return int(checksums.combine_crc64nvme(first, second, second_size))


def open_folder(root: Path, parts: Sequence[str]) -> int:
    """Open a folder below `root`, one part at a time and never through a link.

    `root` itself may be a link: it is the user's own word. The caller closes the descriptor.

    Raises:
        OSError: a part is missing, is no folder, or is a symbolic link (ENOTDIR or ELOOP).
    """
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for part in parts:
        try:
            inner = os.open(part, _FOLDER_FLAGS, dir_fd=folder)
        finally:
            os.close(folder)
        folder = inner
    return folder


def checksum_of(source: PinnedFile, kind: str) -> str:
    """Return a checksum of the pinned bytes as S3 writes it; `kind` is a field of `Checksums`.

    Raises:
        OSError: the disk failed.
        PinBroken: the file changed before or while it was read.
    """
    digest = _Running(kind)
    buffer = bytearray(min(_CHUNK, source.identity.size))
    offset = 0
    while offset < source.identity.size:
        if source.identity.size - offset < len(buffer):
            buffer = bytearray(source.identity.size - offset)
        _fill(source, buffer, offset)
        digest.update(buffer)
        offset += len(buffer)
    check_pin(source)
    return digest.value()


class _Running:
    """One of S3's checksums, fed piece by piece."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._crc = 0
        self._hash = hashlib.new(kind, usedforsecurity=False) if kind in _HASHES else None

    def update(self, data: bytearray) -> None:
        if self._hash is not None:
            self._hash.update(data)
        else:
            self._crc = int(_CRCS[self._kind][0](data, self._crc))

    def value(self) -> str:
        if self._hash is None:
            raw = self._crc.to_bytes(_CRCS[self._kind][1], "big")
        elif self._kind == "md5":
            return self._hash.hexdigest()
        else:
            raw = self._hash.digest()
        return base64.b64encode(raw).decode()


_HASHES = frozenset({"md5", "sha1", "sha256"})
_CRCS = {
    "crc32": (checksums.crc32, 4),
    "crc32c": (checksums.crc32c, 4),
    "crc64nvme": (checksums.crc64nvme, 8),
}
