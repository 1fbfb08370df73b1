"""Older versions of episodes go, in S3 and then here: `--prune-superseded`, never otherwise.

| a file of an older version                                   | then                            |
|--------------------------------------------------------------|---------------------------------|
| has become current, or is not there any more                 | nothing                         |
| has an entry in the manifest                                 | kept: its audio would come back |
| the newer one has none                                       | kept                            |
| the newer one lacks audio, transcript or entries, here or S3 | kept until it has them          |
| S3 refuses                                                   | kept here too: a problem        |
| anything else                                                | deleted in S3, then here        |

Nothing brings a deleted object back, so all of this is looked up anew, whatever the caller has
found before. Killed in between, a file that is gone from S3 is still here: the next run uploads it,
finds it superseded again, and deletes both.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import structlog
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

from daemons.ingester.archive.folders import audio_path, search_entries_path, transcript_path
from daemons.ingester.archive.holdings import (
    Holdings,
    Identity,
    by_identity,
    older_versions,
)
from daemons.ingester.mirror.inventory import read_holdings
from daemons.ingester.mirror.manifest_file import load_manifest
from daemons.ingester.notes import Notes
from daemons.ingester.syncing.place import SitePlace
from daemons.ingester.syncing.transfer import no_step
from shared.errors import SuiteError
from shared.files import contained, fsync_directory
from shared.s3.errors import NotFound, ObjectError
from shared.s3.store import ObjectStore
from shared.s3.uri import S3Uri

log: FilteringBoundLogger = structlog.get_logger()


@dataclass(slots=True)
class PruneReport:
    """What became of the files of older versions."""

    count: int = 0
    """Files deleted, here and in S3."""
    problems: Notes = field(default_factory=Notes)
    kept: Notes = field(default_factory=Notes)
    """Files that stay, and why."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An older version that nothing here speaks for."""

    current: Identity
    names: tuple[str, ...]
    """Its files that may go, as the disk calls them."""


async def prune_superseded(
    place: SitePlace,
    store: ObjectStore,
    paths: Collection[str],
    *,
    step: Callable[[str], None] = no_step,
) -> PruneReport:
    """Delete those of `paths` that are files of older versions, where all of it is certain.

    Raises:
        ManifestUnreadable, LocalListingFailed: nothing is certain, and nothing was deleted.
    """
    report = PruneReport()
    if not paths:
        return report
    for candidate in await to_thread.run_sync(_look, place, frozenset(paths), report):
        try:
            missing = await _missing_in_s3(place, store, candidate.current)
        except ObjectError as error:
            _note_all(report.problems, candidate.names, str(error))
            continue
        if missing:
            _note_all(report.kept, candidate.names, f"S3 lacks {missing!r} of the newer version")
            continue
        for name in candidate.names:
            try:
                await store.delete(S3Uri(place.bucket, name))
                step("deleted_in_s3")
                await to_thread.run_sync(_delete_here, place, name)
                step("deleted_here")
            except (SuiteError, OSError) as error:
                report.problems.add(name, str(error))
            else:
                report.count += 1
                log.info("superseded_file_deleted", path=name, newer=candidate.current[1])
    return report


def _look(place: SitePlace, paths: Collection[str], report: PruneReport) -> list[_Candidate]:
    """Return what may go as far as can be told here."""
    entries = by_identity(load_manifest(place).episodes)
    holdings = read_holdings(place.root)
    candidates = []
    for identity, current in older_versions(holdings.identities(), entries.keys()).items():
        names = tuple(name for name in holdings.names(identity) if name in paths)
        if not names:
            continue
        if reason := _reason_to_keep(identity, current, holdings, entries):
            _note_all(report.kept, names, reason)
        else:
            candidates.append(_Candidate(current, names))
    return candidates


def _reason_to_keep(
    identity: Identity,
    current: Identity,
    holdings: Holdings,
    entries: Collection[Identity],
) -> str:
    if identity in entries:
        return "it has an entry in the manifest; its audio would be downloaded again"
    if current not in entries:
        return f"the newer version {current[1]!r} has no entry in the manifest"
    if not holdings.is_complete(current):
        return f"the newer version {current[1]!r} lacks audio, transcript or search entries here"
    return ""


async def _missing_in_s3(place: SitePlace, store: ObjectStore, current: Identity) -> str:
    """Return the first file of a version that S3 lacks, "" where it has all."""
    for key in (audio_path(*current), transcript_path(*current), search_entries_path(*current)):
        try:
            info = await store.head(S3Uri(place.bucket, key))
        except NotFound:
            return key
        if info.size == 0:
            return key
    return ""


def _delete_here(place: SitePlace, name: str) -> None:
    target = contained(place.root, name)
    target.unlink(missing_ok=True)
    fsync_directory(target.parent)


def _note_all(notes: Notes, names: Collection[str], reason: str) -> None:
    for name in names:
        notes.add(name, reason)
        log.warning("superseded_file_kept", path=name, reason=reason)
