"""Objects to files and back: what is on disk afterwards is what S3 holds, byte for byte.

| known of the object                     | the download is compared by |
|-----------------------------------------|-----------------------------|
| a CRC-64/NVME (manifest, or S3's own)   | it                          |
| an MD5 as ETag                          | it                          |
| neither                                 | its size                    |

Rule: a file appears under its name when all of its bytes are on disk and right, or not at all.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread
from awscrt import checksums

from shared.files import Draft
from shared.s3.errors import ChecksumMismatch, SourceChanged, TooLarge
from shared.s3.pinned import PinBroken, open_pinned
from shared.s3.store import ALWAYS, NO_OPTIONS, ObjectInfo, ObjectStore, PutOptions, Stored, When
from shared.s3.uri import S3Uri
from shared.s3.wire import encode_crc


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that was downloaded."""

    path: Path
    info: ObjectInfo
    """What S3 said of the object, its metadata included."""
    crc64nvme: str
    """Of the bytes on disk, in base64."""


async def read_small(
    store: ObjectStore, uri: S3Uri, *, limit: int, deadline: float | None = None
) -> tuple[bytes, str]:
    """Return content and ETag of an object of at most `limit` bytes; TooLarge, NotFound."""
    async with store.get(uri, deadline=deadline) as download:
        _check_size(download.info, limit)
        body = bytearray()
        async for piece in download:
            body += piece
            if len(body) > limit:
                raise TooLarge(uri, note=f"it has more than {limit} bytes")
        return bytes(body), download.info.etag


async def fetch_file(
    store: ObjectStore, uri: S3Uri, target: Path, *, limit: int, crc64nvme: str = ""
) -> Fetched:
    """Download an object into a file that is there whole or not at all; an older one is replaced.

    `target` has come through `shared.files.contained`, and its folder exists. `crc64nvme` is what
    a manifest promises.

    Raises:
        TooLarge: it has more than `limit` bytes; nothing was written.
        ChecksumMismatch: what came is not what was promised.
        shared.s3.errors: as `ObjectStore.get` does.
        OSError: the disk is full or broken.
    """
    draft = await to_thread.run_sync(Draft, target)
    try:
        async with store.get(uri) as download:
            info = download.info
            _check_size(info, limit)
            tally = _Tally(info, crc64nvme)
            # Written when the next one is there, or with the end: a small file is one call.
            piece = b""
            async for following in download:
                tally.add(following)
                if piece:
                    await to_thread.run_sync(draft.stream.write, piece)
                piece = following
        tally.check()
        await to_thread.run_sync(_finish, draft, piece)
    except BaseException:
        draft.discard()
        raise
    return Fetched(target, info, tally.crc64nvme)


async def send_file(
    store: ObjectStore,
    uri: S3Uri,
    path: Path,
    *,
    when: When = ALWAYS,
    options: PutOptions = NO_OPTIONS,
) -> Stored:
    """Upload a regular file as it is now.

    Raises:
        SourceChanged: it is no regular file, or changed meanwhile.
        OSError: it cannot be read; ELOOP for a symbolic link.
        shared.s3.errors: as `ObjectStore.put_file` does.
    """
    try:
        source = await to_thread.run_sync(open_pinned, str(path))
    except PinBroken as error:
        raise SourceChanged(uri, note=f"{str(path)!r}: {error}") from None
    try:
        return await store.put_file(uri, source, when=when, options=options)
    finally:
        os.close(source.descriptor)


class _Tally:
    """What has come so far."""

    def __init__(self, info: ObjectInfo, promised: str) -> None:
        self._info = info
        self._promised = promised
        self._size = 0
        self._crc = 0
        # An MD5 costs more than the download, so it is taken only where nothing else is known.
        known = promised or info.checksums.crc64nvme
        wanted = not known and bool(info.checksums.md5)
        self._md5 = hashlib.md5(usedforsecurity=False) if wanted else None

    @property
    def crc64nvme(self) -> str:
        return encode_crc(self._crc)

    def add(self, piece: bytes) -> None:
        self._size += len(piece)
        self._crc = int(checksums.crc64nvme(piece, self._crc))
        if self._md5 is not None:
            self._md5.update(piece)

    def check(self) -> None:
        info = self._info
        if self._size != info.size:
            raise ChecksumMismatch(info.uri, note=f"{self._size} of {info.size} bytes came")
        for wanted in (self._promised, info.checksums.crc64nvme):
            if wanted and wanted != self.crc64nvme:
                note = f"its CRC64NVME is {self.crc64nvme}, promised was {wanted}"
                raise ChecksumMismatch(info.uri, note=note)
        if self._md5 is not None and self._md5.hexdigest() != info.checksums.md5:
            raise ChecksumMismatch(info.uri, note="its MD5 is not the ETag's")


def _check_size(info: ObjectInfo, limit: int) -> None:
    if info.size > limit:
        raise TooLarge(info.uri, note=f"it has {info.size} bytes; allowed are {limit}")


def _finish(draft: Draft, rest: bytes) -> None:
    draft.stream.write(rest)
    draft.keep(replace=True)
