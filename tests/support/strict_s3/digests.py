"""Checksums as S3 knows them: the algorithms, their headers, and what bytes arrived. Pure."""

import base64
import binascii
import hashlib
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from awscrt import checksums

from tests.support.strict_s3.replies import Refused


class Algorithm(Enum):
    """A checksum algorithm; the value is its spelling in XML and in x-amz-checksum-algorithm."""

    CRC32 = "CRC32"
    CRC32C = "CRC32C"
    CRC64NVME = "CRC64NVME"
    SHA1 = "SHA1"
    SHA256 = "SHA256"

    def __init__(self, name: str) -> None:
        self.header = f"x-amz-checksum-{name.lower()}"
        """The header that carries a value of this algorithm."""
        self.element = f"Checksum{name}"
        """The XML element that carries one."""
        self.size_bytes = {"CRC32": 4, "CRC32C": 4, "CRC64NVME": 8, "SHA1": 20, "SHA256": 32}[name]
        """The length of one."""

    @classmethod
    def of_header(cls, name: str) -> "Algorithm | None":
        """Find the algorithm that a header is about."""
        return _OF_HEADER.get(name.strip().lower())


_OF_HEADER = {algorithm.header: algorithm for algorithm in Algorithm}

_CRCS: Mapping[Algorithm, Callable[[bytes, int], int]] = {
    Algorithm.CRC32: zlib.crc32,
    Algorithm.CRC32C: checksums.crc32c,
    Algorithm.CRC64NVME: checksums.crc64nvme,
}


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes as they arrived: what they were is kept even where they themselves are not."""

    size: int
    md5: bytes
    sha256: bytes
    crc64nvme: int
    values: Mapping[Algorithm, bytes] = field(default_factory=dict)
    """Every other checksum that was asked for while the bytes went by."""
    data: bytes | None = None
    """None when there were more than the server was told to keep."""

    def checksum(self, algorithm: Algorithm) -> bytes:
        """Return the value of one algorithm, computing it late where the bytes are still there."""
        if algorithm is Algorithm.CRC64NVME:
            return self.crc64nvme.to_bytes(8, "big")
        if algorithm is Algorithm.SHA256:
            return self.sha256
        if algorithm in self.values:
            return self.values[algorithm]
        if self.data is None:
            raise Refused("InternalError", f"no bytes kept to compute {algorithm.value} from")
        return digest_of(algorithm, self.data)


class Hasher:
    """Takes bytes in pieces and ends as a `Content`; keeps them up to `keep_bytes`."""

    def __init__(self, extra: Iterable[Algorithm] = (), *, keep_bytes: int | None = None) -> None:
        self._keep_bytes = keep_bytes
        self._size = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()
        self._sha1 = hashlib.sha1(usedforsecurity=False) if Algorithm.SHA1 in extra else None
        self._crcs = {Algorithm.CRC64NVME: 0} | {a: 0 for a in extra if a in _CRCS}
        self._pieces: list[bytes] | None = []

    def feed(self, piece: bytes) -> None:
        """Take the next bytes."""
        self._size += len(piece)
        self._md5.update(piece)
        self._sha256.update(piece)
        if self._sha1 is not None:
            self._sha1.update(piece)
        for algorithm, value in self._crcs.items():
            self._crcs[algorithm] = _CRCS[algorithm](piece, value)
        if self._keep_bytes is not None and self._size > self._keep_bytes:
            self._pieces = None
        if self._pieces is not None:
            self._pieces.append(piece)

    def finish(self) -> Content:
        """Say what has arrived."""
        values: dict[Algorithm, bytes] = {
            algorithm: value.to_bytes(algorithm.size_bytes, "big")
            for algorithm, value in self._crcs.items()
            if algorithm is not Algorithm.CRC64NVME
        }
        if self._sha1 is not None:
            values[Algorithm.SHA1] = self._sha1.digest()
        return Content(
            size=self._size,
            md5=self._md5.digest(),
            sha256=self._sha256.digest(),
            crc64nvme=self._crcs[Algorithm.CRC64NVME],
            values=values,
            data=None if self._pieces is None else b"".join(self._pieces),
        )


def content_of(data: bytes) -> Content:
    """Describe bytes that are there as a whole."""
    hasher = Hasher()
    hasher.feed(data)
    return hasher.finish()


def digest_of(algorithm: Algorithm, data: bytes) -> bytes:
    """Compute one checksum."""
    if algorithm in _CRCS:
        return _CRCS[algorithm](data, 0).to_bytes(algorithm.size_bytes, "big")
    if algorithm is Algorithm.SHA1:
        return hashlib.sha1(data, usedforsecurity=False).digest()
    return hashlib.sha256(data).digest()


def joined(contents: Iterable[Content], *, keep_bytes: int | None) -> Content:
    """Describe parts laid end to end.

    Where the bytes of one part are gone, only size and CRC64NVME are true of the whole; MD5 and
    SHA-256 are then those of the parts' digests.
    """
    parts = list(contents)
    size = sum(part.size for part in parts)
    kept = [part.data for part in parts if part.data is not None]
    if len(kept) == len(parts) and (keep_bytes is None or size <= keep_bytes):
        return content_of(b"".join(kept))
    crc, md5, sha256 = 0, hashlib.md5(usedforsecurity=False), hashlib.sha256()
    for part in parts:
        crc = checksums.combine_crc64nvme(crc, part.crc64nvme, part.size)
        md5.update(part.md5)
        sha256.update(part.sha256)
    return Content(size, md5.digest(), sha256.digest(), crc)


def encoded(value: bytes) -> str:
    """Write a checksum the way S3 does."""
    return base64.b64encode(value).decode()


def decoded(text: str, size_bytes: int) -> bytes | None:
    """Read a checksum; None when it is not base64 of just that many bytes."""
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return value if len(value) == size_bytes else None


def stated_checksum(headers: Mapping[str, Any]) -> tuple[Algorithm, bytes] | None:
    """Read the one x-amz-checksum-* header of a request.

    Raises:
        Refused: more than one, or a value that cannot be a checksum.
    """
    stated = [algorithm for header, algorithm in _OF_HEADER.items() if header in headers]
    if not stated:
        return None
    if len(stated) > 1:
        raise Refused(
            "InvalidRequest",
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        )
    algorithm = stated[0]
    value = decoded(headers[algorithm.header], algorithm.size_bytes)
    if value is None:
        raise Refused("InvalidRequest", f"Value for {algorithm.header} header is invalid.")
    return algorithm, value


def verify(content: Content, algorithm: Algorithm, stated: bytes) -> None:
    """Refuse bytes that are not those the client computed its checksum from."""
    if content.checksum(algorithm) != stated:
        raise Refused(
            "BadDigest", f"The {algorithm.value} you specified did not match what we received."
        )
