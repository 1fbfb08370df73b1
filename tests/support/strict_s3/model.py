"""Buckets and objects in memory: the state machine behind the server, without any HTTP.

One rule: a change is decided and made in one step under one lock, so conditional writes of a key
are serialised however many requests are under way.
"""

import hashlib
import threading
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal

from tests.support.strict_s3.digests import Algorithm, Content, content_of, encoded
from tests.support.strict_s3.history import History, Mutation, MutationKind
from tests.support.strict_s3.replies import Refused

KEY_BYTES_MAX = 1024


@dataclass(frozen=True, slots=True)
class StoredChecksum:
    """The checksum that an object shows; a composite value ends in `-` and the number of parts."""

    algorithm: Algorithm
    value: str
    kind: Literal["FULL_OBJECT", "COMPOSITE"] = "FULL_OBJECT"

    def headers(self) -> dict[str, str]:
        """Write it as headers of an answer."""
        return {self.algorithm.header: self.value, "x-amz-checksum-type": self.kind}


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as it stands."""

    key: str
    content: Content
    etag: str
    """Without quotation marks."""
    modified_at: datetime
    checksum: StoredChecksum
    headers: Mapping[str, str] = field(default_factory=dict)
    """What was stored beside the bytes: content type, metadata, storage class."""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Draft:
    """An object about to be written."""

    bucket: str
    key: str
    content: Content
    checksum: StoredChecksum
    headers: Mapping[str, str] = field(default_factory=dict)
    etag: str = ""
    """Empty: the MD5 of the content."""
    kind: MutationKind = MutationKind.PUT
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Precondition:
    """What a conditional write requires, and since when it has been under way.

    | changed since | key is     | If-None-Match: * | If-Match: E            |
    |---------------|------------|------------------|------------------------|
    | yes           | any        | 409              | 409                    |
    | no            | absent     | write            | 404                    |
    | no            | has ETag E | 412              | write                  |
    | no            | another    | 412              | 412                    |
    """

    if_match: str | None
    """The required ETag, `*` for any; None: the key must be absent."""
    since: int
    conflict_on: Literal["any", "delete"] = "any"


class Bucket:
    """The objects of one bucket, findable by key and in key order."""

    def __init__(self, name: str, region: str, created_at: datetime) -> None:
        self.name = name
        self.region = region
        self.created_at = created_at
        self.objects: dict[str, StoredObject] = {}
        self.order: list[bytes] = []
        self.written_at: dict[str, int] = {}
        self.deleted_at: dict[str, int] = {}

    def lay(self, stored: StoredObject, sequence: int) -> None:
        """Put an object under its key."""
        if stored.key not in self.objects:
            insort(self.order, stored.key.encode())
        self.objects[stored.key] = stored
        self.written_at[stored.key] = sequence

    def take(self, key: str, sequence: int) -> None:
        """Remove the object under a key."""
        del self.objects[key]
        del self.order[bisect_left(self.order, key.encode())]
        self.deleted_at[key] = sequence


class Model:
    """Everything the server remembers about buckets and objects."""

    def __init__(self, history: History, now: Callable[[], datetime] | None = None) -> None:
        self.lock = threading.RLock()
        self.history = history
        self.now = now or (lambda: datetime.now(UTC))
        self._buckets: dict[str, Bucket] = {}

    def create_bucket(self, name: str, region: str) -> None:
        """Make a bucket; one that is there stays as it is and is refused."""
        with self.lock:
            if name in self._buckets:
                raise Refused(
                    "BucketAlreadyOwnedByYou",
                    "Your previous request to create the named bucket succeeded "
                    "and you already own it.",
                )
            self._buckets[name] = Bucket(name, region, self.now())

    def delete_bucket(self, name: str) -> None:
        """Remove an empty bucket."""
        with self.lock:
            if self.bucket(name).objects:
                raise Refused("BucketNotEmpty", "The bucket you tried to delete is not empty")
            del self._buckets[name]

    def buckets(self) -> list[Bucket]:
        """Return the buckets by name."""
        with self.lock:
            return [self._buckets[name] for name in sorted(self._buckets)]

    def bucket(self, name: str) -> Bucket:
        """Return a bucket or refuse."""
        with self.lock:
            found = self._buckets.get(name)
            if found is None:
                raise Refused(
                    "NoSuchBucket",
                    "The specified bucket does not exist",
                    details={"BucketName": name},
                )
            return found

    def get(self, bucket: str, key: str) -> StoredObject:
        """Return an object or refuse."""
        with self.lock:
            found = self.bucket(bucket).objects.get(key)
            if found is None:
                raise no_such_key(key)
            return found

    def write(self, draft: Draft, precondition: Precondition | None = None) -> StoredObject:
        """Store the draft, or refuse and leave everything as it was."""
        with self.lock:
            bucket = self.bucket(draft.bucket)
            check_key(draft.key)
            check_precondition(bucket, draft.key, precondition)
            stored = StoredObject(
                key=draft.key,
                content=draft.content,
                etag=draft.etag or draft.content.md5.hex(),
                modified_at=self.now(),
                checksum=draft.checksum,
                headers=draft.headers,
                tags=draft.tags,
            )
            sequence = self.history.tick()
            bucket.lay(stored, sequence)
            self.history.add_mutation(_mutation(sequence, draft, stored))
            return stored

    def tag(self, bucket: str, key: str, tags: Mapping[str, str]) -> None:
        """Replace an object's tags; nothing else of it changes, so that it is no mutation."""
        with self.lock:
            stored = self.get(bucket, key)
            self.bucket(bucket).objects[key] = replace(stored, tags=tags)

    def delete(self, bucket: str, key: str, if_match: str | None = None) -> bool:
        """Remove an object; say whether there was one."""
        with self.lock:
            held = self.bucket(bucket)
            stored = held.objects.get(key)
            if if_match is not None:
                _require_match(stored, key, if_match)
            if stored is None:
                return False
            sequence = self.history.tick()
            held.take(key, sequence)
            self.history.add_mutation(Mutation(sequence, MutationKind.DELETE, bucket, key))
            return True

    def seed(self, bucket: str, objects: Iterable[tuple[str, bytes]]) -> None:
        """Lay down objects that were there before the test began."""
        for key, data in objects:
            content = content_of(data)
            checksum = crc64nvme_of(content)
            self.write(Draft(bucket, key, content, checksum, kind=MutationKind.SEED))

    def clear(self) -> None:
        """Empty every bucket without a trace."""
        with self.lock:
            for name, bucket in self._buckets.items():
                self._buckets[name] = Bucket(name, bucket.region, bucket.created_at)


def crc64nvme_of(content: Content) -> StoredChecksum:
    """Return the checksum that S3 computes when the client names none."""
    return StoredChecksum(Algorithm.CRC64NVME, encoded(content.checksum(Algorithm.CRC64NVME)))


def opaque_etag(content: Content, sequence: int) -> str:
    """Make an ETag that looks like one and is not the MD5, as under SSE-KMS."""
    return hashlib.sha256(content.md5 + sequence.to_bytes(8, "big")).hexdigest()[:32]


def no_such_key(key: str) -> Refused:
    """Refuse a key under which there is nothing."""
    return Refused("NoSuchKey", "The specified key does not exist.", details={"Key": key})


def check_key(key: str) -> None:
    """Refuse a key that is too long."""
    size = len(key.encode())
    if size > KEY_BYTES_MAX:
        raise Refused(
            "KeyTooLongError",
            "Your key is too long",
            details={"Size": str(size), "MaxSizeAllowed": str(KEY_BYTES_MAX)},
        )


def check_precondition(bucket: Bucket, key: str, precondition: Precondition | None) -> None:
    """Refuse a conditional write by the table of `Precondition`."""
    if precondition is None:
        return
    changed_at = bucket.deleted_at.get(key, 0)
    if precondition.conflict_on == "any":
        changed_at = max(changed_at, bucket.written_at.get(key, 0))
    if changed_at > precondition.since:
        raise Refused(
            "ConditionalRequestConflict",
            "The conditional request cannot succeed due to a conflicting operation "
            "against this resource.",
            details={"Key": key},
        )
    stored = bucket.objects.get(key)
    if precondition.if_match is not None:
        _require_match(stored, key, precondition.if_match)
    elif stored is not None:
        raise precondition_failed("If-None-Match")


def precondition_failed(condition: str) -> Refused:
    """Refuse because the object is not in the required state."""
    return Refused(
        "PreconditionFailed",
        "At least one of the pre-conditions you specified did not hold",
        details={"Condition": condition},
    )


def _require_match(stored: StoredObject | None, key: str, if_match: str) -> None:
    if stored is None:
        raise no_such_key(key)
    if if_match.strip('"') not in ("*", stored.etag):
        raise precondition_failed("If-Match")


def _mutation(sequence: int, draft: Draft, stored: StoredObject) -> Mutation:
    return Mutation(
        sequence=sequence,
        kind=draft.kind,
        bucket=draft.bucket,
        key=draft.key,
        size=stored.content.size,
        sha256=stored.content.sha256.hex(),
        crc64nvme=encoded(stored.content.checksum(Algorithm.CRC64NVME)),
        etag=stored.etag,
        data=stored.content.data,
    )
