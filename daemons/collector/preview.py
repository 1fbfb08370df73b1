"""Look without touching: what a pass would do (`--plan`), and whether it could (`--check`)."""

import sys
from collections import Counter
from functools import partial
from pathlib import Path

from anyio import to_thread

from daemons.collector.job import Found, RunoutJobs
from daemons.collector.opening import make_jobs, open_ledger
from daemons.collector.plan import Orphan, Pull, Refuse, Wait
from daemons.collector.settings import Settings
from shared.checks import Check, check_folder, shown
from shared.engine import engine_options, open_engine
from shared.errors import ExitStatus
from shared.handshake.checks import check_listing, run_hand_shake_checks
from shared.handshake.listing import Result, list_results
from shared.ledger import Ledger
from shared.s3.errors import ObjectError


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
            return f"wait\t{result.runout}\t{shown(reason)}"
        case Orphan(reason) | Refuse(reason):
            return f"leave\t{result.runout}\t{shown(reason)}"


async def run_checks(settings: Settings, state_folder: Path) -> ExitStatus:
    """Print whether settings, ledger, folders, credentials and the bucket are in order."""
    ledger = await to_thread.run_sync(open_ledger, settings)
    folders = await to_thread.run_sync(_check_disk, settings, state_folder, ledger)
    check_bucket = partial(check_listing, where=settings.layout.runouts)
    return await run_hand_shake_checks(settings, ledger, folders, check_bucket)


def _check_disk(settings: Settings, state_folder: Path, ledger: Ledger) -> list[Check]:
    # Where CIDs were collected there are such folders: one that is missing is not mounted.
    made = not len(ledger)
    return [
        check_folder("inbox", settings.inbox_folder, made=made),
        check_folder("central", settings.central_folder, made=made),
        check_folder("state", state_folder),
    ]
