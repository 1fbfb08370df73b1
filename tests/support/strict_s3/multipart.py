"""The operations of a multipart upload."""

import secrets

from tests.support.strict_s3.digests import Algorithm, Content, encoded, stated_checksum
from tests.support.strict_s3.ground import Ground, not_implemented, number_of, precondition_of
from tests.support.strict_s3.history import MutationKind
from tests.support.strict_s3.model import Draft, StoredObject, check_key
from tests.support.strict_s3.objects import etag_of, stored_headers, trailing_algorithm
from tests.support.strict_s3.protocol import Call
from tests.support.strict_s3.replies import Refused, Reply
from tests.support.strict_s3.tags import stated_tags
from tests.support.strict_s3.uploads import (
    PART_NUMBER_MAX,
    Assembled,
    ChecksumPlan,
    Part,
    Upload,
    assemble,
    plan_checksum,
)
from tests.support.strict_s3.xml import document, elements, parse_complete, shown_key, timestamp

_XML = {"Content-Type": "application/xml"}


def create_multipart_upload(ground: Ground, call: Call, content: Content) -> Reply:
    """CreateMultipartUpload."""
    ground.model.bucket(call.bucket)
    check_key(call.key)
    plan = plan_checksum(
        call.headers.get("x-amz-checksum-algorithm"), call.headers.get("x-amz-checksum-type")
    )
    if plan.algorithm and plan.kind == "FULL_OBJECT" and not ground.behaviour.full_object_checksum:
        raise not_implemented()
    upload = Upload(
        upload_id=secrets.token_urlsafe(24),
        bucket=call.bucket,
        key=call.key,
        started_at=ground.model.now(),
        began=call.sequence,
        plan=plan,
        headers=stored_headers(ground, call),
        tags=stated_tags(call.headers),
    )
    ground.uploads.add(upload)
    headers = dict(_XML)
    if plan.algorithm is not None and ground.behaviour.answers_checksums:
        headers["x-amz-checksum-algorithm"] = plan.algorithm.value
        headers["x-amz-checksum-type"] = plan.kind
    shown = elements({"Bucket": call.bucket, "Key": call.key, "UploadId": upload.upload_id})
    return Reply(200, headers, document("InitiateMultipartUploadResult", [shown]))


def upload_part(ground: Ground, call: Call, content: Content) -> Reply:
    """UploadPart; a part sent again replaces the earlier one."""
    number = number_of(call, "partNumber", 0)
    if not 1 <= number <= PART_NUMBER_MAX:
        raise Refused(
            "InvalidArgument",
            f"Part number must be an integer between 1 and {PART_NUMBER_MAX}, inclusive",
        )
    upload = _upload(ground, call)
    stated = stated_checksum(call.headers)
    sent = stated[0] if stated else trailing_algorithm(call)
    if None not in (sent, upload.plan.algorithm) and sent is not upload.plan.algorithm:
        raise _checksum_type_mismatch(upload.plan, sent)
    part = Part(number, content, etag_of(ground, content, call.sequence), ground.model.now())
    upload.parts[number] = part
    algorithm = upload.plan.algorithm or sent or Algorithm.CRC64NVME
    headers = {"ETag": f'"{part.etag}"'}
    if ground.behaviour.answers_checksums:
        headers[algorithm.header] = encoded(content.checksum(algorithm))
    return Reply(200, headers)


def complete_multipart_upload(ground: Ground, call: Call, content: Content) -> Reply:
    """CompleteMultipartUpload; refused, it leaves the upload open as it was."""
    upload_id = call.query["uploadId"]
    if ground.behaviour.repeatable_complete and upload_id in ground.uploads.completed:
        return _completed(ground, call, ground.model.get(call.bucket, call.key))
    upload = _upload(ground, call)
    by_upload = ground.behaviour.conflict_window == "upload"
    precondition = precondition_of(
        ground,
        call,
        ground.behaviour.conditional_complete,
        since=upload.began if by_upload else call.sequence,
    )
    assembled = assemble(upload, parse_complete(content.data or b""), ground.behaviour)
    _check_stated(call, upload.plan, assembled)
    draft = Draft(
        bucket=call.bucket,
        key=call.key,
        content=assembled.content,
        checksum=assembled.checksum,
        headers=upload.headers,
        tags=upload.tags,
        etag=assembled.etag,
        kind=MutationKind.COMPLETE,
    )
    stored = ground.model.write(draft, precondition)
    ground.uploads.remove(upload)
    ground.uploads.completed[upload_id] = call.key
    return _completed(ground, call, stored)


def abort_multipart_upload(ground: Ground, call: Call, content: Content) -> Reply:
    """AbortMultipartUpload."""
    ground.uploads.remove(_upload(ground, call))
    return Reply(204)


def list_parts(ground: Ground, call: Call, content: Content) -> Reply:
    """ListParts."""
    upload = _upload(ground, call)
    marker = number_of(call, "part-number-marker", 0)
    limit = min(number_of(call, "max-parts", 1000), ground.behaviour.page_size)
    behind = [upload.parts[number] for number in sorted(upload.parts) if number > marker]
    page = behind[:limit]
    head = elements(
        {
            "Bucket": call.bucket,
            "Key": call.key,
            "UploadId": upload.upload_id,
            "PartNumberMarker": marker,
            "NextPartNumberMarker": page[-1].number if page else 0,
            "MaxParts": limit,
            "IsTruncated": len(behind) > len(page),
        }
    )
    return Reply(200, _XML, document("ListPartsResult", [head, *map(_part, page)]))


def list_multipart_uploads(ground: Ground, call: Call, content: Content) -> Reply:
    """ListMultipartUploads; uploads of one key stand in the order of their beginning."""
    ground.model.bucket(call.bucket)
    key_marker = call.query.get("key-marker", "")
    id_marker = call.query.get("upload-id-marker", "")
    limit = min(number_of(call, "max-uploads", 1000), ground.behaviour.page_size)
    prefix = call.query.get("prefix", "")
    found = [u for u in ground.uploads.all(call.bucket) if u.key.startswith(prefix)]
    behind = _behind_marker(found, key_marker, id_marker)
    page = behind[:limit]
    truncated = 0 < len(page) < len(behind)
    coded = "encoding-type" in call.query
    head = elements(
        {
            "Bucket": call.bucket,
            "KeyMarker": shown_key(key_marker, coded=coded),
            "UploadIdMarker": id_marker,
            "EncodingType": "url" if coded else None,
            "NextKeyMarker": shown_key(page[-1].key, coded=coded) if truncated else None,
            "NextUploadIdMarker": page[-1].upload_id if truncated else None,
            "Prefix": shown_key(prefix, coded=coded),
            "MaxUploads": limit,
            "IsTruncated": truncated,
        }
    )
    shown = [_begun(upload, coded=coded) for upload in page]
    return Reply(200, _XML, document("ListMultipartUploadsResult", [head, *shown]))


def _upload(ground: Ground, call: Call) -> Upload:
    ground.model.bucket(call.bucket)
    return ground.uploads.get(call.bucket, call.key, call.query["uploadId"])


def _behind_marker(found: list[Upload], key_marker: str, id_marker: str) -> list[Upload]:
    if not key_marker:
        return found
    marker = key_marker.encode()
    for at, upload in enumerate(found):
        if upload.key == key_marker and upload.upload_id == id_marker:
            return found[at + 1 :]
    if id_marker:
        # The upload of the marker is gone: what is left of its key was not shown yet.
        return [upload for upload in found if upload.key.encode() >= marker]
    return [upload for upload in found if upload.key.encode() > marker]


def _check_stated(call: Call, plan: ChecksumPlan, assembled: Assembled) -> None:
    """Compare what the client says of the whole object with what it is."""
    kind = call.headers.get("x-amz-checksum-type")
    if kind not in (None, plan.kind):
        raise Refused(
            "InvalidRequest",
            f"The upload was created with the {plan.kind} checksum type. "
            "The complete request must use the same.",
        )
    size = call.headers.get("x-amz-mp-object-size")
    if size is not None and size != str(assembled.content.size):
        raise Refused(
            "InvalidRequest",
            f"The provided 'x-amz-mp-object-size' header value {size} does not match "
            f"what was computed: {assembled.content.size}",
        )
    for algorithm in Algorithm:
        stated = call.headers.get(algorithm.header)
        if stated is None:
            continue
        if algorithm is not assembled.checksum.algorithm:
            raise _checksum_type_mismatch(plan, algorithm)
        if stated not in (assembled.checksum.value, assembled.checksum.value.partition("-")[0]):
            raise Refused(
                "BadDigest",
                f"The {algorithm.value} you specified did not match the calculated checksum.",
            )


def _checksum_type_mismatch(plan: ChecksumPlan, sent: Algorithm | None) -> Refused:
    expected = (plan.algorithm or Algorithm.CRC64NVME).value.lower()
    actual = sent.value.lower() if sent else "null"
    return Refused(
        "InvalidRequest",
        f"Checksum Type mismatch occurred, expected checksum Type: {expected}, "
        f"actual checksum Type: {actual}",
    )


def _completed(ground: Ground, call: Call, stored: StoredObject) -> Reply:
    shown: dict[str, object] = {
        "Location": f"/{call.bucket}/{call.key}",
        "Bucket": call.bucket,
        "Key": call.key,
        "ETag": f'"{stored.etag}"',
    }
    if ground.behaviour.answers_checksums:
        shown[stored.checksum.algorithm.element] = stored.checksum.value
        shown["ChecksumType"] = stored.checksum.kind
    return Reply(200, _XML, document("CompleteMultipartUploadResult", [elements(shown)]))


def _part(part: Part) -> str:
    inside = elements(
        {
            "PartNumber": part.number,
            "LastModified": timestamp(part.modified_at),
            "ETag": f'"{part.etag}"',
            "Size": part.content.size,
        }
    )
    return f"<Part>{inside}</Part>"


def _begun(upload: Upload, *, coded: bool) -> str:
    inside = elements(
        {
            "Key": shown_key(upload.key, coded=coded),
            "UploadId": upload.upload_id,
            "Initiated": timestamp(upload.started_at),
            "StorageClass": "STANDARD",
        }
    )
    return f"<Upload>{inside}</Upload>"
