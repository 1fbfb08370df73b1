"""A file here and an object there, as the two listings describe them. Pure.

`path` is what both are compared by: relative to the site, folder included, in Unicode NFC. What the
disk or S3 really calls it is kept beside it, because both keep whatever form they were given.
"""

import re
from dataclasses import dataclass

from daemons.ingester.archive.folders import comparable, folder_of
from shared.fswatch.stability import FileIdentity
from shared.s3.store import ObjectInfo
from shared.s3.uri import KEY_BYTES_MAX

NAME_BYTES_MAX = 255
"""Longest name of a file on every file system in use."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class LocalEntry:
    """A regular file of the local tree."""

    path: str
    name: str
    """The path as the disk has it, which differs from `path` in its Unicode form at most."""
    identity: FileIdentity
    changed_ns: int
    """Change time in nanoseconds: no writer can put it back."""

    @property
    def size(self) -> int:
        """Bytes."""
        return self.identity.size


@dataclass(frozen=True, slots=True)
class RemoteEntry:
    """An object, as one line of a listing shows it."""

    path: str
    key: str
    """The key as S3 has it, which differs from `path` in its Unicode form at most."""
    size: int
    """Bytes."""
    etag: str
    modified_ns: int
    """`LastModified` in nanoseconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What is known of one path; at least one side is there."""

    path: str
    local: LocalEntry | None
    remote: RemoteEntry | None
    is_late: bool = False
    """The object's key sorts behind its NFC form, which was passed by then: `local` is not known
    and must be looked for."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A name that takes no part, and why."""

    path: str
    reason: str


def read_object(info: ObjectInfo) -> RemoteEntry | Problem | None:
    """Return what an object is to us: None where it is passed over (`archive.folders`)."""
    key = info.uri.key
    if folder_of(key) is None:
        return None
    if fault := name_fault(key):
        return Problem(key, fault)
    modified_ns = round(info.modified_at.timestamp() * 1_000_000) * 1000
    return RemoteEntry(comparable(key), key, info.size, info.etag, modified_ns)


def name_fault(path: str) -> str:
    """Say why a path can be no file or no key here, empty where it can.

    | name                                     | because                                       |
    |------------------------------------------|-----------------------------------------------|
    | a control character, a line separator    | it would forge lines of logs and reports      |
    | a backslash                              | it is a folder elsewhere                      |
    | a part of more than 255 bytes            | no file can have it                           |
    | more than 1,024 bytes                    | no object can have it                         |
    | not UTF-8                                | no object can have it                         |

    `..`, empty parts and the like are passed over before this is asked: see `archive.folders`.
    """
    if path.isascii() and path.isprintable() and len(path) <= NAME_BYTES_MAX and "\\" not in path:
        return ""
    try:
        size = len(path) if path.isascii() else len(path.encode())
    except UnicodeEncodeError:
        return "its name is not valid UTF-8; rename it"
    if _CONTROL.search(path):
        return "its name holds a control character; rename it"
    if "\\" in path:
        return "its name holds a backslash; rename it"
    return "" if size <= NAME_BYTES_MAX else _length_fault(path)


def _length_fault(path: str) -> str:
    if len(path.encode()) > KEY_BYTES_MAX:
        return f"its name has more than {KEY_BYTES_MAX} bytes; shorten it"
    if any(len(part.encode()) > NAME_BYTES_MAX for part in path.split("/")):
        return f"a part of its name has more than {NAME_BYTES_MAX} bytes; shorten it"
    return ""
