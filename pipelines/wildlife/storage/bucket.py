"""Storage in S3, on the suite's own layer."""

import mimetypes
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol

import anyio
import anyio.to_thread

from pipelines.wildlife.document.places import Place, locate
from pipelines.wildlife.layout import Kind, tags_of
from pipelines.wildlife.storage.protocol import Entry, Missing, Storage, Unusable
from shared.s3.errors import NotFound, PreconditionFailed, Unsupported
from shared.s3.pinned import open_pinned
from shared.s3.store import Download, ObjectInfo, ObjectStore, PutOptions, Span
from shared.s3.uri import S3Uri

_ANSWER_SECONDS = 60.0
_FILE_SECONDS = 600.0
_BODY_SECONDS = 300.0
"""For the bytes of one object that is read into memory."""
_BEHIND_END = "InvalidRange"
_QUICK_BYTES_MAX = 256 * 1024
"""Of ranges that are asked for in the quick way first."""
_TYPES = {".jsonl": "application/x-ndjson", ".parquet": "application/vnd.apache.parquet"}


class RangeReader(Protocol):
    """Who may know a shorter way to a range than the store."""

    async def read(self, uri: S3Uri, aws_region: str, *, start: int, length: int) -> bytes | None:
        """Return a range, less where the object ends before; None: ask the store."""


class BucketStorage(Storage):
    """Objects in S3; every one that is written has the tags of its kind."""

    def __init__(self, store: ObjectStore, quick: RangeReader | None = None) -> None:
        self._store = store
        self._quick = quick

    async def walk(self, place: Place) -> AsyncIterator[Entry]:
        """List what lies below a prefix, page by page."""
        prefix = S3Uri(place.bucket, place.prefix)
        async for page in self._store.pages(prefix, deadline=_ANSWER_SECONDS):
            for info in page.objects:
                yield _entry(info, info.uri.key.removeprefix(place.prefix))

    async def stat(self, uri: str) -> Entry:
        """Ask for an object's head."""
        with _translated(uri):
            info = await self._store.head(_s3(uri), deadline=_ANSWER_SECONDS)
        return _entry(info, info.uri.key.rpartition("/")[2])

    async def read(self, uri: str, *, start: int = 0, length: int | None = None) -> bytes:
        """Ask for a range of an object, or all of it."""
        if self._quick and length and length <= _QUICK_BYTES_MAX:
            found = _s3(uri)
            region = (await self._store.capabilities(found.bucket)).region
            body = await self._quick.read(found, region, start=start, length=length)
            if body is not None:
                return body
        span = Span(start, None if length is None else start + length)
        try:
            async with self._opened(uri, None if span == Span(0) else span) as download:
                with anyio.fail_after(_BODY_SECONDS):
                    return b"".join([piece async for piece in download])
        except (PreconditionFailed, Unsupported) as error:
            # What S3 says of a range behind the end; no other condition was set.
            if isinstance(error, Unsupported) and error.code != _BEHIND_END:
                raise
            return b""

    async def stream(self, uri: str) -> AsyncIterator[bytes]:
        """Yield an object as it comes in."""
        async with self._opened(uri, None) as download:
            async for piece in download:
                yield piece

    async def write(self, uri: str, body: bytes, *, kind: Kind) -> None:
        """Put an object."""
        await self._store.put(_s3(uri), body, options=_options(uri, kind), deadline=_FILE_SECONDS)

    async def write_file(self, uri: str, source: Path, *, kind: Kind) -> None:
        """Put a file, in parts where it is large."""
        file = await anyio.to_thread.run_sync(open_pinned, str(source))
        try:
            options = _options(uri, kind)
            await self._store.put_file(_s3(uri), file, options=options, deadline=_FILE_SECONDS)
        finally:
            os.close(file.descriptor)

    @asynccontextmanager
    async def _opened(self, uri: str, span: Span | None) -> AsyncIterator[Download]:
        with _translated(uri):
            async with self._store.get(_s3(uri), span=span, deadline=_ANSWER_SECONDS) as download:
                yield download


@contextmanager
def _translated(uri: str) -> Iterator[None]:
    try:
        yield
    except NotFound as error:
        raise Missing(f"{uri!r} is not there") from error


def _s3(uri: str) -> S3Uri:
    found = locate(uri)
    if found.scheme != "s3":
        raise Unusable(f"{uri[:200]!r} is no object; folders and buckets are not mixed here")
    return S3Uri(found.bucket, found.name)


def _entry(info: ObjectInfo, relative: str) -> Entry:
    uri = f"s3://{info.uri.bucket}/{info.uri.key}"
    return Entry(uri, relative, info.size, info.etag, info.modified_at)


def _options(uri: str, kind: Kind) -> PutOptions:
    suffix = PurePosixPath(uri).suffix
    content = _TYPES.get(suffix) or mimetypes.guess_type(f"name{suffix}")[0] or ""
    return PutOptions(content_type=content, tags=tags_of(kind))
