"""Receiving the body of a request and refusing what is not what the client says it is."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import StreamReader
from aiohttp.web import BaseRequest

from tests.support.strict_s3.behaviour import Behaviour
from tests.support.strict_s3.digests import (
    Algorithm,
    Content,
    Hasher,
    decoded,
    stated_checksum,
    verify,
)
from tests.support.strict_s3.ground import not_implemented
from tests.support.strict_s3.objects import trailing_algorithm
from tests.support.strict_s3.protocol import Call, Operation
from tests.support.strict_s3.replies import Refused

_BULK = (Operation.PUT_OBJECT, Operation.UPLOAD_PART)
_DOCUMENT_BYTES_MAX = 4 * 1024 * 1024
_HEXADECIMAL = frozenset("0123456789abcdefABCDEF")


@dataclass(frozen=True, slots=True)
class Chunked:
    """An aws-chunked body taken apart."""

    data: bytes
    trailers: Mapping[str, str]


async def receive(request: BaseRequest, call: Call, behaviour: Behaviour) -> Content:
    """Read the body and verify every checksum that came with it.

    Raises:
        Refused: a checksum is wrong, or the body is of a kind that S3 does not take.
        ConnectionError: the connection ended within the body.
    """
    check_head(call, behaviour)
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if is_chunked(call):
        return await _receive_chunked(request.content, call, behaviour)
    stated = _stated(call)
    keep = behaviour.keep_bytes_max if call.operation in _BULK else None
    hasher = Hasher([stated[0]] if stated else [], keep_bytes=keep)
    await _feed(request.content, hasher)
    content = hasher.finish()
    _check_content_sha256(call, content.sha256)
    _check_md5(call, content)
    if stated is not None:
        verify(content, *stated)
    return content


def check_head(call: Call, behaviour: Behaviour) -> None:
    """Refuse what can be refused before the body is read."""
    length = call.headers.get("Content-Length")
    if call.operation in _BULK:
        if "Transfer-Encoding" in call.headers:
            raise not_implemented()
        if length is None:
            raise Refused("MissingContentLength", "You must provide the Content-Length HTTP header")
    limit = behaviour.put_bytes_max if call.operation in _BULK else _DOCUMENT_BYTES_MAX
    if length is not None and length.isdecimal() and int(length) > limit:
        raise Refused(
            "EntityTooLarge",
            "Your proposed upload exceeds the maximum allowed size",
            details={"ProposedSize": length, "MaxSizeAllowed": str(limit)},
        )
    stated = _stated(call)
    named = call.headers.get("x-amz-sdk-checksum-algorithm")
    if named and call.operation in _BULK and not stated and "x-amz-trailer" not in call.headers:
        raise Refused(
            "InvalidRequest",
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* "
            "or x-amz-trailer headers were found.",
        )
    _check_sha256_form(call)


def is_chunked(call: Call) -> bool:
    """Say whether the body is in AWS's own chunks."""
    return call.headers.get("x-amz-content-sha256", "").startswith("STREAMING-")


def take_apart(raw: bytes) -> Chunked:
    """Decode an aws-chunked body; chunk signatures are not checked.

    Raises:
        Refused: it ends early, or is not such a body at all.
    """
    pieces: list[bytes] = []
    at = 0
    while True:
        line, at = _line(raw, at)
        text = line.partition(b";")[0]
        if not text or not _HEXADECIMAL.issuperset(text.decode("latin-1")):
            raise _incomplete()
        size = int(text, 16)
        if size == 0:
            return Chunked(b"".join(pieces), _trailers(raw[at:]))
        if raw[at + size : at + size + 2] != b"\r\n":
            raise _incomplete()
        pieces.append(raw[at : at + size])
        at += size + 2


def _stated(call: Call) -> tuple[Algorithm, bytes] | None:
    # That of a complete is about the object, not about the list of parts in the body.
    if call.operation is Operation.COMPLETE_MULTIPART_UPLOAD:
        return None
    return stated_checksum(call.headers)


async def _receive_chunked(stream: StreamReader, call: Call, behaviour: Behaviour) -> Content:
    if not behaviour.trailers:
        raise not_implemented()
    body = take_apart(await stream.read())
    if call.headers.get("x-amz-decoded-content-length") != str(len(body.data)):
        raise _incomplete()
    algorithm = trailing_algorithm(call)
    if ("x-amz-trailer" in call.headers) != (algorithm is not None):
        raise Refused("InvalidRequest", "The value specified in the x-amz-trailer header is wrong")
    stated = stated_checksum(call.headers)
    wanted = [a for a in (algorithm, stated[0] if stated else None) if a is not None]
    hasher = Hasher(wanted, keep_bytes=behaviour.keep_bytes_max)
    hasher.feed(body.data)
    content = hasher.finish()
    _check_md5(call, content)
    if stated is not None:
        verify(content, *stated)
    if algorithm is not None:
        _check_trailer(content, algorithm, body.trailers)
    return content


async def _feed(stream: StreamReader, hasher: Hasher) -> None:
    while not stream.at_eof():
        piece = await stream.readany()
        if piece:
            hasher.feed(piece)


def _check_trailer(content: Content, algorithm: Algorithm, trailers: Mapping[str, str]) -> None:
    value = decoded(trailers.get(algorithm.header, ""), algorithm.size_bytes)
    if value is None:
        raise Refused("InvalidRequest", f"Value for {algorithm.header} trailing header is invalid.")
    verify(content, algorithm, value)


def _check_md5(call: Call, content: Content) -> None:
    text = call.headers.get("Content-MD5")
    if text is None:
        return
    stated = decoded(text, 16)
    if stated is None:
        raise Refused("InvalidDigest", "The Content-MD5 you specified was invalid.")
    if stated != content.md5:
        raise Refused("BadDigest", "The Content-MD5 you specified did not match what we received.")


def _check_sha256_form(call: Call) -> None:
    text = call.headers.get("x-amz-content-sha256")
    if text is None:
        if "Authorization" in call.headers and call.bucket:
            raise Refused(
                "InvalidRequest", "Missing required header for this request: x-amz-content-sha256"
            )
        return
    literal = text == "UNSIGNED-PAYLOAD" or text.startswith("STREAMING-")
    if not literal and (len(text) != 64 or not _HEXADECIMAL.issuperset(text)):
        raise Refused(
            "InvalidArgument",
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, "
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, "
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
        )


def _check_content_sha256(call: Call, sha256: bytes) -> None:
    text = call.headers.get("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
    if text != "UNSIGNED-PAYLOAD" and text.lower() != sha256.hex():
        raise Refused(
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
            details={"ClientComputedContentSHA256": text, "S3ComputedContentSHA256": sha256.hex()},
        )


def _line(raw: bytes, at: int) -> tuple[bytes, int]:
    end = raw.find(b"\r\n", at)
    if end < 0:
        raise _incomplete()
    return raw[at:end], end + 2


def _trailers(raw: bytes) -> dict[str, str]:
    lines = raw.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _incomplete() -> Refused:
    return Refused(
        "IncompleteBody", "You did not provide the number of bytes specified by the HTTP header"
    )
