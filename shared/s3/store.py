"""The seam between what the daemons want of S3 and the engines that do it: types, a protocol. Pure.

No caller ever sees a type of an SDK, and no engine ever sees a path: a file is handed over as an
open descriptor pinned to the identity first seen.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, IntEnum
from typing import Protocol, runtime_checkable

from shared.fswatch.stability import FileIdentity
from shared.s3.errors import Unsupported
from shared.s3.uri import S3Uri


class Always(Enum):
    """Write whatever is there."""

    ALWAYS = "always"


class Absent(Enum):
    """Write only where nothing is: `If-None-Match: *`."""

    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Matches:
    """Write only over the object with this ETag: `If-Match`."""

    etag: str


ALWAYS = Always.ALWAYS
ABSENT = Absent.ABSENT
When = Always | Absent | Matches


class Evidence(IntEnum):
    """How sure we are that S3 holds exactly these bytes, weakest first. Deletes depend on it."""

    NONE = 0
    SIZE = 1
    """A HEAD or listing shows the same number of bytes."""
    ETAG_MD5 = 2
    """The ETag is the MD5 of the bytes read."""
    READ_BACK = 3
    """A HEAD shows the full-object checksum of the bytes read."""
    ANSWERED = 4
    """The answer to the write itself carries the full-object checksum of the bytes sent."""


@dataclass(frozen=True, slots=True)
class Checksums:
    """Full-object checksums as S3 writes them: base64, `md5` in hex; empty when unknown."""

    crc64nvme: str = ""
    crc32: str = ""
    crc32c: str = ""
    sha256: str = ""
    sha1: str = ""
    md5: str = ""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object as S3 describes it."""

    uri: S3Uri
    size: int
    """Bytes."""
    etag: str
    """Without quotation marks."""
    modified_at: datetime
    checksums: Checksums = Checksums()
    version: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PutOptions:
    """What is stored beside the bytes; empty fields leave the bucket's default."""

    content_type: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    storage_class: str = ""
    encryption: str = ""
    """`AES256`, `aws:kms` or `aws:kms:dsse`."""
    kms_key: str = ""
    acl: str = ""
    """A canned ACL; buckets with ACLs disabled refuse any."""


NO_OPTIONS = PutOptions()


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """An open descriptor and the identity its file had when found; reads end at `identity.size`."""

    descriptor: int
    identity: FileIdentity
    changed_ns: int | None = None
    """Its change time in nanoseconds since the epoch, which no writer can put back."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A write that S3 acknowledged."""

    uri: S3Uri
    size: int
    etag: str
    evidence: Evidence
    checksums: Checksums
    version: str = ""
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class Span:
    """A range of bytes: `start` inclusive, `stop` exclusive, None to the end."""

    start: int
    stop: int | None = None

    def __post_init__(self) -> None:
        """Refuse what S3 would ignore, answering with the whole object."""
        if self.start < 0 or (self.stop is not None and self.stop <= self.start):
            raise ValueError(f"{self} is no range of bytes; stop must be greater than start")


@runtime_checkable
class Download(Protocol):
    """An object's bytes on their way."""

    @property
    def info(self) -> ObjectInfo:
        """What S3 says of the object."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the bytes in pieces of at most 1 MiB; a short body raises Unreachable."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing in key order (UTF-8 binary)."""

    objects: Sequence[ObjectInfo]
    prefixes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class DeleteFailure:
    """A key that a bulk delete left in place, and why."""

    key: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """A multipart upload that was begun and neither completed nor aborted."""

    uri: S3Uri
    upload_id: str
    started_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a bucket's answers have shown it can do; None means not seen yet."""

    checksums: bool | None = None
    """Answers carry the full-object CRC64NVME."""
    conditional_put: bool | None = None
    """A precondition is honoured: known once one was refused. None is no word for yes: ask with
    a write that must be refused."""
    conditional_complete: bool | None = None
    """The same for files sent in parts."""
    region: str = ""


class ObjectStore(Protocol):
    """Verbs on exact keys; each raises only `shared.s3.errors` and may be called concurrently.

    `deadline` is a limit in seconds for the whole call, retries and reading back included; ending
    what it cuts off may take a little longer. Of a write that is cut off the outcome is unknown.

    Whoever writes recognises the bytes when an answer was lost, not the writer: under ABSENT or
    Matches somebody else's equal object, or the old one, passes for ours. Right for files; a record
    whose writer matters, such as a lease, must differ from all others in its bytes.
    """

    async def put(
        self,
        uri: S3Uri,
        body: bytes,
        *,
        when: When = ALWAYS,
        options: PutOptions = NO_OPTIONS,
        deadline: float | None = None,
        emulate: bool = False,
    ) -> Stored:
        """Store `body` under the key, or raise with nothing partial visible.

        Raises:
            PreconditionFailed: `when` is not met, and what is there are not our bytes.
            OutcomeUnknown: it may have been carried out; read back.
            Unsupported: the store takes no precondition. With `emulate` it is looked at first
                instead, which another writer can slip past.
        """

    async def put_file(
        self,
        uri: S3Uri,
        source: PinnedFile,
        *,
        when: When = ALWAYS,
        options: PutOptions = NO_OPTIONS,
        deadline: float | None = None,
        emulate: bool = False,
    ) -> Stored:
        """Store exactly the `source.identity.size` bytes of the file, else raise SourceChanged.

        Raises:
            OSError: the file cannot be read; everything else is as for `put`.
        """

    async def head(self, uri: S3Uri, *, deadline: float | None = None) -> ObjectInfo:
        """Describe the object, with its full-object checksums if S3 has them; raises NotFound."""

    def get(
        self,
        uri: S3Uri,
        *,
        span: Span | None = None,
        if_match: str | None = None,
        deadline: float | None = None,
    ) -> AbstractAsyncContextManager[Download]:
        """Open the object's bytes for reading; raises NotFound.

        The deadline is for the answer to begin; how long the bytes take is the reader's affair.
        """

    def pages(
        self, prefix: S3Uri, *, after: str = "", delimiter: str = "", deadline: float | None = None
    ) -> AsyncIterator[Page]:
        """List the objects below `prefix.key` in key order, beginning behind the key `after`.

        `prefix` is text: `CID-1` finds `CID-10`. The deadline is for each page.
        """

    async def delete(
        self, uri: S3Uri, *, if_match: str | None = None, deadline: float | None = None
    ) -> None:
        """Remove the object; deleting what is not there succeeds."""

    async def delete_many(
        self, bucket: str, keys: Sequence[str], *, deadline: float | None = None
    ) -> Sequence[DeleteFailure]:
        """Remove any number of keys, a thousand a request, and return those that were refused."""

    async def copy(
        self, source: S3Uri, target: S3Uri, *, when: When = ALWAYS, deadline: float | None = None
    ) -> Stored:
        """Copy within S3, without the bytes passing here (at most 5 GiB)."""

    async def tags(self, uri: S3Uri, *, deadline: float | None = None) -> Mapping[str, str]:
        """Return the object's tags; raises NotFound."""

    async def set_tags(
        self, uri: S3Uri, tags: Mapping[str, str], *, deadline: float | None = None
    ) -> None:
        """Give the object these tags in the place of all that it has; raises NotFound.

        Content, ETag and time of the object stay, and doing it twice does no more than once.

        Raises:
            Unsupported: more than ten tags, or one of a form that S3 does not take.
        """

    def open_uploads(self, prefix: S3Uri) -> AsyncIterator[OpenUpload]:
        """List the multipart uploads that are neither completed nor aborted."""

    async def abort(self, upload: OpenUpload, *, deadline: float | None = None) -> None:
        """End a multipart upload and free its parts; one that is gone already succeeds."""

    async def capabilities(self, bucket: str) -> Capabilities:
        """Say what the bucket can do, as far as its answers have shown; raises BucketMissing."""

    async def aclose(self) -> None:
        """End what the store itself has opened; connections that were lent to it stay open."""


class UploadJournal(Protocol):
    """Where an engine records multipart uploads, durably and before the first part is sent."""

    async def opened(self, upload: OpenUpload) -> None:
        """Remember the upload; returns once the record would survive a power cut."""

    async def closed(self, upload: OpenUpload) -> None:
        """Forget the upload: it was completed or aborted."""


def require_evidence(stored: Stored, weakest: Evidence = Evidence.ETAG_MD5) -> Stored:
    """Return a write that is proven well enough for what depends on it: a manifest, a marker.

    Raises:
        Unsupported: the store proves too little.
    """
    if stored.evidence >= weakest:
        return stored
    note = f"the store proves {stored.evidence.name} of what it holds; needed is {weakest.name}"
    raise Unsupported(stored.uri, note=note)
