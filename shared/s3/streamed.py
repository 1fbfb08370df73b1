"""One large file in one PUT, read while it is sent: whole or not at all, however large.

For those who may neither list nor abort uploads in parts, and where an ETag has to be the MD5. The
file is read twice: for its checksum, and for the sending. The last piece is handed over only if the
bytes before it were those of the first reading and the file is still the one that was found, so
that a changed file is never under the key, also in a store that does not look at checksums.
"""

import base64
from collections.abc import Callable, Mapping

from anyio import to_thread

from shared.aws.body import STREAMED_PIECE, StreamedBody
from shared.s3.errors import SourceChanged
from shared.s3.limits import ByteBudget
from shared.s3.multipart import Job
from shared.s3.pinned import PinBroken, check_pin, checksum_of, joined_crc, read_into
from shared.s3.requests import Request, Requests
from shared.s3.store import Stored
from shared.s3.verified import Sent, VerifiedWrite
from shared.s3.wire import encode_crc, option_parameters, when_parameters

WHOLE_BYTES_MAX = 8 * 1024 * 1024
"""Files up to this size are cheaper read once and held."""
_HELD_BYTES = 2 * STREAMED_PIECE
"""Of each file: the piece that is read, and the one that the connection has not taken yet."""
_CHECKED_PIECES = 32
"""So many pieces are read before somebody who wants to stop is listened to."""


class StreamedPut:
    """Sends pinned files as one request each."""

    def __init__(
        self, requests: Requests, memory: ByteBudget, progress: Callable[[], None]
    ) -> None:
        self._requests = requests
        self._memory = memory
        self._progress = progress

    async def run(self, job: Job) -> Stored:
        """Send the file, or raise with nothing of it visible.

        Raises:
            OSError: the disk failed.
            SourceChanged: the file is not the one that was pinned.
        """
        async with self._memory.reserve(_HELD_BYTES):
            try:
                crc = await self._checksum(job)
                return await self._send(job, crc)
            except PinBroken as error:
                raise SourceChanged(job.uri, note=str(error)) from error

    async def _checksum(self, job: Job) -> int:
        crc, step = 0, _CHECKED_PIECES * STREAMED_PIECE
        for start in range(0, job.size, step):
            reading = _Reading(job, start, crc)
            crc = await to_thread.run_sync(reading.run_to, min(job.size, start + step))
            self._progress()
        await to_thread.run_sync(check_pin, job.source)
        return crc

    async def _send(self, job: Job, crc: int) -> Stored:
        proof: Mapping[str, object] = {"ChecksumCRC64NVME": encode_crc(crc)}
        if not job.checksums:
            digest = bytes.fromhex(await to_thread.run_sync(checksum_of, job.source, "md5"))
            proof = {"ContentMD5": base64.b64encode(digest).decode()}
        sending = _Sending(job, crc)
        parameters: Mapping[str, object] = {
            "Body": StreamedBody(job.size, sending.begin, self._progress),
            **proof,
            **when_parameters(job.when),
            **option_parameters(job.options),
        }
        request = Request(
            "put_object",
            job.uri,
            parameters,
            writing=True,
            size=job.size,
            unsent=sending.take_failure,
        )
        sent = Sent(job.uri, job.size, encode_crc(crc), lambda: _md5_etag(job))
        return await VerifiedWrite(self._requests, request, sent).run(deadline=job.deadline)


class _Sending:
    """The readings of one file for the attempts to send it, and why the last of them failed."""

    def __init__(self, job: Job, crc: int) -> None:
        self._job = job
        self._crc = crc
        self._current: _Checked | None = None

    def begin(self) -> Callable[[int, int], bytearray]:
        """Read from the start, as `StreamedBody` wants it."""
        self._current = _Checked(self._job, self._crc)
        return self._current.read

    def take_failure(self) -> Exception | None:
        """Return what ended the last reading, once."""
        current, self._current = self._current, None
        failure = current.failure if current is not None else None
        if isinstance(failure, PinBroken):
            return SourceChanged(self._job.uri, note=str(failure))
        return failure


class _Checked:
    """A reading from the first byte to the last that does not return the last if they differ."""

    def __init__(self, job: Job, crc: int) -> None:
        self._reading = _Reading(job, 0, 0)
        self._job = job
        self._wanted = crc
        self.failure: OSError | PinBroken | None = None

    def read(self, offset: int, count: int) -> bytearray:
        """Return the `count` bytes at `offset`, which is where the last call ended."""
        try:
            piece = self._reading.read(offset, count)
            if offset + count >= self._job.size:
                check_pin(self._job.source)
                self._require_same()
        except OSError as error:
            self.failure = error
            # aiohttp would take an OSError for one of the connection.
            raise PinBroken(str(error)) from error
        except PinBroken as error:
            self.failure = error
            raise
        return piece

    def _require_same(self) -> None:
        if self._reading.crc != self._wanted:
            raise PinBroken("it was rewritten while it was sent")


class _Reading:
    """Reads a pinned file in order, and keeps the checksum of what was read."""

    def __init__(self, job: Job, offset: int, crc: int) -> None:
        self._job = job
        self._offset = offset
        self.crc = crc

    def read(self, offset: int, count: int) -> bytearray:
        """Return the `count` bytes at `offset`; blocks."""
        buffer = bytearray(count)
        piece = read_into(self._job.source, buffer, offset)
        self.crc = joined_crc(self.crc, piece.crc, count)
        self._offset = offset + count
        return buffer

    def run_to(self, end: int) -> int:
        """Read on up to `end` and return the checksum so far; blocks."""
        while self._offset < end:
            self.read(self._offset, min(STREAMED_PIECE, end - self._offset))
        return self.crc


def _md5_etag(job: Job) -> str:
    """Return the ETag of the file where ETags are MD5s; empty if it cannot be said any more."""
    try:
        return checksum_of(job.source, "md5")
    except (OSError, PinBroken):
        return ""
