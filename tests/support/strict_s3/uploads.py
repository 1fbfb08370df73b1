"""Multipart uploads: what has been begun, which parts arrived, and whether they may be joined."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Literal

from tests.support.strict_s3.behaviour import Behaviour
from tests.support.strict_s3.digests import Algorithm, Content, digest_of, encoded, joined
from tests.support.strict_s3.model import StoredChecksum
from tests.support.strict_s3.replies import Refused
from tests.support.strict_s3.xml import PartEntry

PART_NUMBER_MAX = 10_000

_FULL_OBJECT_POSSIBLE = {Algorithm.CRC32, Algorithm.CRC32C, Algorithm.CRC64NVME}


@dataclass(frozen=True, slots=True)
class ChecksumPlan:
    """Which checksum the finished object is to show; `algorithm` None: none was named."""

    algorithm: Algorithm | None = None
    kind: Literal["FULL_OBJECT", "COMPOSITE"] = "FULL_OBJECT"


@dataclass(frozen=True, slots=True)
class Part:
    """A part as it arrived."""

    number: int
    content: Content
    etag: str
    modified_at: datetime


@dataclass(slots=True)
class Upload:
    """A multipart upload that was begun."""

    upload_id: str
    bucket: str
    key: str
    started_at: datetime
    began: int
    """Sequence number of its beginning."""
    plan: ChecksumPlan
    headers: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    parts: dict[int, Part] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Assembled:
    """The parts of a completed upload laid end to end."""

    content: Content
    etag: str
    checksum: StoredChecksum


class Uploads:
    """The open uploads, and the last answers of the completed ones."""

    def __init__(self) -> None:
        self._open: dict[str, Upload] = {}
        self.completed: dict[str, str] = {}
        """Upload id to the key it became, for stores where a repeated complete succeeds."""

    def add(self, upload: Upload) -> None:
        """Remember an upload that begins."""
        self._open[upload.upload_id] = upload

    def get(self, bucket: str, key: str, upload_id: str) -> Upload:
        """Return an open upload or refuse."""
        found = self._open.get(upload_id)
        if found is None or (found.bucket, found.key) != (bucket, key):
            raise Refused(
                "NoSuchUpload",
                "The specified upload does not exist. The upload ID may be invalid, "
                "or the upload may have been aborted or completed.",
                details={"UploadId": upload_id},
            )
        return found

    def remove(self, upload: Upload) -> None:
        """Forget an upload and its parts."""
        self._open.pop(upload.upload_id, None)

    def all(self, bucket: str | None = None) -> list[Upload]:
        """Return the open uploads in the order in which S3 lists them."""
        found = [u for u in list(self._open.values()) if bucket in (None, u.bucket)]
        return sorted(found, key=lambda u: (u.key.encode(), u.began))

    def clear(self) -> None:
        """Forget everything."""
        self._open.clear()
        self.completed.clear()


def plan_checksum(algorithm: str | None, kind: str | None) -> ChecksumPlan:
    """Read the checksum headers of CreateMultipartUpload.

    | algorithm      | FULL_OBJECT | COMPOSITE | not said    |
    |----------------|-------------|-----------|-------------|
    | CRC64NVME      | yes         | refused   | FULL_OBJECT |
    | CRC32, CRC32C  | yes         | yes       | COMPOSITE   |
    | SHA1, SHA256   | refused     | yes       | COMPOSITE   |
    | none           | refused     | refused   | FULL_OBJECT |
    """
    if algorithm is None:
        if kind is not None:
            raise Refused(
                "InvalidRequest",
                "The x-amz-checksum-type header can only be used "
                "with the x-amz-checksum-algorithm header.",
            )
        return ChecksumPlan()
    if algorithm.upper() not in Algorithm.__members__ or kind not in (
        None,
        "FULL_OBJECT",
        "COMPOSITE",
    ):
        raise Refused("InvalidRequest", "Checksum algorithm or type provided is unsupported.")
    named = Algorithm(algorithm.upper())
    full = named is Algorithm.CRC64NVME if kind is None else kind == "FULL_OBJECT"
    if full != (named is Algorithm.CRC64NVME) and (
        named is Algorithm.CRC64NVME or named not in _FULL_OBJECT_POSSIBLE
    ):
        raise Refused(
            "InvalidRequest",
            f"The {kind} checksum type cannot be used with the {named.value} checksum algorithm.",
        )
    return ChecksumPlan(named, "FULL_OBJECT" if full else "COMPOSITE")


def assemble(upload: Upload, entries: Sequence[PartEntry], behaviour: Behaviour) -> Assembled:
    """Join the parts that the client names, or refuse as S3 does."""
    numbers = [entry.number for entry in entries]
    if any(later <= earlier for earlier, later in pairwise(numbers)):
        raise Refused(
            "InvalidPartOrder",
            "The list of parts was not in ascending order. Parts must be ordered by part number.",
        )
    parts = [_named_part(upload, entry) for entry in entries]
    for part in parts[:-1]:
        if part.content.size < behaviour.part_bytes_min:
            raise Refused(
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size",
                details={
                    "ProposedSize": str(part.content.size),
                    "MinSizeAllowed": str(behaviour.part_bytes_min),
                    "PartNumber": str(part.number),
                },
            )
    content = joined((part.content for part in parts), keep_bytes=behaviour.keep_bytes_max)
    md5 = hashlib.md5(b"".join(part.content.md5 for part in parts), usedforsecurity=False)
    return Assembled(
        content, f"{md5.hexdigest()}-{len(parts)}", _checksum(upload.plan, content, parts)
    )


def _named_part(upload: Upload, entry: PartEntry) -> Part:
    part = upload.parts.get(entry.number)
    if part is None or part.etag != entry.etag or not _checksums_match(part, entry):
        raise Refused(
            "InvalidPart",
            "One or more of the specified parts could not be found. The part may not have been "
            "uploaded, or the specified entity tag may not match the part's entity tag.",
            details={"UploadId": upload.upload_id, "PartNumber": str(entry.number)},
        )
    needed = upload.plan.algorithm if upload.plan.kind == "COMPOSITE" else None
    if needed is not None and needed.element not in entry.checksums:
        raise Refused(
            "InvalidRequest",
            f"The upload was created using a {needed.value.lower()} checksum. "
            "The complete request must include the checksum for each part.",
        )
    return part


def _checksums_match(part: Part, entry: PartEntry) -> bool:
    return all(
        encoded(part.content.checksum(algorithm)) == entry.checksums[algorithm.element]
        for algorithm in Algorithm
        if algorithm.element in entry.checksums
    )


def _checksum(plan: ChecksumPlan, content: Content, parts: Sequence[Part]) -> StoredChecksum:
    algorithm = plan.algorithm or Algorithm.CRC64NVME
    if plan.kind == "FULL_OBJECT":
        return StoredChecksum(algorithm, encoded(content.checksum(algorithm)))
    value = digest_of(algorithm, b"".join(part.content.checksum(algorithm) for part in parts))
    return StoredChecksum(algorithm, f"{encoded(value)}-{len(parts)}", "COMPOSITE")
