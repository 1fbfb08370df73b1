"""The folder in which a demonstration works and which it leaves to be looked at.

Rule: nothing is emptied that no demonstration made; a marker file tells.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import UsageError
from shared.lock import hold_lock

MARKER = ".towpath-demo"
_MEANING = "This folder belongs to `make demo`, which empties it when it starts.\n"


@contextmanager
def open_workspace(folder: Path) -> Iterator[Path]:
    """Make or empty the folder and hold a lock on it.

    Raises:
        UsageError: the folder holds something and is not ours.
        AlreadyRunning: another demonstration works in it.
    """
    if not folder.is_dir() and (folder.exists() or folder.is_symlink()):
        raise UsageError(f"{str(folder)!r} is not a folder; move it away or name another one")
    folder.mkdir(parents=True, exist_ok=True)
    marker = folder / MARKER
    if not marker.is_file() and any(folder.iterdir()):
        raise UsageError(f"{str(folder)!r} was not made by a demo; move it away or name another")
    marker.write_text(_MEANING)
    with hold_lock(folder):
        _empty(folder)
        yield folder.resolve()


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.name == MARKER:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
