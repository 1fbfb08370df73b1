"""Look without touching: what a pass would do (`--plan`), and whether it could (`--check`)."""

import os
import secrets
import socket
import sys
from pathlib import Path

from anyio import to_thread

from daemons.watcher.opening import open_book, open_ledger
from daemons.watcher.settings import Settings
from shared.engine import Engine, engine_options, open_engine
from shared.errors import ExitStatus
from shared.handshake.claims import LeaseBook, LeaseUnreadable, probe_conditional_writes
from shared.handshake.lease import Lease, LeaseState, Owner
from shared.handshake.listing import Job, list_jobs, list_results
from shared.s3.errors import BucketMissing, ObjectError
from shared.s3.uri import S3Uri


async def show_plan(settings: Settings, _state_folder: Path) -> ExitStatus:
    """Print a line for each job whose CID is not in the ledger: what a pass would do, and why."""
    ledger = await to_thread.run_sync(open_ledger, settings)
    async with open_engine(engine_options(settings), journal=None) as engine:
        book = open_book(settings, engine.store, _nobody())
        jobs: dict[str, Job] = {}
        async for job in list_jobs(engine.store, settings.layout):
            if job.folder.cid not in ledger:
                jobs[job.folder.cid] = job
        results: dict[str, list[str]] = {cid: [] for cid in jobs}
        if jobs:
            async for result in list_results(engine.store, settings.layout):
                results.get(result.runout.cid, []).append(str(result.runout))
        for cid, job in sorted(jobs.items()):
            verb, reason = await _plan(book, job, results[cid])
            sys.stdout.write(f"{verb}\t{cid}\t{job.folder}\t{reason}\n")
        if not jobs:
            sys.stdout.write("IDLE\tevery job is in the ledger\n")
    return ExitStatus.DONE


async def _plan(book: LeaseBook, job: Job, results: list[str]) -> tuple[str, str]:
    if not job.complete:
        return "wait", "it has no cid.txt yet"
    try:
        seen = await book.read(job.folder.cid)
    except LeaseUnreadable as error:
        return "leave", str(error)
    if seen is not None:
        return _by_lease(seen.lease)
    if results:
        return "look", f"there is {results[0]} without a lease; recorded if it is whole"
    return "claim", "new"


def _by_lease(lease: Lease) -> tuple[str, str]:
    match lease.state:
        case LeaseState.COMMITTED:
            return "record", f"its result is {lease.runout}"
        case LeaseState.PARKED:
            return "leave", f"parked since {lease.since}: {lease.reason}"
        case LeaseState.CLAIMED:
            return "wait", f"claimed by {lease.owner.host} since {lease.since}"
        case LeaseState.RELEASED:
            return "claim", f"released: {lease.reason}; it has failed {lease.attempts} times"


async def run_checks(settings: Settings, _state_folder: Path) -> ExitStatus:
    """Print whether settings, folders, credentials, bucket and its fences are in order."""
    await to_thread.run_sync(open_ledger, settings)
    sys.stdout.write(f"settings\tok\nledger\tok\t{settings.ledger_file}\n")
    fault = _work_fault(settings.work_folder)
    sys.stdout.write(f"work\t{fault or 'ok'}\t{settings.work_folder}\n")
    status = ExitStatus.USAGE if fault else ExitStatus.DONE
    async with open_engine(engine_options(settings), journal=None) as engine:
        who = engine.place.arn or "unknown (the service answers no identity)"
        sys.stdout.write(f"credentials\tok\t{who}\n")
        verdict, found = await _check_bucket(settings, engine)
        sys.stdout.write(f"bucket {settings.bucket}\t{verdict}\n")
    return status if found is ExitStatus.DONE else found


async def _check_bucket(settings: Settings, engine: Engine) -> tuple[str, ExitStatus]:
    try:
        await engine.store.capabilities(settings.bucket)
        async for _ in engine.store.pages(S3Uri(settings.bucket, settings.layout.jobs.key)):
            break
        fenced = await probe_conditional_writes(
            engine.store, settings.layout, secrets.token_hex(16)
        )
    except BucketMissing:
        return "does not exist; create it or name another", ExitStatus.UNREACHABLE
    except ObjectError as error:
        return f"{error.code}; {error}", ExitStatus.UNREACHABLE
    if fenced or settings.sole_watcher:
        return "ok" if fenced else "ok for one watcher only", ExitStatus.DONE
    return "does not honour conditional writes; see --sole-watcher", ExitStatus.USAGE


def _work_fault(folder: Path) -> str:
    """Say why the work folder, or the first folder above it that is there, cannot be used."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        return f"{str(folder)!r} is no folder"
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"{str(folder)!r} cannot be written"


def _nobody() -> Owner:
    """Return an owner that owns nothing."""
    return Owner(secrets.token_hex(16), secrets.token_hex(16), socket.gethostname())
