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
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.s3.errors import (
    ChecksumMismatch,
    NotFound,
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
    """Full-object checksum as S3 writes it."""
    etag: Callable[[], str]
    """The ETag S3 gives these bytes where ETags are MD5s; the empty string if not known.

    Called only when an answer carries no checksum: an MD5 costs more than the sending.
    """


class VerifiedWrite:
    """One write; `attempt` is made for `shared.retry.retrying`."""

    def __init__(self, requests: Requests, request: Request, sent: Sent) -> None:
        self._requests = requests
        self._request = request
        self._sent = sent

    async def attempt(self, number: int) -> Stored:
        """Write, or find that an earlier attempt has written."""
        try:
            answer = await self._requests.once(self._request, number)
        except OutcomeUnknown as error:
            if stored := await self._find_ours(number):
                return stored
            note = f"{error.code}; read back and not there"
            raise ServerError(self._sent.uri, error.answer, note) from error
        except (PreconditionFailed, NotFound):
            if number > 1 and (stored := await self._find_ours(number)):
                return stored
            raise
        return await self._judge(answer, number)

    async def find(self) -> ObjectInfo | None:
        """Ask what is under the key now."""
        return await find_object(self._requests, self._sent.uri)

    async def _find_ours(self, number: int) -> Stored | None:
        held = await self.find()
        if held is None:
            return None
        evidence = self._weigh(held)
        if evidence is None or evidence < Evidence.ETAG_MD5:
            return None
        return self._stored(held.etag, held.version, evidence, number)

    async def _judge(self, answer: Mapping[str, Any], number: int) -> Stored:
        etag, version = read_etag(answer), str(answer.get("VersionId", ""))
        said = str(answer.get("ChecksumCRC64NVME", ""))
        if said == self._sent.crc64nvme:
            return self._stored(etag, version, Evidence.ANSWERED, number)
        if not said and etag and etag == self._sent.etag():
            return self._stored(etag, version, Evidence.ETAG_MD5, number)
        held = await self.find()
        evidence = None if held is None else self._weigh(held)
        if held is None or evidence is None or (said and evidence < Evidence.ETAG_MD5):
            note = f"S3 answered checksum {said or 'none'!r}, sent {self._sent.crc64nvme!r}"
            raise ChecksumMismatch(self._sent.uri, note=note)
        return self._stored(held.etag, held.version, evidence, number)

    def _weigh(self, held: ObjectInfo) -> Evidence | None:
        sent = Checksums(crc64nvme=self._sent.crc64nvme)
        evidence = weigh(sent, self._sent.size, held)
        if evidence is Evidence.SIZE and held.etag and held.etag == self._sent.etag():
            return Evidence.ETAG_MD5
        return evidence

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
