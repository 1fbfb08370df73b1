"""Phase 1: feeds are fetched and archived, new episodes get their entry, and missing audio comes.

One feed after the other, in the order of the configuration, since the first to have an episode
wins. For each: fetch, read, archive, take in, save the manifest, remember, download. Rule: the
manifest is on the disk before anything is downloaded under its keys, so that a run that is killed
finds the same keys again.

| what fails                            | costs                                                    |
|---------------------------------------|----------------------------------------------------------|
| an item                               | the item: it is skipped, counted by its reason           |
| a feed                                | the feed; audio that its podcast lacks is tried anyway   |
| a download                            | the download: the next run tries again                   |
| archiving a feed, remembering it      | nothing else: its episodes are taken in                  |
| saving the manifest; the disk is full | the phase, from there on                                 |
| reading the manifest                  | everything: the site is blocked                          |
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import anyio
import structlog
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

from daemons.ingester.archive.folders import MANIFEST_PATH, Folder, audio_path
from daemons.ingester.archive.manifest import Dropped, Manifest
from daemons.ingester.mirror.manifest_file import ManifestTooLarge
from daemons.ingester.phases.audio import AudioDownloads, AudioReport, AudioRules
from daemons.ingester.phases.feed_memory import FeedMemory
from daemons.ingester.phases.feed_source import FeedSource, Obtained
from daemons.ingester.phases.outcome import Phase
from daemons.ingester.phases.taking_in import GrowingManifest
from daemons.ingester.project.sites import Podcast, Site
from daemons.ingester.rss.feed import Feed
from daemons.ingester.syncing.local import LocalListingFailed
from daemons.ingester.syncing.manifests import ManifestUnreadable
from daemons.ingester.syncing.place import SitePlace, prepare_place, require_files
from daemons.ingester.syncing.transfer import is_full, no_step
from daemons.ingester.web.fetch import Web
from shared.errors import SuiteError
from shared.files import OutsideRoot

log: FilteringBoundLogger = structlog.get_logger()

BEAT_SECONDS = 20.0
"""How often progress is told. Every request has limits of its own, so waiting is no hanging."""
_WARNINGS_MAX = 10
"""Of one feed, by name: a stranger must not fill our summary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedRules(AudioRules):
    """What the command says about feeds, and what phase 0 left open."""

    max_episodes: int | None = None
    """Items of a feed that are looked at, the first ones."""
    manifest: Manifest | None = None
    """In a dry run: what phase 0 would leave here, which feeds are judged by."""


@dataclass(slots=True, kw_only=True)
class FeedsReport(AudioReport):
    """What phase 1 did to a site; true at any moment, also when it is cancelled."""

    new_episodes: int = 0
    renumbered: int = 0
    """Existing episodes that have another number now: their public links have moved."""
    skipped: Counter[str] = field(default_factory=Counter)
    """Items of feeds that became no episode, by reason."""
    dropped: tuple[Dropped, ...] = ()
    """Entries that gave way to another one with the same audio URL; their files stay."""
    manifest: Manifest | None = None
    """In a dry run: what the phase would leave here, where that is another one."""


async def retrieve_feeds(  # noqa: PLR0913 - what it works on, what it may do, and what it tells
    site: Site,
    place: SitePlace,
    web: Web,
    rules: FeedRules,
    *,
    validators: Path,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    step: Callable[[str], None] = no_step,
    alive: Callable[[], None] = lambda: None,
    report: FeedsReport | None = None,
) -> FeedsReport:
    """Bring a site's new episodes and its missing audio here.

    `validators` is the file that remembers what servers said. `step` is called with a name at every
    point where a process may die, and `alive` now and then. A `report` that is handed in tells what
    was done up to then, also when this is cancelled.

    Raises:
        LocalFilesMissing: the local files are gone; see `syncing.place`.
        LocalListingFailed: a folder cannot be read.
    """
    report = FeedsReport() if report is None else report
    await to_thread.run_sync(require_files, place)
    memory = FeedMemory(validators, [podcast.id for podcast in site.podcasts])
    web = web.apart()
    run = _Run(
        [podcast for podcast in site.podcasts if podcast.active],
        place,
        FeedSource(web, place, memory, max_items=rules.max_episodes),
        GrowingManifest(place, now, step),
        AudioDownloads(web, place, rules, report, step=step),
        rules,
        report,
        step,
    )
    with structlog.contextvars.bound_contextvars(site=site.id, phase=Phase.RSS.value):
        async with _beating(run, alive):
            await run.all()
    return report


class _Run:
    """One run over one site's feeds."""

    def __init__(
        self,
        podcasts: list[Podcast],
        place: SitePlace,
        source: FeedSource,
        manifest: GrowingManifest,
        audio: AudioDownloads,
        rules: FeedRules,
        report: FeedsReport,
        step: Callable[[str], None],
    ) -> None:
        self._podcasts = podcasts
        self._place = place
        self._source = source
        self._manifest = manifest
        self._audio = audio
        self._rules = rules
        self._report = report
        self._outcome = report.outcome
        self._step = step
        self._feeds_done = 0

    async def all(self) -> None:
        """Do the phase; what ends it early is in the report."""
        try:
            await self._begin()
            for podcast in self._podcasts:
                if not self._outcome.fatal:
                    await self._podcast(podcast)
                    self._feeds_done += 1
            await self._finish()
        except ManifestUnreadable as error:
            self._outcome.blocked = str(error)
        except (LocalListingFailed, ManifestTooLarge, OutsideRoot, OSError) as error:
            self._outcome.fatal = str(error)

    def tell(self) -> None:
        """Log how far it is."""
        log.info(
            "feeds_progressed",
            feeds=self._feeds_done,
            of=len(self._podcasts),
            audio=self._report.audio_downloads,
            audio_of=self._audio.wanted,
            received_bytes=self._audio.bytes_received,
        )

    async def _begin(self) -> None:
        if not self._rules.dry_run:
            await to_thread.run_sync(prepare_place, self._place)
        is_there = await self._manifest.load(self._rules.manifest)
        if not is_there and Folder.MANIFEST in self._rules.avoid_folders:
            raise ManifestUnreadable(
                "there is no manifest here, and what S3 has is not known; going on would download "
                "the whole archive again"
            )
        await self._audio.look()
        self._report.dropped = self._manifest.change.dropped
        for each in self._report.dropped:
            self._outcome.warnings.add(
                audio_path(each.podcast_id, each.file_key),
                f"its entry gives way to {each.kept_key!r}, which has the same audio URL; its "
                "files stay",
            )

    async def _podcast(self, podcast: Podcast) -> None:
        """Do all that there is to do for one podcast."""
        try:
            obtained = await self._source.obtain(podcast)
        except (SuiteError, OSError) as error:
            self._not_fetched(podcast, error)
        else:
            self._note_items(podcast, obtained.feed)
            archived = await self._archive(obtained)
            await self._take_in(podcast, obtained.feed)
            if archived:
                await self._remember(obtained)
        await self._audio.bring(self._manifest.of_podcast(podcast.id), self._manifest.new)

    async def _archive(self, obtained: Obtained) -> bool:
        """Archive a feed where it is new; say whether it is archived now."""
        if not obtained.is_new:
            return True
        if self._rules.dry_run:
            self._report.planned.append(f"archive {obtained.path}")
            self._report.made.add(obtained.path)
            return False
        try:
            await to_thread.run_sync(self._source.archive, obtained, self._step)
        except (OutsideRoot, OSError) as error:
            self._not_archived(obtained, error)
            return False
        self._report.made.add(obtained.path)
        self._step("feed_archived")
        return True

    async def _take_in(self, podcast: Podcast, feed: Feed) -> None:
        """Add the new episodes of a feed to the manifest, on the disk."""
        intake = await self._manifest.take_in(podcast.id, feed.items)
        if intake.new:
            await self._save()
        self._report.new_episodes += len(intake.new)
        if self._rules.dry_run:
            self._report.planned += [
                f"add {podcast.id}/{each.file_key} {each.title!r}" for each in intake.new
            ]
        log.info(
            "feed_taken_in",
            podcast=podcast.id,
            items=len(feed.items),
            new=len(intake.new),
            skipped=len(feed.skipped),
        )

    async def _remember(self, obtained: Obtained) -> None:
        if self._rules.dry_run:
            return
        try:
            await to_thread.run_sync(self._source.remember, obtained)
        except OSError as error:
            # It saves a download, no more; without it the feed is sent in full again.
            self._outcome.warnings.add(obtained.podcast.id, str(error))
            log.warning("feed_not_remembered", podcast=obtained.podcast.id, reason=str(error))
        self._step("feed_remembered")

    async def _save(self) -> None:
        if not self._rules.dry_run:
            await self._manifest.save()
            self._report.made.add(MANIFEST_PATH)
        self._report.renumbered = self._manifest.change.renumbered

    async def _finish(self) -> None:
        """Save what no feed gave a reason to save, and say what has become of old entries."""
        change = self._manifest.change
        if change.changed:
            if not self._manifest.new:
                await self._save()
            if self._rules.dry_run:
                self._report.planned.append(f"write {MANIFEST_PATH}")
                self._report.made.add(MANIFEST_PATH)
                self._report.manifest = change.manifest
            self._tell_changes()
        if not self._rules.dry_run and not self._outcome.fatal:
            await self._audio.tidy(change.manifest.episodes)

    def _tell_changes(self) -> None:
        moved, dropped = self._report.renumbered, self._report.dropped
        if moved:
            self._outcome.warnings.add(
                MANIFEST_PATH, f"{moved} episodes have another number; public links have moved"
            )
        if moved or dropped:
            keys = [each.file_key for each in dropped]
            log.warning("episodes_moved", renumbered=moved, dropped=keys)

    def _note_items(self, podcast: Podcast, feed: Feed) -> None:
        """Note what is wrong with a feed and its items."""
        counts = feed.skipped_by_reason()
        self._report.skipped.update(counts)
        for reason, count in counts.items():
            first = next(each for each in feed.skipped if each.reason == reason)
            detail = f" ({first.detail!r})" if first.detail else ""
            shown = f"item {first.number} {first.title!r}{detail}"
            self._outcome.warnings.add(podcast.id, f"{count} skipped: {reason}; first: {shown}")
            log.warning(
                "items_skipped", podcast=podcast.id, count=count, reason=reason, first=shown
            )
        for warning in feed.warnings[:_WARNINGS_MAX]:
            self._outcome.warnings.add(podcast.id, warning)
            log.warning("feed_odd", podcast=podcast.id, reason=warning)
        if more := len(feed.warnings[_WARNINGS_MAX:]):
            self._outcome.warnings.add(podcast.id, f"{more} more warnings of this feed")
        if feed.fault:
            text = f"{feed.fault}; what comes before is used"
            self._outcome.problems.add(podcast.id, text)
            log.error("feed_broken", podcast=podcast.id, reason=text)

    def _not_fetched(self, podcast: Podcast, error: SuiteError | OSError) -> None:
        self._outcome.problems.add(podcast.id, str(error))
        log.error("feed_not_fetched", podcast=podcast.id, reason=str(error))

    def _not_archived(self, obtained: Obtained, error: SuiteError | OSError) -> None:
        self._outcome.problems.add(obtained.path, str(error))
        if is_full(error):
            self._outcome.fatal = f"the disk is full: {error}"
        log.error("feed_not_archived", podcast=obtained.podcast.id, reason=str(error))


@asynccontextmanager
async def _beating(run: _Run, alive: Callable[[], None]) -> AsyncIterator[None]:
    """Tell progress while the block lasts; what can go wrong in it is handled inside it."""

    async def beat() -> None:
        while True:
            await anyio.sleep(BEAT_SECONDS)
            alive()
            run.tell()

    alive()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(beat)
        yield
        tasks.cancel_scope.cancel()
