"""The command `towpath glacier sync`: the project folder to its prefix, and what came of it.

Exit statuses: 0 done and verified · 1 a file or a check failed · 2 bad input, or no bucket.
"""

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from pipelines.glacier.lines import where
from pipelines.glacier.lines.flag import Flag
from pipelines.glacier.lines.storage import resolve_storage
from pipelines.glacier.lines.syntax import Syntax
from pipelines.glacier.transfer.local_project import Project, read_project
from pipelines.glacier.transfer.manifest import Manifest
from pipelines.glacier.transfer.project_line import AskedProject, load_project_line
from pipelines.glacier.transfer.reports import SyncReport
from pipelines.glacier.transfer.rule_flags import EXCLUDE, EXPECTED_REGIONS, INCLUDE
from pipelines.glacier.transfer.sync_plan import Synced
from pipelines.glacier.values import SWITCH
from shared.errors import ExitStatus

# The rest is imported where it is used: --help and mistakes in the line do not wait for the SDK.
# ruff: noqa: PLC0415

SUMMARY = "bring the project's code to S3, where functions in mode s3 load it"

DELETE = Flag(
    "--delete", SWITCH, "remove what lies below the prefix and is no file here", switch=True
)
DRY_RUN = Flag("--dry-run", SWITCH, "print what would be done and write nothing", switch=True)
SYNTAX = Syntax(
    "towpath glacier sync",
    """
    Upload what differs from S3 by content, write the manifest last, then verify.

    Secrets never leave this machine. The rules, and how to add to them: docs/glacier-sync.md.
    """,
    {
        "what": (EXCLUDE, INCLUDE, DELETE, DRY_RUN, EXPECTED_REGIONS, where.OUTPUT),
        "where": (where.S3_BUCKET, where.AWS_REGION, where.ENDPOINT_URL),
        "project": (where.PROJECT, where.CONFIG, where.AWS_CONFIG),
    },
)


def main(argv: Sequence[str]) -> int:
    """Sync, or tell what a sync would do; returns the exit status."""
    asked = load_project_line(SYNTAX, argv, Path.cwd())
    project = read_project(asked.root, asked.rules)
    from shared.lifecycle import run
    from shared.log import configure_logging

    configure_logging("glacier")
    reports: list[SyncReport] = []

    async def work() -> ExitStatus:
        await _sync(asked, project, reports)
        return ExitStatus.DONE if reports[-1].is_good else ExitStatus.UNEXPECTED

    try:
        status = run(work)
    finally:
        # Also when the check could not be made: what was written is known here alone.
        for report in reports[-1:]:
            as_json = asked.sources.line.get(where.OUTPUT) == "json"
            sys.stdout.write(report.to_json() if as_json else report.to_text())
    return status


async def _sync(asked: AskedProject, project: Project, reports: list[SyncReport]) -> None:
    """Sync and verify; the last report is the one that knows most."""
    from pipelines.glacier.transfer.opening import open_store
    from pipelines.glacier.transfer.syncing import Sync
    from pipelines.glacier.transfer.verifying import NothingThere, Wanted, verify

    bucket = resolve_storage(asked.sources).s3_bucket
    digests = Manifest(project.entries).digests
    line = asked.sources.line
    async with open_store(asked.sources) as store:
        sync = Sync(store, bucket, project)
        seen = await sync.look()
        if line.get(DRY_RUN):
            reports.append(SyncReport(bucket, project, digests, seen.plan))
            return
        done = Synced()
        reports.append(SyncReport(bucket, project, digests, seen.plan, done))
        delete, now = bool(line.get(DELETE)), datetime.now(UTC)
        await sync.carry_out(seen, delete=delete, now=now, done=done)
        with suppress(NothingThere):
            # After a sync that failed as well: it tells what there is.
            checks = await verify(store, bucket, Wanted(project, asked.rules, asked.regions))
            reports.append(replace(reports[-1], checks=checks))
