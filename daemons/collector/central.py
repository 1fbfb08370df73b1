"""The central folder: files appear in it whole, under names that were free, and then stay.

Rule: no function here replaces, changes or removes anything in the central folder but temporary
files of its own. These calls block: use them through `anyio.to_thread`.
"""

import errno
import os
import re
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from typing import BinaryIO

from awscrt import checksums

from daemons.collector.plan import Wanted
from daemons.collector.tables import (
    can_be_told_apart,
    describe_difference,
    differing_rows,
    digest_table,
)
from shared.errors import ExitStatus, TransientError
from shared.files import TEMPORARY_SUFFIX, contained, make_folders, open_durably
from shared.handshake.tables import QUALITY_BYTES_MAX, NotATable, count_rows, parse_quality
from shared.s3.wire import encode_crc

_PIECE_BYTES = 1024 * 1024
_TEMPORARY = re.compile(rf"\..+\.[0-9a-f]{{8}}{re.escape(TEMPORARY_SUFFIX)}", re.DOTALL)
_MD5 = re.compile(r"[0-9a-f]{32}")
_FOLDER_TROUBLE = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EIO,
        errno.ESTALE,
        errno.ENOMEM,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENODEV,
        errno.ENXIO,
    }
)


_PERMISSION = frozenset({errno.EACCES, errno.EPERM})


class FolderTrouble(TransientError):
    """The disk is full, or a folder cannot be used: nothing is collected until that is over."""

    status = ExitStatus.SAFETY_STOP


@dataclass(frozen=True, slots=True)
class Folders:
    """Where results go."""

    inbox: Path
    central: Path

    def of(self, runout: object) -> Path:
        """Return a runout's folder in the inbox; OutsideRoot when a link has its name."""
        return contained(self.inbox, str(runout))

    def are_blamed_for(self, error: OSError) -> bool:
        """Tell whether every other runout would fail with the same error."""
        if error.errno in _PERMISSION:
            usable = os.R_OK | os.W_OK | os.X_OK
            return not (os.access(self.inbox, usable) and os.access(self.central, usable))
        return error.errno in _FOLDER_TROUBLE


def prepare(folders: Folders, *, merged: int) -> None:
    """Make sure that both folders are there; FolderTrouble when they cannot be.

    A central folder that is gone after CIDs were merged is one that is not mounted: results that
    went into a new one in its place would seem lost later.
    """
    try:
        if merged and not folders.central.is_dir():
            raise FolderTrouble(
                f"the central folder {str(folders.central)!r} is not there, and {merged} CIDs were "
                "collected; mount it, or create it to begin with an empty one"
            )
        for folder in (folders.central, folders.inbox):
            make_folders(folder)
    except OSError as error:
        raise FolderTrouble(
            f"folder {str(error.filename)!r} cannot be used: {error.strerror}; mend it"
        ) from error


def sweep(folder: Path) -> int:
    """Remove the temporary files that a killed process left in a folder; says how many."""
    count = 0
    with os.scandir(folder) as entries:
        left = [
            entry.path
            for entry in entries
            if _TEMPORARY.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
        ]
    for path in left:
        Path(path).unlink(missing_ok=True)
        count += 1
    return count


def is_whole(path: Path, wanted: Wanted) -> bool:
    """Tell whether a file in the inbox is the one that would be pulled."""
    expects_md5 = not wanted.crc64nvme
    if expects_md5 and not _MD5.fullmatch(wanted.etag):
        return False
    try:
        with _open(path) as stream:
            if os.fstat(stream.fileno()).st_size != wanted.size:
                return False
            if expects_md5:
                digest = md5(usedforsecurity=False)
                while piece := stream.read(_PIECE_BYTES):
                    digest.update(piece)
                return digest.hexdigest() == wanted.etag
            crc = 0
            while piece := stream.read(_PIECE_BYTES):
                crc = int(checksums.crc64nvme(piece, crc))
            return encode_crc(crc) == wanted.crc64nvme
    except FileNotFoundError:
        return False


def identity_of(path: Path) -> str:
    """Return what changes when a file does; empty when there is none."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return ""
    return f"{found.st_dev}:{found.st_ino}:{found.st_size}:{found.st_mtime_ns}"


def table_fault(table: Path, quality: Path | None, alive: Callable[[], None]) -> str:
    """Say why a pulled table is not to be merged; empty when it is whole."""
    try:
        with _open(table) as stream:
            rows = count_rows(stream, alive)
    except NotATable as error:
        return f"{table.name}: {error}"
    if quality is None:
        return ""
    try:
        with _open(quality) as stream:
            said = parse_quality(stream.read(QUALITY_BYTES_MAX + 1)).rows
    except ValueError as error:
        return f"{quality.name}: {error}"
    return "" if said == rows else f"{quality.name} says rows={said}, the table has {rows}"


def compare_tables(ours: Path, central: Path, key: bytes, alive: Callable[[], None]) -> str:
    """Say how a table differs from the central one; empty when their rows are the same."""
    if same_bytes(ours, central):
        return ""
    found = []
    for path, whose in ((ours, "it"), (central, "the one there")):
        try:
            with _open(path) as stream:
                found.append(digest_table(stream, key, alive))
        except NotATable as error:
            return f"its bytes are others, and {whose} is no table: {error}"
    difference = describe_difference(*found)
    if not difference or not can_be_told_apart(*found):
        return difference
    with _open(ours) as one, _open(central) as other, suppress(NotATable):
        rows = differing_rows(one, other, key, alive)
        return f"{difference}; see row_id {', '.join(map(repr, rows))}"
    return difference


def same_quality(ours: Path, central: Path) -> bool:
    """Tell whether two qc.txt say the same; other files do when their bytes are equal."""
    if same_bytes(ours, central):
        return True
    try:
        with _open(ours) as one, _open(central) as other:
            return parse_quality(one.read(QUALITY_BYTES_MAX + 1)) == parse_quality(
                other.read(QUALITY_BYTES_MAX + 1)
            )
    except ValueError:
        return False


def same_bytes(one: Path, other: Path) -> bool:
    """Tell whether two files have the same content."""
    with _open(one) as first, _open(other) as second:
        if os.fstat(first.fileno()).st_size != os.fstat(second.fileno()).st_size:
            return False
        while piece := first.read(_PIECE_BYTES):
            if piece != second.read(_PIECE_BYTES):
                return False
    return True


def place(source: Path, target: Path, step: Callable[[str], None]) -> bool:
    """Copy a file into the central folder; False when something there has its name by then."""
    try:
        with _open(source) as stream, open_durably(target, replace=False) as written:
            shutil.copyfileobj(stream, written, _PIECE_BYTES)
            step("copied")
    except FileExistsError:
        return False
    return True


def _open(path: Path) -> BinaryIO:
    """Open a plain file for reading; a link, a pipe or a device is refused and never waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no plain file", str(path))
    return os.fdopen(descriptor, "rb")
