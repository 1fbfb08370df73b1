"""`towpath ingester srt-indexing`: phase 2.5 alone, and the index itself where that is wanted."""

import json
import sys
from collections.abc import Sequence

from anyio import to_thread

from daemons.ingester.commands.call import Call, Verb, hold_data
from daemons.ingester.commands.each_site import Answer, at_each_site
from daemons.ingester.commands.steps import Step, run_step
from daemons.ingester.phases.index_build import build_index
from daemons.ingester.phases.index_marker import pending_marker
from daemons.ingester.phases.outcome import Phase
from daemons.ingester.project.loading import ProjectSite
from daemons.ingester.syncing.place import require_files
from shared.errors import ExitStatus

SUMMARY = "write search entries alone, or have the index built"

_BUILT, _UNCHANGED = "built", "unchanged"


def main(argv: Sequence[str]) -> int:
    """Run `towpath ingester srt-indexing` with these arguments."""
    return run_step(_STEP, argv)


async def _build_here(call: Call) -> ExitStatus:
    """Build the index of each site with the operator's command; the next run uploads it."""
    if call.settings.index_mode != "local" or call.arguments.dry_run:
        return ExitStatus.DONE
    project = call.project(local_only=True)

    async def build(target: ProjectSite) -> str:
        await to_thread.run_sync(require_files, target.place)
        if not await build_index(call.settings.index_command, target.place):
            return _UNCHANGED
        marker = pending_marker(call.state, target.site.id)
        await to_thread.run_sync(marker.set, "an index was built by towpath ingester srt-indexing")
        return _BUILT

    with hold_data(project):
        answers = await at_each_site(project, build, at_once=call.settings.sites_at_once)
    for answer in answers:
        _tell(call, answer)
    failed = any(answer.error for answer in answers)
    return ExitStatus.UNEXPECTED if failed else ExitStatus.DONE


def _tell(call: Call, answer: Answer[str]) -> None:
    if call.arguments.format == "json":
        document = {"siteId": answer.site_id, "index": answer.found, "error": answer.error}
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    elif answer.found is not None:
        sys.stdout.write(f"{answer.site_id}\tindex {answer.found}\n")
    call.complain(answer.site_id, [answer.error] if answer.error else [])


_STEP = Step(
    Verb(
        "srt-indexing",
        """Write the search entries of transcripts, alone, or have the index built.

        Here it is the run's own phase, which needs no credentials, and with --index-mode=local the
        index is built behind it, by --index-command; the next run uploads both. With --env=prod the
        site's function srt-indexing-SITE is invoked and waited for: it builds the index of what is
        in S3.
        """,
        ("index_mode", "index_command", "sites_at_once"),
    ),
    Phase.SEARCH_ENTRIES,
    "srt-indexing",
    _build_here,
)
