"""Look without touching: what a pass would do (`--plan`), and whether it could (`--check`)."""

import secrets
import socket
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from anyio import to_thread

from daemons.watcher.opening import open_book, open_ledger
from daemons.watcher.settings import Settings
from shared.checks import Check, check_folder, check_program
from shared.engine import engine_options, open_engine
from shared.errors import ExitStatus
from shared.handshake.checks import bucket_fault, check_listing, run_hand_shake_checks
from shared.handshake.claims import LeaseBook, LeaseUnreadable, probe_conditional_writes
from shared.handshake.lease import Lease, LeaseState, Owner
from shared.handshake.listing import Job, list_jobs, list_results
from shared.s3.errors import ObjectError
from shared.s3.store import ObjectStore


async def show_plan(settings: Settings, _state_folder: Path) -> ExitStatus:
    """Print a line for each job whose CID is not in the ledger: what a pass would do, and why."""
    ledger = await to_thread.run_sync(open_ledger, settings)
    async with open_engine(engine_options(settings), journal=None) as engine:
        book = open_book(settings, engine.store, _nobody())
        jobs: dict[str, Job] = {}
        listed = False
        async for job in list_jobs(engine.store, settings.layout):
            listed = True
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
            why = "every job is in the ledger" if listed else "no job is in the bucket"
            sys.stdout.write(f"IDLE\t{why}\n")
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


async def run_checks(settings: Settings, state_folder: Path) -> ExitStatus:
    """Print whether settings, folders, steps, credentials, bucket and its fences are in order."""
    ledger = await to_thread.run_sync(open_ledger, settings)
    folders = await to_thread.run_sync(_check_disk, settings, state_folder)
    check_bucket = partial(_check_bucket, settings)
    return await run_hand_shake_checks(settings, ledger, folders, check_bucket)


def _check_disk(settings: Settings, state_folder: Path) -> list[Check]:
    return [
        check_folder("work", settings.work_folder),
        check_folder("state", state_folder),
        check_program("sidecar step", settings.sidecar_template[0], settings.root),
        check_program("closest step", settings.closest_command[0], settings.root),
        _check_catalogue(settings),
    ]


def _check_catalogue(settings: Settings) -> Check:
    """Look for a catalogue on this disk; one that is elsewhere is the step's to find."""
    if not any("{catalogue}" in word for word in settings.sidecar_template):
        what = "the public one" if settings.is_built_in("sidecar") else "what the step reads"
        return Check("catalogue", what)
    if "://" in settings.catalogue:
        return Check("catalogue", f"{settings.catalogue} (not looked into)")
    folder = settings.root / settings.catalogue
    return check_folder("catalogue", folder, written=False, made=False)


async def _check_bucket(settings: Settings, store: ObjectStore) -> Check:
    where = settings.layout.jobs
    listing = await check_listing(store, where)
    if listing.fault:
        return listing
    try:
        fenced = await probe_conditional_writes(store, settings.layout, secrets.token_hex(16))
    except ObjectError as error:
        return bucket_fault(where, error)
    if not (fenced or settings.sole_watcher):
        return Check("bucket", str(where), "does not honour conditional writes; see --sole-watcher")
    return listing if fenced else replace(listing, what=f"{listing.what}, for one watcher only")


def _nobody() -> Owner:
    """Return an owner that owns nothing."""
    return Owner(secrets.token_hex(16), secrets.token_hex(16), socket.gethostname())
