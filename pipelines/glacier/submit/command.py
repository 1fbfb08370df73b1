"""The command `towpath glacier submit`: a plan, printed or sent, and no decisions.

Exit statuses: 0 done · 1 a job was not accepted · 2 bad input, or nothing could be sent.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from pipelines.glacier.project import aws_keys, config_keys
from pipelines.glacier.submit import flags
from pipelines.glacier.submit.plan import Outcome, Plan
from pipelines.glacier.submit.planning import Asked, load_asked, load_plan
from pipelines.glacier.submit.rendering import (
    failed_regions,
    render_json,
    render_outcome,
    render_text,
)
from pipelines.glacier.submit.resolve import resolve_storage
from pipelines.glacier.submit.sources import Sources
from shared.errors import ExitStatus, UsageError

# The rest is imported where it is used: a dry run does not wait for the SDK.
# ruff: noqa: PLC0415

SUMMARY = "submit one job for each region and window of days"

_AT_ONCE = 10


def main(argv: Sequence[str]) -> int:
    """Plan what is asked for, and print it or send it; returns the exit status."""
    asked = load_asked(argv, Path.cwd())
    if asked.sources.line.get(flags.SETUP):
        return _set_up(asked.sources)
    plan = load_plan(asked, uuid4().hex)
    as_json = asked.sources.line.get(flags.OUTPUT) == "json"
    if not as_json:
        _warn(plan.warnings)
    if plan.submission.dry_run:
        sys.stdout.write(render_json(plan) if as_json else render_text(plan))
        return ExitStatus.DONE
    return _send(plan, asked, as_json=as_json)


def _send(plan: Plan, asked: Asked, *, as_json: bool) -> int:
    from pipelines.glacier.submit.connection import client_settings
    from pipelines.glacier.submit.sending import send_plan
    from shared.lifecycle import run
    from shared.log import configure_logging

    configure_logging("glacier")
    settings = client_settings(asked.sources)
    at_once = asked.sources.line.get(flags.MAX_CONCURRENCY) or _AT_ONCE
    outcomes: dict[str, Outcome] = {}

    async def send() -> ExitStatus:
        await send_plan(plan, settings, outcomes, at_once=at_once)
        return ExitStatus.DONE

    try:
        run(send)
    finally:
        # Also when it was interrupted: nobody else knows what was started.
        if outcomes:
            sys.stdout.write(
                render_json(plan, outcomes) if as_json else render_outcome(plan, outcomes)
            )
    return ExitStatus.UNEXPECTED if failed_regions(plan, outcomes) else ExitStatus.DONE


def _set_up(sources: Sources) -> int:
    from pipelines.glacier.submit.connection import client_settings
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
    if not sources.from_config(flags.DRY_RUN, config_keys.DRY_RUN, default=False):
        settings = client_settings(sources)

        async def make() -> ExitStatus:
            await set_up(wanted, settings)
            return ExitStatus.DONE

        run(make)
    sys.stdout.write("".join(f"{step}\n" for step in wanted.steps()))
    return ExitStatus.DONE


def _warn(warnings: Sequence[str]) -> None:
    sys.stderr.write("".join(f"towpath glacier submit: warning: {each}\n" for each in warnings))
