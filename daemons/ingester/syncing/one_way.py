"""One run over a site: what is compared, moved, counted and said, a folder at a time.

Inside a folder a piece of the comparison after another, its transfers in parallel.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import groupby

import anyio
import structlog
from structlog.typing import FilteringBoundLogger

from daemons.ingester.archive.folders import INDEXED, MANIFEST_PATH, SYNCED, Folder
from daemons.ingester.syncing.compare import (
    Action,
    Compared,
    ConflictRule,
    Direction,
    State,
    decide,
    winner,
)
from daemons.ingester.syncing.comparing import Batch, Comparer
from daemons.ingester.syncing.gap import Conflict, Part
from daemons.ingester.syncing.local import LocalListingFailed
from daemons.ingester.syncing.manifests import ManifestSync, ManifestUnreadable
from daemons.ingester.syncing.merge import BrokenListing
from daemons.ingester.syncing.report import Fate, FolderCounts, ManifestNews, Outcome, SyncReport
from daemons.ingester.syncing.transfer import Transfers, fate_of, is_full
from shared.errors import SuiteError
from shared.s3.errors import ObjectError

log: FilteringBoundLogger = structlog.get_logger()

PARALLEL = 8
"""Files of a site on their way at once."""

_PROGRESS_SECONDS = 30.0
_IN_STEP = {
    State.SAME: Part.CONSISTENT,
    State.ONLY_S3: Part.S3_ONLY,
    State.ONLY_LOCAL: Part.LOCAL_ONLY,
}
_DIFFERING = (State.S3_NEWER, State.LOCAL_NEWER, State.TO_MERGE, State.UNREADABLE)


@dataclass(frozen=True, slots=True)
class SyncRules:
    """What the command says about a sync."""

    folders: Collection[Folder] = SYNCED
    conflicts: ConflictRule = ConflictRule.NEWER
    dry_run: bool = False
    """List and compare, and name what would be done."""


ALL_FOLDERS = SyncRules()


class OneWay:
    """One run over one site, in one direction or in none."""

    def __init__(
        self,
        comparer: Comparer,
        transfers: Transfers,
        manifests: ManifestSync,
        rules: SyncRules,
        report: SyncReport,
        before_indexed: Callable[[], Awaitable[None]],
        made_now: Collection[str],
    ) -> None:
        self._comparer = comparer
        self._transfers = transfers
        self._manifests = manifests
        self._rules = rules
        self._report = report
        self._before_indexed = before_indexed
        self._made_now = made_now
        self._announced = False
        self._full = ""
        self._slots = anyio.Semaphore(PARALLEL)
        self._spoken_at = anyio.current_time()
        self._log = log.bind(
            site=report.site_id, direction=report.direction.value if report.direction else "look"
        )

    async def folder(self, folder: Folder) -> None:
        """Compare a folder and move what is to be moved."""
        counts = self._report.folders.setdefault(folder, FolderCounts())
        try:
            async with aclosing(self._comparer.folder(folder)) as batches:
                async for batch in batches:
                    await self._batch(folder, counts, batch)
                    self._tell(folder, counts)
        except (ObjectError, LocalListingFailed, BrokenListing) as error:
            self._report.unlisted[folder] = str(error)
            self._log.error("folder_not_listed", folder=folder.value, reason=str(error))
        else:
            states = {state.name.lower(): count for state, count in counts.states.items()}
            self._log.info("folder_compared", folder=folder.value, moved=counts.moved, **states)

    async def _batch(self, folder: Folder, counts: FolderCounts, batch: Batch) -> None:
        for problem in batch.problems:
            self._note(problem.path, Fate.SKIPPED, problem.reason)
        actions = [self._action(compared.state) for compared in batch.compared]
        moving = [
            (compared, action)
            for compared, action in zip(batch.compared, actions, strict=True)
            if action not in (Action.NOTHING, Action.REPORT)
        ]
        done = await self._act(folder, counts, moving)
        # In their order, or the gap report would have to sort them.
        steps = zip(batch.compared, actions, strict=True)
        for is_same, run in groupby(steps, key=lambda step: step[0].state is State.SAME):
            if is_same:
                self._record_same(folder, counts, [compared.pair.path for compared, _ in run])
            else:
                for compared, action in run:
                    self._record(folder, counts, compared, action, done)

    def _action(self, state: State) -> Action:
        direction = self._report.direction
        if direction is None or state is State.SAME:
            return Action.NOTHING
        return decide(state, direction, self._rules.conflicts)

    async def _act(
        self, folder: Folder, counts: FolderCounts, moving: Sequence[tuple[Compared, Action]]
    ) -> set[str]:
        """Move files in parallel; returns the paths that are in step now."""
        done: set[str] = set()
        is_sending = any(each.pair.path != MANIFEST_PATH for each, _ in moving) and not (
            self._rules.dry_run or self._report.direction is not Direction.PUSH
        )
        if is_sending and folder in INDEXED:
            await self._announce()
        async with anyio.create_task_group() as tasks:
            for compared, action in moving:
                path = compared.pair.path
                if self._rules.dry_run:
                    self._report.plan(action, path)
                    counts.moved += 1
                    continue
                await self._slots.acquire()
                tasks.start_soon(self._move, counts, compared, action, done)
        return done

    async def _announce(self) -> None:
        if not self._announced:
            await self._before_indexed()
            self._announced = True

    async def _move(
        self, counts: FolderCounts, compared: Compared, action: Action, done: set[str]
    ) -> None:
        """Move one file; what goes wrong is noted and costs this file alone."""
        path = compared.pair.path
        try:
            if self._full and action is Action.DOWNLOAD:
                self._note(path, Fate.FAILED, self._full)
            elif path == MANIFEST_PATH:
                await self._move_manifest(counts, done)
            else:
                size = await self._transfer(compared, action)
                self._moved(counts, path, size, done)
        except ManifestUnreadable as error:
            self._report.blocked = str(error)
            self._log.error("site_blocked", reason=str(error))
        except (SuiteError, OSError) as error:
            if is_full(error):
                self._full = f"the disk is full: {error}"
            self._note(path, fate_of(error), str(error))
        finally:
            self._slots.release()

    async def _transfer(self, compared: Compared, action: Action) -> int:
        if action is Action.DOWNLOAD:
            return await self._transfers.download(compared.pair)
        return await self._transfers.upload(compared.pair)

    async def _move_manifest(self, counts: FolderCounts, done: set[str]) -> None:
        if self._report.direction is Direction.PULL:
            news = await self._manifests.pull()
        else:
            news = await self._manifests.push(self._announce)
        self._report.manifest = news
        self._tell_manifest(news)
        if news.uploaded or news.outcome is Outcome.COPIED:
            done.add(MANIFEST_PATH)
        if news.uploaded or (
            news.outcome is not Outcome.KEPT and self._report.direction is Direction.PULL
        ):
            self._moved(counts, MANIFEST_PATH, news.size, done)

    def _moved(self, counts: FolderCounts, path: str, size: int, done: set[str]) -> None:
        done.add(path)
        counts.moved += 1
        counts.moved_bytes += size
        uploading = self._report.direction is Direction.PUSH
        if uploading and path not in self._made_now:
            self._report.earlier_files += 1
        event = "file_uploaded" if uploading else "file_downloaded"
        self._log.debug(event, path=path, size_bytes=size)

    def _record_same(self, folder: Folder, counts: FolderCounts, paths: Sequence[str]) -> None:
        """Count paths that are in step, as `_record` would one by one: nearly all, every night."""
        counts.states[State.SAME] = counts.of(State.SAME) + len(paths)
        counts.local_files += len(paths)
        self._report.gap.extend(Part.CONSISTENT, folder, paths)
        if self._log.is_enabled_for(logging.DEBUG):
            for path in paths:
                self._log.debug("file_compared", path=path, state=State.SAME.value)

    def _record(
        self,
        folder: Folder,
        counts: FolderCounts,
        compared: Compared,
        action: Action,
        done: Collection[str],
    ) -> None:
        """Count a path, and put it where it belongs in the gap report, as it stands now."""
        state, pair = compared.state, compared.pair
        counts.states[state] = counts.states.get(state, 0) + 1
        in_step = pair.path in done
        is_here = pair.local is not None and pair.local.size > 0
        counts.local_files += is_here or (in_step and state is State.ONLY_S3)
        if compared.fault:
            self._note(pair.path, Fate.FAILED, compared.fault)
        if action is Action.REPORT:
            self._conflict(compared)
        if in_step:
            self._report.gap.add(Part.CONSISTENT, folder, pair.path)
        elif state in _IN_STEP:
            self._report.gap.add(_IN_STEP[state], folder, pair.path)
        elif state in _DIFFERING:
            self._report.gap.add_conflict(self._as_conflict(compared))
        self._log.debug("file_compared", path=pair.path, state=state.value)

    def _conflict(self, compared: Compared) -> None:
        path, state = compared.pair.path, compared.state
        won_by = winner(state, self._rules.conflicts).value
        self._report.conflicts.add(path, f"{state.value}; goes to {won_by}")
        self._log.warning("conflict_left", path=path, state=state.value, resolution=won_by)

    def _as_conflict(self, compared: Compared) -> Conflict:
        local, remote = compared.pair.local, compared.pair.remote
        resolution = "none"
        if compared.state is State.TO_MERGE:
            resolution = "merge"
        elif compared.state is not State.UNREADABLE:
            resolution = winner(compared.state, self._rules.conflicts).value
        return Conflict(
            compared.pair.path,
            local.size if local else 0,
            remote.size if remote else 0,
            local.identity.mtime_ns if local else 0,
            remote.modified_ns if remote else 0,
            resolution,
        )

    def _note(self, path: str, fate: Fate, reason: str) -> None:
        self._report.note(path, fate, reason)
        self._log.warning("file_set_aside", fate=fate.value, path=path, reason=reason)

    def _tell_manifest(self, news: ManifestNews) -> None:
        facts = {"outcome": news.outcome.value, "uploaded": news.uploaded}
        if news.renumbered or news.dropped:
            dropped = [each.file_key for each in news.dropped]
            self._log.warning(
                "manifest_changed", **facts, renumbered=news.renumbered, dropped=dropped
            )
        else:
            self._log.info("manifest_synced", **facts)

    def _tell(self, folder: Folder, counts: FolderCounts) -> None:
        now = anyio.current_time()
        if now - self._spoken_at >= _PROGRESS_SECONDS:
            self._spoken_at = now
            compared = sum(counts.states.values())
            self._log.info(
                "sync_progressed", folder=folder.value, compared=compared, moved=counts.moved
            )
