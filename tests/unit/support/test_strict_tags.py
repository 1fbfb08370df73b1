import base64
import hashlib
from collections.abc import Sequence

import pytest

from tests.support.raw_http import RawAnswer, RawClient
from tests.support.strict_s3.server import BUCKET, StrictS3
from tests.support.strict_s3.xml import element

KEY = f"/{BUCKET}/k"
TAGGING = f"{KEY}?tagging"


def tagging(pairs: Sequence[tuple[str, str]]) -> bytes:
    """The body of PutObjectTagging."""
    shown = "".join(f"<Tag>{element('Key', k)}{element('Value', v)}</Tag>" for k, v in pairs)
    return f"<Tagging><TagSet>{shown}</TagSet></Tagging>".encode()


def set_tags(raw: RawClient, *pairs: tuple[str, str]) -> RawAnswer:
    """Set tags, with the checksum that S3 wants."""
    body = tagging(pairs)
    digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    return raw.call("PUT", TAGGING, body, {"Content-MD5": digest})


def test_tags_are_replaced_as_a_whole(raw: RawClient, strict_s3: StrictS3) -> None:
    """Whoever forgets to read them first loses those of others, as on AWS."""
    raw.call("PUT", KEY, b"x", {"x-amz-tagging": "a=1&b=2%20%2B"})
    before = raw.call("HEAD", KEY).headers

    assert raw.call("GET", TAGGING).body.count(b"<Tag>") == 2
    assert raw.call("GET", TAGGING).body.count(b"<Value>2 +</Value>") == 1
    assert set_tags(raw, ("c", "")).status == 200

    after = raw.call("HEAD", KEY).headers
    assert raw.call("GET", TAGGING).text("Key") == "c"
    assert (before["x-amz-tagging-count"], after["x-amz-tagging-count"]) == ("2", "1")
    assert (after["etag"], after["last-modified"]) == (before["etag"], before["last-modified"])
    assert len(strict_s3.mutations()) == 1


@pytest.mark.parametrize(
    ("pairs", "code"),
    [
        ([("a", "1"), ("a", "2")], "InvalidTag"),
        ([("", "1")], "InvalidTag"),
        ([("k" * 129, "1")], "InvalidTag"),
        ([("k", "v" * 257)], "InvalidTag"),
        ([(f"k{number}", "") for number in range(11)], "BadRequest"),
    ],
)
def test_what_is_no_set_of_tags_is_refused(
    raw: RawClient, pairs: Sequence[tuple[str, str]], code: str
) -> None:
    """A stand-in that takes more than AWS hides a mistake until it is deployed."""
    raw.call("PUT", KEY, b"x", {"x-amz-tagging": "a=1"})

    assert set_tags(raw, *pairs).code == code

    assert raw.call("GET", TAGGING).text("Key") == "a"


def test_tags_need_a_checksum_an_object_and_the_right(raw: RawClient, strict_s3: StrictS3) -> None:
    """The same."""
    assert set_tags(raw, ("a", "1")).code == "NoSuchKey"
    assert raw.call("GET", TAGGING).code == "NoSuchKey"
    raw.put(BUCKET, "k", b"x")
    assert raw.call("PUT", TAGGING, tagging([("a", "1")])).code == "InvalidRequest"

    strict_s3.access.deny("s3:*ObjectTagging")

    assert set_tags(raw, ("a", "1")).code == "AccessDenied"
    assert raw.call("GET", TAGGING).code == "AccessDenied"


def test_other_requests_about_tags_are_not_implemented(raw: RawClient) -> None:
    """No answer is better than a wrong one: none of these must fall through to the object."""
    raw.put(BUCKET, "k", b"x")

    assert raw.call("DELETE", TAGGING).status == 501
    assert raw.call("PUT", f"/{BUCKET}?tagging", b"").status == 501
    assert raw.call("GET", f"/{BUCKET}?tagging").status == 501
    assert raw.call("GET", f"{KEY}?tagging&acl").status == 501
    assert raw.call("HEAD", KEY).status == 200


def test_tags_of_a_joined_object_are_those_of_its_beginning(raw: RawClient) -> None:
    """They come with CreateMultipartUpload; the complete says nothing of them."""
    begun = raw.call("POST", f"{KEY}?uploads", b"", {"x-amz-tagging": "a=1"})
    upload = begun.text("UploadId")
    etag = raw.call("PUT", f"{KEY}?partNumber=1&uploadId={upload}", b"x").headers["etag"]
    part = f"<Part><PartNumber>1</PartNumber><ETag>{etag.strip(chr(34))}</ETag></Part>"
    body = f"<CompleteMultipartUpload>{part}</CompleteMultipartUpload>".encode()

    assert raw.call("POST", f"{KEY}?uploadId={upload}", body).status == 200

    assert raw.call("GET", TAGGING).text("Key") == "a"
