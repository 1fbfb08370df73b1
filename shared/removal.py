"""Remove a file that was delivered, and nothing else: the last look and the unlink as one step.

Between a check and an unlink the path can come to name another file. So the file is first moved
into a hidden folder beside it, where no writer looks for it, compared there once more, and only
then unlinked; if it is not the delivered one it is linked back without overwriting anything.

A writer that already has the file open is kept out by the kernel's read lease (Linux, own files,
local file systems): it is refused while anyone could still write. Elsewhere a writer that appends
between the last comparison and the unlink, some microseconds, loses those bytes. Blocking calls.

Sizes and modification times can be put back by whoever writes, so the change time is compared too:
under the lease and before the renaming, which itself changes it.
"""

import fcntl
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from shared.fswatch.stability import FileIdentity
from shared.s3.pinned import identity_of
from shared.s3.store import PinnedFile

HIDDEN_FOLDER = ".towpath-removing"
"""Holds the files that are being removed, under their own names, beside where they were."""
_ASIDE = ".aside-"
"""Begins the name of a folder for a file whose place was taken; its inode follows."""


class Removal(Enum):
    """What became of the file."""

    REMOVED = "removed"
    CHANGED = "it is another file by now"
    HELD_OPEN = "another process has it open for writing"
    IN_THE_WAY = "a file of an earlier removal lies in the hidden folder"
    GONE = "it is not there any more"


@dataclass(frozen=True, slots=True)
class Leftover:
    """A file that a crash left in the hidden folder."""

    folder: str
    """Where it belongs, relative to the root."""
    name: str
    restored: bool
    """False when another file has taken its place meanwhile, or the disk refused; both are kept.

    It then lies in a folder of its own inside the hidden one, where it is in nobody's way.
    """


def remove_delivered(
    name: str,
    source: PinnedFile,
    *,
    directory: int,
    changed_ns: int | None = None,
    step: Callable[[str], None] = lambda _: None,
) -> Removal:
    """Remove `name` in the open `directory` if it is still exactly the pinned file.

    `changed_ns` is the change time it had before its bytes were read; None leaves it uncompared.
    `step` is told of each step before it is taken, for tests that end the process there.

    Raises:
        OSError: the file system refuses (read-only, no permission); the file is where it was.
    """
    with _read_lease(source.descriptor) as lease:
        if lease is _Lease.REFUSED:
            return Removal.HELD_OPEN
        now = os.fstat(source.descriptor)
        if identity_of(now) != source.identity or changed_ns not in {None, now.st_ctime_ns}:
            return Removal.CHANGED
        hidden = _open_hidden(directory)
        try:
            return _move_and_unlink(
                name, source, directory=directory, hidden=hidden, lease=lease, step=step
            )
        finally:
            os.close(hidden)


def is_held_open(descriptor: int) -> bool:
    """Say whether anybody has the file open for writing; False where the kernel cannot tell."""
    with _read_lease(descriptor) as lease:
        return lease is _Lease.REFUSED


def tidy(directory: int) -> None:
    """Remove the hidden folder from the open `directory` if it is empty and can be removed."""
    # A file system that became read-only says so to the next removal, which is where it matters.
    with suppress(OSError):
        os.rmdir(HIDDEN_FOLDER, dir_fd=directory)


def restore_leftovers(directory: int, folder: str) -> Iterator[Leftover]:
    """Put back what a crash left in the hidden folder of the open `directory`."""
    try:
        hidden = os.open(HIDDEN_FOLDER, _FOLDER_FLAGS, dir_fd=directory)
    except OSError:
        # Not there, or not ours: a removal in this folder will say so.
        return
    try:
        for name, aside in _leftovers(hidden):
            restored = False
            with suppress(OSError):
                restored = not aside and _put_back(name, directory, hidden)
            yield Leftover(folder, name, restored)
    finally:
        os.close(hidden)
    tidy(directory)


def restore_tree(root: Path) -> Iterator[Leftover]:
    """Put back what a crash left anywhere below `root`; folders that cannot be read are passed."""
    for folder in _folders(root):
        if folder.name != HIDDEN_FOLDER:
            continue
        home = folder.parent
        with suppress(OSError), _opened(home) as directory:
            yield from restore_leftovers(directory, str(home.relative_to(root)))


def prune_empty(root: Path, *, older_than_seconds: float, now: float) -> int:
    """Remove empty folders that nobody touched for a while, buckets' own folders excepted.

    `now` is in seconds since the epoch. Returns how many were removed.
    """
    removed = 0
    for folder in reversed(list(_folders(root))):
        if folder.parent == root:
            continue
        with suppress(OSError):
            if now - folder.stat().st_mtime >= older_than_seconds:
                folder.rmdir()
                removed += 1
    return removed


def _leftovers(hidden: int) -> list[tuple[str, bool]]:
    """The names in the hidden folder, and of what was set aside there earlier."""
    with os.scandir(hidden) as entries:
        found = sorted(entry.name for entry in entries)
    names = [(name, False) for name in found if not name.startswith(_ASIDE)]
    for folder in (name for name in found if name.startswith(_ASIDE)):
        with suppress(OSError):
            inner = os.open(folder, _FOLDER_FLAGS, dir_fd=hidden)
            try:
                with os.scandir(inner) as entries:
                    names += [(entry.name, True) for entry in entries]
            finally:
                os.close(inner)
    return names


def _folders(root: Path) -> Iterator[Path]:
    """Every folder below `root`, parents before children, links not followed."""
    pending = [root]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                inner = [Path(entry.path) for entry in entries if _is_folder(entry)]
        except OSError:
            continue
        yield from inner
        pending += inner


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, _FOLDER_FLAGS)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


class _Lease(Enum):
    HELD = "held"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"


_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def _move_and_unlink(
    name: str,
    source: PinnedFile,
    *,
    directory: int,
    hidden: int,
    lease: _Lease,
    step: Callable[[str], None],
) -> Removal:
    if _look(name, hidden) is not None:
        return Removal.IN_THE_WAY
    step("hide")
    try:
        os.rename(name, name, src_dir_fd=directory, dst_dir_fd=hidden)
    except FileNotFoundError:
        return Removal.GONE
    step("compare")
    broken = lease is _Lease.HELD and not _still_leased(source.descriptor)
    if broken or _look(name, hidden) != source.identity:
        _put_back(name, directory, hidden)
        return Removal.CHANGED
    step("unlink")
    try:
        os.unlink(name, dir_fd=hidden)
    except OSError:
        _put_back(name, directory, hidden)
        raise
    step("unlinked")
    return Removal.REMOVED


def _open_hidden(directory: int) -> int:
    with suppress(FileExistsError):
        os.mkdir(HIDDEN_FOLDER, 0o700, dir_fd=directory)
    return os.open(HIDDEN_FOLDER, _FOLDER_FLAGS, dir_fd=directory)


def _look(name: str, directory: int) -> FileIdentity | None:
    try:
        return identity_of(os.stat(name, dir_fd=directory, follow_symlinks=False))
    except FileNotFoundError:
        return None


def _put_back(name: str, directory: int, hidden: int) -> bool:
    """Move a file out of the hidden folder unless its place is taken; say whether it moved."""
    try:
        os.link(name, name, src_dir_fd=hidden, dst_dir_fd=directory, follow_symlinks=False)
    except FileExistsError:
        if _look(name, directory) != _look(name, hidden):
            _set_aside(name, hidden)
            return False
        # An earlier attempt ended between these two steps: both names are the same file.
    except FileNotFoundError:
        return True
    except OSError:
        # A folder, or a file system without links: rename, and accept a window without a lock.
        if _look(name, directory) is not None:
            _set_aside(name, hidden)
            return False
        os.rename(name, name, src_dir_fd=hidden, dst_dir_fd=directory)
        return True
    os.unlink(name, dir_fd=hidden)
    return True


def _set_aside(name: str, hidden: int) -> None:
    """Move a file whose place is taken into a folder of its own, out of everybody's way."""
    inode = os.stat(name, dir_fd=hidden, follow_symlinks=False).st_ino
    aside = f"{_ASIDE}{inode}"
    with suppress(FileExistsError):
        os.mkdir(aside, 0o700, dir_fd=hidden)
    os.rename(name, f"{aside}/{name}", src_dir_fd=hidden, dst_dir_fd=hidden)


@contextmanager
def _read_lease(descriptor: int) -> Iterator[_Lease]:
    """Hold the kernel's read lease, which nobody who may write can share (fcntl(2), F_SETLEASE)."""
    if not hasattr(fcntl, "F_SETLEASE"):
        yield _Lease.UNAVAILABLE
        return
    try:
        # The default signal to a holder ends the process; this one is ignored by default.
        fcntl.fcntl(descriptor, _F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        yield _Lease.REFUSED
        return
    except OSError:
        yield _Lease.UNAVAILABLE
        return
    try:
        yield _Lease.HELD
    finally:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)


def _still_leased(descriptor: int) -> bool:
    """Whether no writer has begun to open the file since the lease was taken."""
    return fcntl.fcntl(descriptor, fcntl.F_GETLEASE) == fcntl.F_RDLCK


_F_SETSIG = 10
"""From <bits/fcntl-linux.h>; the standard library does not name it."""
