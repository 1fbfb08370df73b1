"""How the server behaves where stores differ; the default is AWS as documented."""

from dataclasses import dataclass
from enum import Enum
from typing import Literal

MIB = 1024 * 1024


class Conditions(Enum):
    """What a store does with If-Match and If-None-Match on a write."""

    HONOURED = "honoured"
    IGNORED = "ignored"
    """The write goes through, as on stores that predate conditional writes."""
    REFUSED = "refused"
    """501 NotImplemented."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Switches and limits; replace the server's `behaviour` to change it while it runs."""

    answers_checksums: bool = True
    """Off: no x-amz-checksum-* in any answer, though wrong ones are still refused."""
    full_object_checksum: bool = True
    """Off: FULL_OBJECT on a multipart upload is answered with 501 NotImplemented."""
    conditional_put: Conditions = Conditions.HONOURED
    conditional_complete: Conditions = Conditions.HONOURED
    conditional_delete: Conditions = Conditions.HONOURED
    etag: Literal["md5", "opaque"] = "md5"
    """`opaque`: ETags that are not the MD5, as with SSE-KMS."""
    trailers: bool = True
    """Off: aws-chunked bodies are answered with 501 NotImplemented."""
    acls: bool = False
    """On: x-amz-acl is taken; AWS disables ACLs on new buckets."""
    wrong_region: Literal["permanent", "temporary", "malformed"] = "permanent"
    """Answer to a request signed for another region: 301, 307 or 400."""
    conflict_on: Literal["any", "delete"] = "any"
    """Which change of the key, made while a conditional write is under way, gives 409 instead
    of letting the precondition decide."""
    conflict_window: Literal["request", "upload"] = "request"
    """Since when "under way" counts for CompleteMultipartUpload: its own request, or the
    CreateMultipartUpload that began it."""
    repeatable_complete: bool = False
    """On: CompleteMultipartUpload may be repeated with the same answer; off: 404 NoSuchUpload."""
    page_size: int = 1000
    """Most entries in one page of any listing."""
    part_bytes_min: int = 5 * MIB
    """Smallest part except the last."""
    put_bytes_max: int = 5 * 1024 * MIB
    """Largest body of one PutObject, UploadPart or CopyObject."""
    keep_bytes_max: int | None = None
    """Longest body that is kept; of longer ones only size and digests remain. None: keep all."""


AWS = Behaviour()
"""AWS S3 with a fresh general purpose bucket."""

LESSER = Behaviour(
    answers_checksums=False,
    full_object_checksum=False,
    conditional_put=Conditions.IGNORED,
    conditional_complete=Conditions.IGNORED,
    conditional_delete=Conditions.IGNORED,
    trailers=False,
)
"""A store that speaks the S3 of 2015."""
