"""`towpath ingester gap`: what is only here, only in S3, or different; nothing is moved."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path

from anyio import to_thread

from daemons.ingester.archive.folders import SYNCED
from daemons.ingester.commands.call import (
    Call,
    Verb,
    add_format,
    read_call,
    run_command,
)
from daemons.ingester.commands.each_site import Answer, at_each_site
from daemons.ingester.project.loading import Project, ProjectSite
from daemons.ingester.syncing.gap import GapReport
from daemons.ingester.syncing.one_way import SyncRules
from daemons.ingester.syncing.report import SyncReport
from daemons.ingester.syncing.site import SiteSync
from shared.checks import shown
from shared.errors import ExitStatus
from shared.files import make_folders, open_durably

SUMMARY = "compare the local files of sites with S3, and move nothing"

_VERB = Verb(
    "gap",
    """Compare the local files of sites with S3, and move nothing.

    Prints what is only here, only in S3, the same or in conflict: totals a folder as text, or every
    path as JSON, one document a site. Exits with 1 where a site could not be compared.
    """,
    ("sync_folders", "sites_at_once"),
)
_CONFLICTS_SHOWN = 20


def main(argv: Sequence[str]) -> int:
    """Run `towpath ingester gap` with these arguments."""
    call = read_call(_VERB, argv, _add_flags)
    rules = SyncRules(call.settings.folders or SYNCED)
    project = call.project()
    return run_command(partial(_gap, call, project, rules))


def _add_flags(parser: argparse.ArgumentParser) -> None:
    add_format(parser)
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="write DIR/SITE.json for each site, too"
    )


async def _gap(call: Call, project: Project, rules: SyncRules) -> ExitStatus:
    async with call.accounts(project) as central:

        async def look(target: ProjectSite) -> SyncReport:
            if target.mapping is None:
                raise RuntimeError("a site was chosen without its mapping")
            async with central.site(target.site.id, target.mapping, step="gap") as account:
                return await SiteSync(account.store, target.place, rules).look()

        answers = await at_each_site(project, look, at_once=call.settings.sites_at_once)
    at = datetime.now(UTC)
    await to_thread.run_sync(_write, call, answers, at)
    whole = [_tell(call, answer) for answer in answers]
    return ExitStatus.DONE if all(whole) else ExitStatus.UNEXPECTED


def _write(call: Call, answers: Sequence[Answer[SyncReport]], at: datetime) -> None:
    """Print the reports, and write them where that is wanted."""
    folder: Path | None = call.arguments.output
    if folder is not None:
        make_folders(folder)
    for gap in (answer.found.gap for answer in answers if answer.found is not None):
        as_text = call.arguments.format == "text"
        sys.stdout.writelines(_text(gap) if as_text else gap.to_json(at))
        if folder is not None:
            with open_durably(folder / f"{gap.site_id}.json", replace=True) as stream:
                stream.writelines(piece.encode() for piece in gap.to_json(at))


def _text(gap: GapReport) -> Iterator[str]:
    yield f"{gap.site_id}, bucket {gap.bucket}\n{gap.to_text()}\n"
    yield from (
        f"  {shown(line.partition(chr(9))[0])}\n"
        for line in islice(gap.conflicts, _CONFLICTS_SHOWN)
    )
    if (rest := len(gap.conflicts) - _CONFLICTS_SHOWN) > 0:
        yield f"  and {rest} more, which --format json names\n"
    yield "\n"


def _tell(call: Call, answer: Answer[SyncReport]) -> bool:
    """Say on stderr what could not be compared; returns whether everything was."""
    reasons = [answer.error] if answer.error else []
    if answer.found is not None:
        reasons += [f"{each.value}: {why}" for each, why in answer.found.unlisted.items()]
        reasons += [f"{note.path!r}: {note.reason}" for note in answer.found.failures.named]
    call.complain(answer.site_id, reasons)
    return not reasons
