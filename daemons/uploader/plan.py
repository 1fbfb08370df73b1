"""What to do with one file: facts in, a frozen action with its reason out. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

from shared.fswatch.stability import LocalFile
from shared.s3.store import ABSENT, Checksums, Evidence, Matches, ObjectInfo, When
from shared.s3.uri import S3Uri, bucket_fault, key_fault
from shared.s3.wire import weigh

_KINDS = ("crc64nvme", "crc32c", "crc32", "sha256", "sha1", "md5")
"""Checksums in the order in which we would rather compute them: the fast ones first."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a file goes."""

    uri: S3Uri


@dataclass(frozen=True, slots=True)
class FolderFault:
    """No file below this folder of the root can go anywhere; said once for the folder."""

    folder: str
    reason: str


@dataclass(frozen=True, slots=True)
class FileFault:
    """This one file cannot go anywhere."""

    reason: str


def map_path(path: str, aliases: Mapping[str, str]) -> Target | FolderFault | FileFault:
    """Say where the file at `path` (relative to the root) goes.

    | path                       | answer                                         |
    |----------------------------|------------------------------------------------|
    | `a.png`                    | FolderFault of the root: there is no bucket    |
    | `colony-shots/x/a.png`     | Target `s3://colony-shots/x/a.png`             |
    | `distributed_colony/a.png` | Target by alias, else FolderFault              |
    | not UTF-8, over 1024 bytes | FileFault                                      |
    """
    folder, inside, key = path.partition("/")
    if not inside:
        return FolderFault("", "a file directly in the root has no bucket; move it into a folder")
    bucket = aliases.get(folder, folder)
    if fault := bucket_fault(bucket):
        shown = folder.encode(errors="surrogateescape").decode(errors="backslashreplace")
        return FolderFault(
            folder,
            f"folder {shown!r} cannot be a bucket, its name {fault}; "
            f"rename it or set an alias: --alias {shown}=BUCKET",
        )
    if fault := key_fault(key):
        return FileFault(f"the key {fault}; rename the file")
    return Target(S3Uri(bucket, key))


class Remote(Enum):
    """What is known of the key, when it is not the object itself."""

    UNASKED = "unasked"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Ask:
    """Find out what is under the key before anything else."""

    reason: str


@dataclass(frozen=True, slots=True)
class Compare:
    """Compute this checksum of the local file (a field of `Checksums`), then plan again."""

    kind: str


@dataclass(frozen=True, slots=True)
class Upload:
    """Send the file under this precondition; `replaces` is what it will replace."""

    when: When
    reason: str
    replaces: ObjectInfo | None = None


@dataclass(frozen=True, slots=True)
class DeleteLocal:
    """S3 holds these very bytes: the local file may go."""

    evidence: Evidence
    reason: str


Action = Ask | Compare | Upload | DeleteLocal


def plan_file(
    file: LocalFile,
    remote: ObjectInfo | Remote,
    local: Checksums,
    *,
    ask_first: bool,
    listed: bool,
    weakest: Evidence,
) -> Action:
    """Decide the next step for a settled file.

    `local` holds the checksums computed so far, `ask_first` says whether the object may be there
    already (first scan, or a size at which sending for nothing is dear), `listed` that `remote` is
    from a listing, which knows no checksum and an ETag that need not be an MD5.

    | under the key                              | step                                         |
    |--------------------------------------------|----------------------------------------------|
    | not asked, ask_first                       | Ask                                          |
    | not asked                                  | Upload if absent: one request decides        |
    | nothing                                    | Upload if absent                             |
    | another size                               | Upload over exactly that object              |
    | same size, size is enough                  | DeleteLocal                                  |
    | same size, a checksum we have not computed | Compare                                      |
    | same size, equal content                   | DeleteLocal                                  |
    | same size, a listing proves nothing        | Ask                                          |
    | same size, other content or no proof       | Upload over exactly that object              |
    """
    if remote is Remote.UNASKED and ask_first:
        return Ask("it may be there already")
    if isinstance(remote, Remote):
        return Upload(ABSENT, "new")
    if remote.size != file.identity.size:
        return Upload(Matches(remote.etag), "another size", remote)
    if weakest is Evidence.SIZE:
        return DeleteLocal(Evidence.SIZE, "same size, which the setting verify accepts")
    kind = comparable_kind(remote.checksums)
    if kind and not getattr(local, kind):
        return Compare(kind)
    evidence = weigh(local, file.identity.size, remote)
    if evidence is not None and evidence >= Evidence.ETAG_MD5:
        return DeleteLocal(evidence, "same content")
    if listed:
        return Ask("a listing cannot tell")
    reason = "other content" if kind else "no checksum to compare"
    return Upload(Matches(remote.etag), reason, remote)


def comparable_kind(held: Checksums) -> str:
    """Name the checksum worth computing, the empty string when there is none to compare with."""
    return next((kind for kind in _KINDS if getattr(held, kind)), "")


def with_checksum(local: Checksums, kind: str, value: str) -> Checksums:
    """Return `local` with one more checksum."""
    known = {name: getattr(local, name) for name in _KINDS}
    return replace(local, **{**known, kind: value})


@dataclass(frozen=True, slots=True)
class ListingPlan:
    """Whether one listing is cheaper than asking for each file."""

    use: bool
    pages_max: int = 0
    """Give the listing up after so many pages: the bucket holds far more than the disk."""


_LISTING_FROM = 16
_FILES_A_PAGE = 8


def plan_lookup(files: int) -> ListingPlan:
    """Decide how to ask for `files` files in one folder: a listing for many, a HEAD for few.

    A page answers for up to a thousand keys. It pays as long as it replaces eight HEADs, so that
    a folder of forty files does not list a prefix of a million objects.
    """
    if files < _LISTING_FROM:
        return ListingPlan(use=False)
    return ListingPlan(use=True, pages_max=max(2, files // _FILES_A_PAGE))
