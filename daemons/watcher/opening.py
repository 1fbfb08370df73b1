"""Open what the watcher works with, in the order in which each depends on the one before.

Ledger, work folder (the lock lies on it), state folder, S3, what a crash left behind; closed in
reverse.
"""

import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import anyio
import structlog
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

from daemons.watcher.candidates import Candidates
from daemons.watcher.job import CidJobs, JobRules
from daemons.watcher.lookout import Lookout
from daemons.watcher.report import PassCounts
from daemons.watcher.scripts import ScriptResults
from daemons.watcher.service import Limits, Watcher
from daemons.watcher.settings import Settings
from daemons.watcher.status import StatusWriter
from daemons.watcher.steps import CommandSteps, StepRule, StepRules
from daemons.watcher.workspace import Workspace, open_workspace
from shared.aws.imds import watch_spot_notice
from shared.engine import Engine, engine_options, open_engine, sweep_uploads
from shared.errors import AlreadyRunning, UsageError
from shared.files import ready_folder
from shared.handshake.claims import LeaseBook, probe_conditional_writes
from shared.handshake.layout import CID
from shared.handshake.lease import LeaseWatch, Owner
from shared.ledger import Ledger
from shared.lifecycle import Control
from shared.lock import hold_lock
from shared.s3.journal import FileJournal
from shared.s3.store import ObjectStore

log: FilteringBoundLogger = structlog.get_logger()

_MEBIBYTE = 1024 * 1024
_JOB_MARGIN_SECONDS = 1800.0
"""What pulling and pushing may add to the time of the steps."""
_LONGEST_REQUEST_SECONDS = 30.0
_SHORTEST_REQUEST_SECONDS = 2.0
_NOTICE_SECONDS = 900.0
"""An instance that is still there so long after a notice works on."""


class Daemon:
    """The watcher, and what tells it that its machine is about to go."""

    def __init__(self, watcher: Watcher, engine: Engine) -> None:
        self._watcher = watcher
        self._engine = engine

    async def run(self, control: Control) -> None:
        """Work until the control says stop."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._heed_notices, control)
            await self._watcher.run(control)
            tasks.cancel_scope.cancel()

    async def run_once(self) -> PassCounts:
        """Do one pass over what may be claimed now."""
        return await self._watcher.run_once()

    async def _heed_notices(self, control: Control) -> None:
        if self._engine.imds is None:
            return
        while True:
            notice = await watch_spot_notice(self._engine.imds)
            log.warning("spot_notice", action=notice.action, at=notice.at.isoformat())
            self._watcher.drain(draining=True)
            if await control.rest(_NOTICE_SECONDS):
                return
            self._watcher.drain(draining=False)


@asynccontextmanager
async def open_daemon(
    settings: Settings, state_folder: Path, control: Control
) -> AsyncIterator[Daemon]:
    """Open everything for the length of a block; `shared.errors` say what stands in the way."""
    ledger = await to_thread.run_sync(open_ledger, settings)
    await to_thread.run_sync(_require_writable, settings.ledger_file)
    with ExitStack() as stack:
        workspace = stack.enter_context(open_workspace(settings.work_folder))
        folder = _own_state(state_folder, workspace, stack)
        journal = FileJournal(folder / "multipart")
        async with open_engine(engine_options(settings), journal=journal) as engine:
            await sweep_uploads(engine.store, journal)
            owner = Owner(secrets.token_hex(16), workspace.instance, socket.gethostname())
            await require_fences(settings, engine.store, owner)
            book = open_book(settings, engine.store, owner)
            watcher = make_watcher(settings, engine.store, book, workspace, ledger, control)
            status = StatusWriter(folder, settings, workspace, control.board)
            _write_status(watcher, status, control)
            log.info("workspace_opened", folder=str(workspace.folder), owner=owner.process)
            yield Daemon(watcher, engine)


def open_ledger(settings: Settings) -> Ledger:
    """Return the ledger, read once; UsageError without a root, LedgerUnreadable."""
    if not settings.root.is_dir():
        raise UsageError(f"the root {str(settings.root)!r} is not a folder; name one with --root")
    ledger = Ledger(settings.ledger_file, accepts=CID, name="ledger of processed CIDs")
    ledger.load()
    return ledger


def _require_writable(ledger: Path) -> None:
    """Refuse a ledger in which nothing could be recorded; nobody holds it, so nobody tries."""
    ledger = ledger.absolute()
    place = ledger if ledger.exists() else ledger.parent
    if not os.access(place, os.W_OK):
        raise UsageError(
            f"the ledger of processed CIDs {str(ledger)!r} cannot be written by this user: "
            f"{str(place)!r} is not for it; change its owner or mode, or name another"
        )


def open_book(settings: Settings, store: ObjectStore, owner: Owner) -> LeaseBook:
    """Return the leases as this owner uses them."""
    # A request must not outlast the lease that it keeps; nor be too short for any network.
    seconds = settings.lease_seconds / 4
    bounded = max(_SHORTEST_REQUEST_SECONDS, min(_LONGEST_REQUEST_SECONDS, seconds))
    return LeaseBook(
        store,
        settings.layout,
        owner,
        conditional=not settings.sole_watcher,
        request_seconds=bounded,
    )


async def require_fences(settings: Settings, store: ObjectStore, owner: Owner) -> None:
    """Find out whether the bucket keeps owners apart; UsageError when it does not."""
    if settings.sole_watcher:
        log.warning("fences_missing", reason="--sole-watcher: no other watcher may run anywhere")
        return
    if not await probe_conditional_writes(store, settings.layout, owner.process):
        raise UsageError(
            f"bucket {settings.bucket!r} does not honour conditional writes, which keep watchers "
            "apart; use another service, or run one watcher only, with --sole-watcher"
        )


def make_watcher(
    settings: Settings,
    store: ObjectStore,
    book: LeaseBook,
    workspace: Workspace,
    ledger: Ledger,
    control: Control,
) -> Watcher:
    """Put the service together; what a former life left in the work folder is removed."""
    largest = settings.largest_file_mebibytes * _MEBIBYTE
    rules = step_rules(settings)
    jobs = CidJobs(
        store,
        book,
        workspace,
        ledger,
        CommandSteps(rules),
        JobRules(settings.attempts, settings.lease_seconds, largest),
        clock=lambda: datetime.now(UTC),
    )
    lookout = Lookout(
        store,
        book,
        ledger,
        Candidates(attempts=settings.attempts),
        ScriptResults(
            store, book.layout, workspace, file_bytes_max=largest, clock=anyio.current_time
        ),
        LeaseWatch(
            settings.lease_seconds, settings.first_delay_seconds, settings.longest_delay_seconds
        ),
        clock=anyio.current_time,
        stopping=control.stopping.is_set,
    )
    lookout.suspect(workspace.leftovers())
    workspace.sweep()
    limits = Limits(settings.poll_seconds, rules.longest_seconds + _JOB_MARGIN_SECONDS)
    return Watcher(lookout, jobs, limits, control)


def step_rules(settings: Settings) -> StepRules:
    """Return what the settings say about the steps."""
    return StepRules(
        root=settings.root.absolute(),
        steps={
            "sidecar": StepRule(
                settings.sidecar_template,
                settings.sidecar_seconds,
                built_in=settings.is_built_in("sidecar"),
            ),
            "closest": StepRule(
                settings.closest_command,
                settings.closest_seconds,
                built_in=settings.is_built_in("closest"),
            ),
        },
        values={
            "catalogue": settings.catalogue,
            "radius": str(settings.radius_arcsec),
            "workers": str(settings.pixels_at_once),
        },
        neowise_years=settings.neowise_years,
        memory_bytes=settings.step_memory_bytes,
        file_bytes=settings.step_file_mebibytes * _MEBIBYTE,
        # Within the grace, with time to give the CID back.
        term_seconds=min(5.0, settings.grace_seconds / 2),
    )


def _own_state(state_folder: Path, workspace: Workspace, stack: ExitStack) -> Path:
    """Have a state folder of our own: the one that was named, or one in it when it is taken."""
    ready_folder(state_folder, "state folder", mode=0o700)
    try:
        stack.enter_context(hold_lock(state_folder, notes=state_folder))
    except AlreadyRunning:
        folder = state_folder / f"watcher-{workspace.number}"
        ready_folder(folder, "state folder", mode=0o700)
        stack.enter_context(hold_lock(folder, notes=folder))
        return folder
    return state_folder


def _write_status(watcher: Watcher, status: StatusWriter, control: Control) -> None:
    """Have the status written when there is news."""

    async def write() -> None:
        await to_thread.run_sync(status.write, watcher)

    async def at_pass_end(service: Watcher, counts: PassCounts) -> None:
        await write()
        left = f"{service.counts.waiting} waiting, {service.counts.set_aside} parked"
        control.status(f"{counts.state}: {counts.processed} processed in the last pass, {left}")

    watcher.at_pass_end = at_pass_end
    watcher.jobs.at_beat = write
