"""Files that cannot go anywhere for a reason of their own, and when to look at one again.

Only causes in the file itself park it: it cannot be read, or its name cannot be a key. What is
wrong with a bucket, with credentials or with the network never does.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

_REMEMBERED_MAX = 100_000


@dataclass(frozen=True, slots=True)
class ParkedFile:
    """One parked file."""

    path: str
    reason: str
    since: datetime
    stamp: tuple[int, int, int, int] | None
    """Device, inode, size and change time: a chmod counts as a change. None: could not be read."""


class ParkedFiles:
    """The parked files of one root; a bounded memory, rebuilt by the first scan after a start."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files: dict[str, ParkedFile] = {}

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[ParkedFile]:
        return iter(self._files.values())

    def park(self, path: str, reason: str, now: datetime) -> bool:
        """Park a file; False when it is parked for the same reason already."""
        known = self._files.get(path)
        if known is not None and known.reason == reason:
            return False
        if len(self._files) < _REMEMBERED_MAX:
            self._files[path] = ParkedFile(path, reason, now, self._stamp(path))
        return True

    def holds(self, path: str) -> bool:
        """Say whether a file is parked and has not changed since; a changed one is let go."""
        parked = self._files.get(path)
        if parked is None:
            return False
        if parked.stamp != self._stamp(path):
            del self._files[path]
            return False
        return True

    def release_all(self) -> int:
        """Let every file go, so that the next pass tries them; return how many."""
        count = len(self._files)
        self._files.clear()
        return count

    def end_pass(self) -> None:
        """Forget the files that are gone or have changed.

        Which of them a scan met is no measure: what cannot be a candidate is told of only once.
        """
        self._files = {
            path: file for path, file in self._files.items() if file.stamp == self._stamp(path)
        }

    def _stamp(self, path: str) -> tuple[int, int, int, int] | None:
        try:
            status = os.lstat(self._root / path)
        except OSError:
            return None
        return status.st_dev, status.st_ino, status.st_size, status.st_ctime_ns
