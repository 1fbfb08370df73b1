"""Look without touching: what a pass would do (`--plan`), and whether it could (`--check`)."""

import os
import shutil
import sys
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path

from anyio import to_thread

from daemons.dispatcher.backlog import Backlog
from daemons.dispatcher.halts import FolderUnusable, on_disk
from daemons.dispatcher.intent import Intent
from daemons.dispatcher.opening import open_ledger, open_quarantine, watch_options
from daemons.dispatcher.plan import Facts, KnownJob, Record, Send, Skip, chunk_cid, plan_cid
from daemons.dispatcher.quarantine import Quarantine
from daemons.dispatcher.service import list_known
from daemons.dispatcher.settings import Settings
from daemons.dispatcher.staging import Staging
from shared.engine import engine_options, open_engine
from shared.errors import ExitStatus
from shared.fswatch.items import Candidates, Noticed, RootMissing, StillChanging
from shared.fswatch.once import scan_once
from shared.fswatch.stability import FileIdentity
from shared.handshake.layout import JobFolder
from shared.s3.errors import ObjectError
from shared.s3.store import ObjectStore


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
    sys.stdout.write(f"leave\t{len(sent)} CIDs\tsent\nleave\t{len(answered)} CIDs\tanswered\n")
    if not survey.chunks:
        sys.stdout.write(f"leave\t0 CIDs\tno chunk in {settings.positions_folder}\n")
    return ExitStatus.DONE


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
                    raise FolderUnusable(
                        f"the folder of positions {root!r}: {reason}; start in the project's root"
                    )
                case _:
                    continue
    return backlog.chunks


async def run_checks(settings: Settings, state_folder: Path) -> ExitStatus:
    """Print whether settings, ledger, folders, seed step, credentials and bucket are in order."""
    ledger = await to_thread.run_sync(open_ledger, settings)
    sys.stdout.write(f"settings\tok\nledger\tok\t{len(ledger)} CIDs in {settings.ledger_file}\n")
    status = ExitStatus.DONE
    for name, verdict, fits in await to_thread.run_sync(_check_disk, settings, state_folder):
        sys.stdout.write(f"{name}\t{verdict}\n")
        status = status if fits else ExitStatus.USAGE
    async with open_engine(engine_options(settings), journal=None) as engine:
        who = engine.place.arn or "unknown (the service answers no identity)"
        sys.stdout.write(f"credentials\tok\t{who}\n")
        verdict, fits = await _check_bucket(settings, engine.store)
        sys.stdout.write(f"bucket\t{verdict}\n")
    return status if fits else ExitStatus.UNREACHABLE


def _check_disk(settings: Settings, state_folder: Path) -> list[tuple[str, str, bool]]:
    program = settings.seed_command[0].replace("{python}", sys.executable)
    found = shutil.which(program, path=os.environ.get("PATH"))
    if "/" in program and found is None:
        found = shutil.which(str(settings.project / program))
    return [
        ("positions", *_check_folder(settings.positions_folder, os.R_OK | os.X_OK, made=False)),
        ("staging", *_check_folder(settings.staging_folder, os.R_OK | os.W_OK | os.X_OK)),
        ("state", *_check_folder(state_folder, os.R_OK | os.W_OK | os.X_OK)),
        ("seed step", f"ok\t{found}" if found else f"{program!r} is not found", bool(found)),
    ]


def _check_folder(folder: Path, needed: int, *, made: bool = True) -> tuple[str, bool]:
    if folder.is_dir():
        fits = os.access(folder, needed)
        return (f"ok\t{folder}" if fits else f"{folder}: its mode does not let us in"), fits
    if folder.exists() or not made:
        return f"{folder} is not a folder; start it in the project's root", False
    return f"ok\t{folder} will be made", True


async def _check_bucket(settings: Settings, store: ObjectStore) -> tuple[str, bool]:
    try:
        known = await store.capabilities(settings.bucket)
        async for _ in store.pages(settings.layout.jobs, delimiter="/"):
            break
    except ObjectError as error:
        return f"{error.code}\t{error}", False
    return f"ok\t{settings.layout.jobs}, region {known.region or 'not told'}", True
