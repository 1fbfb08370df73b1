"""Reach what lies below a root, part by part, never through a symbolic link.

Every part is opened relative to the descriptor of the part before it with O_NOFOLLOW, so that a
directory that is swapped for a link, even between two looks, leads nowhere. The root itself may be
a link: the operator chose it.
"""

import errno
import os
import stat
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path
from types import TracebackType
from typing import Self

from shared.fswatch.items import Oddity, OddityKind
from shared.fswatch.names import is_utf8, parent_of
from shared.fswatch.stability import FileIdentity, LocalFile

_MOST_OPEN = 16
_ROOT_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_BELOW_FLAGS = _ROOT_FLAGS | os.O_NOFOLLOW
_GONE = frozenset({errno.ENOENT, errno.ESTALE})
_NOT_A_DIRECTORY = frozenset({errno.ELOOP, errno.ENOTDIR})


class Seen(Enum):
    """What a look found where neither a file nor an oddity was."""

    NOTHING = auto()
    DIRECTORY = auto()
    BLOCKED = auto()
    """A part on the way is no directory, for instance a symbolic link to one."""


Look = LocalFile | Oddity | Seen


class Tree:
    """Descriptors of the directories below a root, a few of them kept open.

    The number of open descriptors does not grow with the depth of the tree, and the work for a
    directory beside or below the last one does not either.
    """

    def __init__(self, root: Path) -> None:
        self._root = os.open(root, _ROOT_FLAGS)
        self._open: OrderedDict[str, int] = OrderedDict()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every descriptor; the tree cannot be used any more."""
        while self._open:
            os.close(self._open.popitem()[1])
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def directory(self, path: str) -> int:
        """A descriptor of the directory, good until the next call; OSError where there is none."""
        nearest = path
        while nearest and nearest not in self._open:
            nearest = parent_of(nearest)
        if not nearest:
            descriptor = self._root
        else:
            descriptor = self._open[nearest]
            self._open.move_to_end(nearest)
        if nearest == path:
            return descriptor
        done = nearest
        for name in path[len(nearest) :].lstrip("/").split("/"):
            descriptor = os.open(name, _BELOW_FLAGS, dir_fd=descriptor)
            done = f"{done}/{name}" if done else name
            self._keep(done, descriptor)
        return descriptor

    def _keep(self, path: str, descriptor: int) -> None:
        self._open[path] = descriptor
        if len(self._open) > _MOST_OPEN:
            os.close(self._open.popitem(last=False)[1])

    def look(self, path: str) -> Look:
        """What is at the path now."""
        directory, _, name = path.rpartition("/")
        try:
            status = os.stat(name or ".", dir_fd=self.directory(directory), follow_symlinks=False)
        except OSError as error:
            return look_failed(path, error)
        return classify(path, status)


def look_at(root: Path, paths: Sequence[str]) -> list[tuple[str, Look]]:
    """One look at each path, in the order of the paths; nothing anywhere if the root is gone.

    Blocks: for a worker thread.
    """
    with suppress(OSError), Tree(root) as tree:
        return [(path, tree.look(path)) for path in sorted(paths)]
    return [(path, Seen.NOTHING) for path in sorted(paths)]


def classify(path: str, status: os.stat_result) -> Look:
    """What an entry with this status is to us."""
    mode = status.st_mode
    if stat.S_ISDIR(mode):
        return Seen.DIRECTORY
    if not is_utf8(path):
        return Oddity(path, OddityKind.NOT_UTF8, "the name is not valid UTF-8")
    if stat.S_ISREG(mode):
        identity = FileIdentity(
            device=status.st_dev,
            inode=status.st_ino,
            size=status.st_size,
            mtime_ns=status.st_mtime_ns,
        )
        return LocalFile(path, identity)
    if stat.S_ISLNK(mode):
        return Oddity(path, OddityKind.SYMLINK, "symbolic links are not followed")
    return Oddity(path, OddityKind.SPECIAL, f"{_special_name(mode)} is not a regular file")


def look_failed(path: str, error: OSError) -> Look:
    """What an entry is to us that did not let itself be looked at."""
    if error.errno in _GONE:
        return Seen.NOTHING
    if error.errno in _NOT_A_DIRECTORY:
        return Seen.BLOCKED
    return Oddity(path, OddityKind.UNREADABLE_FILE, reason_of(error))


def _special_name(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return "a named pipe"
    return "a socket" if stat.S_ISSOCK(mode) else "a device"


def is_gone(error: OSError) -> bool:
    """Whether a directory that was there a moment ago vanished or was replaced: nobody's fault."""
    return error.errno in _GONE or error.errno in _NOT_A_DIRECTORY


def reason_of(error: OSError) -> str:
    """What the system answered, for people."""
    return (error.strerror or str(error)).lower()
