"""Why everything waits: what is wrong is around the CIDs, and each of them would fare the same.

    DispatchHalted          the next pass may succeed; a daemon goes on, a single pass ends by it
      StepUnusable          exit 2: the seed step cannot be started
      StepLacksCredentials  exit 3: it says so
      StepFindsNothing      exit 6: it cannot reach what it needs
      FolderUnusable        exit 2: a folder cannot be read or written
      DiskFull              exit 7: no room for seeds or records
      Overtaken             exit 1: somebody else changes the very job

Errors of S3 and of the ledger are of the same kind, and have types of their own.
"""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar, TypeVarTuple

from anyio import to_thread

from shared.errors import ExitStatus, TransientError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

Given = TypeVarTuple("Given")
Done = TypeVar("Done")


class DispatchHalted(TransientError):
    """Nothing can be sent until this is mended; no CID is blamed."""


class StepUnusable(DispatchHalted):
    """The seed step cannot be started."""

    status = ExitStatus.USAGE


class StepLacksCredentials(DispatchHalted):
    """The seed step says that it has no credentials."""

    status = ExitStatus.CREDENTIALS


class StepFindsNothing(DispatchHalted):
    """The seed step says that something it needs cannot be reached."""

    status = ExitStatus.UNREACHABLE


class FolderUnusable(DispatchHalted):
    """A folder of the project cannot be used as it has to be."""

    status = ExitStatus.USAGE


class Overtaken(DispatchHalted):
    """Somebody else changes the very job in hand."""


class DiskFull(DispatchHalted):
    """There is no room on the disk."""

    status = ExitStatus.SAFETY_STOP


def step_halt(status: int, reason: str) -> DispatchHalted:
    """Return what a step's end means for everything."""
    kinds: dict[int, type[DispatchHalted]] = {
        ExitStatus.CREDENTIALS: StepLacksCredentials,
        ExitStatus.UNREACHABLE: StepFindsNothing,
        ExitStatus.SAFETY_STOP: DiskFull,
    }
    return kinds.get(status, StepUnusable)(reason)


@contextmanager
def disk_errors() -> Iterator[None]:
    """Say in the suite's words what the file system refuses."""
    try:
        yield
    except OSError as error:
        where = f"{str(error.filename)!r}: " if error.filename else ""
        said = f"{where}{(error.strerror or str(error)).lower()}"
        if error.errno in _FULL:
            raise DiskFull(f"{said}; make room, it goes on by itself") from error
        raise FolderUnusable(f"{said}; mend it, or name another in the settings") from error


async def on_disk(call: Callable[[*Given], Done], *arguments: *Given) -> Done:
    """Do something that blocks on the file system, in a thread."""
    with disk_errors():
        return await to_thread.run_sync(call, *arguments)
