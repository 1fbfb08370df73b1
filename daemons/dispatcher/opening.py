"""Open what the dispatcher works with, in the order in which each depends on the one before.

State folder, ledger (the lock lies on it), what a crash left behind, S3, and then the watch; closed
in reverse.
"""

from collections.abc import AsyncIterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, aclosing, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import anyio
import structlog
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

from daemons.dispatcher.backlog import OpenChunks
from daemons.dispatcher.halts import on_disk
from daemons.dispatcher.intent import Intent
from daemons.dispatcher.job import ChunkJobs, SeedStep
from daemons.dispatcher.quarantine import Patience, Quarantine
from daemons.dispatcher.report import PassCounts
from daemons.dispatcher.service import Dispatcher, Limits, Means
from daemons.dispatcher.settings import Settings
from daemons.dispatcher.staging import Staging
from daemons.dispatcher.status import StatusWriter
from shared.commands import CommandLimits, run_command
from shared.engine import engine_options, open_engine, sweep_uploads
from shared.errors import TransientError, UsageError
from shared.files import ready_folder
from shared.fswatch.once import scan_once
from shared.fswatch.options import WatchOptions
from shared.fswatch.stability import StabilityRule
from shared.fswatch.watch import Watch
from shared.handshake.layout import CID, JobFolder, Layout
from shared.handshake.summary import Publisher
from shared.ledger import Ledger
from shared.lifecycle import Control
from shared.lock import hold_lock
from shared.s3.errors import ObjectError
from shared.s3.journal import FileJournal
from shared.s3.store import ObjectStore

log: FilteringBoundLogger = structlog.get_logger()

_MEBIBYTE = 1024 * 1024
_BUCKET_SECONDS = 20.0
"""What does not answer by then is away, and may come back."""


class Daemon:
    """The dispatcher with its watch, as the life cycle runs it."""

    def __init__(self, settings: Settings, dispatcher: Dispatcher) -> None:
        self._settings = settings
        self._dispatcher = dispatcher

    async def run(self, control: Control) -> None:
        """Watch and send until the control says stop."""
        control.status(f"looking at {self._settings.positions_folder}")
        await self._dispatcher.prepare()
        async with Watch(self._settings.positions_folder, self._options()) as watch:
            await self._dispatcher.run(watch)

    async def run_once(self) -> PassCounts:
        """Send what is there now."""
        items = scan_once(self._settings.positions_folder, self._options())
        async with aclosing(items):
            return await self._dispatcher.run_once(items)

    def _options(self) -> WatchOptions:
        return watch_options(self._settings, self._dispatcher.lookout.done)


@asynccontextmanager
async def open_daemon(
    settings: Settings, state_folder: Path, control: Control
) -> AsyncIterator[Daemon]:
    """Open everything for the length of a block; `shared.errors` say what stands in the way."""
    ledger = await to_thread.run_sync(open_ledger, settings)
    await to_thread.run_sync(partial(ready_folder, state_folder, "state folder", mode=0o700))
    with ExitStack() as locks:
        locks.enter_context(hold_lock(state_folder, notes=state_folder))
        locks.enter_context(ledger.held())
        await to_thread.run_sync(_hold_staging, settings.staging_folder, state_folder, locks)
        staging = Staging(settings.positions_folder, settings.staging_folder)
        intent = Intent(state_folder)
        begun = await on_disk(resume, intent, staging)
        quarantine = open_quarantine(settings, state_folder)
        await on_disk(quarantine.load)
        journal = FileJournal(state_folder / "multipart")
        options = engine_options(settings)
        async with open_engine(options, journal=journal, progress=control.progress) as engine:
            await require_bucket(engine.store, settings.layout)
            await sweep_uploads(engine.store, journal)
            jobs = make_jobs(settings, engine.store, staging, ledger, intent, control)
            means = Means(jobs, engine.store, settings.layout, ledger, quarantine)
            status = StatusWriter(
                state_folder, settings, Publisher(engine.store, settings.layout), control
            )
            dispatcher = Dispatcher(
                means,
                Limits(settings.poll_seconds, settings.pause_seconds),
                control,
                begun=begun,
                at_pass_end=status.tell,
            )
            yield Daemon(settings, dispatcher)


def open_ledger(settings: Settings) -> Ledger:
    """Return the ledger, read once; UsageError without a root, LedgerUnreadable."""
    if not settings.project.is_dir():
        raise UsageError(f"the root {str(settings.root)!r} is not a folder; name one with --root")
    ledger = Ledger(settings.ledger_file, accepts=CID, name="ledger of sent CIDs")
    ledger.load()
    return ledger


def _hold_staging(folder: Path, state_folder: Path, locks: ExitStack) -> None:
    """Have the staging folder to ourselves: two would remove each other's seeds.

    They need not meet at a ledger. What had to be made for this goes again when nothing is in it.
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    ready_folder(folder, "staging folder")
    locks.callback(_unmake, made)
    locks.enter_context(hold_lock(folder, notes=state_folder, advice="stop it first"))


def _unmake(folders: Sequence[Path]) -> None:
    """Remove folders, the deepest first, as far as they are empty."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


async def require_bucket(store: ObjectStore, layout: Layout) -> None:
    """Find out whether the bucket is there and is ours; what may pass by itself stops nobody."""
    try:
        with anyio.fail_after(_BUCKET_SECONDS):
            async for _ in store.pages(layout.jobs, delimiter="/"):
                break
    except TimeoutError:
        log.warning("bucket_not_reached", reason="it took too long")
    except ObjectError as error:
        if not isinstance(error, TransientError):
            raise
        log.warning("bucket_not_reached", code=error.code, reason=str(error))


def open_quarantine(settings: Settings, state_folder: Path) -> Quarantine:
    """Return the quarantine; not loaded yet."""
    return Quarantine(state_folder, settings.seed_command, Patience(settings.attempts))


def make_jobs(
    settings: Settings,
    store: ObjectStore,
    staging: Staging,
    ledger: Ledger,
    intent: Intent,
    control: Control,
) -> ChunkJobs:
    """Make the jobs between this folder and this bucket."""
    memory = settings.step_memory_mebibytes * _MEBIBYTE
    limits = CommandLimits(settings.step_limit_seconds, memory_bytes=memory or None)
    run_step = partial(run_command, cwd=settings.project, limits=limits, progress=control.progress)
    seed_step = SeedStep(settings.seed_command, run_step, built_in=settings.is_built_in)
    return ChunkJobs(store, settings.layout, staging, ledger, intent, seed_step)


def resume(intent: Intent, staging: Staging) -> Sequence[JobFolder]:
    """Remove what a killed life left on this disk; returns the job that it had in hand."""
    folder = intent.load()
    if folder is None:
        return ()
    staging.clear(folder.cid)
    log.info("job_resumed", cid=folder.cid, job=str(folder))
    return (folder,)


def watch_options(settings: Settings, done: AbstractSet[str] = frozenset()) -> WatchOptions:
    """How the folder of positions is watched; the chunks of `done` are passed over."""
    return WatchOptions(
        stability=StabilityRule(quiet=settings.stability),
        interval_seconds=settings.poll_seconds,
        rules=OpenChunks(done=done),
    )
