"""Know whether the root is there, and whether it is still the same directory."""

import os
from enum import Enum, auto
from pathlib import Path

from shared.fswatch.tree import reason_of

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class RootState(Enum):
    """What a look at the root found."""

    SAME = auto()
    ANOTHER = auto()
    """It appeared, or another directory took its place."""
    MISSING = auto()


class RootGuard:
    """Remembers which directory the root was.

    It holds a descriptor of that directory: the file system may give the inode number of a removed
    directory to the next one at once, but not while it is open.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._descriptor = -1
        self.missing_reason = ""
        """Why the root counts as missing, for people."""

    def check(self) -> RootState:
        """Look at the root; blocks, for a worker thread."""
        try:
            descriptor = os.open(self._root, _FLAGS)
        except OSError as error:
            self.close()
            self.missing_reason = reason_of(error)
            return RootState.MISSING
        if self._descriptor >= 0 and os.path.sameopenfile(self._descriptor, descriptor):
            os.close(descriptor)
            return RootState.SAME
        self.close()
        self._descriptor = descriptor
        return RootState.ANOTHER

    def close(self) -> None:
        """Forget the directory."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
