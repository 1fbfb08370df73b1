"""Work folders: one for each episode under way, gone afterwards, also when it failed.

A folder is locked for as long as its process lives. What a killed run left is removed by a later
one, once it is two hours old and nobody holds its lock. These calls block.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from shared.files import make_folders

PREFIX = "speech-"
DEAD_AFTER = timedelta(hours=2)


@contextmanager
def open_workspace(work: Path) -> Iterator[Path]:
    """Make a folder in `work`, and remove it with all that is in it."""
    make_folders(work)
    folder = work / f"{PREFIX}{os.getpid()}-{secrets.token_hex(6)}"
    folder.mkdir(mode=0o700)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(descriptor)
        shutil.rmtree(folder, ignore_errors=True)


def remove_dead_workspaces(work: Path, now: datetime) -> int:
    """Remove what killed runs left in `work`; returns how many folders."""
    try:
        folders = sorted(work.glob(f"{PREFIX}*"))
    except OSError:
        return 0
    removed = 0
    for folder in folders:
        if _is_dead(folder, now):
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
    return removed


def _is_dead(folder: Path, now: datetime) -> bool:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        age = now.timestamp() - os.fstat(descriptor).st_mtime
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return age >= DEAD_AFTER.total_seconds()
