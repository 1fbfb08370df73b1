"""Phases 0, 0.5 and 3 as their sync reports tell them. Pure.

| the report                                     | the phase                                   |
|------------------------------------------------|---------------------------------------------|
| a folder was not listed, manifest unreadable   | failed                                      |
| files failed                                   | partial, each by name                       |
| names that cannot be, changes meanwhile        | warnings                                    |
| conflicts that this direction leaves           | warnings                                    |
"""

from collections.abc import Collection
from dataclasses import dataclass

from daemons.ingester.archive.folders import INDEXED, Folder, folder_of
from daemons.ingester.phases.outcome import Outcome
from daemons.ingester.syncing.compare import Direction, State
from daemons.ingester.syncing.gap import Part
from daemons.ingester.syncing.report import SyncReport

_TRANSCRIBED_FROM = (Folder.AUDIO, Folder.TRANSCRIPTS)


@dataclass(frozen=True, slots=True)
class NotHere:
    """What S3 has, or may have, and we lack: it is neither fetched elsewhere nor made anew."""

    paths: Collection[str] = frozenset()
    folders: Collection[Folder] = frozenset()
    """Folders of which nobody knows what S3 has in them."""


def outcome_of(report: SyncReport) -> Outcome:
    """Return how a direction ended, as a phase."""
    outcome = Outcome(problems=report.failures)
    for notes in (report.skipped, report.deferred, report.conflicts):
        outcome.warnings.extend(notes)
    reasons = [f"{folder.value}: {reason}" for folder, reason in report.unlisted.items()]
    if report.blocked:
        reasons.append(report.blocked)
    outcome.fatal = "; ".join(reasons)
    return outcome


def not_here(report: SyncReport) -> NotHere:
    """Return what must not be made here, judged by how both sides stand after phase 0."""
    paths: set[str] = set()
    for folder in _TRANSCRIBED_FROM:
        paths.update(report.gap.parts[Part.S3_ONLY][folder])
    paths.update(note.path for note in report.failures.named)
    paths.update(note.path for note in report.deferred.named)
    return NotHere(frozenset(paths), frozenset(report.unlisted))


def missing_here(report: SyncReport) -> int:
    """Count what S3 had and we lacked before anything was moved."""
    return report.total(State.ONLY_S3)


def to_upload(report: SyncReport) -> int:
    """Count what phase 3 would send, judged by the comparison of phase 0."""
    return sum(
        report.total(state) for state in (State.ONLY_LOCAL, State.LOCAL_NEWER, State.TO_MERGE)
    )


def why_not_moved(report: SyncReport, path: str) -> str:
    """Say why a path is not in step; empty where nothing is known against it."""
    for notes in (report.failures, report.deferred, report.conflicts):
        for note in notes.named:
            if note.path == path:
                return note.reason
    folder = folder_of(path)
    return "" if folder is None else report.unlisted.get(folder, "")


def needs_index(report: SyncReport) -> bool:
    """Say whether an upload, or the plan of one, makes a new index necessary."""
    if report.direction is not Direction.PUSH:
        return False
    return any(counts.moved for folder, counts in report.folders.items() if folder in INDEXED)
