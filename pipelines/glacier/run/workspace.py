"""The folder of one run: its own, and removed whatever happens, by the next run at the latest.

A container that stays warm keeps its disk, and one that was killed could not tidy up. Each run
holds a lock on its folder for as long as it lives, so that a leftover is told from a run beside us.
Blocking: call these in a thread.
"""

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog
from structlog.typing import FilteringBoundLogger

from pipelines.glacier.satellite import SatelliteName
from shared.errors import TransientError
from shared.files import ready_folder

log: FilteringBoundLogger = structlog.get_logger()

_PREFIX = "run-"
_TRIES = 20


class NoFolder(TransientError):
    """Somebody removes what we make."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """The places of one run."""

    root: Path
    output: Path
    """Ends in the satellite's name; everything in it goes to the bucket."""
    events: Path
    finished: Path
    report: Path
    """What the step's process used and said."""
    temporary: Path
    descriptor: int
    """Holds the lock."""

    def free_bytes(self) -> int:
        """Return how much may still be written."""
        return shutil.disk_usage(self.root).free

    def remove(self) -> None:
        """Remove the folder; what cannot be removed is left for the next run, and told."""
        _remove(self.root)
        os.close(self.descriptor)


def make_workspace(folder: Path, satellite: SatelliteName) -> Workspace:
    """Remove what dead runs left below `folder`, and make a new run's place there.

    Raises:
        UsageError: the folder cannot be made or written.
        OSError: the disk refuses.
    """
    ready_folder(folder, "working folder", mode=0o700)
    for leftover in folder.glob(f"{_PREFIX}*"):
        _remove_dead(leftover)
    root, descriptor = _make_own(folder)
    workspace = Workspace(
        root,
        output=root / satellite,
        events=root / "events.jsonl",
        finished=root / "finished.jsonl",
        report=root / "step.json",
        temporary=root / "tmp",
        descriptor=descriptor,
    )
    for made in (workspace.output, workspace.temporary):
        made.mkdir()
    return workspace


def _make_own(folder: Path) -> tuple[Path, int]:
    """Make a folder and lock it.

    Between the two another run may take it for a leftover and remove it; then there is a next one.
    """
    for _ in range(_TRIES):
        root = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=folder))
        try:
            descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if root.exists():
                return root, descriptor
        os.close(descriptor)
    raise NoFolder(f"each new folder below {str(folder)!r} is removed at once; who does that?")


def _remove_dead(leftover: Path) -> None:
    try:
        descriptor = os.open(leftover, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        # It has just gone, or it is no folder of ours.
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    else:
        _remove(leftover)
        log.info("leftover_removed", path=str(leftover))
    finally:
        os.close(descriptor)


def _remove(folder: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(folder, onerror=_told)


def _told(_function: object, path: str, failure: object) -> None:
    error = failure[1] if isinstance(failure, tuple) else failure
    if not isinstance(error, FileNotFoundError):
        log.warning("leftover_not_removed", path=path, reason=str(error))
