"""One large file, sent in parts that are read into reused buffers; complete or gone, never between.

The upload is recorded in the journal before its first part. Whatever ends it early (a failure, a
changed file, cancellation) aborts it within a bound; what a crash leaves is in the journal.
"""

import base64
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import anyio
from anyio import to_thread

from shared.aws.body import PartBuffer
from shared.errors import PermanentError
from shared.s3.errors import Conflict, NotFound, ObjectError, SourceChanged, Unreachable
from shared.s3.limits import ByteBudget
from shared.s3.pinned import PinBroken, check_pin, joined_crc, read_into
from shared.s3.requests import Request, Requests
from shared.s3.store import OpenUpload, PinnedFile, PutOptions, Stored, UploadJournal, When
from shared.s3.uri import S3Uri
from shared.s3.verified import Sent, VerifiedWrite
from shared.s3.wire import encode_crc, option_parameters, read_etag, when_parameters

PART_SIZE_MIN = 8 * 1024 * 1024
"""Bytes of a part unless the file needs larger ones."""
PARTS_MAX = 10_000
"""Parts of one upload (Amazon S3 User Guide, "Multipart upload limits")."""
_MEBIBYTE = 1024 * 1024
_ABORT_SECONDS = 10.0
_PARTS_IN_FLIGHT = 6
_STARTS_MAX = 3


class _StartAnew(ObjectError, PermanentError):
    """S3 answered 409 to Complete: this upload is of no use any more, another one may be."""


@dataclass(frozen=True, slots=True)
class _Part:
    number: int
    size: int
    crc: int
    etag: str
    md5: bytes
    """Of its bytes, where S3 answered no checksum; else empty."""


class Buffers:
    """Buffers for parts, reused within a budget of bytes."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self._free: list[PartBuffer] = []

    @asynccontextmanager
    async def lend(self, size: int) -> AsyncIterator[PartBuffer]:
        """Lend a buffer of `size` bytes; one whose user failed is not lent again.

        A connection that broke may still hold the buffer, and its bytes must not change under it.
        """
        usual = size == PART_SIZE_MIN
        async with self._budget.reserve(size):
            buffer = self._free.pop() if usual and self._free else PartBuffer(size)
            yield buffer
            if usual:
                self._free.append(buffer)


@dataclass(frozen=True, slots=True)
class Job:
    """A file on its way to a key."""

    uri: S3Uri
    source: PinnedFile
    when: When
    options: PutOptions
    checksums: bool = True
    """Whether the store takes CRC64NVME; without it each part carries an MD5."""
    deadline: float | None = None

    @property
    def size(self) -> int:
        """Bytes of the file when it was found."""
        return self.source.identity.size


class MultipartPut:
    """Sends pinned files in parts."""

    def __init__(self, requests: Requests, buffers: Buffers, journal: UploadJournal | None) -> None:
        self._requests = requests
        self._buffers = buffers
        self._journal = journal

    async def run(self, job: Job) -> Stored:
        """Send the file; raises with no upload left open and nothing visible under the key."""
        for _ in range(_STARTS_MAX - 1):
            try:
                return await self._once(job)
            except _StartAnew:
                continue
        try:
            return await self._once(job)
        except _StartAnew as error:
            raise Conflict(job.uri, error.answer) from error

    async def abort(self, upload: OpenUpload) -> None:
        """End an upload and forget it."""
        request = Request("abort_multipart_upload", upload.uri, {"UploadId": upload.upload_id})
        with suppress(NotFound):
            await self._requests.send(request)
        if self._journal is not None:
            await self._journal.closed(upload)

    async def _once(self, job: Job) -> Stored:
        upload = await self._create(job)
        try:
            parts = await self._send_parts(job, upload)
            stored = await self._complete(job, upload, parts)
        except BaseException:
            # Cancellation included: the parts cost money for as long as the upload is open.
            await self._abort_quietly(upload)
            raise
        if self._journal is not None:
            await self._journal.closed(upload)
        return stored

    async def _create(self, job: Job) -> OpenUpload:
        kind = {"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "FULL_OBJECT"}
        parameters = {**option_parameters(job.options), **(kind if job.checksums else {})}
        request = Request("create_multipart_upload", job.uri, parameters)
        answer = await self._requests.send(request, deadline=job.deadline)
        upload = OpenUpload(job.uri, str(answer["UploadId"]), datetime.now(UTC))
        try:
            if self._journal is not None:
                await self._journal.opened(upload)
        except OSError as error:
            await self._abort_quietly(upload)
            note = f"the upload cannot be recorded: {error}; mend the state folder"
            raise Unreachable(job.uri, note=note) from error
        except BaseException:
            await self._abort_quietly(upload)
            raise
        return upload

    async def _send_parts(self, job: Job, upload: OpenUpload) -> Sequence[_Part]:
        size = part_size_for(job.size)
        done: dict[int, _Part] = {}
        room = anyio.Semaphore(_PARTS_IN_FLIGHT)

        async def send(number: int, offset: int) -> None:
            async with room, self._buffers.lend(min(size, job.size - offset)) as buffer:
                done[number] = await self._send_part(job, upload, number, buffer, offset)

        try:
            async with anyio.create_task_group() as tasks:
                for number, offset in enumerate(range(0, job.size, size), start=1):
                    tasks.start_soon(send, number, offset)
        except ExceptionGroup as group:
            raise _first(group) from group
        try:
            check_pin(job.source)
        except PinBroken as error:
            raise SourceChanged(job.uri, note=str(error)) from error
        return [done[number] for number in sorted(done)]

    async def _send_part(
        self, job: Job, upload: OpenUpload, number: int, buffer: PartBuffer, offset: int
    ) -> _Part:
        try:
            piece = await to_thread.run_sync(read_into, job.source, buffer, offset)
        except PinBroken as error:
            raise SourceChanged(job.uri, note=str(error)) from error
        digest = b"" if job.checksums else await to_thread.run_sync(_md5, buffer)
        proof = (
            {"ChecksumCRC64NVME": encode_crc(piece.crc)}
            if job.checksums
            else {"ContentMD5": base64.b64encode(digest).decode()}
        )
        parameters = {"UploadId": upload.upload_id, "PartNumber": number, "Body": buffer, **proof}
        # Sending a part twice is harmless, so its outcome is never unknown.
        request = Request("upload_part", job.uri, parameters, size=len(buffer))
        answer = await self._requests.send(request, deadline=job.deadline)
        if not digest and "ChecksumCRC64NVME" not in answer:
            digest = await to_thread.run_sync(_md5, buffer)
        return _Part(number, len(buffer), piece.crc, read_etag(answer), digest)

    async def _complete(self, job: Job, upload: OpenUpload, parts: Sequence[_Part]) -> Stored:
        crc = 0
        for part in parts:
            crc = joined_crc(crc, part.crc, part.size)
        whole = {
            "ChecksumCRC64NVME": encode_crc(crc),
            "ChecksumType": "FULL_OBJECT",
            "MpuObjectSize": job.size,
        }
        listed = [{"PartNumber": part.number, "ETag": f'"{part.etag}"'} for part in parts]
        parameters: Mapping[str, Any] = {
            "UploadId": upload.upload_id,
            "MultipartUpload": {"Parts": listed},
            **when_parameters(job.when),
            **(whole if job.checksums else {}),
        }
        request = Request("complete_multipart_upload", job.uri, parameters, writing=True)
        sent = Sent(job.uri, job.size, encode_crc(crc), lambda: _composite_etag(parts))
        write = VerifiedWrite(self._requests, request, sent)

        async def attempt(number: int) -> Stored:
            try:
                return await write.attempt(number)
            except Conflict as error:
                raise _StartAnew(job.uri, error.answer) from error

        return await write.run(attempt=attempt, deadline=job.deadline)

    async def _abort_quietly(self, upload: OpenUpload) -> None:
        # What cannot be aborted now stays in the journal and is swept at the next start; the
        # error that brought us here is the one worth raising.
        bound = anyio.move_on_after(_ABORT_SECONDS, shield=True)
        with bound, suppress(ObjectError):
            await self.abort(upload)


def part_size_for(size: int) -> int:
    """Return the bytes of a part so that `size` bytes fit into the allowed number of parts."""
    needed = -(-size // PARTS_MAX)
    return max(PART_SIZE_MIN, -(-needed // _MEBIBYTE) * _MEBIBYTE)


def _composite_etag(parts: Sequence[_Part]) -> str:
    """The MD5 of the parts' MD5s, as S3 forms it; empty where a part's MD5 was not taken."""
    if not all(part.md5 and part.etag == part.md5.hex() for part in parts):
        return ""
    joined = hashlib.md5(b"".join(part.md5 for part in parts), usedforsecurity=False)
    return f"{joined.hexdigest()}-{len(parts)}"


def _md5(data: bytearray) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def _first(group: ExceptionGroup[Exception]) -> Exception:
    """One failed part ends the others, so the first error is the cause of the rest."""
    error: Exception = group
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
