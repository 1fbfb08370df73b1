"""Files that are there whole or not at all, and names that cannot lead out of a folder.

Rule: what has returned from here survives a power cut, and nothing that existed was overwritten
unless the function's name says so. These calls block: use them through `anyio.to_thread`.
"""

import ctypes
import errno
import fcntl
import os
import secrets
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from shared.errors import PermanentError, UsageError

TEMPORARY_SUFFIX = ".towpath-tmp"
"""Ends the name of every temporary file; such a file may be removed when its writer is gone."""

_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES})
_RENAME_NOREPLACE = 1
_RENAME_EXCL = 4
_CWD = -100


class OutsideRoot(PermanentError):
    """A name from outside would be read or written outside the folder it belongs into."""


def write_durably(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Replace the file by one with this content; a crash leaves the old one or the new one."""
    with open_durably(path, mode=mode, replace=True) as stream:
        stream.write(content)


@contextmanager
def open_durably(target: Path, *, mode: int = 0o644, replace: bool) -> Iterator[BinaryIO]:
    """Write a file piece by piece; it gets its name when the block ends well, else nothing is left.

    Without `replace` FileExistsError is raised at the end where something has the name by then.
    """
    draft = Draft(target)
    try:
        yield draft.stream
        draft.keep(mode=mode, replace=replace)
    except BaseException:
        draft.discard()
        raise


class Draft:
    """A file that has no name yet, for those who cannot write it within one block of one thread.

    It is kept or discarded; what a crash leaves has a temporary name.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self._temporary = target.with_name(
            f".{_shortened(target.name)}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}"
        )
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        self.stream: BinaryIO = os.fdopen(os.open(self._temporary, flags, 0o600), "wb")

    def keep(self, *, mode: int = 0o644, replace: bool) -> None:
        """Make the content durable and give it its name, as `open_durably` does."""
        with self.stream:
            self.stream.flush()
            os.fchmod(self.stream.fileno(), mode)
            _sync(self.stream.fileno())
        if replace:
            self._temporary.replace(self._target)
        else:
            _place(self._temporary, self._target)
        fsync_directory(self._target.parent)

    def discard(self) -> None:
        """Leave nothing of it, whatever state it is in."""
        with suppress(OSError):
            self.stream.close()
        with suppress(OSError):
            self._temporary.unlink()


def make_folders(folder: Path) -> None:
    """Make a folder and those above it, so that they survive a power cut; existing ones are kept.

    Raises:
        OSError: one of the names is taken by a file (FileExistsError, NotADirectoryError), or the
            disk refuses.
    """
    missing: list[Path] = []
    for each in (folder, *folder.parents):
        if each.is_dir():
            break
        missing.append(each)
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        fsync_directory(each.parent)


def ready_folder(folder: Path, name: str, *, mode: int = 0o777) -> None:
    """Have a folder that we may list and write into, made where there is none.

    Raises:
        UsageError: there can be none, or it is not for us; the message names it.
    """
    try:
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        where = error.filename or str(folder)
        said = (error.strerror or str(error)).lower()
        raise UsageError(
            f"the {name} {str(folder)!r} cannot be made: {where!r}: {said}; "
            "give this user its folder, or name another"
        ) from error
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise UsageError(f"the {name} {str(folder)!r} {_why_closed(folder)}, or name another")


def _why_closed(folder: Path) -> str:
    # Disks that fail are mounted read-only by the system itself: no mode is to blame then.
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return "is on a file system that is mounted read-only; look why, mount it for writing"
    return "may not be written into by this user; change its owner or mode"


def fsync_directory(folder: Path) -> None:
    """Make what was created, renamed or removed in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _sync(descriptor)
    except OSError as error:
        # Some network and FUSE file systems know no fsync of a folder; there is nothing to add.
        if error.errno not in {errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS}:
            raise
    finally:
        os.close(descriptor)


def _sync(descriptor: int) -> None:
    """Have the disk itself keep it; macOS's plain fsync stops at the drive's cache."""
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:
        with suppress(OSError):
            fcntl.fcntl(descriptor, full)
            return
    os.fsync(descriptor)


def place_without_overwriting(source: Path, target: Path) -> None:
    """Rename within one file system; FileExistsError when something has the target's name.

    What was written into the file is made durable first, whoever wrote it. A crash in between
    leaves both names on the same file, never none.
    """
    _sync_content(source)
    _place(source, target)
    fsync_directory(target.parent)
    if source.parent != target.parent:
        fsync_directory(source.parent)


def _sync_content(path: Path) -> None:
    if not stat.S_ISREG(path.lstat().st_mode):
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def _place(source: Path, target: Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _rename_exclusively(source, target)
    else:
        source.unlink()


def _rename_exclusively(source: Path, target: Path) -> None:
    """Rename by the system call that refuses an existing target, where links do not exist."""
    call = _exclusive_rename_call()
    if call is None:
        reason = "the file system has neither hard links nor an exclusive rename"
        raise OSError(errno.EOPNOTSUPP, reason, str(source), None, str(target))
    if call(os.fsencode(source), os.fsencode(target)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(source), None, str(target))


def _exclusive_rename_call() -> Callable[[bytes, bytes], int] | None:
    """Return renameat2 or renamex_np, whichever this system's library has."""
    library = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "darwin":
        mac = getattr(library, "renamex_np", None)
        return None if mac is None else lambda old, new: int(mac(old, new, _RENAME_EXCL))
    linux = getattr(library, "renameat2", None)
    if linux is None:
        return None
    return lambda old, new: int(linux(_CWD, old, _CWD, new, _RENAME_NOREPLACE))


def contained(root: Path, relative: str) -> Path:
    """Return the path of a name from outside below `root`; OutsideRoot if it could lead out.

    | name                                           | because                                  |
    |------------------------------------------------|------------------------------------------|
    | empty, an empty or `.` part (`a//b`, `a/`)     | it would not come back as the same name  |
    | `..` anywhere, absolute, `C:...`, a backslash  | it leads elsewhere, here or on another OS|
    | NUL, a part longer than 255 bytes              | no file can have it                      |
    | a symbolic link on the way or at the end       | it leads wherever somebody made it lead  |
    """
    fault = _fault(relative)
    if fault:
        raise OutsideRoot(f"name {relative!r} {fault}; it is not used below {str(root)!r}")
    path = root
    for part in PurePosixPath(relative).parts:
        path = path / part
        with suppress(FileNotFoundError):
            if stat.S_ISLNK(path.lstat().st_mode):
                raise OutsideRoot(
                    f"{str(path)!r} is a symbolic link; remove it to use {relative!r}"
                )
    return path


_LONGEST_PART = 255
_LONGEST_STEM = 200


def _shortened(name: str) -> str:
    """Leave room for what makes a temporary name of it; a cut in a character is replaced."""
    raw = os.fsencode(name)
    return name if len(raw) <= _LONGEST_STEM else raw[:_LONGEST_STEM].decode(errors="ignore")


def _fault(relative: str) -> str:
    """Say what is wrong with a name by its text alone."""
    if "\0" in relative or "\\" in relative:
        return "has a NUL or a backslash"
    if relative.startswith("/") or relative[1:2] == ":":
        return "is absolute"
    parts = relative.split("/")
    if any(part in {"", ".", ".."} for part in parts):
        return "has a part that is empty, '.' or '..'"
    if any(len(part.encode("utf-8", "surrogateescape")) > _LONGEST_PART for part in parts):
        return f"has a part of more than {_LONGEST_PART} bytes"
    return ""
