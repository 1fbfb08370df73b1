"""What each phase of a site consists of, and what it leaves for the later ones.

Rule: a phase returns its outcome or raises what ended it; whether it is begun at all, and what its
failure means, `site_run` decides.
"""

from contextlib import AsyncExitStack
from pathlib import Path

import structlog
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

from daemons.ingester.account.sessions import SiteAccount
from daemons.ingester.archive.folders import INDEX_PATH, SYNCED, Folder, folder_of
from daemons.ingester.phases.copying import (
    missing_here,
    needs_index,
    not_here,
    outcome_of,
    to_upload,
    why_not_moved,
)
from daemons.ingester.phases.correcting import CorrectingReport, reapply_all
from daemons.ingester.phases.entries import EntriesPreview, EntriesReport, write_entries
from daemons.ingester.phases.feeds import FeedRules, FeedsReport, retrieve_feeds
from daemons.ingester.phases.index_build import IndexNotBuilt, build_index
from daemons.ingester.phases.index_marker import pending_marker, stale_marker
from daemons.ingester.phases.indexing import IndexOrder, IndexWait, trigger_index
from daemons.ingester.phases.invalidation import STALE, invalidate, run_reference
from daemons.ingester.phases.known import Known
from daemons.ingester.phases.outcome import Outcome
from daemons.ingester.phases.speech import SpeechReport, SpeechRules, transcribe_site
from daemons.ingester.phases.superseded import prune_superseded
from daemons.ingester.project.loading import ProjectSite
from daemons.ingester.run_tools import RunTools
from daemons.ingester.runs.results import SiteResult
from daemons.ingester.settings import Settings
from daemons.ingester.syncing.gap import Part
from daemons.ingester.syncing.manifests import ManifestSync
from daemons.ingester.syncing.one_way import SyncRules
from daemons.ingester.syncing.place import require_files
from daemons.ingester.syncing.report import SyncReport
from daemons.ingester.syncing.site import SiteSync

log: FilteringBoundLogger = structlog.get_logger()


class SitePhases:
    """The phases of one run of one site, in the order in which they are written here."""

    def __init__(
        self,
        target: ProjectSite,
        settings: Settings,
        tools: RunTools,
        state: Path,
        result: SiteResult,
        *,
        dry_run: bool,
    ) -> None:
        self.known = Known()
        self.result = result
        self._target = target
        self._settings = settings
        self._tools = tools
        self._validators = state / "feeds" / f"{target.site.id}.json"
        self._marker = pending_marker(state, target.site.id)
        self._stale = stale_marker(state, target.site.id)
        self._dry_run = dry_run
        self._stack = AsyncExitStack()
        self._open: SiteAccount | None = None
        self._log = log.bind(site=target.site.id)

    async def aclose(self) -> None:
        """Close the site's account."""
        await self._stack.aclose()

    async def pre_sync(self) -> Outcome:
        """Phase 0: bring here what S3 has."""
        account = await self._account()
        report = await self._sync(account, self._folders).pull()
        self.known.synced = report
        self.result.pre_sync_downloads = 0 if self._dry_run else report.moved
        if report.manifest is not None:
            self._note_renumbered(report.manifest.renumbered)
        self.known.halt = report.blocked
        if self._dry_run and not report.blocked:
            manifests = ManifestSync(account.store, self._target.place, now=self._tools.now)
            self.known.manifest = await manifests.peek()
        self._note(report)
        return outcome_of(report)

    def _note_renumbered(self, count: int) -> None:
        # Not added up: what phase 1 has moved, phase 3 finds moved against S3's manifest again.
        self.result.renumbered = max(self.result.renumbered, count)

    async def compare(self) -> Outcome:
        """Phase 0.5: say how both sides stand."""
        if self.known.synced is None:
            if not self._settings.skip_pre_sync:
                return Outcome(blocked="S3 was not reached in pre-sync", told=True)
            self.known.synced = await self._sync(await self._account(), self._folders).look()
            self._note(self.known.synced)
        report = self.known.synced
        self._log.info("gap_found", **report.gap.summary())
        for part in (Part.LOCAL_ONLY, Part.S3_ONLY):
            for folder, paths in report.gap.parts[part].items():
                if len(paths):
                    self._log.info(
                        "gap_in_folder", part=part.value, folder=folder.value, files=len(paths)
                    )
                for path in paths:
                    self._log.debug("gap_at", part=part.value, path=path)
        reasons = [f"{folder.value}: {why}" for folder, why in report.unlisted.items()]
        return Outcome(fatal="; ".join(reasons))

    async def feeds(self) -> Outcome:
        """Phase 1: fetch feeds and missing audio."""
        away = self.known.away
        rules = FeedRules(
            manifest=self.known.manifest,
            max_episodes=self._settings.max_episodes,
            dry_run=self._dry_run,
            avoid=away.paths,
            avoid_folders=away.folders,
        )
        report = FeedsReport()
        try:
            await retrieve_feeds(
                self._target.site,
                self._target.place,
                self._tools.web,
                rules,
                validators=self._validators,
                now=self._tools.now,
                step=self._tools.step,
                alive=self._tools.alive,
                report=report,
            )
        finally:
            self.result.new_episodes = report.new_episodes
            self.result.audio_downloads = report.audio_downloads
            self._note_renumbered(report.renumbered)
            self.result.skipped_items.update(report.skipped)
            self.known.manifest = report.manifest or self.known.manifest
            self._take(report.made, report.planned)
        return report.outcome

    async def audio(self) -> Outcome:
        """Phase 2: transcribe, and correct what is there; either can be had without the other."""
        await to_thread.run_sync(require_files, self._target.place)
        report = SpeechReport()
        if self._settings.skip_audio_processing:
            report.outcome.skipped = "--skip-audio-processing"
        else:
            await self._transcribe(report)
        if self._settings.reapply_spelling_corrections:
            await self._correct(report.outcome)
        return report.outcome

    async def _transcribe(self, report: SpeechReport) -> None:
        """Transcribe what has no transcript, as a part of phase 2."""
        away = self.known.away
        rules = SpeechRules(
            limit=self._settings.transcribe_limit,
            only=self._settings.only_episode or "",
            avoid=away.paths,
            avoid_folders=away.folders,
            dry_run=self._dry_run,
            coming=[path for path in self.known.made if folder_of(path) is Folder.AUDIO],
        )
        try:
            await transcribe_site(
                self._target.site,
                self._target.place,
                lambda: self._tools.transcriber_for(self._target),
                rules,
                slots=self._tools.transcriptions,
                step=self._tools.step,
                alive=self._tools.alive,
                report=report,
            )
        finally:
            self.result.transcribed = report.transcribed
            self.result.transcription_failures = report.failures
            self.result.left_to_others = report.left_to_others
            self.result.corrections = report.corrections
            self.result.superseded = report.superseded
            self._take(report.made, report.planned)

    async def _correct(self, outcome: Outcome) -> None:
        """Correct the transcripts that are here, as a part of phase 2."""
        away, report = self.known.away, CorrectingReport()
        try:
            await reapply_all(
                self._target.site,
                self._target.place,
                avoid=away.paths,
                avoid_folders=away.folders,
                dry_run=self._dry_run,
                step=self._tools.step,
                alive=self._tools.alive,
                report=report,
            )
        finally:
            self.result.corrections += report.corrections
            self._take(report.made, report.planned)
        outcome.problems.extend(report.outcome.problems)
        outcome.warnings.extend(report.outcome.warnings)
        outcome.fatal = outcome.fatal or report.outcome.fatal or report.outcome.blocked

    async def entries(self) -> Outcome:
        """Phase 2.5: write search entries."""
        await to_thread.run_sync(require_files, self._target.place)
        report, known = EntriesReport(), self.known
        preview = EntriesPreview(known.manifest, known.made, known.replaced)
        try:
            await write_entries(
                self._target.site,
                self._target.place,
                preview=preview if self._dry_run else None,
                step=self._tools.step,
                alive=self._tools.alive,
                report=report,
            )
        finally:
            self.result.entry_files_written = report.written
            self._take(report.made, report.planned)
        return report.outcome

    async def upload(self) -> Outcome:
        """Phase 3: bring to S3 what it lacks."""
        account = await self._account()
        folders = await self._with_new_index(account)
        report = await self._sync(account, folders).push(
            before_indexed=self._mark_uploads, made_now=self.known.made
        )
        self.known.pushed = report
        outcome = outcome_of(report)
        self.result.planned += list(report.planned)
        if self._dry_run:
            self.result.planned += self.known.foresee()
            return outcome
        self.result.uploads = report.upload_counts()
        self.result.had_previous_files = report.had_previous_files
        if report.manifest is not None:
            self._note_renumbered(report.manifest.renumbered)
        if self._settings.prune_superseded:
            pruned = await prune_superseded(
                self._target.place, account.store, self.result.superseded, step=self._tools.step
            )
            self.result.pruned = pruned.count
            outcome.problems.extend(pruned.problems)
            outcome.warnings.extend(pruned.kept)
        return outcome

    async def _with_new_index(self, account: SiteAccount) -> tuple[Folder, ...]:
        """Return the folders to upload, after having built the index where that is done here."""
        folders = self._folders
        if Folder.INDEX not in folders or self._dry_run:
            return folders
        plan = await self._sync(account, folders, dry_run=True).push()
        if not (needs_index(plan) or await self._is_due()):
            return folders
        await self._mark()
        try:
            await build_index(
                self._settings.index_command, self._target.place, alive=self._tools.alive
            )
        except IndexNotBuilt as error:
            self.known.unbuilt = str(error)
            return tuple(folder for folder in folders if folder is not Folder.INDEX)
        return folders

    async def _mark_uploads(self) -> None:
        await self._mark()
        if self._distribution:
            await to_thread.run_sync(self._stale.set, STALE)

    async def _mark(self) -> None:
        await to_thread.run_sync(self._marker.set, "files were uploaded")

    async def _is_due(self) -> bool:
        """Say whether an index is due whatever this run uploads."""
        return self._settings.force_index or await to_thread.run_sync(self._marker.is_set)

    async def index(self) -> Outcome:
        """Phase 4: have the index built."""
        if self.known.unbuilt:
            return Outcome(fatal=f"the index was not built: {self.known.unbuilt}")
        uploaded = self.known.makes_index_old
        if not (uploaded or await self._is_due()):
            return Outcome(skipped="nothing was uploaded")
        if self._settings.index_mode == "local" and (left := self._index_left()):
            return Outcome(fatal=f"the new index is not in S3: {left}; the next run tries again")
        order = IndexOrder(
            self._target.site.id,
            self._settings.index_mode,
            "files were uploaded" if uploaded else "--force-index",
        )
        if self._dry_run:
            self.result.planned += [f"invoke {order.function}"] if order.function else []
            return Outcome()
        account = await self._account()
        wait = IndexWait(
            account.store,
            self._target.place.bucket,
            self._settings.wait_for_index,
            alive=self._tools.alive,
        )
        report = await trigger_index(
            account.functions,
            self._marker,
            order,
            wait=wait if self._settings.wait_for_index else None,
        )
        self.result.index_triggered = report.triggered
        self.result.index_accepted = report.accepted
        self.result.index_confirmed = report.confirmed
        return report.outcome

    def _index_left(self) -> str:
        """Say why S3 may not have the index that was built here; empty where it has."""
        if self.known.pushed is None:
            return "nothing was uploaded"
        return why_not_moved(self.known.pushed, INDEX_PATH)

    async def invalidate_caches(self) -> Outcome:
        """Phase 5: have caches forget what was uploaded."""
        if not self._distribution:
            return Outcome(skipped="the site has no cloudfrontId")
        if not (self.known.uploaded or await to_thread.run_sync(self._stale.is_set)):
            return Outcome(skipped="nothing was uploaded")
        if self._dry_run:
            self.result.planned.append(f"invalidate the caches of {self._distribution}")
            return Outcome()
        return await invalidate(
            (await self._account()).distributions,
            self._stale,
            self._distribution,
            run_reference(self._target.site.id, self._tools.started_at),
        )

    @property
    def _distribution(self) -> str:
        mapping = self._target.mapping
        return (mapping.cloudfront_id or "") if mapping else ""

    async def _account(self) -> SiteAccount:
        """Open the site's account, once for all phases; a later phase tries again if it failed."""
        if self._open is None:
            central, mapping = self._tools.central, self._target.mapping
            if central is None or mapping is None:
                raise RuntimeError("a phase in AWS was begun without an account")
            self._open = await self._stack.enter_async_context(
                central.site(self._target.site.id, mapping, step="run")
            )
        return self._open

    def _sync(
        self, account: SiteAccount, folders: tuple[Folder, ...], *, dry_run: bool | None = None
    ) -> SiteSync:
        rules = SyncRules(folders=folders, dry_run=self._dry_run if dry_run is None else dry_run)
        return SiteSync(
            account.store,
            self._target.place,
            rules,
            now=self._tools.now,
            step=self._tools.step,
            alive=self._tools.alive,
        )

    @property
    def _folders(self) -> tuple[Folder, ...]:
        local = self._settings.index_mode == "local"
        known = (*SYNCED, Folder.INDEX) if local else SYNCED
        chosen = self._settings.folders
        return tuple(folder for folder in known if not chosen or folder in chosen)

    def _note(self, report: SyncReport) -> None:
        self.known.away = not_here(report)
        self.result.files_missing_locally = missing_here(report)
        self.result.files_to_upload = to_upload(report)
        self.result.files_in_sync = report.gap.total(Part.CONSISTENT)
        self.result.planned += list(report.planned)

    def _take(self, made: set[str], planned: list[str]) -> None:
        self.known.made |= made
        self.result.planned += planned
