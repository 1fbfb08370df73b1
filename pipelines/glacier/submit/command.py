"""The command `towpath glacier submit`: a plan, printed or sent, and no decisions.

Exit statuses: 0 done · 1 a job was not accepted, or was waited for and did not succeed · 2 bad
input, or nothing could be sent.
"""

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from pipelines.glacier.lines import where
from pipelines.glacier.lines.loading import Loaded, load_sources
from pipelines.glacier.lines.sources import Sources
from pipelines.glacier.lines.storage import resolve_storage
from pipelines.glacier.project import aws_keys, config_keys
from pipelines.glacier.submit import flags
from pipelines.glacier.submit.plan import Plan
from pipelines.glacier.submit.planning import load_plan
from pipelines.glacier.submit.rendering import (
    all_is_well,
    render_json,
    render_outcome,
    render_sums,
    render_text,
)
from pipelines.glacier.submit.submission_log import (
    LOG_PATH,
    Entry,
    append_entries,
    begun,
    ended,
)
from pipelines.glacier.values import Values
from shared.errors import ExitStatus, UsageError

if TYPE_CHECKING:
    from pipelines.glacier.submit.sending import Manner

# The rest is imported where it is used: a dry run does not wait for the SDK.
# ruff: noqa: PLC0415

SUMMARY = "submit one job for each region and window of days"

_AT_ONCE = 10
_POLL_SECONDS = 30
_WAIT_MINUTES = 1440


def main(argv: Sequence[str]) -> int:
    """Plan what is asked for, and print it or send it; returns the exit status."""
    asked = load_sources(flags.SYNTAX, argv, Path.cwd())
    if asked.sources.line.get(flags.SETUP):
        return _set_up(asked.sources)
    plan = load_plan(asked, uuid4().hex)
    as_json = asked.sources.line.get(where.OUTPUT) == "json"
    if not as_json:
        _warn(plan.warnings)
    _note(asked, begun(plan))
    if plan.submission.dry_run:
        sys.stdout.write(render_json(plan) if as_json else render_text(plan))
        return ExitStatus.DONE
    return _send(plan, asked, as_json=as_json)


def _send(plan: Plan, asked: Loaded, *, as_json: bool) -> int:
    from pipelines.glacier.lines.connection import client_settings
    from pipelines.glacier.submit.sending import send_plan
    from pipelines.glacier.submit.waiting import Sent
    from shared.lifecycle import run
    from shared.log import configure_logging

    configure_logging("glacier")
    settings, manner = client_settings(asked.sources), _manner(asked.sources.line)
    sent = Sent({}, {})

    async def send() -> ExitStatus:
        await send_plan(plan, settings, sent, manner)
        return ExitStatus.DONE

    results = None if manner.patience is None else sent.results
    try:
        run(send)
    finally:
        # Also when it was interrupted: nobody else knows what was started.
        if sent.outcomes and as_json:
            sys.stdout.write(render_json(plan, sent.outcomes, results))
            sys.stderr.write(render_sums(plan, sent.outcomes, results))
        elif sent.outcomes:
            sys.stdout.write(render_outcome(plan, sent.outcomes, results))
        _note(asked, ended(plan, sent.outcomes, results))
    return ExitStatus.DONE if all_is_well(plan, sent.outcomes, results) else ExitStatus.UNEXPECTED


def _manner(line: Values) -> "Manner":
    from pipelines.glacier.submit.sending import Manner
    from pipelines.glacier.submit.waiting import Patience

    patience = Patience(
        line.get(flags.POLL_SECONDS) or _POLL_SECONDS,
        60.0 * (line.get(flags.WAIT_MINUTES) or _WAIT_MINUTES),
    )
    at_once = line.get(flags.MAX_CONCURRENCY) or _AT_ONCE
    return Manner(at_once, patience if line.get(flags.WAIT) else None)


def _set_up(sources: Sources) -> int:
    from pipelines.glacier.lines.connection import client_settings
    from pipelines.glacier.submit.setup import Setup, set_up
    from shared.lifecycle import run

    problems = (*sources.config.problems, *sources.aws.problems)
    if problems:
        raise UsageError("\n".join(problems))
    _warn((*sources.config.warnings, *sources.aws.warnings))
    wanted = Setup(
        resolve_storage(sources),
        topic_arn=sources.aws_key("", aws_keys.SNS_TOPIC),
        email=sources.from_config(flags.EMAIL, config_keys.EMAIL, ""),
    )
    dry_run = sources.from_config(flags.DRY_RUN, config_keys.DRY_RUN, default=False)
    if not dry_run:
        settings = client_settings(sources)

        async def make() -> ExitStatus:
            await set_up(wanted, settings)
            return ExitStatus.DONE

        run(make)
    sys.stdout.write("".join(f"{step}\n" for step in wanted.steps()))
    if dry_run:
        sys.stdout.write("dry run, nothing is made: this is what a set-up brings about\n")
    return ExitStatus.DONE


def _note(asked: Loaded, entries: Iterable[Entry]) -> None:
    """Add to the project's log, if there is a project."""
    if asked.project is None:
        return
    try:
        append_entries(asked.project, [*entries], datetime.now(UTC).astimezone())
    except OSError as error:
        _warn([f"nothing is noted in {str(LOG_PATH)!r}: {error.strerror}"])


def _warn(warnings: Sequence[str]) -> None:
    sys.stderr.write(
        "".join(f"towpath glacier submit: warning: {each}\n" for each in dict.fromkeys(warnings))
    )
