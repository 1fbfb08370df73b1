import base64
import hashlib
import socket

import pytest

from tests.support.raw_http import RawClient
from tests.support.strict_s3.behaviour import LESSER, Behaviour
from tests.support.strict_s3.digests import Algorithm, content_of, digest_of, encoded, joined
from tests.support.strict_s3.server import BUCKET, StrictS3

BODY = b"what was really sent"
OTHER = b"what the client believed"


def chunked(body: bytes, trailer: str) -> bytes:
    """Write a body in AWS's own chunks."""
    return f"{len(body):x}\r\n".encode() + body + f"\r\n0\r\n{trailer}\r\n\r\n".encode()


@pytest.mark.parametrize("algorithm", Algorithm)
def test_wrong_checksum_is_refused_and_stores_nothing(
    strict_s3: StrictS3, raw: RawClient, algorithm: Algorithm
) -> None:
    """A client that verifies nothing must not pass for one that does."""
    wrong = encoded(digest_of(algorithm, OTHER))

    answer = raw.call("PUT", f"/{BUCKET}/k", BODY, {algorithm.header: wrong})

    assert (answer.status, answer.code) == (400, "BadDigest")
    assert strict_s3.objects(BUCKET) == {}
    assert strict_s3.mutations() == []


@pytest.mark.parametrize("algorithm", Algorithm)
def test_right_checksum_is_answered_and_kept(raw: RawClient, algorithm: Algorithm) -> None:
    """The answer's checksum is the strongest evidence the uploader has."""
    right = encoded(digest_of(algorithm, BODY))

    answer = raw.call("PUT", f"/{BUCKET}/k", BODY, {algorithm.header: right})
    head = raw.call("HEAD", f"/{BUCKET}/k", headers={"x-amz-checksum-mode": "ENABLED"})

    for found in (answer, head):
        assert found.headers[algorithm.header] == right
        assert found.headers["x-amz-checksum-type"] == "FULL_OBJECT"


def test_crc64nvme_is_stored_when_no_checksum_is_sent(raw: RawClient) -> None:
    """AWS computes one by itself, and readers rely on it."""
    answer = raw.put(BUCKET, "k", BODY)

    right = encoded(digest_of(Algorithm.CRC64NVME, BODY))
    assert answer.headers["x-amz-checksum-crc64nvme"] == right


def test_head_shows_no_checksum_unless_asked(raw: RawClient) -> None:
    """A client that forgets the mode must notice here, not on AWS."""
    raw.put(BUCKET, "k", BODY)

    head = raw.call("HEAD", f"/{BUCKET}/k")

    assert not [name for name in head.headers if name.startswith("x-amz-checksum")]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        pytest.param(
            {"Content-MD5": encoded(hashlib.md5(OTHER, usedforsecurity=False).digest())},
            "BadDigest",
            id="md5-of-something-else",
        ),
        pytest.param({"Content-MD5": "no base64"}, "InvalidDigest", id="md5-no-base64"),
        pytest.param({"x-amz-checksum-crc32": "AAAA"}, "InvalidRequest", id="crc-too-short"),
        pytest.param(
            {"x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-sha1": "A" * 27 + "="},
            "InvalidRequest",
            id="two-checksums",
        ),
        pytest.param(
            {"x-amz-sdk-checksum-algorithm": "CRC32"}, "InvalidRequest", id="algorithm-alone"
        ),
        pytest.param(
            {"x-amz-content-sha256": hashlib.sha256(OTHER).hexdigest()},
            "XAmzContentSHA256Mismatch",
            id="payload-hash",
        ),
        pytest.param({"x-amz-content-sha256": "abc"}, "InvalidArgument", id="payload-hash-form"),
        pytest.param({"x-amz-content-sha256": None}, "InvalidRequest", id="payload-hash-missing"),
        pytest.param({"x-amz-acl": "public-read"}, "AccessControlListNotSupported", id="acl"),
        pytest.param({"x-amz-meta-a": "x" * 2048}, "MetadataTooLarge", id="metadata"),
    ],
)
def test_bad_header_is_refused(
    strict_s3: StrictS3, raw: RawClient, headers: dict[str, str | None], code: str
) -> None:
    """Each header is refused in the words of AWS, and nothing is stored."""
    answer = raw.call("PUT", f"/{BUCKET}/k", BODY, headers)

    assert (answer.status, answer.code) == (400, code)
    assert strict_s3.keys(BUCKET) == []


def test_put_without_a_length_is_refused(raw: RawClient) -> None:
    """S3 takes no body of unknown length."""
    assert raw.call("PUT", f"/{BUCKET}/k", b"", {"Content-Length": None}).status == 411
    with raw.connection() as line:
        headers = {"Authorization": "AWS4-HMAC-SHA256 Credential=a/b/eu-west-1/s3/aws4_request"}
        line.request("PUT", f"/{BUCKET}/k", iter([b"x"]), headers, encode_chunked=True)
        assert line.getresponse().status == 501


def test_body_that_ends_early_stores_nothing(strict_s3: StrictS3, raw: RawClient) -> None:
    """A connection that dies within the body is no upload."""
    head = (
        f"PUT /{BUCKET}/k HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
        "x-amz-content-sha256: UNSIGNED-PAYLOAD\r\n"
        "Authorization: AWS4-HMAC-SHA256 Credential=a/b/eu-west-1/s3/aws4_request\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", strict_s3.port)) as line:
        line.sendall(head.encode() + b"x" * 60)
        line.shutdown(socket.SHUT_WR)
        assert line.recv(1000).find(b"200") < 0

    assert raw.call("HEAD", f"/{BUCKET}/k").status == 404
    assert strict_s3.mutations() == []


@pytest.mark.parametrize("kind", ["STREAMING-UNSIGNED-PAYLOAD-TRAILER"])
def test_trailing_checksum_is_verified(strict_s3: StrictS3, raw: RawClient, kind: str) -> None:
    """Botocore's default upload ends in a checksum; a wrong one is refused as well."""
    headers: dict[str, str | None] = {
        "x-amz-content-sha256": kind,
        "x-amz-decoded-content-length": str(len(BODY)),
        "x-amz-trailer": "x-amz-checksum-crc32",
        "Content-Encoding": "aws-chunked",
    }
    right = encoded(digest_of(Algorithm.CRC32, BODY))
    wrong = encoded(digest_of(Algorithm.CRC32, OTHER))

    bad = raw.call("PUT", f"/{BUCKET}/bad", chunked(BODY, f"x-amz-checksum-crc32:{wrong}"), headers)
    cut = raw.call("PUT", f"/{BUCKET}/cut", chunked(BODY, "")[:-8], headers)
    good = raw.call(
        "PUT", f"/{BUCKET}/good", chunked(BODY, f"x-amz-checksum-crc32:{right}"), headers
    )

    assert (bad.status, bad.code) == (400, "BadDigest")
    assert (cut.status, cut.code) == (400, "IncompleteBody")
    assert good.headers["x-amz-checksum-crc32"] == right
    assert strict_s3.objects(BUCKET) == {"good": BODY}
    assert "content-encoding" not in raw.call("HEAD", f"/{BUCKET}/good").headers


def test_lesser_store_answers_no_checksum_and_takes_no_trailer(
    strict_s3: StrictS3, raw: RawClient
) -> None:
    """What stores other than AWS lack can be tried on this one."""
    strict_s3.behaviour = LESSER

    answer = raw.put(BUCKET, "k", BODY, If_None_Match="*")
    again = raw.put(BUCKET, "k", OTHER, If_None_Match="*")
    head = raw.call("HEAD", f"/{BUCKET}/k", headers={"x-amz-checksum-mode": "ENABLED"})
    trailing = raw.call(
        "PUT", f"/{BUCKET}/k", b"", {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}
    )

    assert (answer.status, again.status, trailing.status) == (200, 200, 501)
    assert not {"x-amz-checksum-type", "x-amz-checksum-crc64nvme"} & {
        *answer.headers,
        *head.headers,
    }


def test_opaque_etag_is_not_the_md5(strict_s3: StrictS3, raw: RawClient) -> None:
    """Under SSE-KMS an ETag proves nothing about the bytes."""
    strict_s3.behaviour = Behaviour(etag="opaque")

    answer = raw.put(BUCKET, "k", BODY)

    md5 = hashlib.md5(BODY, usedforsecurity=False).hexdigest()
    assert len(answer.headers["etag"]) == 34
    assert answer.headers["etag"] != f'"{md5}"'


def test_parts_whose_bytes_are_gone_still_join_to_the_right_crc() -> None:
    """A test that uploads gigabytes keeps digests only."""
    whole = bytes(range(256)) * 40
    parts = [content_of(whole[:5000]), content_of(whole[5000:])]

    assembled = joined(parts, keep_bytes=100)

    assert assembled.data is None
    assert assembled.size == len(whole)
    assert assembled.checksum(Algorithm.CRC64NVME) == digest_of(Algorithm.CRC64NVME, whole)


def test_long_bodies_are_hashed_and_dropped(strict_s3: StrictS3, raw: RawClient) -> None:
    """Memory stays bounded, and the history still says what arrived."""
    strict_s3.behaviour = Behaviour(keep_bytes_max=4)

    raw.put(BUCKET, "k", BODY)

    (mutation,) = strict_s3.mutations()
    assert mutation.data is None
    assert mutation.sha256 == hashlib.sha256(BODY).hexdigest()
    assert base64.b64decode(mutation.crc64nvme) == digest_of(Algorithm.CRC64NVME, BODY)
    with pytest.raises(LookupError, match="keep_bytes_max"):
        strict_s3.objects(BUCKET)
