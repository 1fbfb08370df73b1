"""Why a pass ends before its CIDs do: what is wrong is around them, and each would fare the same.

WatcherHalted           the next pass may succeed; a single pass ends by it
  CommandUnusable       exit 2: a step cannot be started as it is configured
  StepLacksCredentials  exit 3: a step says so
  StepUnreachable       exit 6: something that a step, or we, need does not answer
  DiskFull              exit 7: no room for a CID's files
"""

from shared.errors import ExitStatus, TransientError


class WatcherHalted(TransientError):
    """Nothing can be done until this is mended; no CID is blamed."""


class CommandUnusable(WatcherHalted):
    """A step cannot be started as it is configured."""

    status = ExitStatus.USAGE


class StepLacksCredentials(WatcherHalted):
    """A step says that it has no credentials."""

    status = ExitStatus.CREDENTIALS


class StepUnreachable(WatcherHalted):
    """Something that is needed does not answer."""

    status = ExitStatus.UNREACHABLE


class DiskFull(WatcherHalted):
    """There is no room on the disk."""

    status = ExitStatus.SAFETY_STOP


_KINDS: dict[int, type[WatcherHalted]] = {
    kind.status: kind for kind in (CommandUnusable, StepLacksCredentials, StepUnreachable, DiskFull)
}


def halt_of(status: int, reason: str) -> WatcherHalted:
    """Return what ends the pass."""
    return _KINDS.get(status, WatcherHalted)(reason)
