"""Write once, and know afterwards that S3 holds exactly the bytes that were sent.

| the attempt ended in                       | then                                              |
|--------------------------------------------|---------------------------------------------------|
| an answer with our checksum                | stored, ANSWERED                                  |
| an answer with another checksum            | read back: ours after all, or ChecksumMismatch    |
| an answer without one, the ETag is the MD5 | stored, ETAG_MD5                                  |
| an answer that proves nothing              | read back: as strong as a HEAD can say            |
| no whole answer                            | read back: stored after all, or tried again       |
| 412 on the first attempt                   | raised: somebody else's object                    |
| 412, or 404 on Complete, on a later one    | read back: our own earlier attempt, or raised     |

A write is in doubt once an attempt may have been carried out: no whole answer came, or a 5xx. It
stays so until our bytes are found, or a 412 and a look say that other bytes are there. Whatever
ends a write in doubt is raised as OutcomeUnknown: "not done" would be a guess.

Recognised are the bytes, not the writer: equal bytes of somebody else pass for ours. Right for
files; a record whose owner matters must differ from all others.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from anyio import to_thread

from shared.s3.errors import (
    ChecksumMismatch,
    NotFound,
    ObjectError,
    OutcomeUnknown,
    PreconditionFailed,
    ServerError,
)
from shared.s3.requests import Request, Requests
from shared.s3.store import Checksums, Evidence, ObjectInfo, Stored
from shared.s3.uri import S3Uri
from shared.s3.wire import read_etag, read_info, weigh


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent: enough to recognise it in S3."""

    uri: S3Uri
    size: int
    crc64nvme: str
    """Full-object checksum as S3 writes it; empty where a copy's source has none."""
    etag: Callable[[], str]
    """The ETag S3 gives these bytes where ETags are MD5s; the empty string if not known.

    Called only when an answer carries no checksum, and in a thread: an MD5 costs more than the
    sending.
    """


class VerifiedWrite:
    """One write, repeated until it is carried out, refused, or given up."""

    def __init__(self, requests: Requests, request: Request, sent: Sent) -> None:
        self._requests = requests
        self._request = request
        self._sent = sent
        self._in_doubt = False

    async def run(
        self,
        *,
        deadline: float | None,
        attempt: Callable[[int], Awaitable[Stored]] | None = None,
    ) -> Stored:
        """Repeat `attempt`, which calls this write's own; OutcomeUnknown when it ends in doubt."""
        await self._requests.capabilities(self._sent.uri.bucket, deadline=deadline)
        try:
            return await self._requests.repeat(attempt or self.attempt, deadline=deadline)
        except ObjectError as error:
            if not self._in_doubt:
                raise
            note = f"{error.code}; an attempt before may have been carried out"
            raise OutcomeUnknown(self._sent.uri, error.answer, note) from error

    async def attempt(self, number: int) -> Stored:
        """Write, or find that an earlier attempt has written."""
        try:
            answer = await self._requests.once(self._request, number)
        except OutcomeUnknown as error:
            self._in_doubt = True
            if stored := await self._recognise(await self.find(), number):
                return stored
            note = f"{error.code}; read back and not there"
            raise ServerError(self._sent.uri, error.answer, note) from error
        except ServerError:
            self._in_doubt = True
            raise
        except (PreconditionFailed, NotFound):
            if number > 1 and (stored := await self._find_ours(number)):
                return stored
            raise
        return await self._judge(answer, number)

    async def find(self) -> ObjectInfo | None:
        """Ask what is under the key now."""
        return await find_object(self._requests, self._sent.uri)

    async def _find_ours(self, number: int) -> Stored | None:
        """Look after a refusal: other bytes are somebody else's, and end the doubt."""
        held = await self.find()
        if held is not None and await self._weigh(held) is None:
            self._in_doubt = False
        return await self._recognise(held, number)

    async def _recognise(self, held: ObjectInfo | None, number: int) -> Stored | None:
        evidence = None if held is None else await self._weigh(held)
        if held is None or evidence is None or evidence < Evidence.ETAG_MD5:
            return None
        return self._stored(held.etag, held.version, evidence, number)

    async def _judge(self, answer: Mapping[str, Any], number: int) -> Stored:
        result = answer.get("CopyObjectResult", answer)
        etag, version = read_etag(result), str(answer.get("VersionId", ""))
        # A checksum that there is nothing to compare with says nothing.
        said = str(result.get("ChecksumCRC64NVME", "")) if self._sent.crc64nvme else ""
        if said and said == self._sent.crc64nvme:
            return self._stored(etag, version, Evidence.ANSWERED, number)
        if not said and etag and etag == await to_thread.run_sync(self._sent.etag):
            return self._stored(etag, version, Evidence.ETAG_MD5, number)
        was_in_doubt, self._in_doubt = self._in_doubt, True
        held = await self.find()
        self._in_doubt = was_in_doubt
        evidence = None if held is None else await self._weigh(held)
        if held is None or evidence is None or (said and evidence < Evidence.ETAG_MD5):
            note = f"S3 answered checksum {said or 'none'!r}, sent {self._sent.crc64nvme!r}"
            raise ChecksumMismatch(self._sent.uri, note=note)
        return self._stored(held.etag, held.version, evidence, number)

    async def _weigh(self, held: ObjectInfo) -> Evidence | None:
        sent = Checksums(crc64nvme=self._sent.crc64nvme)
        evidence = weigh(sent, self._sent.size, held)
        if evidence is not Evidence.SIZE or not held.etag:
            return evidence
        ours = await to_thread.run_sync(self._sent.etag)
        return Evidence.ETAG_MD5 if held.etag == ours else evidence

    def _stored(self, etag: str, version: str, evidence: Evidence, attempts: int) -> Stored:
        return Stored(
            uri=self._sent.uri,
            size=self._sent.size,
            etag=etag,
            evidence=evidence,
            checksums=Checksums(crc64nvme=self._sent.crc64nvme),
            version=version,
            attempts=attempts,
        )


async def find_object(requests: Requests, uri: S3Uri) -> ObjectInfo | None:
    """HEAD an object once, with its checksums; None when there is none."""
    request = Request("head_object", uri, {"ChecksumMode": "ENABLED"})
    try:
        return read_info(uri, await requests.once(request))
    except NotFound:
        return None
