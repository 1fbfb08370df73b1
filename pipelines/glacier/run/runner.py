"""A job in a container of Batch, ECS or Fargate: what the environment says is done once.

    python -m pipelines.glacier.run.runner

Names of variables may be upper or lower case, as in older images. The answer goes to stdout as one
line of JSON, logs to stderr.

| exit status | the job                                                                           |
|-------------|-----------------------------------------------------------------------------------|
| 0           | is done, or there was nothing to do                                               |
| 1           | failed, or its time was up: what is left is in the record                         |
| 2           | was not understood                                                                |
| 143         | was stopped by SIGTERM: everything finished is stored, and a repetition goes on   |

SIGTERM means that the host goes away: the scene that is in hand is dropped, the rest is stored
within twenty seconds, which is less than any of the services waits before it kills.
"""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TextIO
from uuid import uuid4

import anyio
import structlog
from anyio.abc import TaskStatus
from structlog.typing import FilteringBoundLogger

from pipelines.glacier.job_record import RunStatus
from pipelines.glacier.run.answering import answer_event
from pipelines.glacier.run.environment import event_of_environment
from pipelines.glacier.run.limits import Limits
from pipelines.glacier.run.opening import load_settings
from pipelines.glacier.run.request import parse_event
from pipelines.glacier.run.response import Answer, bounded_json
from shared.cli import run_command
from shared.errors import ExitStatus, UsageError
from shared.log import configure_logging

log: FilteringBoundLogger = structlog.get_logger()

STOPPED = 128 + signal.SIGTERM
_STATUSES: Mapping[RunStatus, int] = {
    "success": ExitStatus.DONE,
    "no_data": ExitStatus.DONE,
    "partial": ExitStatus.UNEXPECTED,
    "failed": ExitStatus.UNEXPECTED,
    "invalid": ExitStatus.USAGE,
}
_ERRORS: Mapping[int, int] = {
    ExitStatus.CREDENTIALS: 1,
    ExitStatus.UNREACHABLE: 1,
    ExitStatus.SAFETY_STOP: 1,
}
_OWN_IDS = ("AWS_BATCH_JOB_ID",)
"""What stays the same when a service tries a job again."""


def main(argv: Sequence[str]) -> int:
    """Do the job of the environment, and return the exit status."""
    if argv:
        raise UsageError(f"unknown argument {argv[0]!r}; the environment says what is to be done")
    configure_logging("glacier")
    return anyio.run(
        partial(run_job, os.environ, sys.stdout),
        backend="asyncio",
        backend_options={"use_uvloop": True},
    )


async def run_job(variables: Mapping[str, str], stdout: TextIO) -> int:
    """Do the job that these variables say; UsageError."""
    try:
        event = event_of_environment(variables)
    except ValueError as error:
        raise UsageError(str(error)) from error
    submission = next(filter(None, map(variables.get, _OWN_IDS)), "") or uuid4().hex
    limits = Limits(load_settings().time_limit_seconds)
    async with anyio.create_task_group() as tasks:
        await tasks.start(_stop_on_signal, limits)
        try:
            answer = await answer_event(
                event, parse_event(event), submission_id=submission, limits=limits
            )
        finally:
            tasks.cancel_scope.cancel()
    stdout.write(f"{bounded_json(answer.body)}\n")
    stdout.flush()
    return _status_of(answer, limits)


def _status_of(answer: Answer, limits: Limits) -> int:
    if answer.status == "partial" and limits.stopped:
        return STOPPED
    return _STATUSES[answer.status]


async def _stop_on_signal(limits: Limits, *, task_status: TaskStatus[None]) -> None:
    """Have the run end when a signal says so; a second one changes nothing."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for number in signals:
            log.warning("run_stopping", signal=number.name)
            limits.stop()


if __name__ == "__main__":
    status = run_command("glacier runner", main, sys.argv[1:])
    sys.exit(_ERRORS.get(status, status) if isinstance(status, ExitStatus) else status)
