"""Between the suite's types and the parameters and answers of the S3 API. Pure.

Names are those of the Amazon S3 API Reference.
"""

import base64
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from shared.s3.store import (
    Absent,
    Checksums,
    Evidence,
    Matches,
    ObjectInfo,
    PutOptions,
    Span,
    When,
)
from shared.s3.uri import S3Uri

_MD5 = re.compile(r"[0-9a-f]{32}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CRC64_BYTES = 8

Parameters = Mapping[str, object]


def encode_crc(value: int) -> str:
    """Write a CRC64NVME as S3 does: eight bytes, big endian, base64."""
    return base64.b64encode(value.to_bytes(_CRC64_BYTES, "big")).decode()


def when_parameters(when: When) -> Parameters:
    """Write a precondition as request parameters."""
    if isinstance(when, Absent):
        return {"IfNoneMatch": "*"}
    if isinstance(when, Matches):
        return {"IfMatch": f'"{when.etag}"'}
    return {}


def option_parameters(options: PutOptions) -> Parameters:
    """Write what is stored beside the bytes as request parameters."""
    chosen: Mapping[str, object] = {
        "ContentType": options.content_type,
        "Metadata": dict(options.metadata),
        "Tagging": urlencode(options.tags),
        "StorageClass": options.storage_class,
        "ServerSideEncryption": options.encryption,
        "SSEKMSKeyId": options.kms_key,
        "ACL": options.acl,
    }
    return {name: value for name, value in chosen.items() if value}


def read_parameters(span: Span | None, if_match: str | None) -> Parameters:
    """Write what to read as request parameters; the checksums are of whole objects only."""
    parameters: dict[str, object] = {}
    if span is None:
        parameters["ChecksumMode"] = "ENABLED"
    else:
        last = "" if span.stop is None else str(span.stop - 1)
        parameters["Range"] = f"bytes={span.start}-{last}"
    return {**parameters, **match_parameters(if_match)}


def match_parameters(if_match: str | None) -> Parameters:
    """Write the precondition of a read or a delete as request parameters."""
    return {} if if_match is None else {"IfMatch": f'"{if_match}"'}


def read_etag(answer: Mapping[str, Any]) -> str:
    """Return the ETag of an answer without its quotation marks."""
    return str(answer.get("ETag", "")).strip('"')


def read_checksums(answer: Mapping[str, Any]) -> Checksums:
    """Return the full-object checksums of an answer; composite ones say nothing of the bytes."""
    etag = read_etag(answer)
    plain = str(answer.get("ServerSideEncryption", "")) in {"", "AES256"}
    md5 = etag if plain and _MD5.fullmatch(etag) else ""
    if answer.get("ChecksumType") == "COMPOSITE":
        return Checksums(md5=md5)
    return Checksums(
        crc64nvme=str(answer.get("ChecksumCRC64NVME", "")),
        crc32=str(answer.get("ChecksumCRC32", "")),
        crc32c=str(answer.get("ChecksumCRC32C", "")),
        sha256=str(answer.get("ChecksumSHA256", "")),
        sha1=str(answer.get("ChecksumSHA1", "")),
        md5=md5,
    )


def read_info(uri: S3Uri, answer: Mapping[str, Any]) -> ObjectInfo:
    """Read the answer of HeadObject or GetObject."""
    total = str(answer.get("ContentRange", "")).rpartition("/")[2]
    size = total if total.isdigit() else answer.get("ContentLength", 0)
    modified = answer.get("LastModified")
    return ObjectInfo(
        uri=uri,
        size=int(size),
        etag=read_etag(answer),
        modified_at=modified if isinstance(modified, datetime) else _EPOCH,
        checksums=read_checksums(answer),
        version=str(answer.get("VersionId", "")),
        metadata=dict(answer.get("Metadata", {})),
    )


def read_listed(bucket: str, entry: Mapping[str, Any]) -> ObjectInfo:
    """Read one entry of a listing, of which there may be a thousand in an answer.

    It has no checksums, and its ETag is an MD5 only if it looks like one.
    """
    etag = read_etag(entry)
    modified = entry.get("LastModified")
    return ObjectInfo(
        uri=S3Uri(bucket, str(entry["Key"])),
        size=int(entry.get("Size", 0)),
        etag=etag,
        modified_at=modified if isinstance(modified, datetime) else _EPOCH,
        checksums=Checksums(md5="" if "-" in etag else etag),
    )


def tag_parameters(tags: Mapping[str, str]) -> Parameters:
    """Write the tags of an object as request parameters."""
    return {"Tagging": {"TagSet": [{"Key": key, "Value": text} for key, text in tags.items()]}}


def read_tags(answer: Mapping[str, Any]) -> Mapping[str, str]:
    """Read the answer of GetObjectTagging."""
    return {str(tag["Key"]): str(tag["Value"]) for tag in answer.get("TagSet", ())}


def weigh(sent: Checksums, size: int, held: ObjectInfo) -> Evidence | None:
    """Say how well `held` proves that S3 has the bytes sent; None when it proves the contrary.

    | held object                         | evidence  |
    |-------------------------------------|-----------|
    | another size                        | None      |
    | checksums of the same kind, equal   | READ_BACK |
    | one of them different               | None      |
    | only a plain ETag, equal to the MD5 | ETAG_MD5  |
    | only a plain ETag, different        | NONE: it need not be an MD5 |
    | nothing to compare                  | SIZE      |
    """
    if held.size != size:
        return None
    pairs = (
        (sent.crc64nvme, held.checksums.crc64nvme),
        (sent.sha256, held.checksums.sha256),
        (sent.crc32c, held.checksums.crc32c),
        (sent.crc32, held.checksums.crc32),
        (sent.sha1, held.checksums.sha1),
    )
    comparable = [(ours, theirs) for ours, theirs in pairs if ours and theirs]
    if comparable:
        return Evidence.READ_BACK if all(a == b for a, b in comparable) else None
    if sent.md5 and held.checksums.md5:
        return Evidence.ETAG_MD5 if sent.md5 == held.checksums.md5 else Evidence.NONE
    return Evidence.SIZE
