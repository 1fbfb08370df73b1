"""What the watch tells of the folder of positions, kept up to date between two passes."""

import shlex
from collections.abc import Callable
from collections.abc import Set as AbstractSet

import structlog
from structlog.typing import FilteringBoundLogger

from daemons.dispatcher.backlog import Backlog
from daemons.dispatcher.plan import MISNAMED, chunk_cid
from shared.fswatch.items import (
    Candidates,
    Noticed,
    RootMissing,
    ScanFinished,
    StillChanging,
    WatchItem,
)
from shared.fswatch.names import printable

log: FilteringBoundLogger = structlog.get_logger()


def missing_positions(root: str, reason: str) -> str:
    """Say what to do where there is no folder of positions."""
    made = shlex.quote(root)
    return (
        f"the folder of positions {root!r}: {reason}; "
        f"start it in the project's root, or make it: mkdir -p {made}"
    )


class Lookout:
    """Turns the watch's items into a backlog; `news` is called when a pass is worth while."""

    def __init__(self, news: Callable[[], None] = lambda: None) -> None:
        self.backlog = Backlog()
        self.done: set[str] = set()
        """CIDs whose chunks need no look any more; the watch reads it while it scans."""
        self.missing = ""
        """Why there is no folder of positions; empty when there is one."""
        self.has_looked = False
        """A whole scan has been seen: what is known is what there is."""
        self._news = news
        self._misnamed: AbstractSet[str] = frozenset()

    def are_done(self, cids: AbstractSet[str]) -> None:
        """These CIDs, and no others, need nothing any more."""
        # In place: the watch holds this very set.
        self.done |= cids
        self.done &= cids

    def are_misnamed(self, names: AbstractSet[str]) -> None:
        """Say of each of these files, once while it lies there, that it is no chunk."""
        for name in sorted(names - self._misnamed):
            log.warning("chunk_misnamed", file=printable(name), reason=MISNAMED)
        self._misnamed = names

    def see(self, item: WatchItem) -> None:
        """Take in what the watch tells."""
        match item:
            case Candidates(files=files):
                if self.backlog.take(files) and self.has_looked:
                    self._news()
            case ScanFinished():
                self.backlog.end_scan()
                self.missing = ""
                self._looked()
            case RootMissing(root, reason):
                self.missing = missing_positions(root, reason)
                log.warning("positions_missing", path=root, reason=reason)
                self.backlog.forget_all()
                self._looked()
            case StillChanging(path) if cid := chunk_cid(path):
                log.warning("chunk_still_changing", cid=cid)
            case Noticed(oddity) if cid := chunk_cid(oddity.path):
                log.warning("chunk_skipped", cid=cid, reason=oddity.reason)

    def _looked(self) -> None:
        if not self.has_looked:
            self.has_looked = True
            self._news()
