"""Storage in folders, for runs without AWS."""

import errno
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, NoReturn, TypeVar

import anyio
import anyio.to_thread

from pipelines.wildlife.document.places import Place, locate
from pipelines.wildlife.layout import Kind
from pipelines.wildlife.storage.protocol import Entry, Missing, Storage, Unusable
from shared.files import make_folders, open_durably

Result = TypeVar("Result")

_PIECE_BYTES = 1024 * 1024


class FolderStorage(Storage):
    """Files below the root of this machine; what an object is tagged with has no place here."""

    async def walk(self, place: Place) -> AsyncIterator[Entry]:
        """List the files of a folder and all below; links are not followed."""
        for entry in await _aside(lambda: list(_entries(place))):
            yield entry

    async def stat(self, uri: str) -> Entry:
        """Describe a file."""
        path = _path(uri)
        return await _aside(lambda: _entry(uri, path.name, _found(path)), uri)

    async def read(self, uri: str, *, start: int = 0, length: int | None = None) -> bytes:
        """Return what is in a file."""
        path = _path(uri)

        def read() -> bytes:
            with path.open("rb") as stream:
                stream.seek(start)
                return stream.read(-1 if length is None else length)

        return await _aside(read, uri)

    async def stream(self, uri: str) -> AsyncIterator[bytes]:
        """Yield what is in a file, piece by piece."""
        path = _path(uri)
        stream = await _aside(lambda: path.open("rb"), uri)
        with stream:
            while piece := await _aside(lambda: stream.read(_PIECE_BYTES), uri):
                yield piece

    async def write(self, uri: str, body: bytes, *, kind: Kind) -> None:
        """Write a file beside its place and rename it."""
        del kind
        await _aside(lambda: _replace(_path(uri), lambda draft: draft.write(body)), uri)

    async def write_file(self, uri: str, source: Path, *, kind: Kind) -> None:
        """Copy a file beside its place and rename it."""
        del kind
        await _aside(lambda: _replace(_path(uri), lambda draft: _copy(source, draft)), uri)


async def _aside(work: Callable[[], Result], uri: str = "") -> Result:
    try:
        return await anyio.to_thread.run_sync(work)
    except FileNotFoundError as error:
        raise Missing(f"{uri or error.filename!r} is not there") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise Unusable(f"{uri or error.filename!r} cannot be used: {reason}") from error


def _path(uri: str) -> Path:
    found = locate(uri)
    if found.scheme != "file":
        raise Unusable(f"{uri[:200]!r} is no file; folders and buckets are not mixed here")
    return Path(found.name)


def _found(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        # What lies beside a picture has the longer name, for which there may be no room.
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from error


def _refuse(error: OSError) -> NoReturn:
    """Let what cannot be listed end the listing; `os.walk` would leave the folder out."""
    raise error


def _entries(place: Place) -> Iterator[Entry]:
    """Walk a folder; what comes is in the order of the names' bytes, as a listing of S3 is."""
    found: list[tuple[str, os.stat_result]] = []
    root = os.fsencode(place.prefix)
    if not os.path.isdir(root):  # noqa: PTH112 - names are bytes for the system
        raise FileNotFoundError(2, "no such folder", place.prefix)
    for above, _, names in os.walk(root, onerror=_refuse):
        for name in names:
            path = os.path.join(above, name)  # noqa: PTH118 - as above
            status = os.lstat(path)
            if os.path.isfile(path) and not os.path.islink(path):  # noqa: PTH113, PTH114 - as above
                found.append((os.fsdecode(os.path.relpath(path, root)), status))
    for relative, facts in sorted(found, key=lambda each: os.fsencode(each[0])):
        yield _entry(place.join(relative), relative, facts)


def _entry(uri: str, relative: str, status: os.stat_result) -> Entry:
    modified = datetime.fromtimestamp(status.st_mtime_ns // 1_000_000_000, tz=UTC)
    etag = f"{status.st_size:x}-{status.st_mtime_ns:x}"
    return Entry(uri, relative, status.st_size, etag, modified)


def _replace(path: Path, write: Callable[[BinaryIO], object]) -> None:
    make_folders(path.parent)
    with open_durably(path, replace=True) as draft:
        write(draft)


def _copy(source: Path, draft: BinaryIO) -> None:
    with source.open("rb") as stream:
        shutil.copyfileobj(stream, draft, _PIECE_BYTES)
