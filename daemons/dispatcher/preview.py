"""Look without touching: what a pass would do (`--plan`), and whether it could (`--check`)."""

import sys
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from anyio import to_thread

from daemons.dispatcher.backlog import Backlog
from daemons.dispatcher.halts import FolderUnusable, on_disk
from daemons.dispatcher.intent import Intent
from daemons.dispatcher.lookout import missing_positions
from daemons.dispatcher.opening import open_ledger, open_quarantine, watch_options
from daemons.dispatcher.plan import (
    MISNAMED,
    Facts,
    KnownJob,
    Record,
    Send,
    Skip,
    chunk_cid,
    plan_cid,
)
from daemons.dispatcher.quarantine import Quarantine
from daemons.dispatcher.service import list_known
from daemons.dispatcher.settings import Settings
from daemons.dispatcher.staging import Staging
from shared.checks import Check, check_folder, check_program, shown
from shared.engine import engine_options, open_engine
from shared.errors import ExitStatus
from shared.fswatch.items import Candidates, Noticed, RootMissing, StillChanging
from shared.fswatch.once import scan_once
from shared.fswatch.stability import FileIdentity
from shared.handshake.checks import check_listing, run_hand_shake_checks
from shared.handshake.layout import JobFolder


async def show_plan(settings: Settings, state_folder: Path) -> ExitStatus:
    """Print a line for each CID that a pass would look at: what it would do, and why."""
    ledger = await to_thread.run_sync(open_ledger, settings)
    quarantine = open_quarantine(settings, state_folder)
    await on_disk(quarantine.load)
    intended = await on_disk(Intent(state_folder).load)
    sent = await to_thread.run_sync(ledger.load)
    survey = await on_disk(Staging(settings.positions_folder, settings.staging_folder).survey)
    chunks = await _look(settings, sent | survey.answers)
    plans = _Plans(chunks, quarantine, intended)
    known: dict[str, KnownJob] = {}
    # Only who has something to send needs S3, or credentials.
    if any(isinstance(plans.decide(cid, known), Send) for cid in chunks):
        async with open_engine(engine_options(settings), journal=None) as engine:
            known = await list_known(engine.store, settings.layout, sent)
    for cid in sorted(chunks):
        match plans.decide(cid, known):
            case Send(folder, reason):
                sys.stdout.write(f"send\t{cid}\t{settings.layout.seed(folder)}\t{reason}\n")
            case Record(folder):
                sys.stdout.write(f"record\t{cid}\t{settings.layout.marker(folder)}\tcomplete\n")
            case Skip(reason):
                sys.stdout.write(f"leave\t{cid}\t{reason}\n")
    answered = survey.answers - sent
    for name in sorted(survey.misnamed):
        sys.stdout.write(f"leave\t{shown(name)}\t{MISNAMED}\n")
    sys.stdout.write(f"leave\t{_cids(len(sent))}\tsent\nleave\t{_cids(len(answered))}\tanswered\n")
    if not survey.chunks:
        sys.stdout.write(f"leave\t0 CIDs\tno chunk in {settings.positions_folder}\n")
    return ExitStatus.DONE


def _cids(count: int) -> str:
    return "1 CID" if count == 1 else f"{count} CIDs"


class _Plans:
    """What is known, on this side of the bucket, of the CIDs that are neither sent nor answered."""

    def __init__(
        self,
        chunks: Mapping[str, FileIdentity],
        quarantine: Quarantine,
        intended: JobFolder | None,
    ) -> None:
        self._chunks = chunks
        self._quarantine = quarantine
        self._intended = intended
        self._now = datetime.now(UTC)

    def decide(self, cid: str, known: dict[str, KnownJob]) -> Send | Record | Skip:
        intended = self._intended
        facts = Facts(
            cid=cid,
            sent=False,
            answered=False,
            job=known.get(cid),
            intended=intended if intended is not None and intended.cid == cid else None,
            held=self._quarantine.why_not(cid, self._chunks[cid], 0.0),
        )
        return plan_cid(facts, self._now)


async def _look(settings: Settings, done: AbstractSet[str]) -> Mapping[str, FileIdentity]:
    """Find the settled chunks that are neither sent nor answered."""
    backlog = Backlog()
    items = scan_once(settings.positions_folder, watch_options(settings, done))
    async with aclosing(items):
        async for item in items:
            match item:
                case Candidates(files=files):
                    backlog.take(files)
                case StillChanging(path) if cid := chunk_cid(path):
                    sys.stdout.write(f"wait\t{cid}\tstill being written\n")
                case Noticed(oddity) if cid := chunk_cid(oddity.path):
                    sys.stdout.write(f"leave\t{cid}\t{oddity.reason}\n")
                case RootMissing(root, reason):
                    raise FolderUnusable(missing_positions(root, reason))
                case _:
                    continue
    return backlog.chunks


async def run_checks(settings: Settings, state_folder: Path) -> ExitStatus:
    """Print whether settings, ledger, folders, seed step, credentials and bucket are in order."""
    ledger = await to_thread.run_sync(open_ledger, settings)
    folders = await to_thread.run_sync(_check_disk, settings, state_folder)
    check_bucket = partial(check_listing, where=settings.layout.jobs)
    return await run_hand_shake_checks(settings, ledger, folders, check_bucket)


def _check_disk(settings: Settings, state_folder: Path) -> list[Check]:
    return [
        check_folder("positions", settings.positions_folder, written=False, made=False),
        check_folder("staging", settings.staging_folder),
        check_folder("state", state_folder),
        check_program("seed step", settings.seed_command[0], settings.project),
    ]
