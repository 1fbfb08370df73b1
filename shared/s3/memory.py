"""The verified fake: an engine that keeps all in memory and passes the suite of the real one.

It ships with the product because every daemon's decisions are tested against it. Failures are
put in where the network would cause them: before a request is carried out, and after.
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread

from shared.s3.deadlines import within
from shared.s3.errors import (
    ChecksumMismatch,
    ObjectError,
    PreconditionFailed,
    SourceChanged,
    Unreachable,
)
from shared.s3.memory_buckets import MemoryBuckets, Verb
from shared.s3.pinned import (
    Piece,
    PinBroken,
    check_pin,
    crc64nvme,
    joined_crc,
    read_into,
    read_whole,
)
from shared.s3.store import (
    ALWAYS,
    NO_OPTIONS,
    Capabilities,
    Checksums,
    DeleteFailure,
    Download,
    Evidence,
    ObjectInfo,
    ObjectStore,
    OpenUpload,
    Page,
    PinnedFile,
    PutOptions,
    Span,
    Stored,
    UploadJournal,
    When,
)
from shared.s3.uri import S3Uri
from shared.s3.wire import encode_crc, weigh

Result = TypeVar("Result")

_PIECE_BYTES = 1024 * 1024
_BULK_KEYS = 1000
_CLEAN_UP_SECONDS = 5.0


class Faults:
    """What goes wrong and when: override a method and raise, wait, or look on."""

    async def before(self, verb: Verb, uri: S3Uri) -> None:
        """Run before the request is carried out; whatever it raises, nothing has happened."""

    async def after_commit(self, verb: Verb, uri: S3Uri) -> None:
        """Run once a writing request was carried out; OutcomeUnknown is how a lost answer looks."""


class MemoryDownload(Download):
    """The bytes of an object, or of a span of it, on their way."""

    def __init__(self, info: ObjectInfo, body: bytes) -> None:
        self._info = info
        self._body = body

    @property
    def info(self) -> ObjectInfo:
        """What S3 would say of the whole object."""
        return self._info

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the bytes in pieces of at most 1 MiB."""
        for offset in range(0, len(self._body), _PIECE_BYTES):
            await anyio.lowlevel.checkpoint()
            yield self._body[offset : offset + _PIECE_BYTES]


class MemoryStore(ObjectStore):
    """ObjectStore on buckets held in memory; it never retries, so that every fault is seen.

    Several stores may share the buckets. Files of `threshold` bytes or more go in parts of
    `part_size` bytes, one after another.
    """

    def __init__(
        self,
        buckets: MemoryBuckets,
        *,
        faults: Faults | None = None,
        journal: UploadJournal | None = None,
        threshold: int = 8 * 1024 * 1024,
        part_size: int = 8 * 1024 * 1024,
    ) -> None:
        self._buckets = buckets
        self._faults = faults or Faults()
        self._journal = journal
        self._threshold = threshold
        self._part_size = part_size
        self._closed = False
        self._honouring: set[tuple[str, Verb]] = set()
        """Buckets that have refused a write under a precondition, and which kind of write."""

    async def put(
        self,
        uri: S3Uri,
        body: bytes,
        *,
        when: When = ALWAYS,
        options: PutOptions = NO_OPTIONS,
        deadline: float | None = None,
        emulate: bool = False,
    ) -> Stored:
        """Store `body` under the key, or raise with nothing visible."""
        with within(deadline, uri, writing=True):
            piece = Piece(body, crc64nvme(body))
            return await self._put(uri, piece, when, options, emulate=emulate)

    async def put_file(
        self,
        uri: S3Uri,
        source: PinnedFile,
        *,
        when: When = ALWAYS,
        options: PutOptions = NO_OPTIONS,
        deadline: float | None = None,
        emulate: bool = False,
    ) -> Stored:
        """Store exactly the bytes of the pinned file, else raise SourceChanged.

        Raises:
            OSError: the disk failed.
        """
        with within(deadline, uri, writing=True):
            if source.identity.size >= self._threshold:
                return await self._put_parts(uri, source, when, options, emulate=emulate)
            piece = await _from_file(
                uri, partial(read_whole, source, bytearray(source.identity.size))
            )
            return await self._put(uri, piece, when, options, emulate=emulate)

    async def head(self, uri: S3Uri, *, deadline: float | None = None) -> ObjectInfo:
        """Describe the object; raises NotFound."""
        with within(deadline, uri, writing=False):
            return await self._ask(Verb.HEAD, uri, partial(self._buckets.head, uri))

    @asynccontextmanager
    async def get(
        self,
        uri: S3Uri,
        *,
        span: Span | None = None,
        if_match: str | None = None,
        deadline: float | None = None,
    ) -> AsyncIterator[Download]:
        """Open the object's bytes for reading; raises NotFound."""
        with within(deadline, uri, writing=False):
            info, body = await self._ask(
                Verb.GET, uri, partial(self._buckets.get, uri, span, if_match)
            )
        yield MemoryDownload(info, body)

    async def pages(
        self, prefix: S3Uri, *, after: str = "", delimiter: str = "", deadline: float | None = None
    ) -> AsyncIterator[Page]:
        """List the objects below the prefix in key order, beginning behind the key `after`."""
        more = True
        while more:
            request = partial(self._buckets.page, prefix, after, delimiter)
            with within(deadline, prefix, writing=False):
                page, after = await self._ask(Verb.LIST, prefix, request)
            more = bool(after)
            yield page

    async def delete(
        self, uri: S3Uri, *, if_match: str | None = None, deadline: float | None = None
    ) -> None:
        """Remove the object; deleting what is not there succeeds."""
        with within(deadline, uri, writing=True):
            await self._change(Verb.DELETE, uri, partial(self._buckets.delete, uri, if_match))

    async def delete_many(
        self, bucket: str, keys: Sequence[str], *, deadline: float | None = None
    ) -> Sequence[DeleteFailure]:
        """Remove any number of keys, a thousand a request; memory refuses none of them."""
        where = S3Uri(bucket)
        with within(deadline, where, writing=True):
            for start in range(0, len(keys), _BULK_KEYS):
                batch = list(keys[start : start + _BULK_KEYS])
                request = partial(self._buckets.delete_many, bucket, batch)
                await self._change(Verb.DELETE_MANY, where, request)
        return []

    async def copy(
        self, source: S3Uri, target: S3Uri, *, when: When = ALWAYS, deadline: float | None = None
    ) -> Stored:
        """Copy within memory."""
        with within(deadline, target, writing=True):
            info = await self._change(
                Verb.COPY, target, partial(self._buckets.copy, source, target, when)
            )
        evidence = Evidence.ANSWERED if info.checksums.crc64nvme else Evidence.SIZE
        return Stored(target, info.size, info.etag, evidence, info.checksums)

    async def tags(self, uri: S3Uri, *, deadline: float | None = None) -> Mapping[str, str]:
        """Return the object's tags; raises NotFound."""
        with within(deadline, uri, writing=False):
            return await self._ask(Verb.TAGS, uri, partial(self._buckets.tags, uri))

    async def set_tags(
        self, uri: S3Uri, tags: Mapping[str, str], *, deadline: float | None = None
    ) -> None:
        """Give the object these tags in the place of all that it has; raises NotFound."""
        request = partial(self._buckets.set_tags, uri, dict(tags))
        with within(deadline, uri, writing=True):
            await self._change(Verb.SET_TAGS, uri, request)

    async def open_uploads(self, prefix: S3Uri) -> AsyncIterator[OpenUpload]:
        """List the multipart uploads that are neither completed nor aborted."""
        for upload in await self._ask(Verb.UPLOADS, prefix, partial(self._buckets.uploads, prefix)):
            yield upload

    async def abort(self, upload: OpenUpload, *, deadline: float | None = None) -> None:
        """End a multipart upload and forget it; one that is gone already succeeds."""
        with within(deadline, upload.uri, writing=True):
            await self._change(Verb.ABORT, upload.uri, partial(self._buckets.abort, upload))
            await self._forget(upload)

    async def capabilities(self, bucket: str) -> Capabilities:
        """Say what the bucket can do, as far as its answers have shown; raises BucketMissing."""
        known = await self._ask(
            Verb.HEAD_BUCKET, S3Uri(bucket), partial(self._buckets.capabilities, bucket)
        )
        return replace(
            known,
            conditional_put=(bucket, Verb.PUT) in self._honouring or known.conditional_put,
            conditional_complete=(bucket, Verb.COMPLETE) in self._honouring
            or known.conditional_complete,
        )

    async def aclose(self) -> None:
        """Refuse every further call; the buckets stay as they are."""
        self._closed = True

    async def _ask(self, verb: Verb, uri: S3Uri, request: Callable[[], Result]) -> Result:
        if self._closed:
            raise Unreachable(uri, note="the store is closed")
        await anyio.lowlevel.checkpoint()
        await self._faults.before(verb, uri)
        return request()

    async def _change(self, verb: Verb, uri: S3Uri, request: Callable[[], Result]) -> Result:
        result = await self._ask(verb, uri, request)
        await self._faults.after_commit(verb, uri)
        return result

    async def _write(self, verb: Verb, uri: S3Uri, request: Callable[[], ObjectInfo]) -> ObjectInfo:
        """Write under a precondition; a refusal shows that the bucket honours it."""
        try:
            return await self._change(verb, uri, request)
        except PreconditionFailed:
            self._honouring.add((uri.bucket, verb))
            raise

    async def _put(
        self, uri: S3Uri, piece: Piece, when: When, options: PutOptions, *, emulate: bool
    ) -> Stored:
        body = bytes(piece.body)
        info = await self._write(
            Verb.PUT, uri, partial(self._buckets.put, uri, body, when, options, emulate=emulate)
        )
        md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
        sent = Checksums(crc64nvme=encode_crc(piece.crc), md5=md5)
        return _stored(info, sent, len(body))

    async def _put_parts(
        self,
        uri: S3Uri,
        source: PinnedFile,
        when: When,
        options: PutOptions,
        *,
        emulate: bool,
    ) -> Stored:
        upload = await self._change(Verb.BEGIN, uri, partial(self._buckets.begin, uri, options))
        try:
            await self._record(upload)
            etags, crc = await self._send_parts(upload, source)
            await _from_file(uri, partial(check_pin, source))
            request = partial(self._buckets.complete, upload, etags, when, emulate=emulate)
            info = await self._write(Verb.COMPLETE, uri, request)
        except BaseException:
            # Cancellation included: parts that nobody can see would be paid for until the bucket's
            # lifecycle rule takes them.
            await self._give_up(upload)
            raise
        await self._forget(upload)
        return _stored(info, Checksums(crc64nvme=encode_crc(crc)), source.identity.size)

    async def _record(self, upload: OpenUpload) -> None:
        if self._journal is None:
            return
        try:
            await self._journal.opened(upload)
        except OSError as error:
            # Without a record nobody could sweep the parts after a crash.
            note = f"the upload cannot be recorded: {error}; mend the state folder"
            raise Unreachable(upload.uri, note=note) from error

    async def _send_parts(self, upload: OpenUpload, source: PinnedFile) -> tuple[list[str], int]:
        """Send the parts in order; returns their ETags and the CRC64NVME of the whole."""
        etags: list[str] = []
        crc = 0
        for offset in range(0, source.identity.size, self._part_size):
            buffer = bytearray(min(self._part_size, source.identity.size - offset))
            piece = await _from_file(upload.uri, partial(read_into, source, buffer, offset))
            crc = joined_crc(crc, piece.crc, len(buffer)) if etags else piece.crc
            number = len(etags) + 1
            request = partial(self._buckets.part, upload, number, bytes(buffer))
            etags.append(await self._change(Verb.PART, upload.uri, request))
        return etags, crc

    async def _give_up(self, upload: OpenUpload) -> None:
        """Abort the upload within a bound; what fails stays in the journal for the next start."""
        bound = anyio.move_on_after(_CLEAN_UP_SECONDS, shield=True)
        with bound, suppress(ObjectError, OSError):
            await self.abort(upload)

    async def _forget(self, upload: OpenUpload) -> None:
        if self._journal:
            with anyio.move_on_after(_CLEAN_UP_SECONDS, shield=True):
                await self._journal.closed(upload)


async def _from_file(uri: S3Uri, read: Callable[[], Result]) -> Result:
    try:
        return await anyio.to_thread.run_sync(read)
    except PinBroken as broken:
        raise SourceChanged(uri, note=str(broken)) from broken


def _stored(info: ObjectInfo, sent: Checksums, size: int) -> Stored:
    """Compare the answer with what was sent; what is read back elsewhere is answered here."""
    evidence = weigh(sent, size, info)
    if evidence is None:
        raise ChecksumMismatch(info.uri, note="the answer shows other bytes than were sent")
    if evidence is Evidence.READ_BACK:
        evidence = Evidence.ANSWERED
    return Stored(info.uri, size, info.etag, evidence, info.checksums)
