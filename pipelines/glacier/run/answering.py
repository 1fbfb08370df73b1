"""From an event to its answer, for whoever was handed the event.

Rule: what is no request is answered at once and recorded where its record would be, so that nobody
waits for it in vain.
"""

from collections.abc import Iterator
from dataclasses import replace

import anyio
import structlog
from structlog.typing import FilteringBoundLogger

from pipelines.glacier.run.core import Machine
from pipelines.glacier.run.limits import Limits
from pipelines.glacier.run.opening import libraries, load_settings, open_store
from pipelines.glacier.run.request import Parsed, Place
from pipelines.glacier.run.response import Answer, invalid_answer
from pipelines.glacier.run.settings import RunSettings
from shared.errors import SuiteError

log: FilteringBoundLogger = structlog.get_logger()

_REFUSAL_SECONDS = 15.0


async def answer_event(
    event: object, parsed: Parsed, *, submission_id: str, limits: Limits
) -> Answer:
    """Do what was asked for; `submission_id` stands in where the request has none.

    Raises:
        SuiteError, OSError, or a group of them: what nobody foresaw.
    """
    if parsed.ignored:
        log.debug("fields_ignored", fields=parsed.ignored)
    settings = load_settings()
    if parsed.request is None:
        answer = invalid_answer(parsed, event)
        log.error("event_refused", problems=list(parsed.problems))
        if parsed.place is not None:
            submission = parsed.submission_id or submission_id
            await _record_refusal(event, parsed.place, answer, settings, submission)
        return answer
    submission = parsed.submission_id or submission_id
    request = replace(parsed.request, submission_id=submission)
    about = {"job_name": request.place.job_name, "submission_id": submission}
    with structlog.contextvars.bound_contextvars(**about):
        async with open_store(settings) as store:
            machine = Machine(settings, store, libraries())
            return await machine.run(request, limits, event=event, warnings=parsed.warnings)


async def _record_refusal(
    event: object, place: Place, answer: Answer, settings: RunSettings, submission_id: str
) -> None:
    try:
        with anyio.fail_after(_REFUSAL_SECONDS):
            async with open_store(settings) as store:
                await Machine(settings, store).refuse(place, submission_id, answer, event)
    except (SuiteError, TimeoutError) as error:
        # The answer says it all; the record is for those who do not get the answer.
        log.warning("refusal_not_recorded", reason=str(error))


def foreseeable(error: BaseException) -> Exception | None:
    """Return the first error of those that the outside world causes; None for a mistake of ours."""
    leaves = list(_leaves(error))
    first = leaves[0]
    if isinstance(first, Exception) and all(isinstance(e, SuiteError | OSError) for e in leaves):
        return first
    return None


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
