"""Names of files that are being written, and the removal of those whose writer is gone.

Rule: a file has its own name only when it is whole. Several runs may write into one folder, windows
of one region's days for instance, so a draft says who writes it, and is removed only when that
process is known to be gone.
"""

import os
import re
import secrets
import socket
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shared.files import TEMPORARY_SUFFIX, fsync_directory

_FORGOTTEN_SECONDS = 24 * 3600.0
"""Nobody writes one file for so long; the writer may have been another machine's."""
_STEM_MAX = 150
_DRAFT = re.compile(r"\..+\.([0-9a-f]{8})-([0-9]{1,10})\.[0-9a-f]{8}" + re.escape(TEMPORARY_SUFFIX))


@contextmanager
def draft_of(target: Path) -> Iterator[Path]:
    """Give a name to write under; the file gets its own, durably, when the block ends well.

    Whatever has the name by then is replaced. A draft that the block itself has removed is left
    at that.
    """
    draft = draft_name(target)
    try:
        yield draft
        if draft.exists():
            _sync(draft)
            draft.replace(target)
            fsync_directory(target.parent)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()


def draft_name(target: Path) -> Path:
    """Return a name beside the target that nobody has."""
    writer = f"{_machine()}-{os.getpid()}.{secrets.token_hex(4)}"
    return target.with_name(f".{target.name[:_STEM_MAX]}.{writer}{TEMPORARY_SUFFIX}")


def remove_stale(folder: Path, now: float) -> list[Path]:
    """Remove what crashed writers left in a folder (`now` in seconds of the epoch)."""
    removed = []
    for path in sorted(folder.glob(f".*{TEMPORARY_SUFFIX}")):
        with suppress(FileNotFoundError):
            if _is_stale(path, now):
                path.unlink()
                removed.append(path)
    return removed


def _is_stale(path: Path, now: float) -> bool:
    found = _DRAFT.fullmatch(path.name)
    if found is not None and found[1] == _machine():
        return not _lives(int(found[2]))
    return now - path.stat().st_mtime > _FORGOTTEN_SECONDS


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _machine() -> str:
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
