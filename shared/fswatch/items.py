"""What a watch tells its consumer. Pure: values only."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from shared.fswatch.stability import LocalFile


class FoundBy(StrEnum):
    """How a file came to notice."""

    FIRST_SCAN = "first_scan"
    """The first scan of this root: the file may be as old as the last life of the daemon."""
    SCAN = "scan"
    EVENT = "event"


class OddityKind(StrEnum):
    """Why something below the root is no candidate."""

    SYMLINK = "symlink"
    SPECIAL = "special"
    """A named pipe, socket or device."""
    NOT_UTF8 = "not_utf8"
    """A name that cannot be a key; such a directory is not entered."""
    UNREADABLE_DIRECTORY = "unreadable_directory"
    UNREADABLE_FILE = "unreadable_file"
    """The file's metadata cannot be read."""


@dataclass(frozen=True, slots=True)
class Oddity:
    """Something below the root that is left where it is, and why."""

    path: str
    """Relative to the root, `""` for the root itself."""
    kind: OddityKind
    reason: str
    """For people: what it is or what the system answered."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Settled files of one directory, at most a thousand at a time.

    They were settled when looked at: whoever takes one compares its identity before acting.
    """

    directory: str
    files: tuple[LocalFile, ...]
    """In the order of their names' UTF-8 bytes."""
    found_by: FoundBy


@dataclass(frozen=True, slots=True)
class Noticed:
    """An oddity, told once for as long as scans keep meeting it."""

    oddity: Oddity


@dataclass(frozen=True, slots=True)
class StillChanging:
    """A file that changed again while it was waited for, told once until it settles."""

    path: str


@dataclass(frozen=True, slots=True)
class ScanFinished:
    """A full scan has come to its end, and everything it found was handed over before this."""

    number: int
    """Counts the scans of this watch from 1."""
    found_by: FoundBy
    directories: int
    files_seen: int
    unsettled: int
    """Of the files seen, those that were not yet settled."""
    overlooked: int
    """Of the unsettled, those that nobody waits for, for want of room; the next scan finds them."""
    oddities: int
    duration: timedelta


@dataclass(frozen=True, slots=True)
class FlushFinished:
    """Every file that the flush found was looked at twice."""

    still_changing: tuple[str, ...]
    """The paths that had changed between the looks; they are still waited for."""


@dataclass(frozen=True, slots=True)
class RootMissing:
    """The root is not there or is no directory; told once, then the watch waits for it."""

    root: str
    reason: str


WatchItem = Candidates | Noticed | StillChanging | ScanFinished | FlushFinished | RootMissing
