"""`towpath ingester sync`: bring local files and S3 in step, and do nothing else."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial

from anyio import to_thread

from daemons.ingester.archive.folders import SYNCED
from daemons.ingester.commands.call import (
    Call,
    Verb,
    add_format,
    hold_data,
    read_call,
    run_command,
)
from daemons.ingester.commands.each_site import Answer, at_each_site
from daemons.ingester.commands.moved import has_failed, reasons_of, to_json, to_text
from daemons.ingester.phases.index_marker import PendingMarker, pending_marker, stale_marker
from daemons.ingester.phases.invalidation import STALE
from daemons.ingester.project.loading import Project, ProjectSite
from daemons.ingester.syncing.compare import ConflictRule, Direction
from daemons.ingester.syncing.one_way import SyncRules
from daemons.ingester.syncing.report import SyncReport
from daemons.ingester.syncing.site import SiteSync
from shared.checks import shown
from shared.errors import ExitStatus

SUMMARY = "bring the local files of sites and S3 in step, either way or both"

_VERB = Verb(
    "sync",
    """Bring the local files of sites and S3 in step, either way or both, and do nothing else.

    Manifests are merged whatever the rule for conflicts; nothing is ever deleted. What is uploaded
    is marked, so that the next run has the index built and caches forget. Exits with 1 where
    something failed.
    """,
    ("sync_folders", "sites_at_once"),
)
_BOTH = "both"
_REASON = "files were uploaded by towpath ingester sync"


def main(argv: Sequence[str]) -> int:
    """Run `towpath ingester sync` with these arguments."""
    call = read_call(_VERB, argv, _add_flags)
    arguments = call.arguments
    rules = SyncRules(
        call.settings.folders or SYNCED, ConflictRule(arguments.conflicts), arguments.dry_run
    )
    project = call.project()
    with nullcontext() if rules.dry_run else hold_data(project):
        return run_command(partial(_sync, call, project, rules))


def _add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--direction",
        choices=(*(each.value for each in Direction), _BOTH),
        default=_BOTH,
        help="pull: bring here what S3 has; push: bring to S3 what is here; default: both",
    )
    parser.add_argument(
        "--conflicts",
        choices=[each.value for each in ConflictRule],
        default=ConflictRule.NEWER.value,
        help="who wins where both sides have a file and differ; default: whichever is newer",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the plan and move nothing")
    add_format(parser)


async def _sync(call: Call, project: Project, rules: SyncRules) -> ExitStatus:
    chosen: str = call.arguments.direction
    directions = list(Direction) if chosen == _BOTH else [Direction(chosen)]
    async with call.accounts(project) as central:

        async def sync(target: ProjectSite) -> Sequence[SyncReport]:
            if target.mapping is None:
                raise RuntimeError("a site was chosen without its mapping")
            async with central.site(target.site.id, target.mapping, step="sync") as account:
                due = {pending_marker(call.state, target.site.id): _REASON}
                if target.mapping.cloudfront_id:
                    due[stale_marker(call.state, target.site.id)] = STALE
                work = SiteSync(account.store, target.place, rules)
                return await _move(work, directions, due)

        answers = await at_each_site(project, sync, at_once=call.settings.sites_at_once)
    status = ExitStatus.DONE
    for answer in answers:
        reports = answer.found or ()
        sys.stdout.write(_rendered(call, answer))
        reasons = [reason for report in reports for reason in reasons_of(report)]
        call.complain(answer.site_id, [answer.error, *reasons] if answer.error else reasons)
        if answer.error or any(map(has_failed, reports)):
            status = ExitStatus.UNEXPECTED
    return status


async def _move(
    work: SiteSync, directions: Sequence[Direction], due: Mapping[PendingMarker, str]
) -> Sequence[SyncReport]:
    """Pull before push, so that what is pushed is merged already; not where a manifest is broken.

    An upload makes a new index necessary, and caches stale, and no command but the run sees to
    that: it is marked first, as the run would, with the reason for each marker.
    """

    async def mark() -> None:
        for marker, reason in due.items():
            await to_thread.run_sync(marker.set, reason)

    reports: list[SyncReport] = []
    for direction in directions:
        if reports and reports[-1].blocked:
            break
        if direction is Direction.PULL:
            reports.append(await work.pull())
        else:
            reports.append(await work.push(before_indexed=mark))
    return reports


def _rendered(call: Call, answer: Answer[Sequence[SyncReport]]) -> str:
    site_id, reports = answer.site_id, answer.found or ()
    dry_run: bool = call.arguments.dry_run
    if call.arguments.format == "json":
        document: Mapping[str, object] = {
            "siteId": site_id,
            "directions": [to_json(report, dry_run=dry_run) for report in reports],
            "error": answer.error,
        }
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    lines = [site_id]
    lines += [line for report in reports for line in to_text(report, dry_run=dry_run)]
    return "".join(f"{shown(line)}\n" for line in (lines if reports else ()))
