"""The program of the operator's own that is called when a run fails.

    PROGRAM ARGUMENTS... SUMMARY FAILURES

`SUMMARY` is the run's JSON, empty for a run that could not begin; `FAILURES` is how many runs have
failed in a row, 0 for one that is complete with errors. `TOWPATH_EVENT` says the same in a word,
`TOWPATH_REASON` in a line. Rule: whatever the hook does changes nothing about the run.
"""

import os
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

import structlog
from structlog.typing import FilteringBoundLogger

from daemons.ingester.runs.interval import REPEATED_FAILURES
from shared.commands import CommandLimits, run_command

log: FilteringBoundLogger = structlog.get_logger()

_LIMITS = CommandLimits(time_seconds=60.0, tail_bytes=2048)
_LONGEST_REASON = 1000


class Event(StrEnum):
    """Why a hook is called."""

    ERRORS = "errors"
    """Some items failed; the run is complete."""
    FAILED = "failed"
    REPEATED = "failed-repeatedly"
    """From the fourth failure in a row on."""


def event_of(failures: int) -> Event:
    """Return the event of a run with errors, after which so many have failed in a row."""
    if not failures:
        return Event.ERRORS
    return Event.REPEATED if failures >= REPEATED_FAILURES else Event.FAILED


async def call_hook(
    command: Sequence[str], summary: Path | None, failures: int, reason: str
) -> None:
    """Call the operator's program, within a minute."""
    event = event_of(failures)
    argv = [*command, "" if summary is None else str(summary), str(failures)]
    environment = {
        **os.environ,
        "TOWPATH_EVENT": event.value,
        "TOWPATH_REASON": reason.replace("\0", " ")[:_LONGEST_REASON],
    }
    outcome = await run_command(argv, env=environment, limits=_LIMITS)
    if outcome.ok:
        log.info("hook_called", hook_event=event.value, failures=failures)
    else:
        log.warning("hook_failed", program=command[0], reason=outcome.reason(), output=outcome.tail)
