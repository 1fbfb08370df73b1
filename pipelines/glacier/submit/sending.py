"""Sending a plan: all its jobs, a few at a time, and what became of each.

What is known is kept as it comes, so that a run that is interrupted can say which jobs it started.
"""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import anyio
import structlog
from structlog.typing import FilteringBoundLogger

from pipelines.glacier.submit.calls import Calls
from pipelines.glacier.submit.plan import Job, Outcome, Plan
from shared.aws.clients import ClientPool, ClientSettings, open_clients
from shared.errors import CredentialsMissing
from shared.s3.errors import ObjectError

log: FilteringBoundLogger = structlog.get_logger()

Start: TypeAlias = Callable[[Job], Awaitable[Outcome]]


async def send_plan(
    plan: Plan, settings: ClientSettings, outcomes: dict[str, Outcome], *, at_once: int
) -> None:
    """Start every job of a plan; `outcomes` is filled by job name.

    Raises:
        CredentialsMissing: AWS does not know who asks; nothing was sent.
    """
    async with open_clients(settings) as clients:
        await check_caller(clients)
        calls = Calls(clients, anyio.CapacityLimiter(at_once))
        await start_all(plan, calls.start, outcomes)


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
