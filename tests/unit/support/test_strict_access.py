import pytest

from tests.support.raw_http import RawClient
from tests.support.strict_s3.access import KeyState
from tests.support.strict_s3.behaviour import Behaviour
from tests.support.strict_s3.digests import content_of, encoded
from tests.support.strict_s3.server import BUCKET, StrictS3
from tests.support.strict_s3.xml import escaped

FORM = b"Action=GetCallerIdentity&Version=2011-06-15"


def delete_body(*keys: str) -> bytes:
    """Write the body of DeleteObjects."""
    entries = "".join(f"<Object><Key>{escaped(key)}</Key></Object>" for key in keys)
    return f"<Delete>{entries}</Delete>".encode()


def test_unknown_and_expired_keys_are_refused(strict_s3: StrictS3) -> None:
    """The two need different answers from a daemon: give up, or refresh."""
    strict_s3.access.keys = {"GOOD": KeyState.VALID, "OLD": KeyState.EXPIRED}
    strict_s3.access.others = KeyState.UNKNOWN

    answers = {
        key: RawClient(strict_s3.url, access_key=key).put(BUCKET, "k", b"")
        for key in ("GOOD", "OLD", "NOBODY")
    }

    assert answers["GOOD"].status == 200
    assert (answers["OLD"].status, answers["OLD"].code) == (400, "ExpiredToken")
    assert (answers["NOBODY"].status, answers["NOBODY"].code) == (403, "InvalidAccessKeyId")


def test_expired_head_has_no_body(strict_s3: StrictS3, raw: RawClient) -> None:
    """HEAD hides the code: a client sees a bare 400."""
    strict_s3.access.others = KeyState.EXPIRED

    answer = raw.call("HEAD", f"/{BUCKET}/k")

    assert (answer.status, answer.body) == (400, b"")
    assert strict_s3.requests()[-1].code == "ExpiredToken"


def test_unsigned_requests_are_refused(strict_s3: StrictS3, raw: RawClient) -> None:
    """A client without credentials must not pass for one that has some."""
    unsigned = {"Authorization": None}

    refused = raw.call("PUT", f"/{BUCKET}/k", b"", unsigned)
    strict_s3.access.anonymous = True
    taken = raw.call("PUT", f"/{BUCKET}/k", b"", unsigned)

    assert (refused.code, taken.status) == ("AccessDenied", 200)
    assert raw.call("GET", "/", headers={"Authorization": "AWS key:sig"}).code == "InvalidRequest"


def test_denials_name_action_bucket_and_key(strict_s3: StrictS3, raw: RawClient) -> None:
    """A role may lack one permission and have the others."""
    strict_s3.access.deny("s3:PutObject", BUCKET, "secret/*")

    assert raw.put(BUCKET, "secret/k", b"").code == "AccessDenied"
    assert raw.call("POST", f"/{BUCKET}/secret/k?uploads").status == 403
    assert raw.put(BUCKET, "open/k", b"").status == 200


def test_missing_key_is_forbidden_without_list_permission(
    strict_s3: StrictS3, raw: RawClient
) -> None:
    """Who may not list is not told what is missing: 403 in place of 404."""
    raw.put(BUCKET, "there", b"")
    strict_s3.access.deny("s3:ListBucket", BUCKET)

    assert raw.call("HEAD", f"/{BUCKET}/missing").status == 403
    assert raw.call("GET", f"/{BUCKET}/missing").code == "AccessDenied"
    assert raw.call("HEAD", f"/{BUCKET}/there").status == 200
    assert raw.call("HEAD", f"/{BUCKET}").status == 403


@pytest.mark.parametrize(
    ("answer", "status"), [("permanent", 301), ("temporary", 307), ("malformed", 400)]
)
def test_wrong_region_is_answered_with_the_right_one(
    strict_s3: StrictS3, raw: RawClient, answer: str, status: int
) -> None:
    """The region is looked up once per bucket, from this very header."""
    strict_s3.behaviour = Behaviour(wrong_region=answer)  # type: ignore[arg-type]  # a table row
    strict_s3.create_bucket("far-away", "us-west-2")

    refused = raw.put("far-away", "k", b"")
    head = raw.call("HEAD", "/far-away")

    assert (refused.status, head.status) == (status, status)
    assert refused.headers["x-amz-bucket-region"] == "us-west-2"
    assert head.headers["x-amz-bucket-region"] == "us-west-2"
    assert b">us-west-2</LocationConstraint>" in raw.call("GET", "/far-away?location").body
    assert RawClient(strict_s3.url, aws_region="us-west-2").put("far-away", "k", b"").status == 200


def test_bucket_life(strict_s3: StrictS3, raw: RawClient) -> None:
    """Buckets are made, found, emptied and removed as on AWS."""
    assert raw.call("PUT", "/new-bucket").status == 200
    assert raw.call("PUT", "/new-bucket").code == "BucketAlreadyOwnedByYou"
    assert raw.call("PUT", "/Bad_Name").code == "InvalidBucketName"
    assert raw.call("HEAD", "/new-bucket").headers["x-amz-bucket-region"] == "eu-west-1"
    assert b"<Name>new-bucket</Name>" in raw.call("GET", "/").body
    raw.put("new-bucket", "k", b"")
    assert raw.call("DELETE", "/new-bucket").code == "BucketNotEmpty"
    raw.call("DELETE", "/new-bucket/k")
    assert raw.call("DELETE", "/new-bucket").status == 204
    assert raw.call("HEAD", "/new-bucket").status == 404


def test_bulk_delete_needs_a_digest_and_judges_each_key(
    strict_s3: StrictS3, raw: RawClient
) -> None:
    """One refused key does not keep the others."""
    strict_s3.seed(BUCKET, {"a": b"", "b\n": b"", "keep": b""})
    strict_s3.access.deny("s3:DeleteObject", key="keep")
    body = delete_body("a", "b\n", "keep", "missing")

    bare = raw.call("POST", f"/{BUCKET}?delete", body)
    answer = raw.call("POST", f"/{BUCKET}?delete", body, {"Content-MD5": _md5(body)})
    too_many = delete_body(*map(str, range(1001)))

    assert bare.code == "InvalidRequest"
    assert answer.status == 200
    assert answer.text("Code") == "AccessDenied"
    assert strict_s3.keys(BUCKET) == ["keep"]
    refused = raw.call("POST", f"/{BUCKET}?delete", too_many, {"Content-MD5": _md5(too_many)})
    assert refused.code == "MalformedXML"


def test_identity_is_told_to_those_who_have_one(strict_s3: StrictS3, raw: RawClient) -> None:
    """The start check of a daemon runs against the same endpoint."""
    told = raw.call("POST", "/", FORM)
    strict_s3.access.others = KeyState.EXPIRED
    expired = raw.call("POST", "/", FORM)
    strict_s3.access.others = KeyState.UNKNOWN
    unknown = raw.call("POST", "/", FORM)

    assert told.text("Arn") == strict_s3.access.arn
    assert (expired.status, expired.code) == (403, "ExpiredToken")
    assert (unknown.status, unknown.code) == (403, "InvalidClientTokenId")
    assert strict_s3.count("GetCallerIdentity") == 3


def _md5(body: bytes) -> str:
    return encoded(content_of(body).md5)
