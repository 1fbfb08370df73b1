"""The command `towpath glacier verify`: what lies in S3 held against the project folder here.

Exit statuses: 0 all checks pass · 1 one fails · 2 bad input, no bucket, or nothing there.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from pipelines.glacier.lines import where
from pipelines.glacier.lines.storage import resolve_storage
from pipelines.glacier.lines.syntax import Syntax
from pipelines.glacier.transfer.local_project import read_project
from pipelines.glacier.transfer.project_line import load_project_line
from pipelines.glacier.transfer.reports import check_lines, checks_to_json
from pipelines.glacier.transfer.rule_flags import EXCLUDE, EXPECTED_REGIONS, INCLUDE
from pipelines.glacier.transfer.verification import Check
from shared.errors import ExitStatus

# The rest is imported where it is used: --help and mistakes in the line do not wait for the SDK.
# ruff: noqa: PLC0415

SUMMARY = "check that S3 has the project as it is here"

SYNTAX = Syntax(
    "towpath glacier verify",
    "Read what a sync has written, and run five checks. Nothing is written.",
    {
        "what": (EXCLUDE, INCLUDE, EXPECTED_REGIONS, where.OUTPUT),
        "where": (where.S3_BUCKET, where.AWS_REGION, where.ENDPOINT_URL),
        "project": (where.PROJECT, where.CONFIG, where.AWS_CONFIG),
    },
)


def main(argv: Sequence[str]) -> int:
    """Check, print what came of it, and return the exit status."""
    asked = load_project_line(SYNTAX, argv, Path.cwd())
    project = read_project(asked.root, asked.rules)
    from pipelines.glacier.transfer.opening import open_store
    from pipelines.glacier.transfer.verifying import Wanted, verify
    from shared.lifecycle import run
    from shared.log import configure_logging

    configure_logging("glacier")
    wanted = Wanted(project, asked.rules, asked.regions)
    bucket = resolve_storage(asked.sources).s3_bucket
    checks: list[Check] = []

    async def work() -> ExitStatus:
        async with open_store(asked.sources) as store:
            checks.extend(await verify(store, bucket, wanted))
        passed = all(each.passed for each in checks)
        return ExitStatus.DONE if passed else ExitStatus.UNEXPECTED

    status = run(work)
    if asked.sources.line.get(where.OUTPUT) == "json":
        sys.stdout.write(checks_to_json(bucket, checks))
    else:
        sys.stdout.write("".join(f"{line}\n" for line in check_lines(checks)))
    return status
