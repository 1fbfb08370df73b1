"""The operations on one object that need no multipart upload."""

from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime

from tests.support.strict_s3.access import access_denied
from tests.support.strict_s3.digests import Algorithm, Content, encoded, stated_checksum
from tests.support.strict_s3.ground import Ground, not_implemented, precondition_of
from tests.support.strict_s3.history import MutationKind
from tests.support.strict_s3.model import (
    Draft,
    StoredChecksum,
    StoredObject,
    crc64nvme_of,
    opaque_etag,
    precondition_failed,
)
from tests.support.strict_s3.protocol import Call, decoded
from tests.support.strict_s3.ranges import parse_range
from tests.support.strict_s3.replies import Refused, Reply
from tests.support.strict_s3.tags import stated_tags
from tests.support.strict_s3.xml import document, elements, timestamp

METADATA_BYTES_MAX = 2048

_STORED_HEADERS = (
    "Cache-Control",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-Type",
    "Expires",
    "x-amz-storage-class",
    "x-amz-server-side-encryption-aws-kms-key-id",
)
_KNOWN_ENCRYPTION = ("AES256", "aws:kms", "aws:kms:dsse")


def put_object(ground: Ground, call: Call, content: Content) -> Reply:
    """PutObject."""
    precondition = precondition_of(
        ground, call, ground.behaviour.conditional_put, since=call.sequence
    )
    stated = stated_checksum(call.headers)
    algorithm = stated[0] if stated else trailing_algorithm(call) or Algorithm.CRC64NVME
    draft = Draft(
        bucket=call.bucket,
        key=call.key,
        content=content,
        checksum=StoredChecksum(algorithm, encoded(content.checksum(algorithm))),
        headers=stored_headers(ground, call),
        etag=etag_of(ground, content, call.sequence),
        tags=stated_tags(call.headers),
    )
    return written(ground, ground.model.write(draft, precondition))


def get_object(ground: Ground, call: Call, content: Content) -> Reply:
    """GetObject, whole or one range."""
    stored = find(ground, call)
    data = stored.content.data
    if data is None:
        raise Refused("InternalError", "the server was told not to keep bodies of this size")
    span = parse_range(call.headers.get("Range"), stored.content.size)
    headers = described(ground, call, stored, with_checksum=span is None)
    if span is None:
        return Reply(200, headers, data)
    start, stop = span
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{stored.content.size}"
    return Reply(206, headers, memoryview(data)[start:stop])


def head_object(ground: Ground, call: Call, content: Content) -> Reply:
    """HeadObject."""
    stored = find(ground, call)
    headers = described(ground, call, stored, with_checksum=True)
    return Reply(200, headers, length=stored.content.size)


def delete_object(ground: Ground, call: Call, content: Content) -> Reply:
    """DeleteObject; deleting what is not there succeeds."""
    precondition = precondition_of(
        ground, call, ground.behaviour.conditional_delete, since=call.sequence
    )
    if_match = precondition.if_match if precondition else None
    ground.model.delete(call.bucket, call.key, if_match)
    return Reply(204)


def copy_object(ground: Ground, call: Call, content: Content) -> Reply:
    """CopyObject; the conditions on source and target are independent of each other."""
    source = _copy_source(ground, call)
    precondition = precondition_of(
        ground, call, ground.behaviour.conditional_put, since=call.sequence
    )
    replaced = call.headers.get("x-amz-metadata-directive", "COPY").upper() == "REPLACE"
    draft = Draft(
        bucket=call.bucket,
        key=call.key,
        content=source.content,
        checksum=_copied_checksum(source),
        headers=stored_headers(ground, call) if replaced else source.headers,
        etag=etag_of(ground, source.content, call.sequence),
        kind=MutationKind.COPY,
        tags=source.tags,
    )
    stored = ground.model.write(draft, precondition)
    shown: dict[str, object] = {
        "LastModified": timestamp(stored.modified_at),
        "ETag": f'"{stored.etag}"',
    }
    if ground.behaviour.answers_checksums:
        shown[stored.checksum.algorithm.element] = stored.checksum.value
        shown["ChecksumType"] = stored.checksum.kind
    body = document("CopyObjectResult", [elements(shown)])
    return Reply(200, {"Content-Type": "application/xml"}, body)


def written(ground: Ground, stored: StoredObject) -> Reply:
    """Answer a write without a body."""
    headers = {
        "ETag": f'"{stored.etag}"',
        "x-amz-server-side-encryption": stored.headers["x-amz-server-side-encryption"],
    }
    if ground.behaviour.answers_checksums:
        headers |= stored.checksum.headers()
    return Reply(200, headers)


def described(
    ground: Ground, call: Call, stored: StoredObject, *, with_checksum: bool
) -> dict[str, str]:
    """Write the headers of GET and HEAD; checksums only where the client asks for them."""
    headers = {
        "ETag": f'"{stored.etag}"',
        "Last-Modified": http_date(stored.modified_at),
        "Accept-Ranges": "bytes",
        "Content-Type": "binary/octet-stream",
        **stored.headers,
    }
    if stored.tags:
        headers["x-amz-tagging-count"] = str(len(stored.tags))
    asked = call.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED"
    if asked and with_checksum and ground.behaviour.answers_checksums:
        headers |= stored.checksum.headers()
    return headers


def etag_of(ground: Ground, content: Content, sequence: int) -> str:
    """Return the ETag that the store would give this content."""
    if ground.behaviour.etag == "opaque":
        return opaque_etag(content, sequence)
    return content.md5.hex()


def trailing_algorithm(call: Call) -> Algorithm | None:
    """Read which checksum follows an aws-chunked body."""
    name = call.headers.get("x-amz-trailer")
    return None if name is None else Algorithm.of_header(name)


def stored_headers(ground: Ground, call: Call) -> dict[str, str]:
    """Collect what is stored beside the bytes, refusing what S3 refuses."""
    acl = call.headers.get("x-amz-acl", "bucket-owner-full-control")
    if acl != "bucket-owner-full-control" and not ground.behaviour.acls:
        raise Refused("AccessControlListNotSupported", "The bucket does not allow ACLs")
    kept = {name: call.headers[name] for name in _STORED_HEADERS if name in call.headers}
    if "Content-Encoding" in kept:
        _drop_transfer_coding(kept)
    kept |= _metadata(call.headers)
    encryption = call.headers.get("x-amz-server-side-encryption", "AES256")
    if encryption not in _KNOWN_ENCRYPTION:
        raise Refused("InvalidArgument", "The encryption method specified is not supported")
    kept["x-amz-server-side-encryption"] = encryption
    return kept


def http_date(at: datetime) -> str:
    """Write a time as HTTP does."""
    return format_datetime(at, usegmt=True)


def _metadata(headers: Mapping[str, str]) -> dict[str, str]:
    found = {
        name.lower(): value
        for name, value in headers.items()
        if name.lower().startswith("x-amz-meta-")
    }
    size = sum(len(name) - len("x-amz-meta-") + len(found[name].encode()) for name in found)
    if size > METADATA_BYTES_MAX:
        raise Refused(
            "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size"
        )
    return found


def _drop_transfer_coding(kept: dict[str, str]) -> None:
    codings = [part.strip() for part in kept.pop("Content-Encoding").split(",")]
    left = [coding for coding in codings if coding and coding != "aws-chunked"]
    if left:
        kept["Content-Encoding"] = ",".join(left)


def find(ground: Ground, call: Call) -> StoredObject:
    """Return the object that is asked for, or refuse as a read does."""
    try:
        stored = ground.model.get(call.bucket, call.key)
    except Refused as refused:
        # Who may not list a bucket is not told which keys it lacks.
        if refused.code == "NoSuchKey" and ground.access.denied("s3:ListBucket", call.bucket):
            raise access_denied() from refused
        raise
    if_match, if_none_match = call.headers.get("If-Match"), call.headers.get("If-None-Match")
    if if_match is not None and if_match.strip('"') not in ("*", stored.etag):
        raise precondition_failed("If-Match")
    if if_none_match is not None and if_none_match.strip('"') in ("*", stored.etag):
        raise Refused("NotModified", headers={"ETag": f'"{stored.etag}"'})
    return stored


def _copy_source(ground: Ground, call: Call) -> StoredObject:
    named = call.headers["x-amz-copy-source"].removeprefix("/")
    if "?versionId=" in named:
        raise not_implemented()
    bucket, _, key = named.partition("/")
    bucket, key = decoded(bucket), decoded(key)
    if ground.access.denied("s3:GetObject", bucket, key):
        raise access_denied()
    stored = ground.model.get(bucket, key)
    if stored.content.size > ground.behaviour.put_bytes_max:
        raise Refused("InvalidRequest", "The specified copy source is larger than the maximum")
    replaced = call.headers.get("x-amz-metadata-directive", "COPY").upper() == "REPLACE"
    if (bucket, key) == (call.bucket, call.key) and not replaced:
        raise Refused(
            "InvalidRequest",
            "This copy request is illegal because it is trying to copy an object to itself "
            "without changing the object's metadata, storage class, website redirect location "
            "or encryption attributes.",
        )
    if_match = call.headers.get("x-amz-copy-source-if-match")
    if if_match is not None and if_match.strip('"') != stored.etag:
        raise precondition_failed("x-amz-copy-source-If-Match")
    if_none_match = call.headers.get("x-amz-copy-source-if-none-match")
    if if_none_match is not None and if_none_match.strip('"') == stored.etag:
        raise precondition_failed("x-amz-copy-source-If-None-Match")
    return stored


def _copied_checksum(source: StoredObject) -> StoredChecksum:
    # A copy is one piece: its checksum is that of the whole, whatever the source's was.
    if source.checksum.kind == "FULL_OBJECT":
        return source.checksum
    if source.content.data is None:
        return crc64nvme_of(source.content)
    algorithm = source.checksum.algorithm
    return StoredChecksum(algorithm, encoded(source.content.checksum(algorithm)))
