"""`towpath ingester consistency`: whether the local files of sites belong together."""

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog
from structlog.typing import FilteringBoundLogger

from daemons.ingester.archive.folders import SYNCED
from daemons.ingester.commands.call import Call, Verb, add_format, read_call, run_command
from daemons.ingester.commands.each_site import Answer, at_each_site
from daemons.ingester.commands.moved import has_failed, reasons_of, to_json, to_text
from daemons.ingester.mirror.consistency import ConsistencyReport
from daemons.ingester.mirror.consistency_reader import check_consistency
from daemons.ingester.project.loading import Project, ProjectSite
from daemons.ingester.syncing.one_way import SyncRules
from daemons.ingester.syncing.report import SyncReport
from daemons.ingester.syncing.site import SiteSync
from shared.checks import shown
from shared.errors import ExitStatus

if TYPE_CHECKING:
    from daemons.ingester.account.sessions import Central

log: FilteringBoundLogger = structlog.get_logger()

SUMMARY = "look for what is missing, stale or double in the local files of sites"

_VERB = Verb(
    "consistency",
    """Look for what is missing, stale or double in the local files of sites, and change nothing.

    Needs no credentials, unless --moving-in asks what a first run would change: then both sides of
    each site are compared, too, and what would be downloaded and uploaded is printed. Exits with 1
    where there are errors, with 2 where there are warnings alone.
    """,
    ("sync_folders", "sites_at_once"),
)


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found at a site."""

    report: ConsistencyReport
    plans: Sequence[SyncReport] = ()
    """What each direction would move."""


def main(argv: Sequence[str]) -> int:
    """Run `towpath ingester consistency` with these arguments."""
    call = read_call(_VERB, argv, _add_flags)
    project = call.project(local_only=not call.arguments.moving_in)
    return run_command(partial(_consistency, call, project))


def _add_flags(parser: argparse.ArgumentParser) -> None:
    add_format(parser)
    parser.add_argument(
        "--moving-in",
        action="store_true",
        help="print what a first run would download and upload, too",
    )


async def _consistency(call: Call, project: Project) -> ExitStatus:
    async with AsyncExitStack() as stack:
        central = None
        if call.arguments.moving_in:
            central = await stack.enter_async_context(call.accounts(project))

        async def check(target: ProjectSite) -> Checked:
            report = await check_consistency(target.site, target.place)
            log.info("site_checked", site=target.site.id, errors=report.errors)
            plans = () if central is None else await _plans(call, central, target)
            return Checked(report, plans)

        answers = await at_each_site(project, check, at_once=call.settings.sites_at_once)
    for answer in answers:
        _write(call, answer)
    return _status(answers)


async def _plans(call: Call, central: "Central", target: ProjectSite) -> Sequence[SyncReport]:
    """Return what a run's first and last phase would do now, each by itself."""
    if target.mapping is None:
        raise RuntimeError("a site was chosen without its mapping")
    rules = SyncRules(call.settings.folders or SYNCED, dry_run=True)
    async with central.site(target.site.id, target.mapping, step="moving-in") as account:
        work = SiteSync(account.store, target.place, rules)
        return [await work.pull(), await work.push()]


def _write(call: Call, answer: Answer[Checked]) -> None:
    checked = answer.found
    if checked is not None and call.arguments.format == "json":
        document = dict(checked.report.to_json())
        if call.arguments.moving_in:
            document["movingIn"] = [to_json(plan, dry_run=True) for plan in checked.plans]
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    elif checked is not None:
        lines = checked.report.to_text().splitlines()
        lines += [line for plan in checked.plans for line in to_text(plan, dry_run=True)]
        sys.stdout.write("".join(f"{shown(line)}\n" for line in lines))
    reasons = [answer.error] if answer.error else []
    reasons += [each for plan in (checked.plans if checked else ()) for each in reasons_of(plan)]
    call.complain(answer.site_id, reasons)


def _status(answers: Sequence[Answer[Checked]]) -> ExitStatus:
    """Return 1 where anything is wrong or could not be looked at, 2 for warnings alone."""
    statuses = set()
    for answer in answers:
        checked = answer.found
        if checked is None or any(map(has_failed, checked.plans)):
            return ExitStatus.UNEXPECTED
        statuses.add(checked.report.status)
    worst = (ExitStatus.UNEXPECTED, ExitStatus.USAGE)
    return next((status for status in worst if status in statuses), ExitStatus.DONE)
