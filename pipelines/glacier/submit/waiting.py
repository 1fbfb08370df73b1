"""Waiting for the jobs of a submission, and submitting those again that ran out of time.

What is seen is looked at in passes; what follows is decided by `progress`. A look that fails is
made again with the next pass. A service is asked before the record is read: what ended has written
its record by then.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import anyio
import structlog
from structlog.typing import FilteringBoundLogger

from pipelines.glacier.job_record import BadRecord, RunEntry
from pipelines.glacier.submit.calls import Records
from pipelines.glacier.submit.log_links import function_log_group, log_link
from pipelines.glacier.submit.plan import Job, Outcome, Plan
from pipelines.glacier.submit.platforms import Given
from pipelines.glacier.submit.progress import PlatformState, Repeat, Seen, judge
from pipelines.glacier.submit.result import Result
from pipelines.glacier.targets.target import LambdaTarget
from shared.errors import TransientError
from shared.s3.errors import OutcomeUnknown

log: FilteringBoundLogger = structlog.get_logger()

_READS_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Patience:
    """How often to look, and for how long in all."""

    poll_seconds: float = 30.0
    limit_seconds: float = 86_400.0


class Services(Protocol):
    """What tells how jobs are doing."""

    async def look(self, given: list[Given]) -> Mapping[str, PlatformState]:
        """Return what is known of some jobs, by their ids; raises `shared.s3.errors`."""

    async def execution(self, arn: str) -> PlatformState:
        """Return what is known of a state machine's run."""


@dataclass(slots=True)
class Sent:
    """What became of a plan, by job name; filled as it becomes known."""

    outcomes: dict[str, Outcome]
    results: dict[str, Result]


@dataclass(slots=True)
class _Open:
    """A job that is waited for."""

    job: Job
    id: str
    """Empty where only its record can tell of it."""
    changed_at: float
    rounds: int = 0
    before: RunEntry | None = None
    """What the record said when it was submitted again."""
    last: tuple[RunEntry | None, PlatformState | None] = (None, None)


class Waiting:
    """Waits for all jobs of a plan that were, or may have been, accepted."""

    def __init__(
        self,
        plan: Plan,
        sent: Sent,
        *,
        start: Callable[[Job, int], Awaitable[Outcome]],
        records: Records,
        services: Services,
        patience: Patience,
    ) -> None:
        self._sent = sent
        self._start = start
        self._records = records
        self._services = services
        self._patience = patience
        self._function_log = _function_log(plan)
        self._by_machine = plan.execution is not None
        self._reading = anyio.CapacityLimiter(_READS_AT_ONCE)
        self._open = {job.name: self._opened(job) for job in plan.jobs if self._awaited(job)}

    async def run(self) -> None:
        """Wait until every job has a result, `unfinished` at the latest when time is up.

        Raises:
            PermanentError: records or services may not be read; what is known by then is kept.
        """
        until = anyio.current_time() + self._patience.limit_seconds
        while self._open and (left := until - anyio.current_time()) > 0:
            await anyio.sleep(min(self._patience.poll_seconds, left))
            await self._look()
        for name, each in self._open.items():
            reason = "it was not waited for any longer"
            self._sent.results[name] = Result("unfinished", reason, each.rounds)

    def _awaited(self, job: Job) -> bool:
        outcome = self._sent.outcomes.get(job.name)
        return outcome is not None and (outcome.accepted or outcome.unknown)

    def _opened(self, job: Job) -> _Open:
        outcome = self._sent.outcomes[job.name]
        known = outcome.accepted and (job.service != "lambda" or self._by_machine)
        return _Open(job, outcome.id if known else "", anyio.current_time())

    async def _look(self) -> None:
        try:
            states = await self._ask_services()
        except (TransientError, OutcomeUnknown) as error:
            log.warning("services_not_asked", reason=str(error))
            return
        before = len(self._open)
        async with anyio.create_task_group() as tasks:
            for each in list(self._open.values()):
                tasks.start_soon(self._look_at, each, states.get(each.id))
        if len(self._open) != before:
            log.info("jobs_waited_for", open=len(self._open), finished=len(self._sent.results))

    async def _ask_services(self) -> Mapping[str, PlatformState]:
        if self._by_machine:
            arns = dict.fromkeys(each.id for each in self._open.values())
            return {arn: await self._services.execution(arn) for arn in arns}
        return await self._services.look([_given(each) for each in self._open.values() if each.id])

    async def _look_at(self, each: _Open, platform: PlatformState | None) -> None:
        found: RunEntry | None = None
        try:
            async with self._reading:
                found = await self._records.entry(each.job.name)
        except (TransientError, OutcomeUnknown) as error:
            log.warning("record_not_read", job_name=each.job.name, reason=str(error))
            return
        except BadRecord as error:
            # As good as none, and no reason to wait any longer than for none.
            log.warning("record_not_understood", job_name=each.job.name, reason=str(error))
        entry = None if found == each.before else found
        now = anyio.current_time()
        if (entry, platform) != each.last:
            each.last, each.changed_at = (entry, platform), now
        self._note_begun(each, entry)
        verdict = judge(
            Seen(
                entry,
                platform,
                now - each.changed_at,
                each.rounds,
                may_repeat=not self._by_machine and bool(each.id or each.job.service == "lambda"),
            )
        )
        if isinstance(verdict, Result):
            self._finish(each, verdict)
        elif isinstance(verdict, Repeat):
            await self._repeat(each, entry)

    def _note_begun(self, each: _Open, entry: RunEntry | None) -> None:
        """Say that a job was accepted after all, once its record shows it."""
        name = each.job.name
        if entry is not None and not self._sent.outcomes[name].accepted:
            self._sent.outcomes[name] = Outcome(accepted=True, id=self._records.place(name))
            log.info("job_found", job_name=name, record=self._records.place(name))

    async def _repeat(self, each: _Open, entry: RunEntry | None) -> None:
        each.rounds += 1
        each.before, each.last = entry, (None, None)
        outcome = await self._start(each.job, each.rounds)
        each.changed_at = anyio.current_time()
        if not outcome.accepted and not outcome.unknown:
            reason = f"it could not be submitted again: {outcome.error}"
            self._finish(each, Result("failed", reason, each.rounds))
            return
        each.id = outcome.id if outcome.accepted and each.job.service != "lambda" else ""
        log.info("job_continued", job_name=each.job.name, round=each.rounds, id=outcome.id)

    def _finish(self, each: _Open, result: Result) -> None:
        name = each.job.name
        if not result.succeeded and not result.log and each.job.service == "lambda":
            result = replace(result, log=self._function_log)
        self._sent.results[name] = result
        del self._open[name]
        report = log.info if result.succeeded else log.error
        report("job_finished", job_name=name, status=result.status, reason=result.reason)


def _given(each: _Open) -> Given:
    return Given(each.job.service, each.id, str(each.job.request.get("cluster", "")))


def _function_log(plan: Plan) -> str:
    """Return where the console shows what the function prints; empty where none is called."""
    target = plan.submission.targets.get("lambda")
    if not isinstance(target, LambdaTarget):
        return ""
    group = function_log_group(target.function_name)
    return log_link(plan.submission.storage.aws_region, group)
