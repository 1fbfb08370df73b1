"""What one path is to us, and what each direction does about it. Pure.

| here | in S3 | sizes | content           | times                    | state         |
|------|-------|-------|-------------------|--------------------------|---------------|
| no   | no    | -     | -                 | -                        | `NOWHERE`     |
| no   | yes   | -     | -                 | -                        | `ONLY_S3`     |
| yes  | no    | -     | -                 | -                        | `ONLY_LOCAL`  |
| yes  | yes   | equal | equal             | -                        | `SAME`        |
| yes  | yes   | equal | not to be told    | -                        | `SAME`        |
| yes  | yes   | equal | different         | here later by over 2 s   | `LOCAL_NEWER` |
| yes  | yes   | equal | different         | S3 later, or within 2 s  | `S3_NEWER`    |
| yes  | yes   | other | -                 | here later by over 2 s   | `LOCAL_NEWER` |
| yes  | yes   | other | -                 | S3 later, or within 2 s  | `S3_NEWER`    |

A file or an object of no bytes is not there. The manifest knows no newer side: where it is not
equal, and where that is not to be told, it is `TO_MERGE`.

The content can be told where S3's ETag is an MD5. One of 32 hexadecimal digits is, except under a
KMS key; one of a multipart upload (`...-3`) is not.
"""

import re
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TypeVar

from daemons.ingester.archive.folders import MANIFEST_PATH
from daemons.ingester.syncing.entries import LocalEntry, Pair, RemoteEntry

TOLERANCE_NS = 2_000_000_000
"""Two seconds: S3 and some file systems keep whole ones."""

Entry = TypeVar("Entry", LocalEntry, RemoteEntry)

_MD5 = re.compile("[0-9a-f]{32}")


class State(StrEnum):
    """How the two sides of a path stand to each other."""

    NOWHERE = "nowhere"
    ONLY_S3 = "only in S3"
    ONLY_LOCAL = "only local"
    SAME = "same"
    S3_NEWER = "differs, S3 is newer"
    LOCAL_NEWER = "differs, local is newer"
    TO_MERGE = "manifests differ"
    UNREADABLE = "cannot be read here"
    """The local file cannot be compared; nothing is done about it."""


class Content(Enum):
    """What the bytes of two sides of equal size say."""

    EQUAL = "equal"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


class Direction(StrEnum):
    """Which way files go: phase 0 pulls, phase 3 pushes."""

    PULL = "pull"
    PUSH = "push"


class ConflictRule(StrEnum):
    """Who wins where both sides have a path and differ; manifests are merged under any rule."""

    NEWER = "newer"
    S3 = "s3"
    LOCAL = "local"
    NONE = "none"
    """Nobody: conflicts are only reported."""


class Action(StrEnum):
    """What is done about a path."""

    NOTHING = "nothing"
    DOWNLOAD = "download"
    UPLOAD = "upload"
    MERGE = "merge"
    REPORT = "report"
    """A conflict that this direction must not settle: it is left, and named."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A path that was compared."""

    pair: Pair
    state: State
    fault: str = ""
    """Why it is `UNREADABLE`, where it is."""


def is_md5(etag: str) -> bool:
    """Say whether an ETag looks like the MD5 of the object's bytes."""
    return _MD5.fullmatch(etag) is not None


def needs_content(pair: Pair) -> bool:
    """Say whether the bytes decide: both sides are there, and of equal size."""
    local, remote = pair.local, pair.remote
    if local is None or remote is None:
        return False
    return local.size == remote.size > 0


def compare(pair: Pair, content: Content = Content.UNKNOWN) -> State:
    """Say how a path stands; `content` matters where `needs_content`."""
    local, remote = _there(pair.local), _there(pair.remote)
    if local is None or remote is None:
        return _one_sided(local, remote)
    equal_sizes = local.size == remote.size
    if equal_sizes and content is Content.EQUAL:
        return State.SAME
    if pair.path == MANIFEST_PATH:
        return State.TO_MERGE
    if equal_sizes and content is Content.UNKNOWN:
        return State.SAME
    later = local.identity.mtime_ns - remote.modified_ns > TOLERANCE_NS
    return State.LOCAL_NEWER if later else State.S3_NEWER


def decide(state: State, direction: Direction, rule: ConflictRule = ConflictRule.NEWER) -> Action:
    """Say what a direction does.

    | state         | pull (phase 0)       | push (phase 3)       |
    |---------------|----------------------|----------------------|
    | `NOWHERE`, `SAME`, `UNREADABLE` | nothing | nothing |
    | `ONLY_S3`     | download             | nothing              |
    | `ONLY_LOCAL`  | nothing              | upload               |
    | `S3_NEWER`    | download; not if the rule is LOCAL or NONE: report | report; upload if LOCAL |
    | `LOCAL_NEWER` | report; download if S3 | upload; not if S3 or NONE: report |
    | `TO_MERGE`    | merge                | merge                |
    """
    if state is State.TO_MERGE:
        return Action.MERGE
    if state in (State.S3_NEWER, State.LOCAL_NEWER):
        if winner(state, rule) is _SOURCE[direction]:
            return _TRANSFER[direction]
        return Action.REPORT
    if state is _MISSING[direction]:
        return _TRANSFER[direction]
    return Action.NOTHING


def winner(state: State, rule: ConflictRule) -> ConflictRule:
    """Say which side a conflict goes to: S3, LOCAL or NONE."""
    if rule is not ConflictRule.NEWER:
        return rule
    return ConflictRule.S3 if state is State.S3_NEWER else ConflictRule.LOCAL


_SOURCE = {Direction.PULL: ConflictRule.S3, Direction.PUSH: ConflictRule.LOCAL}
_TRANSFER = {Direction.PULL: Action.DOWNLOAD, Direction.PUSH: Action.UPLOAD}
_MISSING = {Direction.PULL: State.ONLY_S3, Direction.PUSH: State.ONLY_LOCAL}


def _one_sided(local: LocalEntry | None, remote: RemoteEntry | None) -> State:
    if local is not None:
        return State.ONLY_LOCAL
    return State.NOWHERE if remote is None else State.ONLY_S3


def _there(entry: Entry | None) -> Entry | None:
    return entry if entry is not None and entry.size > 0 else None
