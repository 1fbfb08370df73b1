"""Open what the uploader works with, in the order in which each depends on the one before.

Lock, identity, S3, what a crash left behind, and then the watch; closed in reverse.
"""

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, aclosing, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import anyio
import structlog
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

from daemons.uploader.job import FileJobs, JobRules
from daemons.uploader.parked import ParkedFiles
from daemons.uploader.report import PassCounts
from daemons.uploader.service import Limits, PassEnd, Uploader
from daemons.uploader.settings import Settings
from daemons.uploader.status import Reporter, StatusWriter
from shared.aws.imds import watch_spot_notice
from shared.engine import Engine, EngineOptions, open_engine, sweep_uploads
from shared.fswatch.names import SkipRules
from shared.fswatch.once import scan_once
from shared.fswatch.options import WatchOptions
from shared.fswatch.stability import StabilityRule
from shared.fswatch.watch import Watch
from shared.lifecycle import Control
from shared.lock import HeldLock, hold_lock
from shared.removal import prune_empty, restore_tree, tidy
from shared.s3.journal import FileJournal
from shared.s3.pinned import open_folder
from shared.s3.store import PutOptions

log: FilteringBoundLogger = structlog.get_logger()

_MEBIBYTE = 1024 * 1024
_FLUSH_RULE = StabilityRule(quiet=timedelta(seconds=1), equal_looks_only=True)


class RootLock:
    """The lock on the root folder, taken as soon as there is one and anew when it is replaced."""

    def __init__(self, root: Path, notes: Path) -> None:
        self._root = root
        self._notes = notes
        self._stack = ExitStack()
        self._held: HeldLock | None = None

    def ensure(self) -> None:
        """Hold the lock on what the path names now; AlreadyRunning if somebody else does."""
        if self._held is not None and self._held.still_guards():
            return
        self.release()
        try:
            self._held = self._stack.enter_context(hold_lock(self._root, notes=self._notes))
        except (FileNotFoundError, NotADirectoryError):
            return

    def release(self) -> None:
        """Let go of it."""
        self._held = None
        self._stack.close()


class Daemon:
    """The uploader with its watch, as the life cycle runs it."""

    def __init__(
        self, settings: Settings, uploader: Uploader, engine: Engine, reporter: Reporter
    ) -> None:
        self._settings = settings
        self._uploader = uploader
        self._engine = engine
        self._reporter = reporter

    async def run(self, control: Control) -> None:
        """Watch and upload until the control says stop."""
        watch = Watch(self._settings.directory, watch_options(self._settings))
        async with anyio.create_task_group() as tasks, watch:
            tasks.start_soon(self._flush_on_notice, watch)
            tasks.start_soon(self._reporter.run, self._uploader)
            await self._uploader.run(watch, control)
            tasks.cancel_scope.cancel()

    async def run_once(self) -> PassCounts:
        """Do one pass over what is there now."""
        items = scan_once(self._settings.directory, watch_options(self._settings))
        async with anyio.create_task_group() as tasks, aclosing(items):
            tasks.start_soon(self._reporter.run, self._uploader)
            counts = await self._uploader.run_once(items)
            tasks.cancel_scope.cancel()
        return counts

    async def _flush_on_notice(self, watch: Watch) -> None:
        if self._engine.imds is None:
            return
        notice = await watch_spot_notice(self._engine.imds)
        log.warning("spot_notice", action=notice.action, at=notice.at.isoformat())
        self._uploader.hurry()
        watch.flush(_FLUSH_RULE)


@asynccontextmanager
async def open_daemon(
    settings: Settings, state_folder: Path, control: Control
) -> AsyncIterator[Daemon]:
    """Open everything for the length of a block; `shared.errors` say what stands in the way."""
    await anyio.Path(state_folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as locks:
        locks.enter_context(hold_lock(state_folder, notes=state_folder))
        root_lock = RootLock(settings.directory, state_folder)
        locks.callback(root_lock.release)
        root_lock.ensure()
        journal = FileJournal(state_folder / "multipart")
        options = engine_options(settings)
        status = StatusWriter(state_folder, settings, control.board)
        reporter = Reporter(status)

        def progress() -> None:
            control.progress()
            reporter.progress()

        async with open_engine(options, journal=journal, progress=progress) as engine:
            await sweep_uploads(engine.store, journal)
            await _restore(settings.directory)
            at_pass_end = _at_pass_end(settings, status, reporter, control)
            uploader = _uploader(settings, engine, root_lock, at_pass_end, progress)
            yield Daemon(settings, uploader, engine, reporter)


def _at_pass_end(
    settings: Settings, status: StatusWriter, reporter: Reporter, control: Control
) -> PassEnd:
    async def at_pass_end(service: Uploader, counts: PassCounts) -> None:
        if status.retry_requested():
            log.info("parked_released", files=service.parked.release_all())
        await to_thread.run_sync(_prune, settings)
        await reporter.write(service)
        control.status(told_of(counts))

    return at_pass_end


def told_of(counts: PassCounts) -> str:
    """Return the line that `systemctl status` shows after a pass."""
    line = f"{counts.uploaded} uploaded, {counts.failed} failed in the last pass"
    if counts.unremovable:
        line += f", {counts.unremovable} on disk that cannot be removed"
    return line


def _uploader(
    settings: Settings,
    engine: Engine,
    root_lock: RootLock,
    at_pass_end: PassEnd,
    progress: Callable[[], None],
) -> Uploader:

    options = PutOptions(storage_class=settings.storage_class, acl=settings.acl)
    rules = JobRules(settings.weakest_evidence, settings.multipart_mebibytes * _MEBIBYTE, options)
    return Uploader(
        FileJobs(engine.store, settings.directory, rules, clock=time.monotonic),
        engine.store,
        ParkedFiles(settings.directory),
        Limits(settings.files_in_flight, settings.interval_seconds, settings.aliases),
        tidy=lambda folders: tidy_folders(settings.directory, folders),
        before_files=root_lock.ensure,
        at_pass_end=at_pass_end,
        progress=progress,
    )


async def _restore(root: Path) -> None:
    for leftover in await to_thread.run_sync(lambda: list(restore_tree(root))):
        event = "removal_resumed" if leftover.restored else "removal_superseded"
        log.warning(event, folder=leftover.folder, name=leftover.name)


def tidy_folders(root: Path, folders: set[str]) -> None:
    """Remove the hidden folders that removals left empty."""
    for folder in folders:
        try:
            descriptor = open_folder(root, folder.split("/") if folder else [])
        except OSError:
            continue
        try:
            tidy(descriptor)
        finally:
            os.close(descriptor)


def _prune(settings: Settings) -> None:
    age = settings.prune_empty_after_seconds
    if age and (count := prune_empty(settings.directory, older_than_seconds=age, now=time.time())):
        log.info("folders_pruned", folders=count)


def engine_options(settings: Settings) -> EngineOptions:
    """How S3 is opened: a file under way is a request under way."""
    return EngineOptions(
        aws_region=settings.aws_region,
        profile=settings.profile,
        endpoint_url=settings.endpoint_url,
        in_flight=settings.files_in_flight,
        memory_bytes=settings.memory_mebibytes * _MEBIBYTE,
        multipart_threshold=settings.multipart_mebibytes * _MEBIBYTE,
    )


def watch_options(settings: Settings) -> WatchOptions:
    """How the root is watched."""
    return WatchOptions(
        stability=StabilityRule(quiet=settings.stability),
        interval_seconds=settings.interval_seconds,
        rules=SkipRules(patterns=settings.skip_names),
    )
