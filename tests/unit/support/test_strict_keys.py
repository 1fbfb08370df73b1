import hashlib

import aiobotocore.session
import pytest
from botocore.config import Config

from tests.support.raw_http import RawClient, target_of
from tests.support.strict_s3.protocol import Operation, parse_call
from tests.support.strict_s3.server import BUCKET, StrictS3

ODD_KEYS = [
    "plain",
    "/leading",
    "trailing/",
    "/",
    "//",
    "a//b",
    ".",
    "..",
    "./a",
    "../a",
    "a/../b",
    "a/./b",
    "plus+sign",
    "100%",
    "%2F",
    "sp ace",
    "new\nline",
    "tab\tcr\r",
    "\x01\x7f",
    "quote\"'<&>",
    "ask?hash#",
    "-dash",
    "caf\u00e9",
    "cafe\u0301",
    "\U0001f40b",
    "\u202eright to left",
    "x" * 1024,
]


@pytest.mark.parametrize("key", ODD_KEYS, ids=ascii)
def test_odd_key_arrives_exactly(strict_s3: StrictS3, raw: RawClient, key: str) -> None:
    """A fake that tidies keys up would hide a client that does the same."""
    body = key.encode()

    raw.put(BUCKET, key, body)

    assert strict_s3.objects(BUCKET) == {key: body}
    assert raw.call("GET", target_of(BUCKET, key)).body == body


@pytest.mark.asyncio
async def test_odd_keys_pass_through_the_sdk_and_its_listing(strict_s3: StrictS3) -> None:
    """The product's own client must be able to see every key it can write."""
    config = Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required")
    session = aiobotocore.session.get_session()
    async with session.create_client("s3", config=config, **strict_s3.client_arguments()) as client:
        for key in ODD_KEYS:
            await client.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
        listed = await client.list_objects_v2(Bucket=BUCKET)

    assert strict_s3.objects(BUCKET) == {key: key.encode() for key in ODD_KEYS}
    assert [entry["Key"] for entry in listed["Contents"]] == sorted(ODD_KEYS, key=str.encode)
    assert (
        listed["Contents"][0]["ETag"].strip('"')
        == hashlib.md5(min(ODD_KEYS, key=str.encode).encode(), usedforsecurity=False).hexdigest()
    )


@pytest.mark.parametrize(
    ("target", "key"),
    [("/b/a%2Fb", "a/b"), ("/b/a+b", "a+b"), ("/b//", "/"), ("/b/a#b", "a#b"), ("/b/", "")],
)
def test_target_is_decoded_once_and_left_alone(target: str, key: str) -> None:
    """`%2F` is a slash, `+` is a plus, and nothing is a fragment."""
    assert parse_call(1, "GET", target, {}).key == key


def test_bucket_may_stand_in_the_host() -> None:
    """Virtual-host style is understood where the name resolves by itself."""
    call = parse_call(1, "PUT", "//a/", {"Host": "shots.localhost:9000"})

    assert (call.bucket, call.key, call.operation) == ("shots", "/a/", Operation.PUT_OBJECT)


def test_key_of_1025_bytes_is_too_long(strict_s3: StrictS3, raw: RawClient) -> None:
    """The limit counts bytes of UTF-8, not characters."""
    answer = raw.put(BUCKET, "\u00e9" * 512 + "x", b"")

    assert (answer.status, answer.code) == (400, "KeyTooLongError")
    assert raw.put(BUCKET, "\u00e9" * 512, b"").status == 200


def test_target_that_is_not_utf8_is_refused(raw: RawClient) -> None:
    """Such a key does not exist on AWS."""
    assert raw.call("PUT", f"/{BUCKET}/%FF").code == "InvalidURI"


def test_missing_bucket_is_refused(raw: RawClient) -> None:
    """Each operation says so in the same words."""
    assert raw.put("missing", "k", b"").code == "NoSuchBucket"
    assert raw.call("GET", "/missing?list-type=2").code == "NoSuchBucket"
    assert raw.call("HEAD", "/missing").status == 404
    assert raw.call("POST", "/missing/k?uploads").code == "NoSuchBucket"


def test_unknown_operation_is_not_implemented(raw: RawClient) -> None:
    """No answer is better than a wrong one."""
    assert raw.call("GET", f"/{BUCKET}?versioning").status == 501
    assert raw.call("PUT", f"/{BUCKET}/k?acl").status == 501
