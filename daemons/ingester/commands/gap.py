"""`towpath ingester gap`: what is only here, only in S3, or different; nothing is moved."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
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
from shared.files import open_durably, ready_folder

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
    if call.arguments.output is not None:
        # Before the work: thousands of listings later is too late for a mistyped name.
        ready_folder(call.arguments.output, "folder of --output")
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
    unwritten = await to_thread.run_sync(_write, call, answers, at)
    whole = [_tell(call, answer, unwritten.get(answer.site_id)) for answer in answers]
    return ExitStatus.DONE if all(whole) else ExitStatus.UNEXPECTED


def _write(call: Call, answers: Sequence[Answer[SyncReport]], at: datetime) -> Mapping[str, str]:
    """Print the reports, and write them where that is wanted; returns why not, by site."""
    folder: Path | None = call.arguments.output
    unwritten: dict[str, str] = {}
    for gap in (answer.found.gap for answer in answers if answer.found is not None):
        as_text = call.arguments.format == "text"
        sys.stdout.writelines(_text(gap) if as_text else gap.to_json(at))
        if folder is not None and (fault := _save(folder / f"{gap.site_id}.json", gap, at)):
            unwritten[gap.site_id] = fault
    return unwritten


def _save(path: Path, gap: GapReport, at: datetime) -> str:
    """Write a report; returns why it could not be written."""
    try:
        with open_durably(path, replace=True) as stream:
            stream.writelines(piece.encode() for piece in gap.to_json(at))
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        return f"{str(path)!r} cannot be written: {said}; name another folder with --output"
    return ""


def _text(gap: GapReport) -> Iterator[str]:
    yield f"{gap.site_id}, bucket {gap.bucket}\n{gap.to_text()}\n"
    yield from (
        f"  {shown(line.partition(chr(9))[0])}\n"
        for line in islice(gap.conflicts, _CONFLICTS_SHOWN)
    )
    if (rest := len(gap.conflicts) - _CONFLICTS_SHOWN) > 0:
        yield f"  and {rest} more, which --format json names\n"
    yield "\n"


def _tell(call: Call, answer: Answer[SyncReport], unwritten: str | None) -> bool:
    """Say on stderr what could not be compared or written; returns whether everything was."""
    reasons = [reason for reason in (answer.error, unwritten) if reason]
    if answer.found is not None:
        reasons += [f"{each.value}: {why}" for each, why in answer.found.unlisted.items()]
        reasons += [f"{note.path!r}: {note.reason}" for note in answer.found.failures.named]
    call.complain(answer.site_id, reasons)
    return not reasons
