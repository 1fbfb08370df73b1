import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from tests.support.raw_http import RawAnswer, RawClient
from tests.support.strict_s3.behaviour import AWS, LESSER, MIB, Behaviour, Conditions
from tests.support.strict_s3.digests import Algorithm, digest_of, encoded
from tests.support.strict_s3.server import BUCKET, StrictS3
from tests.support.strict_s3.uploads import plan_checksum

SMALL_PARTS = Behaviour(part_bytes_min=10)
TARGET = f"/{BUCKET}/big"
PARTS = (b"a" * 10, b"b" * 12, b"c")
WHOLE = b"".join(PARTS)
FULL: dict[str, str | None] = {
    "x-amz-checksum-algorithm": "CRC64NVME",
    "x-amz-checksum-type": "FULL_OBJECT",
}
CRC = Algorithm.CRC64NVME
Headers = dict[str, str | None]


class Multipart:
    """One multipart upload, step by step."""

    def __init__(self, raw: RawClient, headers: Headers | None = None) -> None:
        self._raw = raw
        self.upload_id = raw.call("POST", f"{TARGET}?uploads", headers=headers).text("UploadId")
        self.etags: dict[int, str] = {}

    def part(self, number: int, body: bytes, headers: Headers | None = None) -> RawAnswer:
        """Send one part."""
        target = f"{TARGET}?partNumber={number}&uploadId={self.upload_id}"
        answer = self._raw.call("PUT", target, body, headers)
        self.etags[number] = answer.headers.get("etag", "")
        return answer

    def parts(self, bodies: Sequence[bytes] = PARTS) -> "Multipart":
        """Send all parts in order."""
        for number, body in enumerate(bodies, 1):
            self.part(number, body)
        return self

    def complete(self, numbers: Sequence[int] = (), headers: Headers | None = None) -> RawAnswer:
        """Complete with these parts, or with all in order."""
        entries = "".join(
            f"<Part><PartNumber>{n}</PartNumber><ETag>{self.etags.get(n, 'none')}</ETag></Part>"
            for n in numbers or sorted(self.etags)
        )
        body = f"<CompleteMultipartUpload>{entries}</CompleteMultipartUpload>".encode()
        return self._raw.call("POST", f"{TARGET}?uploadId={self.upload_id}", body, headers)


@pytest.fixture(autouse=True)
def small_parts(strict_s3: StrictS3) -> None:
    """Let a part be ten bytes long."""
    strict_s3.behaviour = SMALL_PARTS


def test_parts_become_one_object(strict_s3: StrictS3, raw: RawClient) -> None:
    """Nothing is visible before the complete, everything after it."""
    upload = Multipart(raw, FULL).parts()
    before = strict_s3.keys(BUCKET)
    answer = upload.complete(
        headers={
            CRC.header: encoded(digest_of(CRC, WHOLE)),
            "x-amz-checksum-type": "FULL_OBJECT",
            "x-amz-mp-object-size": str(len(WHOLE)),
        }
    )

    md5 = b"".join(hashlib.md5(part, usedforsecurity=False).digest() for part in PARTS)
    assert before == []
    assert answer.text("ETag") == f'"{hashlib.md5(md5, usedforsecurity=False).hexdigest()}-3"'
    assert answer.text("ChecksumCRC64NVME") == encoded(digest_of(CRC, WHOLE))
    assert strict_s3.objects(BUCKET) == {"big": WHOLE}
    assert strict_s3.open_uploads() == []
    assert [mutation.kind.value for mutation in strict_s3.mutations()] == ["complete"]


@pytest.mark.parametrize(
    ("finish", "code"),
    [
        pytest.param(lambda u: u.complete([2, 1, 3]), "InvalidPartOrder", id="order"),
        pytest.param(lambda u: u.complete([1, 1, 2]), "InvalidPartOrder", id="twice"),
        pytest.param(lambda u: u.complete([1, 2, 4]), "InvalidPart", id="part-never-sent"),
        pytest.param(
            lambda u: u.complete(headers={CRC.header: encoded(bytes(8))}), "BadDigest", id="crc"
        ),
        pytest.param(
            lambda u: u.complete(headers={"x-amz-checksum-crc32": encoded(bytes(4))}),
            "InvalidRequest",
            id="other-algorithm",
        ),
        pytest.param(
            lambda u: u.complete(headers={"x-amz-mp-object-size": "5"}), "InvalidRequest", id="size"
        ),
        pytest.param(
            lambda u: u.complete(headers={"x-amz-checksum-type": "COMPOSITE"}),
            "InvalidRequest",
            id="checksum-type",
        ),
    ],
)
def test_wrong_complete_is_refused_and_leaves_the_upload_open(
    strict_s3: StrictS3, raw: RawClient, finish: Callable[[Multipart], RawAnswer], code: str
) -> None:
    """A refused complete can be repeated or aborted; no object appears."""
    upload = Multipart(raw, FULL).parts()

    answer = finish(upload)

    assert (answer.status, answer.code) == (400, code)
    assert strict_s3.keys(BUCKET) == []
    assert [one.upload_id for one in strict_s3.open_uploads()] == [upload.upload_id]


def test_stale_etag_of_a_part_is_refused(raw: RawClient) -> None:
    """A part that was sent again has another ETag."""
    upload = Multipart(raw).parts()
    stale = upload.etags[1]
    upload.part(1, b"z" * 10)
    upload.etags[1] = stale

    assert upload.complete().code == "InvalidPart"


@pytest.mark.parametrize("body", [b"", b"<oops", b"<CompleteMultipartUpload/>"])
def test_malformed_complete_is_refused(raw: RawClient, body: bytes) -> None:
    """A complete without parts is no complete."""
    upload = Multipart(raw).parts()

    assert raw.call("POST", f"{TARGET}?uploadId={upload.upload_id}", body).code == "MalformedXML"


def test_small_part_is_refused_unless_last(strict_s3: StrictS3, raw: RawClient) -> None:
    """The rule of 5 MiB holds for AWS and can be lowered for a test."""
    upload = Multipart(raw).parts((b"short", b"b" * 10))

    assert upload.complete().code == "EntityTooSmall"
    assert AWS.part_bytes_min == 5 * MIB
    assert strict_s3.keys(BUCKET) == []


def test_wrong_checksum_of_a_part_is_refused(strict_s3: StrictS3, raw: RawClient) -> None:
    """Parts are verified like whole objects."""
    upload = Multipart(raw, FULL)

    wrong = upload.part(1, PARTS[0], {CRC.header: encoded(digest_of(CRC, b"other"))})
    other = upload.part(1, PARTS[0], {"x-amz-checksum-crc32": encoded(bytes(4))})
    right = upload.part(1, PARTS[0], {CRC.header: encoded(digest_of(CRC, PARTS[0]))})

    assert (wrong.code, other.status) == ("BadDigest", 400)
    assert right.headers[CRC.header] == encoded(digest_of(CRC, PARTS[0]))
    assert strict_s3.count("UploadPart", status=400) == 2


@pytest.mark.parametrize("number", ["0", "10001", "x"])
def test_part_number_out_of_range_is_refused(raw: RawClient, number: str) -> None:
    """S3 knows parts 1 to 10,000."""
    upload = Multipart(raw)

    target = f"{TARGET}?partNumber={number}&uploadId={upload.upload_id}"
    assert raw.call("PUT", target, b"x").code == "InvalidArgument"


def test_composite_checksum_needs_those_of_the_parts(raw: RawClient) -> None:
    """SHA-256 cannot be joined, so the complete must name each part's."""
    upload = Multipart(raw, {"x-amz-checksum-algorithm": "SHA256"}).parts(PARTS[:1])
    without = upload.complete()
    sha = encoded(digest_of(Algorithm.SHA256, PARTS[0]))
    body = (
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
        f"<ETag>{upload.etags[1]}</ETag><ChecksumSHA256>{sha}</ChecksumSHA256></Part>"
        "</CompleteMultipartUpload>"
    ).encode()

    answer = raw.call("POST", f"{TARGET}?uploadId={upload.upload_id}", body)

    assert without.code == "InvalidRequest"
    assert answer.text("ChecksumType") == "COMPOSITE"
    assert answer.text("ChecksumSHA256").endswith("-1")


@pytest.mark.parametrize(
    ("algorithm", "kind", "found"),
    [
        ("CRC64NVME", None, "FULL_OBJECT"),
        ("CRC64NVME", "COMPOSITE", None),
        ("CRC32", None, "COMPOSITE"),
        ("crc32c", "FULL_OBJECT", "FULL_OBJECT"),
        ("SHA256", "FULL_OBJECT", None),
        ("SHA1", None, "COMPOSITE"),
        ("MD5", None, None),
        (None, None, "FULL_OBJECT"),
        (None, "FULL_OBJECT", None),
    ],
)
def test_checksum_type_follows_the_table(
    algorithm: str | None, kind: str | None, found: str | None
) -> None:
    """Only CRCs can describe a whole object from its parts."""
    if found is None:
        with pytest.raises(Exception, match="InvalidRequest"):
            plan_checksum(algorithm, kind)
    else:
        assert plan_checksum(algorithm, kind).kind == found


def test_complete_honours_conditions(strict_s3: StrictS3, raw: RawClient) -> None:
    """An object that appeared before the complete is not overwritten."""
    upload = Multipart(raw).parts()
    etag = raw.call("PUT", TARGET, b"other").headers["etag"]

    absent = upload.complete(headers={"If-None-Match": "*"})
    stale = upload.complete(headers={"If-Match": '"stale"'})
    seen = upload.complete(headers={"If-Match": etag})

    assert [answer.status for answer in (absent, stale, seen)] == [412, 412, 200]
    assert strict_s3.objects(BUCKET) == {"big": WHOLE}


def test_write_since_the_create_is_a_conflict_where_told_so(
    strict_s3: StrictS3, raw: RawClient
) -> None:
    """The stricter reading of "during the upload": the client has to begin anew."""
    strict_s3.behaviour = replace(SMALL_PARTS, conflict_window="upload")
    upload = Multipart(raw).parts()
    raw.call("PUT", TARGET, b"other")

    refused = upload.complete(headers={"If-None-Match": "*"})

    assert (refused.status, refused.code) == (409, "ConditionalRequestConflict")


def test_second_complete_finds_no_upload_unless_told_so(
    strict_s3: StrictS3, raw: RawClient
) -> None:
    """A complete repeated after a lost answer must be resolved by reading back."""
    upload = Multipart(raw).parts()
    first, second = upload.complete(), upload.complete()
    strict_s3.behaviour = replace(SMALL_PARTS, repeatable_complete=True)
    third = upload.complete()

    assert (first.status, second.status, second.code) == (200, 404, "NoSuchUpload")
    assert third.text("ETag") == first.text("ETag")
    assert len(strict_s3.mutations()) == 1


def test_abort_frees_the_upload(strict_s3: StrictS3, raw: RawClient) -> None:
    """An aborted upload is gone for every later call."""
    upload = Multipart(raw).parts()
    target = f"{TARGET}?uploadId={upload.upload_id}"

    assert raw.call("DELETE", target).status == 204
    assert raw.call("DELETE", target).code == "NoSuchUpload"
    assert upload.part(1, b"x").code == "NoSuchUpload"
    assert upload.complete([1]).code == "NoSuchUpload"
    assert strict_s3.open_uploads() == []


def test_lesser_store_refuses_what_it_lacks(strict_s3: StrictS3, raw: RawClient) -> None:
    """Full-object checksums and conditions on a complete are young features."""
    strict_s3.behaviour = replace(LESSER, part_bytes_min=10)
    refused = raw.call("POST", f"{TARGET}?uploads", headers=FULL)
    ignored = Multipart(raw).parts()
    raw.call("PUT", TARGET, b"other")
    overwritten = ignored.complete(headers={"If-None-Match": "*"})
    strict_s3.behaviour = replace(SMALL_PARTS, conditional_complete=Conditions.REFUSED)

    assert refused.status == 501
    assert overwritten.status == 200
    assert Multipart(raw).parts().complete(headers={"If-None-Match": "*"}).status == 501


def test_parts_and_uploads_are_listed_in_pages(strict_s3: StrictS3, raw: RawClient) -> None:
    """A sweep of orphans must follow the markers."""
    strict_s3.behaviour = replace(SMALL_PARTS, page_size=2)
    uploads = [Multipart(raw).parts().upload_id for _ in range(3)]
    first = raw.call("GET", f"{TARGET}?uploadId={uploads[0]}")
    second = raw.call("GET", f"{TARGET}?uploadId={uploads[0]}&part-number-marker=2")
    listed = raw.call("GET", f"/{BUCKET}?uploads")
    marker = f"key-marker=big&upload-id-marker={listed.text('NextUploadIdMarker')}"
    rest = raw.call("GET", f"/{BUCKET}?uploads&{marker}")

    assert (first.text("IsTruncated"), first.text("NextPartNumberMarker")) == ("true", "2")
    assert (second.text("IsTruncated"), second.text("PartNumber")) == ("false", "3")
    assert (listed.text("IsTruncated"), listed.text("UploadId")) == ("true", uploads[0])
    assert (rest.text("IsTruncated"), rest.text("UploadId")) == ("false", uploads[2])
