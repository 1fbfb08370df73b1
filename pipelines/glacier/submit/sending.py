"""Sending a plan: all its jobs, a few at a time, and what became of each.

What is known is kept as it comes, so that a run that is interrupted can say which jobs it started.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

import anyio
import structlog
from structlog.typing import FilteringBoundLogger

from pipelines.glacier.submit.asking import Asking
from pipelines.glacier.submit.calls import Calls
from pipelines.glacier.submit.executing import execute
from pipelines.glacier.submit.plan import Job, Outcome, Plan
from pipelines.glacier.submit.platforms import Platforms
from pipelines.glacier.submit.records import SubmissionRecords
from pipelines.glacier.submit.waiting import Patience, Sent, Waiting
from shared.aws.clients import ClientPool, ClientSettings, open_clients
from shared.errors import CredentialsMissing
from shared.s3.client import EngineSettings, S3Client
from shared.s3.errors import ObjectError

log: FilteringBoundLogger = structlog.get_logger()

_READS_IN_FLIGHT = 32

Start: TypeAlias = Callable[[Job], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Manner:
    """How a plan is sent."""

    at_once: int = 10
    """Requests under way."""
    patience: Patience | None = None
    """None: nobody waits for the jobs."""


async def send_plan(plan: Plan, settings: ClientSettings, sent: Sent, manner: Manner) -> None:
    """Start every job of a plan, and wait for them, if asked to; `sent` is filled as it goes.

    Raises:
        CredentialsMissing: AWS does not know who asks; nothing was sent.
    """
    async with open_clients(settings) as clients:
        await check_caller(clients)
        asking = Asking(clients, anyio.CapacityLimiter(manner.at_once))
        store = S3Client(clients, EngineSettings(in_flight=_READS_IN_FLIGHT), journal=None)
        records = SubmissionRecords(store, plan.submission)
        calls = Calls(asking, records)
        try:
            if plan.execution is None:
                await start_all(plan, calls.start, sent.outcomes)
            else:
                outcome = await execute(plan.execution, asking, store)
                sent.outcomes.update(dict.fromkeys((job.name for job in plan.jobs), outcome))
                report = log.info if outcome.accepted else log.error
                event = "execution_started" if outcome.accepted else "execution_refused"
                report(event, id=outcome.id, jobs=len(plan.jobs), error=outcome.error)
            if manner.patience is not None:
                platforms = Platforms(asking, plan.submission.storage.aws_region)
                await Waiting(
                    plan,
                    sent,
                    start=calls.start,
                    records=records,
                    services=platforms,
                    patience=manner.patience,
                ).run()
        finally:
            await store.aclose()


async def start_all(plan: Plan, start: Start, outcomes: dict[str, Outcome]) -> None:
    """Start all jobs side by side; a job that fails stops no other."""

    async def one(job: Job) -> None:
        outcome = await start(job)
        outcomes[job.name] = outcome
        report = log.info if outcome.accepted else log.error
        event = "job_submitted" if outcome.accepted else "job_refused"
        report(
            event, job_name=job.name, aws_service=job.service, id=outcome.id, error=outcome.error
        )

    async with anyio.create_task_group() as tasks:
        for job in plan.jobs:
            tasks.start_soon(one, job)


async def check_caller(clients: ClientPool) -> None:
    """Ask who we are; CredentialsMissing before anything is sent or made."""
    try:
        await clients.caller_identity()
    except ObjectError as error:
        said = " ".join(part for part in (error.answer.code, error.answer.message) if part)
        raise CredentialsMissing(
            f"AWS does not say who asks: {said}; give credentials, or --dry-run to see the plan"
        ) from error
