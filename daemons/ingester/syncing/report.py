"""What a sync did to a site: exact counts, and what has to be named, up to a bound. Pure.

| status    | because                                                                  |
|-----------|--------------------------------------------------------------------------|
| `failed`  | a folder could not be listed, or the manifest is unreadable              |
| `partial` | some files failed; the others are in step                                |
| `ok`      | nothing failed; names that cannot be, and changes meanwhile, are warnings|
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from daemons.ingester.archive.folders import Folder
from daemons.ingester.archive.manifest import Dropped
from daemons.ingester.notes import Notes
from daemons.ingester.syncing.compare import Action, Direction, State
from daemons.ingester.syncing.gap import GapReport, TextList


class SyncStatus(Enum):
    """How a sync ended."""

    OK = "ok"
    PARTIAL = "partial"
    FAILED = "failed"


class Fate(Enum):
    """What becomes of a path that could not be moved."""

    FAILED = "failed"
    """An error of the phase; the next run tries again."""
    SKIPPED = "skipped"
    """It cannot be moved, ever, as long as it has this name: a warning."""
    DEFERRED = "deferred"
    """It changed meanwhile: a warning, and the next run compares anew."""


class Outcome(Enum):
    """What a merge of manifests came to."""

    COPIED = "copied from S3"
    KEPT = "kept"
    MERGED = "merged"


@dataclass(frozen=True, slots=True)
class ManifestNews:
    """What was done about the manifest."""

    outcome: Outcome
    uploaded: bool = False
    renumbered: int = 0
    """Entries of S3's manifest that have another number now: their public links have moved."""
    dropped: tuple[Dropped, ...] = ()
    """Entries that gave way to another one with the same audio URL; their files stay."""
    size: int = 0
    """Bytes sent or received."""


@dataclass(slots=True)
class FolderCounts:
    """The paths of one folder, as they were before anything was moved."""

    states: dict[State, int] = field(default_factory=dict)
    local_files: int = 0
    """Files here, after what was downloaded."""
    moved: int = 0
    """Files downloaded or uploaded by this run; planned ones in a dry run."""
    moved_bytes: int = 0

    def of(self, state: State) -> int:
        """Return how many paths were in a state."""
        return self.states.get(state, 0)


@dataclass(slots=True)
class SyncReport:
    """One direction's run over one site."""

    site_id: str
    direction: Direction | None
    """None where it only looked."""
    gap: GapReport
    """How both sides stand after the run."""
    folders: dict[Folder, FolderCounts] = field(default_factory=dict)
    failures: Notes = field(default_factory=Notes)
    skipped: Notes = field(default_factory=Notes)
    deferred: Notes = field(default_factory=Notes)
    conflicts: Notes = field(default_factory=Notes)
    """Paths that differ and that this direction left as they are."""
    unlisted: dict[Folder, str] = field(default_factory=dict)
    """Folders that could not be listed to their end, and why: what S3 has there is not known."""
    blocked: str = ""
    """Why the site cannot go on: its manifest is unreadable."""
    manifest: ManifestNews | None = None
    planned: TextList = field(default_factory=TextList)
    """What a dry run would do, a line each."""
    earlier_files: int = 0
    """Uploaded files that the caller did not name as made by this run."""

    @property
    def status(self) -> SyncStatus:
        """How it ended."""
        if self.unlisted or self.blocked:
            return SyncStatus.FAILED
        return SyncStatus.PARTIAL if self.failures.count else SyncStatus.OK

    @property
    def moved(self) -> int:
        """Files that were moved."""
        return sum(counts.moved for counts in self.folders.values())

    @property
    def planned_paths(self) -> set[str]:
        """Paths that a dry run would move."""
        return {line.partition(" ")[2] for line in self.planned}

    @property
    def moved_bytes(self) -> int:
        """Their bytes."""
        return sum(counts.moved_bytes for counts in self.folders.values())

    @property
    def had_previous_files(self) -> bool:
        """Whether something uploaded was not made by this run."""
        return self.earlier_files > 0

    def total(self, state: State) -> int:
        """Return how many paths of all folders were in a state before anything was moved."""
        return sum(counts.of(state) for counts in self.folders.values())

    def upload_counts(self) -> Mapping[str, int]:
        """Return the counts of a push under the names of the run's summary."""
        counts = {name: self._moved_in(folder) for name, folder in _COUNT_NAMES.items()}
        return {**counts, "totalFilesSynced": self.moved}

    def note(self, path: str, fate: Fate, reason: str) -> None:
        """Note what could not be moved."""
        {Fate.FAILED: self.failures, Fate.SKIPPED: self.skipped, Fate.DEFERRED: self.deferred}[
            fate
        ].add(path, reason)

    def plan(self, action: Action, path: str) -> None:
        """Note what a dry run would do."""
        self.planned.append(f"{action.value} {path}")

    def _moved_in(self, folder: Folder) -> int:
        counts = self.folders.get(folder)
        return 0 if counts is None else counts.moved


_COUNT_NAMES = {
    "audioFilesSynced": Folder.AUDIO,
    "transcriptFilesSynced": Folder.TRANSCRIPTS,
    "searchEntryFilesSynced": Folder.SEARCH_ENTRIES,
    "manifestFilesSynced": Folder.MANIFEST,
    "rssFilesSynced": Folder.RSS,
}
NO_UPLOADS: Mapping[str, int] = dict.fromkeys((*_COUNT_NAMES, "totalFilesSynced"), 0)
"""The counts of a push that did not take place."""
