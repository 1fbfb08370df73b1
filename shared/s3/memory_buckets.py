"""What the in-memory engine holds: buckets, objects, open uploads, and a history of every effect.

Plain synchronous verbs with picklable arguments and results, each of them atomic: so one process
can hold the state, and forked children work on it through a pipe and die at any point, as clients
of S3 do. Not for several threads.
"""

import hashlib
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum

from shared.s3.errors import (
    Answer,
    BucketMissing,
    InvalidKey,
    NotFound,
    PreconditionFailed,
    Unsupported,
)
from shared.s3.pinned import crc64nvme
from shared.s3.store import (
    ALWAYS,
    NO_OPTIONS,
    Absent,
    Capabilities,
    Checksums,
    Matches,
    ObjectInfo,
    OpenUpload,
    Page,
    PutOptions,
    Span,
    When,
)
from shared.s3.uri import S3Uri, key_fault
from shared.s3.wire import encode_crc

PAGE_NAMES = 1000
"""Keys and prefixes on one page of a listing, as on S3."""
REGION = "eu-west-1"
TAGS_MAX, TAG_KEY_MAX, TAG_VALUE_MAX = 10, 128, 256
"""Tags of one object, and characters of each (Amazon S3 User Guide, "Object tagging")."""


class Preconditions(StrEnum):
    """What the buckets do with the precondition of a write."""

    HONOURED = "honoured"
    IGNORED = "ignored"
    REFUSED = "refused"


class Verb(StrEnum):
    """The requests that an engine makes."""

    PUT = "put"
    BEGIN = "begin"
    PART = "part"
    COMPLETE = "complete"
    ABORT = "abort"
    HEAD = "head"
    HEAD_BUCKET = "head_bucket"
    GET = "get"
    LIST = "list"
    UPLOADS = "uploads"
    DELETE = "delete"
    DELETE_MANY = "delete_many"
    COPY = "copy"
    TAGS = "tags"
    SET_TAGS = "set_tags"


@dataclass(frozen=True, slots=True)
class Mutation:
    """One change of what readers see; requests that changed nothing leave none."""

    verb: Verb
    uri: S3Uri
    etag: str
    """Of the object written or removed."""
    size: int
    """Bytes of it."""
    crc64nvme: str
    """Of its content."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object with everything that was stored."""

    info: ObjectInfo
    body: bytes
    options: PutOptions = NO_OPTIONS


@dataclass(slots=True)
class _Upload:
    upload: OpenUpload
    options: PutOptions
    parts: dict[int, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class _Bucket:
    objects: dict[str, StoredObject] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    """The keys, sorted: by code point, which is the order of their UTF-8 bytes."""
    uploads: dict[str, _Upload] = field(default_factory=dict)


class MemoryBuckets:
    """Buckets that behave as those of S3 do, and forget everything when the process ends."""

    def __init__(
        self,
        *names: str,
        answers_checksums: bool = True,
        preconditions: Preconditions = Preconditions.HONOURED,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Create the buckets `names`; two arguments make them act like those of other stores."""
        self._buckets = {name: _Bucket() for name in names}
        self._answers_checksums = answers_checksums
        self._preconditions = preconditions
        self._clock = clock
        self._history: list[Mutation] = []
        self._uploads_begun = 0

    def create(self, bucket: str) -> None:
        """Make a bucket; one that exists stays as it is."""
        self._buckets.setdefault(bucket, _Bucket())

    def history(self) -> Sequence[Mutation]:
        """Return every change so far, oldest first."""
        return tuple(self._history)

    def look(self, uri: S3Uri) -> StoredObject | None:
        """Return all that is stored under the key, for a test's eyes."""
        return self._bucket(uri).objects.get(uri.key)

    def put(
        self,
        uri: S3Uri,
        body: bytes,
        when: When = ALWAYS,
        options: PutOptions = NO_OPTIONS,
        *,
        emulate: bool = False,
    ) -> ObjectInfo:
        """Store the body; raises PreconditionFailed or NotFound where `when` is not met."""
        made = self._object(uri, body, _md5(body), options)
        return self._write(Verb.PUT, uri, made, when, emulate=emulate)

    def head(self, uri: S3Uri) -> ObjectInfo:
        """Describe the object."""
        return self._held(uri).info

    def get(
        self, uri: S3Uri, span: Span | None = None, if_match: str | None = None
    ) -> tuple[ObjectInfo, bytes]:
        """Return the description of the whole object and the bytes of the span.

        Checksums come with the whole object only, as on S3.
        """
        held = self._held(uri)
        if if_match is not None and held.info.etag != if_match:
            raise _precondition_failed(uri)
        if span is None:
            return held.info, held.body
        stop = held.info.size if span.stop is None else min(span.stop, held.info.size)
        if span.start >= stop:
            raise PreconditionFailed(uri, Answer("InvalidRange", f"{span} holds no byte", 416))
        md5 = Checksums(md5=held.info.checksums.md5)
        return replace(held.info, checksums=md5), held.body[span.start : stop]

    def page(self, prefix: S3Uri, after: str, delimiter: str) -> tuple[Page, str]:
        """Return one page, and the name behind which the next begins: empty after the last page.

        A common prefix is listed only when it is greater than `after`, as the API reference says.
        """
        order = self._bucket(prefix).order
        start = max(bisect_left(order, prefix.key), bisect_right(order, after) if after else 0)
        keys: list[str] = []
        prefixes: list[str] = []
        last = after
        for key in order[start:]:
            if not key.startswith(prefix.key):
                break
            group = _group(key, len(prefix.key), delimiter)
            if group and group <= last:
                continue
            if len(keys) + len(prefixes) == PAGE_NAMES:
                return self._page(prefix.bucket, keys, prefixes), last
            (prefixes if group else keys).append(group or key)
            last = group or key
        return self._page(prefix.bucket, keys, prefixes), ""

    def delete(self, uri: S3Uri, if_match: str | None = None) -> None:
        """Remove the object if it is there; raises PreconditionFailed when it has another ETag."""
        if if_match is not None and uri.key in self._bucket(uri).objects:
            self._check(uri, Matches(if_match))
        self._remove(Verb.DELETE, uri)

    def delete_many(self, bucket: str, keys: Sequence[str]) -> None:
        """Remove the objects."""
        for key in keys:
            self._remove(Verb.DELETE_MANY, S3Uri(bucket, key))

    def copy(self, source: S3Uri, target: S3Uri, when: When = ALWAYS) -> ObjectInfo:
        """Store the source's content and options under the target's key."""
        held = self._held(source)
        copied = self._object(target, held.body, _md5(held.body), held.options)
        return self._write(Verb.COPY, target, copied, when)

    def tags(self, uri: S3Uri) -> Mapping[str, str]:
        """Return the object's tags."""
        return dict(self._held(uri).options.tags)

    def set_tags(self, uri: S3Uri, tags: Mapping[str, str]) -> None:
        """Replace the object's tags; no mutation, because nothing that readers see changes."""
        held = self._held(uri)
        if reason := _tags_fault(tags):
            raise Unsupported(uri, Answer("InvalidTag", reason, 400))
        tagged = replace(held, options=replace(held.options, tags=dict(tags)))
        self._bucket(uri).objects[uri.key] = tagged

    def begin(self, uri: S3Uri, options: PutOptions = NO_OPTIONS) -> OpenUpload:
        """Open a multipart upload."""
        _require_legal(uri)
        self._uploads_begun += 1
        upload = OpenUpload(uri, f"upload-{self._uploads_begun:06d}", self._clock())
        self._bucket(uri).uploads[upload.upload_id] = _Upload(upload, options)
        return upload

    def part(self, upload: OpenUpload, number: int, body: bytes) -> str:
        """Store a part, in place of an earlier one of the same number, and return its ETag."""
        self._upload(upload).parts[number] = body
        return _md5(body)

    def complete(
        self,
        upload: OpenUpload,
        etags: Sequence[str],
        when: When = ALWAYS,
        *,
        emulate: bool = False,
    ) -> ObjectInfo:
        """Join the parts into the object; `etags` are those of part 1, 2, ... in order."""
        begun = self._upload(upload)
        parts = [begun.parts.get(number + 1, b"") for number in range(len(etags))]
        digests = [hashlib.md5(part, usedforsecurity=False) for part in parts]
        if not etags or [digest.hexdigest() for digest in digests] != list(etags):
            raise NotFound(upload.uri, Answer("InvalidPart", "a part is missing", 400))
        joined = _md5(b"".join(digest.digest() for digest in digests))
        etag = f"{joined}-{len(parts)}"
        made = self._object(upload.uri, b"".join(parts), etag, begun.options)
        info = self._write(Verb.COMPLETE, upload.uri, made, when, emulate=emulate)
        del self._bucket(upload.uri).uploads[upload.upload_id]
        return info

    def abort(self, upload: OpenUpload) -> None:
        """Forget the upload and its parts; one that is gone already is no error."""
        self._bucket(upload.uri).uploads.pop(upload.upload_id, None)

    def uploads(self, prefix: S3Uri) -> Sequence[OpenUpload]:
        """Return the open uploads below the prefix, by key and age."""
        begun = (held.upload for held in self._bucket(prefix).uploads.values())
        found = [upload for upload in begun if upload.uri.key.startswith(prefix.key)]
        return sorted(found, key=lambda upload: (upload.uri.key, upload.upload_id))

    def capabilities(self, bucket: str) -> Capabilities:
        """Say what the bucket can do; whether it honours preconditions, only a refusal shows."""
        self._bucket(S3Uri(bucket))
        return Capabilities(checksums=self._answers_checksums, region=REGION)

    def _object(self, uri: S3Uri, body: bytes, etag: str, options: PutOptions) -> StoredObject:
        checksums = Checksums(
            crc64nvme=encode_crc(crc64nvme(body)) if self._answers_checksums else "",
            md5="" if "-" in etag else etag,
        )
        metadata = dict(options.metadata)
        info = ObjectInfo(uri, len(body), etag, self._clock(), checksums, metadata=metadata)
        return StoredObject(info, body, options)

    def _write(
        self, verb: Verb, uri: S3Uri, made: StoredObject, when: When, *, emulate: bool = False
    ) -> ObjectInfo:
        _require_legal(uri)
        refused = self._preconditions is Preconditions.REFUSED and not emulate
        if when is not ALWAYS and refused:
            raise Unsupported(uri, Answer("NotImplemented", "no conditional writes", 501))
        if self._preconditions is not Preconditions.IGNORED:
            self._check(uri, when)
        bucket = self._bucket(uri)
        if uri.key not in bucket.objects:
            insort(bucket.order, uri.key)
        bucket.objects[uri.key] = made
        self._note(verb, made)
        return made.info

    def _remove(self, verb: Verb, uri: S3Uri) -> None:
        _require_legal(uri)
        bucket = self._bucket(uri)
        held = bucket.objects.pop(uri.key, None)
        if held is not None:
            del bucket.order[bisect_left(bucket.order, uri.key)]
            self._note(verb, held)

    def _note(self, verb: Verb, changed: StoredObject) -> None:
        crc = encode_crc(crc64nvme(changed.body))
        info = changed.info
        self._history.append(Mutation(verb, info.uri, info.etag, info.size, crc))

    def _check(self, uri: S3Uri, when: When) -> None:
        held = self._bucket(uri).objects.get(uri.key)
        if isinstance(when, Matches):
            if held is None:
                raise NotFound(uri, Answer("NoSuchKey", "nothing to match", 404))
            if held.info.etag != when.etag:
                raise _precondition_failed(uri)
        elif isinstance(when, Absent) and held is not None:
            raise _precondition_failed(uri)

    def _held(self, uri: S3Uri) -> StoredObject:
        _require_legal(uri)
        held = self._bucket(uri).objects.get(uri.key)
        if held is None:
            raise NotFound(uri, Answer("NoSuchKey", "the key does not exist", 404))
        return held

    def _upload(self, upload: OpenUpload) -> _Upload:
        held = self._bucket(upload.uri).uploads.get(upload.upload_id)
        if held is None:
            raise NotFound(upload.uri, Answer("NoSuchUpload", "completed or aborted", 404))
        return held

    def _bucket(self, uri: S3Uri) -> _Bucket:
        bucket = self._buckets.get(uri.bucket)
        if bucket is None:
            raise BucketMissing(uri, Answer("NoSuchBucket", "the bucket does not exist", 404))
        return bucket

    def _page(self, bucket: str, keys: Sequence[str], prefixes: Sequence[str]) -> Page:
        held = self._buckets[bucket].objects
        return Page([_as_listed(held[key].info) for key in keys], prefixes)


def _as_listed(info: ObjectInfo) -> ObjectInfo:
    """Leave out what a listing of S3 does not show."""
    return replace(info, checksums=Checksums(md5=info.checksums.md5), metadata={})


def _group(key: str, prefix_length: int, delimiter: str) -> str:
    """Return the common prefix that stands for the key in a listing, empty when it has none."""
    cut = key.find(delimiter, prefix_length) if delimiter else -1
    return key[: cut + len(delimiter)] if cut >= 0 else ""


def _tags_fault(tags: Mapping[str, str]) -> str:
    """Say why S3 would not take these tags, in its own measure."""
    if len(tags) > TAGS_MAX:
        return f"{len(tags)} tags are too many"
    for key, value in tags.items():
        if not 0 < len(key) <= TAG_KEY_MAX or len(value) > TAG_VALUE_MAX:
            return f"the tag {key[:40]!r} is empty or too long"
    return ""


def _precondition_failed(uri: S3Uri) -> PreconditionFailed:
    return PreconditionFailed(uri, Answer("PreconditionFailed", "a condition is not met", 412))


def _require_legal(uri: S3Uri) -> None:
    if reason := key_fault(uri.key):
        raise InvalidKey(uri, note=f"the key {reason}")


def _md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()
