"""Phase 2.5: the search entries of every transcript that counts, as they must be today.

| transcript                                     | its search entries                              |
|------------------------------------------------|-------------------------------------------------|
| has a newer version                            | stay as they are                                |
| has no entry in the manifest                   | stay: a warning, nothing could link to them     |
| counts, and the entries are what it gives      | stay, not even touched                          |
| counts, and they are missing or anything else  | written anew                                    |

What a transcript gives depends on its text, the episode's number and its time of publication: an
older episode that appears moves the numbers of all later ones. Rule: whoever builds an index trusts
what lies here, so it is compared byte for byte; a transcript at a time is in memory. What was
compared once and is untouched since, by all that the kernel says of both files, is not read again:
a thousand episodes would take a minute, every night.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import structlog
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

from daemons.ingester.archive.episode import Episode, epoch_ms
from daemons.ingester.archive.folders import (
    Folder,
    comparable,
    episode_path,
    search_entries_path,
)
from daemons.ingester.archive.holdings import by_identity, older_versions
from daemons.ingester.archive.manifest import Manifest
from daemons.ingester.mirror.episode_entries import expected_entries, published_at
from daemons.ingester.mirror.files import write_site_file
from daemons.ingester.mirror.inventory import read_folder
from daemons.ingester.mirror.manifest_file import load_manifest
from daemons.ingester.phases.outcome import Outcome
from daemons.ingester.project.sites import Site
from daemons.ingester.syncing.entries import LocalEntry
from daemons.ingester.syncing.local import find_entry
from daemons.ingester.syncing.manifests import ManifestUnreadable
from daemons.ingester.syncing.place import SitePlace
from daemons.ingester.syncing.proofs import Proofs
from daemons.ingester.syncing.transfer import is_full, named, no_step
from shared.errors import SuiteError
from shared.files import contained, make_folders

log: FilteringBoundLogger = structlog.get_logger()

TOGETHER = 16
"""Transcripts that one thread goes through before the loop hears of it."""
PROOFS_NAME = "entries.sqlite"
"""In the site's state folder: which files of search entries were compared with what."""
_RECALLED = 1000
_STEP_PERCENT = 5


@dataclass(slots=True)
class EntriesReport:
    """What phase 2.5 did to a site."""

    outcome: Outcome = field(default_factory=Outcome)
    written: int = 0
    made: set[str] = field(default_factory=set)
    """Paths written, relative to the site; in a dry run those that would be."""
    planned: list[str] = field(default_factory=list)
    """What a dry run would do, a line each."""

    def plan(self, path: str) -> None:
        """Note what a dry run would write."""
        self.planned.append(f"write {path}")
        self.made.add(path)


@dataclass(frozen=True, slots=True)
class EntriesPreview:
    """What a dry run knows of the phases before this one."""

    manifest: Manifest | None = None
    """The one that they would leave here; None for the one that is here."""
    coming: Collection[str] = ()
    """Transcripts that they would make, among other paths."""
    replaced: Collection[str] = ()
    """Paths that S3 has newer: what they would be then is not known."""


@dataclass(frozen=True, slots=True)
class Source:
    """A transcript that counts."""

    episode: Episode
    transcript: LocalEntry
    existing: LocalEntry | None
    """Its search entries, where there are any."""

    @property
    def target(self) -> str:
        """Where its search entries lie, or will, as the disk calls it."""
        if self.existing is not None:
            return self.existing.name
        return search_entries_path(*self.episode.identity)

    def proof(self) -> str:
        """Return all that its search entries depend on; equal proofs mean equal entries."""
        identity = self.transcript.identity
        at = published_at(self.episode)
        facts = (
            _program(),
            self.episode.sequential_id,
            at and epoch_ms(at),
            *(identity.size, identity.mtime_ns, self.transcript.changed_ns, identity.inode),
        )
        return " ".join(map(str, facts))


@cache
def _program() -> str:
    """Return which program compares: another one may make other entries of a transcript."""
    return version("towpath")


async def write_entries(
    site: Site,
    place: SitePlace,
    *,
    preview: EntriesPreview | None = None,
    step: Callable[[str], None] = no_step,
    alive: Callable[[], None] = lambda: None,
    report: EntriesReport | None = None,
) -> EntriesReport:
    """Bring the search entries of a site into step with its transcripts and manifest.

    With a `preview` nothing is written, and what would be is in the report.

    `step` is called with a name at every point where a process may die. A `report` that is handed
    in is true at any moment, also when this is cancelled.

    Raises:
        LocalListingFailed: a folder of the site cannot be read.
    """
    report = report or EntriesReport()
    try:
        sources = await to_thread.run_sync(_look, place, report.outcome, preview)
    except ManifestUnreadable as error:
        report.outcome.blocked = str(error)
        return report
    with structlog.contextvars.bound_contextvars(site=site.id), ExitStack() as stack:
        proofs = None
        if preview is None:
            proofs = await to_thread.run_sync(_open_proofs, place, stack)
        writing = _Writing(place, report, step, proofs)
        unsure = await to_thread.run_sync(writing.unsure, sources)
        done = len(sources) - len(unsure)
        waiting = iter(unsure)
        while batch := list(islice(waiting, TOGETHER)):
            alive()
            await to_thread.run_sync(writing.batch, batch)
            _tell(done, done + len(batch), len(sources), report)
            done += len(batch)
            if report.outcome.fatal:
                break
    for path in sorted(preview.coming if preview else ()):
        found = episode_path(path)
        if found is not None and found.folder is Folder.TRANSCRIPTS:
            report.plan(search_entries_path(found.podcast_id, found.file_key))
    return report


def _open_proofs(place: SitePlace, stack: ExitStack) -> Proofs:
    make_folders(place.state)
    return stack.enter_context(Proofs(place.state / PROOFS_NAME))


def _look(place: SitePlace, outcome: Outcome, preview: EntriesPreview | None) -> Sequence[Source]:
    """Return the transcripts that count, and note those that do not."""
    preview = preview or EntriesPreview()
    manifest = load_manifest(place) if preview.manifest is None else preview.manifest
    entries = by_identity(manifest.episodes)
    transcripts = read_folder(place.root, Folder.TRANSCRIPTS)
    existing = read_folder(place.root, Folder.SEARCH_ENTRIES)
    older = older_versions(transcripts, entries.keys())
    sources = []
    for identity, transcript in transcripts.items():
        source_paths = {transcript.path, search_entries_path(*identity)}
        if identity in older or not source_paths.isdisjoint(preview.replaced):
            continue
        name = transcript.name
        if (episode := entries.get(identity)) is None:
            outcome.warnings.add(name, "transcript without an entry in the manifest")
        elif not episode.sequential_id:
            outcome.problems.add(name, "its entry in the manifest has no sequentialId")
        else:
            sources.append(Source(episode, transcript, existing.get(identity)))
            if episode.published_at is None:
                outcome.warnings.add(name, "its entry has no publishedAt; the key's date is used")
    return sources


class _Writing:
    """The way of sources into files; without proofs, the plan of it."""

    def __init__(
        self,
        place: SitePlace,
        report: EntriesReport,
        step: Callable[[str], None],
        proofs: Proofs | None,
    ) -> None:
        self._place = place
        self._report = report
        self._step = step
        self._proofs = proofs

    def unsure(self, sources: Sequence[Source]) -> Sequence[Source]:
        """Leave out those whose search entries are known to be what they must be."""
        if self._proofs is None:
            return sources
        unsure: list[Source] = []
        for at in range(0, len(sources), _RECALLED):
            piece = sources[at : at + _RECALLED]
            known = self._proofs.recall([each.existing for each in piece if each.existing])
            unsure += [
                each
                for each in piece
                if each.existing is None or known.get(each.existing.path) != each.proof()
            ]
        return unsure

    def batch(self, batch: Sequence[Source]) -> None:
        """Go through some; what goes wrong with one is noted and costs that one alone."""
        outcome = self._report.outcome
        proven: list[tuple[LocalEntry, str]] = []
        for source in batch:
            try:
                if entry := self._one(source):
                    proven.append((entry, source.proof()))
            except (SuiteError, OSError) as error:
                outcome.problems.add(source.target, str(error))
                if is_full(error):
                    outcome.fatal = "the disk is full; nothing else was written"
                    break
        if self._proofs is not None:
            self._proofs.remember(proven)

    def _one(self, source: Source) -> LocalEntry | None:
        """Have the file be what it must be, and return it as it is then."""
        root = self._place.root
        body = contained(root, source.transcript.name).read_bytes()
        expected = expected_entries(source.episode, body)
        target = contained(root, source.target)
        if source.existing is not None and _holds(target, expected):
            return source.existing
        log.debug("search_entries_differ", path=source.target, exists=source.existing is not None)
        if self._proofs is None:
            self._report.plan(source.target)
            return None
        write_site_file(self._place, source.target, expected, self._step)
        self._step("search_entries_written")
        self._report.written += 1
        self._report.made.add(source.target)
        placed = find_entry(root, source.target)
        return None if placed is None else named(placed, comparable(source.target))


def _holds(target: Path, expected: bytes) -> bool:
    """Say whether a file is exactly these bytes; one of another size is not read."""
    try:
        return target.stat().st_size == len(expected) and target.read_bytes() == expected
    except FileNotFoundError:
        return False


def _tell(before: int, done: int, total: int, report: EntriesReport) -> None:
    """Say how far it is whenever another twentieth is done."""
    if before * 100 // total // _STEP_PERCENT != done * 100 // total // _STEP_PERCENT:
        log.info(
            "search_entries_progressed",
            percent=done * 100 // total,
            written=report.written,
            failed=report.outcome.problems.count,
        )
