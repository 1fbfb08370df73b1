"""The `ObjectStore` protocol on aiobotocore: the reference engine.

Every write carries the CRC64NVME of exactly the bytes that were read, and a write whose outcome is
not known is read back before anything else is decided.
"""

import base64
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from anyio import to_thread

from shared.aws.body import PartBuffer
from shared.aws.clients import ClientPool
from shared.aws.errors import SDK_ERRORS, translate
from shared.retry import RetryBudget, RetryPolicy
from shared.s3.adapting import Adapter
from shared.s3.deadlines import within
from shared.s3.errors import NotFound, SourceChanged, Unreachable
from shared.s3.limits import ByteBudget
from shared.s3.multipart import Buffers, Job, MultipartPut
from shared.s3.pinned import Piece, PinBroken, crc64nvme, read_whole
from shared.s3.requests import Request, Requests
from shared.s3.store import (
    ALWAYS,
    NO_OPTIONS,
    Capabilities,
    DeleteFailure,
    Download,
    ObjectInfo,
    OpenUpload,
    Page,
    PinnedFile,
    PutOptions,
    Span,
    Stored,
    UploadJournal,
    When,
)
from shared.s3.streamed import WHOLE_BYTES_MAX, StreamedPut
from shared.s3.uri import S3Uri
from shared.s3.verified import Sent, VerifiedWrite
from shared.s3.wire import (
    encode_crc,
    match_parameters,
    option_parameters,
    read_info,
    read_listed,
    read_parameters,
    read_tags,
    tag_parameters,
    when_parameters,
)

_CHUNK = 1024 * 1024
_DELETES_A_REQUEST = 1000
_MEMORY_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Bounds of one engine."""

    in_flight: int = 256
    """Requests at once; the engine goes lower by itself when S3 asks it to."""
    memory_bytes: int = _MEMORY_BYTES
    """Bytes of file content held at once."""
    multipart_threshold: int = 16 * 1024 * 1024
    """Files of this many bytes or more are sent in parts."""
    parts: bool = True
    """Off: every file goes in one request, whatever its size, of which S3 takes 5 GiB."""
    find_regions: bool = True
    """Off: a bucket is taken to be in the clients' own region until an answer names another, which
    saves a request for each, and costs one where it is elsewhere."""
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    budget: RetryBudget | None = None
    progress: Callable[[], None] = lambda: None
    """Called at every answer, so that a long upload shows that it gets on."""


class S3Client:
    """An `ObjectStore` on an open pool of clients; the pool stays its owner's to close.

    Without a journal nobody can sweep the parts that a killed process leaves behind, and they cost
    money: None is for a store that sends no large files.
    """

    def __init__(
        self, clients: ClientPool, settings: EngineSettings, journal: UploadJournal | None
    ) -> None:
        self._settings = settings
        self._requests = Requests(
            clients,
            in_flight=settings.in_flight,
            policy=settings.policy,
            budget=settings.budget,
            progress=settings.progress,
            find_regions=settings.find_regions,
        )
        self._memory = ByteBudget(settings.memory_bytes)
        self._multipart = MultipartPut(self._requests, Buffers(self._memory), journal)
        self._streamed = StreamedPut(self._requests, self._memory, settings.progress)
        self._adapter = Adapter(self._requests)

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
        """Store `body` under the key, or raise with nothing partial visible."""
        large = len(body) > _CHUNK
        with within(deadline, uri, writing=True):
            crc = await to_thread.run_sync(crc64nvme, body) if large else crc64nvme(body)
            piece = Piece(PartBuffer(body), crc)
            return await self._adapter.write(
                uri,
                when,
                lambda checked, allowed: self._put_piece(
                    uri, piece, when=allowed, options=options, checksums=checked, deadline=deadline
                ),
                emulate=emulate,
            )

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
        """Store exactly the pinned bytes; SourceChanged if the file is another one by now."""
        with within(deadline, uri, writing=True):
            if large := self._large_put(source.identity.size):
                return await self._adapter.write(
                    uri,
                    when,
                    lambda checked, allowed: large.run(
                        Job(uri, source, allowed, options, checked, deadline)
                    ),
                    emulate=emulate,
                    in_parts=large is self._multipart,
                )
            async with self._read(uri, source) as piece:
                return await self._adapter.write(
                    uri,
                    when,
                    lambda checked, allowed: self._put_piece(
                        uri,
                        piece,
                        when=allowed,
                        options=options,
                        checksums=checked,
                        deadline=deadline,
                    ),
                    emulate=emulate,
                )

    async def head(self, uri: S3Uri, *, deadline: float | None = None) -> ObjectInfo:
        """Describe the object with its full-object checksums; raises NotFound."""
        request = Request("head_object", uri, {"ChecksumMode": "ENABLED"})
        with within(deadline, uri, writing=False):
            return read_info(uri, await self._requests.send(request, deadline=deadline))

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
        request = Request("get_object", uri, read_parameters(span, if_match))
        with within(deadline, uri, writing=False):
            answer = await self._requests.send(request, deadline=deadline)
        async with answer["Body"] as body:
            yield _Body(read_info(uri, answer), body)

    async def pages(
        self, prefix: S3Uri, *, after: str = "", delimiter: str = "", deadline: float | None = None
    ) -> AsyncIterator[Page]:
        """List the objects below `prefix.key` in key order, beginning behind the key `after`."""
        parameters: dict[str, object] = {"Prefix": prefix.key}
        if after:
            parameters["StartAfter"] = after
        if delimiter:
            parameters["Delimiter"] = delimiter
        more = True
        while more:
            request = Request("list_objects_v2", prefix, dict(parameters), on_bucket=True)
            with within(deadline, prefix, writing=False):
                answer = await self._requests.send(request, deadline=deadline)
            yield _read_page(prefix.bucket, answer)
            more = bool(answer.get("IsTruncated"))
            parameters["ContinuationToken"] = str(answer.get("NextContinuationToken", ""))

    async def delete(
        self, uri: S3Uri, *, if_match: str | None = None, deadline: float | None = None
    ) -> None:
        """Remove the object; deleting what is not there succeeds."""
        request = Request("delete_object", uri, match_parameters(if_match))
        with within(deadline, uri, writing=True), suppress(NotFound):
            await self._requests.send(request, deadline=deadline)

    async def delete_many(
        self, bucket: str, keys: Sequence[str], *, deadline: float | None = None
    ) -> Sequence[DeleteFailure]:
        """Remove any number of keys, a thousand a request, and return those that were refused."""
        failures: list[DeleteFailure] = []
        where = S3Uri(bucket)
        with within(deadline, where, writing=True):
            for start in range(0, len(keys), _DELETES_A_REQUEST):
                chosen = [{"Key": key} for key in keys[start : start + _DELETES_A_REQUEST]]
                parameters = {"Delete": {"Objects": chosen, "Quiet": True}}
                request = Request("delete_objects", where, parameters, on_bucket=True)
                answer = await self._requests.send(request, deadline=deadline)
                failures += [
                    DeleteFailure(str(e.get("Key")), str(e.get("Code")), str(e.get("Message")))
                    for e in answer.get("Errors", ())
                ]
        return failures

    async def copy(
        self, source: S3Uri, target: S3Uri, *, when: When = ALWAYS, deadline: float | None = None
    ) -> Stored:
        """Copy within S3, without the bytes passing here (at most 5 GiB)."""
        parameters = {
            "CopySource": {"Bucket": source.bucket, "Key": source.key},
            **when_parameters(when),
        }
        request = Request("copy_object", target, parameters, writing=True)
        with within(deadline, target, writing=True):
            # Looked at first, so that our own copy is recognised when its answer was lost.
            held = await self.head(source, deadline=deadline)
            known = held.checksums
            sent = Sent(target, held.size, known.crc64nvme, lambda: known.md5)
            return await VerifiedWrite(self._requests, request, sent).run(deadline=deadline)

    async def tags(self, uri: S3Uri, *, deadline: float | None = None) -> Mapping[str, str]:
        """Return the object's tags; raises NotFound."""
        with within(deadline, uri, writing=False):
            request = Request("get_object_tagging", uri)
            return read_tags(await self._requests.send(request, deadline=deadline))

    async def set_tags(
        self, uri: S3Uri, tags: Mapping[str, str], *, deadline: float | None = None
    ) -> None:
        """Give the object these tags in the place of all that it has; raises NotFound."""
        # Sending them twice is harmless, so a lost answer is no more than a reason to send again.
        request = Request("put_object_tagging", uri, tag_parameters(tags))
        with within(deadline, uri, writing=True):
            await self._requests.send(request, deadline=deadline)

    async def open_uploads(self, prefix: S3Uri) -> AsyncIterator[OpenUpload]:
        """List the multipart uploads that are neither completed nor aborted."""
        parameters: dict[str, object] = {"Prefix": prefix.key}
        more = True
        while more:
            request = Request("list_multipart_uploads", prefix, dict(parameters), on_bucket=True)
            answer = await self._requests.send(request)
            for entry in answer.get("Uploads", ()):
                uri = S3Uri(prefix.bucket, str(entry["Key"]))
                yield OpenUpload(uri, str(entry["UploadId"]), entry.get("Initiated"))
            more = bool(answer.get("IsTruncated"))
            parameters["KeyMarker"] = str(answer.get("NextKeyMarker", ""))
            parameters["UploadIdMarker"] = str(answer.get("NextUploadIdMarker", ""))

    async def abort(self, upload: OpenUpload, *, deadline: float | None = None) -> None:
        """End a multipart upload and free its parts; one that is gone already succeeds."""
        with within(deadline, upload.uri, writing=True):
            await self._multipart.abort(upload)

    async def capabilities(self, bucket: str) -> Capabilities:
        """Say what the bucket can do, as far as its answers have shown; raises BucketMissing."""
        return await self._requests.capabilities(bucket)

    async def aclose(self) -> None:
        """Nothing to close: the connections belong to the pool."""

    def _large_put(self, size: int) -> MultipartPut | StreamedPut | None:
        """Choose how a file is sent that is not held as a whole; None for a smaller one."""
        if self._settings.parts:
            return self._multipart if size >= self._settings.multipart_threshold else None
        return self._streamed if size > WHOLE_BYTES_MAX else None

    @asynccontextmanager
    async def _read(self, uri: S3Uri, source: PinnedFile) -> AsyncIterator[Piece]:
        """Hold a whole file in memory."""
        size = source.identity.size
        async with self._memory.reserve(size):
            try:
                piece = await to_thread.run_sync(read_whole, source, PartBuffer(size))
            except PinBroken as error:
                raise SourceChanged(uri, note=str(error)) from error
            yield piece

    async def _put_piece(
        self,
        uri: S3Uri,
        piece: Piece,
        *,
        when: When,
        options: PutOptions,
        checksums: bool,
        deadline: float | None,
    ) -> Stored:
        def digest() -> bytes:
            return hashlib.md5(piece.body, usedforsecurity=False).digest()

        crc = encode_crc(piece.crc)
        proof = (
            {"ChecksumCRC64NVME": crc}
            if checksums
            else {"ContentMD5": base64.b64encode(digest()).decode()}
        )
        parameters: Mapping[str, object] = {
            "Body": piece.body,
            **proof,
            **when_parameters(when),
            **option_parameters(options),
        }
        size = len(piece.body)
        request = Request("put_object", uri, parameters, writing=True, size=size)
        sent = Sent(uri, size, crc, lambda: digest().hex())
        return await VerifiedWrite(self._requests, request, sent).run(deadline=deadline)


class _Body:
    """A `Download` on the SDK's stream."""

    def __init__(self, info: ObjectInfo, stream: Any) -> None:  # noqa: ANN401 - an SDK object
        self.info = info
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the bytes in pieces of at most 1 MiB."""
        try:
            while chunk := await self._stream.read(_CHUNK):
                yield chunk
        except SDK_ERRORS as error:
            raise translate(error, self.info.uri, writing=False) from error
        except OSError as error:
            note = f"the answer broke off: {error}"
            raise Unreachable(self.info.uri, note=note) from error


def _read_page(bucket: str, answer: Mapping[str, Any]) -> Page:
    objects = [read_listed(bucket, entry) for entry in answer.get("Contents", ())]
    return Page(objects, [str(p["Prefix"]) for p in answer.get("CommonPrefixes", ())])
