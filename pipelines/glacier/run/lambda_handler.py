"""The handler of the Lambda function: an event in, an answer out.

| what happens                       | event with `submission_id`            | other event       |
|------------------------------------|---------------------------------------|-------------------|
| fields are missing, or contradict  | status 400                            | status 400        |
| each other                         |                                       |                   |
| the run ends, in whatever way      | status 200 or 500                     | status 200 or 500 |
| S3 or the disk fails               | raised: the platform tries again      | status 500        |
| a mistake of ours                  | raised                                | raised            |

Lambda does not tell a handler whether anybody waits for its answer. Events with a `submission_id`
are sent asynchronously, or by Step Functions; both want the error itself. Where an event has none,
the request's own id stands in, which the platform keeps when it tries again.
"""

import sys
import time
from collections.abc import Mapping
from functools import partial
from typing import Protocol

import anyio
import structlog
from structlog.typing import FilteringBoundLogger

from pipelines.glacier.run.answering import answer_event, foreseeable
from pipelines.glacier.run.limits import Limits
from pipelines.glacier.run.metrics import metrics_line
from pipelines.glacier.run.request import parse_event
from pipelines.glacier.run.response import Answer, failed_answer
from shared.errors import SuiteError
from shared.log import configure_logging

log: FilteringBoundLogger = structlog.get_logger()


class LambdaContext(Protocol):
    """The part of the platform's context that is used here."""

    @property
    def aws_request_id(self) -> str:
        """The event's own id, kept by the platform's retries."""

    def get_remaining_time_in_millis(self) -> int:
        """Return what is left of the time limit."""


def handler(event: object, context: LambdaContext) -> Mapping[str, object]:
    """Do what an event asks for, and return `{"statusCode": ..., "body": "<JSON>"}`."""
    configure_logging("glacier")
    with structlog.contextvars.bound_contextvars(request_id=context.aws_request_id):
        handle = partial(_handle, event, context)
        began = time.monotonic()
        answer = anyio.run(handle, backend="asyncio", backend_options={"use_uvloop": True})
        seconds = time.monotonic() - began
    # Told to CloudWatch by way of the log, where a line must hold nothing else.
    line = metrics_line(answer, seconds=seconds, milliseconds=time.time_ns() // 1_000_000)
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
    return answer.to_response()


lambda_handler = handler
"""The name that the first function was configured with."""


async def _handle(event: object, context: LambdaContext) -> Answer:
    limits = Limits(context.get_remaining_time_in_millis() / 1000)
    parsed = parse_event(event)
    try:
        return await answer_event(
            event, parsed, submission_id=context.aws_request_id, limits=limits
        )
    except (SuiteError, OSError, ExceptionGroup) as error:
        first = foreseeable(error)
        if first is None or parsed.submission_id or parsed.place is None:
            raise first or error from None
        log.exception("run_crashed")
        return failed_answer(parsed.place, f"{type(first).__name__}: {first}", event)
