"""Open what the collector works with, in the order in which each depends on the one before.

State folder, ledger (the lock lies on it), what a crash left behind, and S3; closed in reverse.
"""

import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import structlog
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

from daemons.collector.central import Folders, sweep
from daemons.collector.job import JobRules, RunoutJobs
from daemons.collector.report import PassCounts
from daemons.collector.service import Collector, Interrupted, Limits
from daemons.collector.settings import Settings
from daemons.collector.status import StatusWriter
from daemons.collector.tagging import Tagger
from daemons.collector.verdicts import Verdicts
from shared.engine import engine_options, open_engine
from shared.errors import UsageError
from shared.files import ready_folder
from shared.handshake.claims import LeaseBook
from shared.handshake.layout import CID
from shared.handshake.lease import Owner
from shared.handshake.summary import Publisher
from shared.ledger import Ledger
from shared.lifecycle import Control
from shared.lock import hold_lock
from shared.s3.store import ObjectStore

log: FilteringBoundLogger = structlog.get_logger()

TAGGED_FILE = "tagged_cids"
"""In the state folder: the CIDs whose objects have the tag; without it tags are read again."""

_MEBIBYTE = 1024 * 1024
_TAGGING_SECONDS_MAX = 60.0


@asynccontextmanager
async def open_daemon(
    settings: Settings, state_folder: Path, control: Control
) -> AsyncIterator[Collector]:
    """Open everything for the length of a block; `shared.errors` say what stands in the way."""
    ledger = await to_thread.run_sync(open_ledger, settings)
    await to_thread.run_sync(partial(ready_folder, state_folder, "state folder", mode=0o700))
    with ExitStack() as locks:
        locks.enter_context(hold_lock(state_folder, notes=state_folder))
        locks.enter_context(ledger.held())
        await to_thread.run_sync(_sweep, settings.central_folder)
        # All that it sends is small.
        async with open_engine(
            engine_options(settings), journal=None, progress=control.progress
        ) as engine:
            yield make_collector(settings, engine.store, ledger, state_folder, control)


def open_ledger(settings: Settings) -> Ledger:
    """Return the ledger, read once; UsageError without a root, LedgerUnreadable."""
    if not settings.root.is_dir():
        raise UsageError(f"the root {str(settings.root)!r} is not a folder; name one with --root")
    ledger = Ledger(settings.ledger_file, accepts=CID, name="ledger of collected CIDs")
    ledger.load()
    return ledger


def make_jobs(
    settings: Settings,
    store: ObjectStore,
    ledger: Ledger,
    alive: Callable[[], None] = lambda: None,
) -> RunoutJobs:
    """Make the jobs between this bucket and these folders."""
    # The collector only reads leases: nobody ever meets this owner in one.
    book = LeaseBook(store, settings.layout, Owner("collector", "collector", socket.gethostname()))
    return RunoutJobs(
        store,
        book,
        Folders(settings.inbox_folder, settings.central_folder),
        ledger,
        JobRules(settings.largest_file_mebibytes * _MEBIBYTE),
        alive=alive,
    )


def make_collector(
    settings: Settings, store: ObjectStore, ledger: Ledger, state_folder: Path, control: Control
) -> Collector:
    """Put the service together."""
    publisher = Publisher(store, settings.layout)
    status = StatusWriter(state_folder, settings, publisher, control.board)

    async def at_pass_end(service: Collector, counts: PassCounts) -> None:
        await to_thread.run_sync(status.write, service, counts)
        await status.publish(service)
        control.status(f"{counts.collected} collected, {counts.waiting} waiting in the last pass")

    jobs = make_jobs(settings, store, ledger, Pulse(control, settings.grace_seconds))
    return Collector(
        jobs,
        store,
        ledger,
        Verdicts(state_folder),
        Limits(settings.poll_seconds, settings.runouts_in_flight),
        clock=time.monotonic,
        at_pass_end=at_pass_end,
        tagger=make_tagger(settings, jobs, store, state_folder) if settings.tag_collected else None,
    )


def make_tagger(
    settings: Settings, jobs: RunoutJobs, store: ObjectStore, state_folder: Path
) -> Tagger:
    """Make what tags; it never takes longer than the pause between two looks."""
    return Tagger(
        jobs,
        store,
        Ledger(state_folder / TAGGED_FILE, accepts=CID, name="ledger of tagged CIDs"),
        seconds=min(settings.poll_seconds, _TAGGING_SECONDS_MAX),
        in_flight=settings.runouts_in_flight,
    )


class Pulse:
    """Called by threads that read long tables: shows that they get on, and ends them in time.

    A thread cannot be cancelled, and the process would wait for it.
    """

    def __init__(self, control: Control, grace_seconds: float) -> None:
        self._control = control
        self._grace_seconds = grace_seconds
        self._stopping_since: float | None = None

    def __call__(self) -> None:
        """Report progress; Interrupted when the grace is over."""
        self._control.progress()
        if not self._control.stopping.is_set():
            return
        now = time.monotonic()
        if self._stopping_since is None:
            self._stopping_since = now
        if now - self._stopping_since >= self._grace_seconds:
            raise Interrupted("the grace is over; the comparison begins anew next time")


def _sweep(folder: Path) -> None:
    try:
        left = sweep(folder)
    except OSError:
        return  # the first pass says what is wrong with it
    if left:
        log.info("leftovers_removed", folder=str(folder), files=left)
