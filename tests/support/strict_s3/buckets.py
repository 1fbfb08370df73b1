"""The operations on a bucket, its listing and the bulk delete among them."""

import re
from collections.abc import Iterable

from tests.support.strict_s3.digests import Content
from tests.support.strict_s3.ground import Ground, number_of
from tests.support.strict_s3.listing import KeyPage, Query, page_of
from tests.support.strict_s3.model import StoredObject
from tests.support.strict_s3.protocol import Call
from tests.support.strict_s3.replies import Refused, Reply
from tests.support.strict_s3.xml import (
    DeleteEntry,
    document,
    element,
    elements,
    parse_delete,
    parse_location,
    shown_key,
    timestamp,
)

_XML = {"Content-Type": "application/xml"}
_BUCKET_NAME = re.compile(r"(?!.*\.\.)(?!\d+\.\d+\.\d+\.\d+$)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def create_bucket(ground: Ground, call: Call, content: Content) -> Reply:
    """CreateBucket; the region is that of the LocationConstraint, else the server's."""
    if _BUCKET_NAME.fullmatch(call.bucket) is None:
        raise Refused("InvalidBucketName", "The specified bucket is not valid.")
    location = parse_location(content.data or b"")
    ground.model.create_bucket(call.bucket, location or ground.aws_region)
    return Reply(200, {"Location": f"/{call.bucket}"})


def head_bucket(ground: Ground, call: Call, content: Content) -> Reply:
    """HeadBucket."""
    bucket = ground.model.bucket(call.bucket)
    return Reply(200, {"x-amz-bucket-region": bucket.region, "Content-Type": "application/xml"})


def delete_bucket(ground: Ground, call: Call, content: Content) -> Reply:
    """DeleteBucket."""
    ground.model.delete_bucket(call.bucket)
    return Reply(204)


def get_bucket_location(ground: Ground, call: Call, content: Content) -> Reply:
    """GetBucketLocation; us-east-1 is written as nothing."""
    region = ground.model.bucket(call.bucket).region
    shown = "" if region == "us-east-1" else region
    return Reply(200, _XML, document("LocationConstraint", [shown]))


def list_buckets(ground: Ground, call: Call, content: Content) -> Reply:
    """ListBuckets."""
    entries = "".join(
        element_of_bucket(bucket.name, timestamp(bucket.created_at), bucket.region)
        for bucket in ground.model.buckets()
    )
    return Reply(200, _XML, document("ListAllMyBucketsResult", [f"<Buckets>{entries}</Buckets>"]))


def element_of_bucket(name: str, created_at: str, region: str) -> str:
    """Write one entry of ListBuckets."""
    inside = elements({"Name": name, "CreationDate": created_at, "BucketRegion": region})
    return f"<Bucket>{inside}</Bucket>"


def list_objects_v2(ground: Ground, call: Call, content: Content) -> Reply:
    """ListObjectsV2."""
    asked = call.query
    if asked["list-type"] != "2" or asked.get("encoding-type", "url") != "url":
        raise Refused("InvalidArgument", "Invalid list type or encoding method")
    bucket = ground.model.bucket(call.bucket)
    limit = number_of(call, "max-keys", 1000)
    page = page_of(
        bucket.order,
        Query(
            prefix=asked.get("prefix", "").encode(),
            delimiter=asked.get("delimiter", "").encode(),
            start_after=asked.get("start-after", "").encode(),
            token=asked.get("continuation-token"),
            limit=min(limit, ground.behaviour.page_size),
        ),
    )
    stored = [bucket.objects[key] for key in page.keys]
    return Reply(200, _XML, _listing(ground, call, page, stored, limit))


def delete_objects(ground: Ground, call: Call, content: Content) -> Reply:
    """DeleteObjects: every key is judged by itself, and the answer is 200 whatever happened."""
    if "Content-MD5" not in call.headers and not any(
        name.lower().startswith(("x-amz-checksum-", "x-amz-trailer")) for name in call.headers
    ):
        raise Refused(
            "InvalidRequest",
            "Missing required header for this request: Content-MD5 OR x-amz-checksum-*",
        )
    request = parse_delete(content.data or b"")
    ground.model.bucket(call.bucket)
    shown = []
    for entry in request.entries:
        refused = _delete_one(ground, call, entry)
        if refused is not None:
            inside = elements({"Key": entry.key, "Code": refused.code, "Message": refused.message})
            shown.append(f"<Error>{inside}</Error>")
        elif not request.quiet:
            shown.append(f"<Deleted>{element('Key', entry.key)}</Deleted>")
    return Reply(200, _XML, document("DeleteResult", shown))


def _delete_one(ground: Ground, call: Call, entry: DeleteEntry) -> Refused | None:
    if ground.access.denied("s3:DeleteObject", call.bucket, entry.key):
        return Refused("AccessDenied", "Access Denied")
    try:
        ground.model.delete(call.bucket, entry.key, entry.etag)
    except Refused as refused:
        return refused
    return None


def _listing(
    ground: Ground, call: Call, page: KeyPage, stored: Iterable[StoredObject], limit: int
) -> bytes:
    coded = "encoding-type" in call.query
    head: dict[str, object | None] = {
        "Name": call.bucket,
        "Prefix": shown_key(call.query.get("prefix", ""), coded=coded),
        "KeyCount": len(page.keys) + len(page.prefixes),
        "MaxKeys": limit,
        "IsTruncated": page.next_token is not None,
        "EncodingType": "url" if coded else None,
        "Delimiter": _optional(call, "delimiter", coded=coded),
        "StartAfter": _optional(call, "start-after", coded=coded),
        "ContinuationToken": call.query.get("continuation-token"),
        "NextContinuationToken": page.next_token,
    }
    with_checksum = ground.behaviour.answers_checksums
    parts = [elements(head)]
    parts.extend(_entry(one, coded=coded, with_checksum=with_checksum) for one in stored)
    parts.extend(
        f"<CommonPrefixes>{element('Prefix', shown_key(prefix, coded=coded))}</CommonPrefixes>"
        for prefix in page.prefixes
    )
    return document("ListBucketResult", parts)


def _entry(stored: StoredObject, *, coded: bool, with_checksum: bool) -> str:
    checksum = ""
    if with_checksum:
        checksum = (
            f"<ChecksumAlgorithm>{stored.checksum.algorithm.value}</ChecksumAlgorithm>"
            f"<ChecksumType>{stored.checksum.kind}</ChecksumType>"
        )
    return (
        f"<Contents>{element('Key', shown_key(stored.key, coded=coded))}"
        f"<LastModified>{timestamp(stored.modified_at)}</LastModified>"
        f"<ETag>&quot;{stored.etag}&quot;</ETag>{checksum}<Size>{stored.content.size}</Size>"
        "<StorageClass>STANDARD</StorageClass></Contents>"
    )


def _optional(call: Call, name: str, *, coded: bool) -> str | None:
    value = call.query.get(name)
    return None if value is None else shown_key(value, coded=coded)
