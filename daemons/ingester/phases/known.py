"""What one phase of a site leaves for the later ones; in a dry run, what it would leave. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from daemons.ingester.archive.folders import INDEXED, folder_of
from daemons.ingester.archive.manifest import Manifest
from daemons.ingester.phases.copying import NotHere, needs_index
from daemons.ingester.syncing.compare import Action
from daemons.ingester.syncing.report import SyncReport


@dataclass(slots=True)
class Known:
    """What one phase leaves for the later ones."""

    halt: str = ""
    """Why the site is blocked."""
    synced: SyncReport | None = None
    """How both sides stand after phase 0."""
    away: NotHere = field(default_factory=NotHere)
    manifest: Manifest | None = None
    """In a dry run: what the phases so far would leave here."""
    made: set[str] = field(default_factory=set)
    """Paths that this run has written; in a dry run those that it would have."""
    pushed: SyncReport | None = None
    foreseen: Sequence[str] = ()
    """In a dry run: what phase 3 would upload besides, since it would be here by then."""
    unbuilt: str = ""
    """Why the local index was not built."""

    def foresee(self) -> Sequence[str]:
        """Note what is not here yet and would be uploaded; returns a line each."""
        planned = set() if self.pushed is None else self.pushed.planned_paths
        self.foreseen = sorted(self.made - planned)
        return [f"{Action.UPLOAD.value} {path}" for path in self.foreseen]

    @property
    def replaced(self) -> Collection[str]:
        """In a dry run: what phase 0 would have replaced here."""
        return () if self.synced is None else self.synced.planned_paths

    @property
    def uploaded(self) -> bool:
        """Whether anything was uploaded, or would be."""
        return bool(self.foreseen) or (self.pushed is not None and self.pushed.moved > 0)

    @property
    def makes_index_old(self) -> bool:
        """Whether what was uploaded, or would be, has a part in the index."""
        if self.pushed is not None and needs_index(self.pushed):
            return True
        return any(folder_of(path) in INDEXED for path in self.foreseen)
