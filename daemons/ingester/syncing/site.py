"""Bring one site in step: phases 0 and 3, the gap report, and `sync` on its own.

Folder after folder, the manifest last in both directions. A path that fails costs itself, a folder
that cannot be listed costs that folder, an unreadable manifest blocks the site. Nothing is ever
deleted.
"""

from collections.abc import Awaitable, Callable, Collection
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial

from anyio import to_thread

from daemons.ingester.archive.folders import UPLOAD_ORDER
from daemons.ingester.syncing.brought import forget_brought, note_brought
from daemons.ingester.syncing.compare import Direction
from daemons.ingester.syncing.comparing import Comparer
from daemons.ingester.syncing.gap import GapReport, Part
from daemons.ingester.syncing.manifests import ManifestSync
from daemons.ingester.syncing.one_way import ALL_FOLDERS, OneWay, SyncRules
from daemons.ingester.syncing.place import SitePlace, prepare_place, require_files, save_counts
from daemons.ingester.syncing.proofs import Proofs
from daemons.ingester.syncing.report import SyncReport, SyncStatus
from daemons.ingester.syncing.transfer import SYNC_POLICY, Transfers, no_call, no_step
from shared.retry import RetryPolicy
from shared.s3.store import ObjectStore


class SiteSync:
    """Compares and moves the files of one site; one object serves several runs, one at a time.

    `step` is called with a name at every point where a process may die, `alive` whenever some files
    more were read or moved, for a watchdog.
    """

    def __init__(
        self,
        store: ObjectStore,
        place: SitePlace,
        rules: SyncRules = ALL_FOLDERS,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        policy: RetryPolicy = SYNC_POLICY,
        step: Callable[[str], None] = no_step,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._place = place
        self._rules = rules
        self._now = now
        self._policy = policy
        self._step = step
        self._alive = alive

    async def look(self) -> SyncReport:
        """Compare and move nothing: the gap report on its own.

        Raises:
            LocalFilesMissing: the local files are gone; see `place`.
        """
        return await self._run(None, no_call, ())

    async def pull(self) -> SyncReport:
        """Bring here what S3 has and we lack or have older: phase 0.

        The report's `gap` is that of phase 0.5: how both sides stand now.

        Raises:
            LocalFilesMissing: the local files are gone; see `place`.
        """
        return await self._run(Direction.PULL, no_call, ())

    async def push(
        self,
        *,
        before_indexed: Callable[[], Awaitable[None]] = no_call,
        made_now: Collection[str] = (),
    ) -> SyncReport:
        """Bring to S3 what it lacks or has older: phase 3.

        `before_indexed` is awaited once, before the first file is sent that makes a new index
        necessary. `made_now` are the paths that this run has made.

        Raises:
            LocalFilesMissing: the local files are gone; see `place`.
        """
        return await self._run(Direction.PUSH, before_indexed, made_now)

    async def _run(
        self,
        direction: Direction | None,
        before_indexed: Callable[[], Awaitable[None]],
        made_now: Collection[str],
    ) -> SyncReport:
        await to_thread.run_sync(require_files, self._place)
        await self._prepare(direction)
        report = SyncReport(
            self._place.site_id, direction, GapReport(self._place.site_id, self._place.bucket)
        )
        with ExitStack() as stack:
            proofs = Proofs(self._place.proofs, read_only=self._rules.dry_run)
            await to_thread.run_sync(stack.enter_context, proofs)
            run = OneWay(
                Comparer(self._store, self._place, proofs, alive=self._alive),
                Transfers(self._store, self._place, proofs, policy=self._policy, step=self._step),
                ManifestSync(
                    self._store, self._place, now=self._now, policy=self._policy, step=self._step
                ),
                self._rules,
                report,
                before_indexed,
                made_now,
            )
            for folder in UPLOAD_ORDER:
                if folder in self._rules.folders:
                    await run.folder(folder)
        if not self._rules.dry_run:
            await self._remember(report)
        return report

    async def _prepare(self, direction: Direction | None) -> None:
        """Make what the run needs; a dry run makes nothing, a look leaves the data alone."""
        if self._rules.dry_run:
            return
        moving = direction is not None
        await to_thread.run_sync(partial(prepare_place, self._place, moving=moving))
        pulled = self._rules.folders if direction is Direction.PULL else ()
        await to_thread.run_sync(forget_brought, self._place, pulled)

    async def _remember(self, report: SyncReport) -> None:
        """Note what the next run has to know of this one."""
        counts = {
            folder: counts.local_files
            for folder, counts in report.folders.items()
            if folder not in report.unlisted
        }
        await to_thread.run_sync(save_counts, self._place, counts)
        if report.direction is Direction.PULL and report.status is SyncStatus.OK:
            only_there = report.gap.parts[Part.S3_ONLY]
            whole = [folder for folder in report.folders if not len(only_there[folder])]
            await to_thread.run_sync(note_brought, self._place, whole)
