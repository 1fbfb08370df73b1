"""Look without touching: what a pass would do (`--plan`), and whether it could (`--check`)."""

import os
import sys
from collections import Counter
from pathlib import Path

from anyio import to_thread

from daemons.collector.job import Found, RunoutJobs
from daemons.collector.opening import make_jobs, open_ledger
from daemons.collector.plan import Orphan, Pull, Refuse, Wait
from daemons.collector.settings import Settings
from shared.engine import engine_options, open_engine
from shared.errors import ExitStatus
from shared.handshake.listing import Result, list_results
from shared.ledger import Ledger
from shared.s3.errors import ObjectError
from shared.s3.store import ObjectStore


async def show_plan(settings: Settings, _state_folder: Path) -> ExitStatus:
    """Print a line for each runout that a pass would look at: what it would do, and why."""
    ledger = await to_thread.run_sync(open_ledger, settings)
    async with open_engine(engine_options(settings), journal=None) as engine:
        jobs = make_jobs(settings, engine.store, ledger)
        seen: Counter[str] = Counter()
        lines = 0
        async for result in list_results(engine.store, settings.layout):
            cid = result.runout.cid
            seen[cid] += 1
            recorded = cid in ledger
            if recorded and seen[cid] == 1:
                continue
            sys.stdout.write(await _plan_line(jobs, result, second=seen[cid] > 1) + "\n")
            lines += 1
    if not lines:
        sys.stdout.write(f"nothing to do\t{len(ledger)} CIDs are recorded\n")
    return ExitStatus.DONE


async def _plan_line(jobs: RunoutJobs, result: Result, *, second: bool) -> str:
    try:
        step = await jobs.judge(Found(result, second))
    except ObjectError as error:
        return f"leave\t{result.runout}\t{error}"
    match step:
        case Pull(files, reason):
            size = sum(file.size for file in files)
            verb = "compare" if second else "collect"
            return f"{verb}\t{result.runout}\t{len(files)} files, {size} bytes\t{reason}"
        case Wait(reason):
            return f"wait\t{result.runout}\t{_shown(reason)}"
        case Orphan(reason) | Refuse(reason):
            return f"leave\t{result.runout}\t{_shown(reason)}"


async def run_checks(settings: Settings, _state_folder: Path) -> ExitStatus:
    """Print whether settings, ledger, folders, credentials and the bucket are in order."""
    ledger = await to_thread.run_sync(open_ledger, settings)
    sys.stdout.write(f"settings\tok\nledger\tok\t{len(ledger)} CIDs in {settings.ledger_file}\n")
    status = ExitStatus.DONE
    for name, folder in (("inbox", settings.inbox_folder), ("central", settings.central_folder)):
        verdict, fits = await to_thread.run_sync(_check_folder, folder, ledger)
        sys.stdout.write(f"{name}\t{verdict}\t{folder}\n")
        status = status if fits else ExitStatus.USAGE
    async with open_engine(engine_options(settings), journal=None) as engine:
        who = engine.place.arn or "unknown (the service answers no identity)"
        sys.stdout.write(f"credentials\tok\t{who}\n")
        verdict, fits = await _check_bucket(settings, engine.store)
        sys.stdout.write(f"bucket\t{verdict}\n")
    return status if fits else ExitStatus.UNREACHABLE


async def _check_bucket(settings: Settings, store: ObjectStore) -> tuple[str, bool]:
    try:
        known = await store.capabilities(settings.bucket)
        async for _ in store.pages(settings.layout.runouts, delimiter="/"):
            break
    except ObjectError as error:
        return f"{error.code}\t{error}", False
    return f"ok\t{settings.layout.runouts}, region {known.region or 'not told'}", True


def _check_folder(folder: Path, ledger: Ledger) -> tuple[str, bool]:
    if folder.is_dir():
        usable = os.access(folder, os.R_OK | os.W_OK | os.X_OK)
        return ("ok", True) if usable else ("may not be written into; change its mode", False)
    if len(ledger):
        return "is not there, though CIDs were collected; mount or create it", False
    return "ok, will be made", True


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
