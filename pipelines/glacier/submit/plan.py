"""The plan of a submission: its jobs, and the exact request of each. Pure.

There is a job for each region and window of days. The plan is also the document that `--output
json` prints; after a real run each job says how its submission went, and how it ended, if it was
waited for.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import cast

from pipelines.glacier.dates import Window
from pipelines.glacier.regions import Region
from pipelines.glacier.submit.estimate import Estimate, estimate
from pipelines.glacier.submit.event import build_environment, build_event
from pipelines.glacier.submit.result import Result
from pipelines.glacier.submit.routing import check_tiles, route
from pipelines.glacier.submit.submission import Submission
from pipelines.glacier.targets.requests import build_request
from pipelines.glacier.targets.state_machine_input import (
    build_document,
    build_input,
    build_item,
    execution_name,
    jobs_document,
)
from pipelines.glacier.targets.target import Arguments, BatchTarget, ServiceName, Task
from shared.s3.uri import S3Uri

JOBS_MAX = 10_000
"""Of one plan: far more than all regions for years, far less than what a slip could ask for."""


class TooManyJobs(ValueError):
    """Regions and days make more jobs than one submission may have."""


class OverBudget(ValueError):
    """The estimate is more than the limit that the project sets itself."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the submission of a job went."""

    accepted: bool
    id: str = ""
    """Request id, job id or ARN of the task."""
    error: str = ""
    unknown: bool = False
    """Nobody knows: it was sent, and neither an answer nor a trace of it was found."""


@dataclass(frozen=True, slots=True)
class Execution:
    """The state machine's run that starts all jobs of a submission."""

    document: S3Uri
    """Where the jobs lie for it."""
    content: bytes
    request: Arguments


@dataclass(frozen=True, slots=True)
class Job:
    """One region and window, on one service."""

    name: str
    region: str
    tiles: int
    window: Window
    service: ServiceName
    request: Arguments
    """Of its service; for a state machine, the job as its document has it."""

    def to_json(
        self, outcome: Outcome | None = None, result: Result | None = None
    ) -> Mapping[str, object]:
        """Return what the document says of it."""
        said: dict[str, object] = {}
        if outcome is not None:
            said = {
                "accepted": outcome.accepted,
                "id": outcome.id or None,
                "error": outcome.error or None,
            }
        if result is not None:
            said |= result.to_json()
        return {
            "job_name": self.name,
            "region": self.region,
            "tiles": self.tiles,
            "service": self.service,
            "request": self.request,
            **said,
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """All jobs of a submission, in the order of their regions and days."""

    submission: Submission
    jobs: tuple[Job, ...]
    estimate: Estimate
    warnings: tuple[str, ...] = ()
    execution: Execution | None = None
    """Where a state machine runs the jobs."""

    def to_json(
        self,
        outcomes: Mapping[str, Outcome] | None = None,
        results: Mapping[str, Result] | None = None,
    ) -> Mapping[str, object]:
        """Return the document; by job name `outcomes`, once jobs were sent, and `results`, once
        they were waited for.
        """
        asked, sent, ended = self.submission, outcomes or {}, results or {}
        run = self.execution
        return {
            "service": asked.service,
            "satellite": asked.satellite,
            "date1": asked.window.first.isoformat(),
            "date2": asked.window.last.isoformat(),
            "aws_region": asked.storage.aws_region,
            "s3_bucket": asked.storage.s3_bucket,
            "s3_base_path": asked.storage.s3_base_path,
            "dry_run": asked.dry_run,
            "submission_id": asked.submission_id,
            "warnings": list(self.warnings),
            "estimate": self.estimate.to_json(),
            **({} if run is None else {"execution": run.request, "document": str(run.document)}),
            "jobs": [job.to_json(sent.get(job.name), ended.get(job.name)) for job in self.jobs],
        }


def build_plan(
    submission: Submission, regions: Sequence[Region], *, warnings: Sequence[str] = ()
) -> Plan:
    """Make the jobs of the selected regions.

    Raises:
        TooManyTiles: Lambda was asked for regions that it cannot do.
        TooManyJobs: see `JOBS_MAX`.
        TooLargeRun: a state machine cannot report on so many.
        OverBudget: the estimate is above the limit.
    """
    rules = submission.routing
    check_tiles(regions, asked=submission.service, satellite=submission.satellite, rules=rules)
    routed = [(region, _service_of(submission, region)) for region in regions]
    _check_count(submission, [service for _, service in routed])
    jobs = tuple(
        _job(submission, region, window, service)
        for region, service in routed
        for window in submission.window.chunks(_chunk_days(submission, service))
    )
    said = dict.fromkeys((*submission.warnings, *warnings, *_season(submission)))
    by_machine = submission.service == "stepfunctions"
    cost = estimate(jobs, submission.targets, submission.satellite, by_state_machine=by_machine)
    _check_budget(cost, submission.budget_usd)
    execution = _execution(submission, jobs) if by_machine else None
    return Plan(submission, jobs, cost, tuple(said), execution)


def job_name(satellite: str, window: Window, region: str) -> str:
    """Return the name of a job, by which its record is found."""
    first = window.first.isoformat().replace("-", "")
    return f"aws-{satellite}-{first}-{region}"


def _service_of(submission: Submission, region: Region) -> ServiceName:
    return route(
        len(region.tiles),
        asked=submission.service,
        satellite=submission.satellite,
        rules=submission.routing,
    )


def _chunk_days(submission: Submission, service: ServiceName) -> int:
    return submission.routing.chunk_days if service == "lambda" else 0


def _check_count(submission: Submission, services: Sequence[ServiceName]) -> None:
    count = sum(
        submission.window.chunk_count(_chunk_days(submission, service)) for service in services
    )
    if count > JOBS_MAX:
        raise TooManyJobs(
            f"{len(services)} {'region' if len(services) == 1 else 'regions'} and "
            f"{submission.window.days} days make {count} jobs; "
            f"allowed: at most {JOBS_MAX}; select fewer regions or raise --chunk-days"
        )


def _job(submission: Submission, region: Region, window: Window, service: ServiceName) -> Job:
    name = job_name(submission.satellite, window, region.name)
    event = build_event(submission, region.name, window, name)
    task = Task(
        name=name,
        region=region.name,
        token=sha256(f"{submission.submission_id} {name}".encode()).hexdigest(),
        event=event,
        environment=build_environment(event, submission.processing),
        tile_months=len(region.tiles) * window.started_months(),
    )
    if submission.service == "stepfunctions":
        request = _item(submission, task, len(region.tiles))
    else:
        request = build_request(task, submission.targets[service])
    return Job(name, region.name, len(region.tiles), window, service, request)


def _item(submission: Submission, task: Task, tiles: int) -> Arguments:
    batch = cast("BatchTarget", submission.targets["batch"])
    most = submission.routing.lambda_max_tiles
    return build_item(task, tiles=tiles, batch=batch, lambda_max_tiles=most)


def _execution(submission: Submission, jobs: Sequence[Job]) -> Execution:
    """Return the run of all jobs; asked for again, it is the same one."""
    storage, submission_id = submission.storage, submission.submission_id
    folder = f"{storage.s3_base_path}/{submission.satellite}"
    document = S3Uri(storage.s3_bucket, f"{folder}/{jobs_document(submission_id)}")
    told = build_input(submission_id, bucket=document.bucket, key=document.key, count=len(jobs))
    request = {
        "stateMachineArn": submission.state_machine_arn,
        "name": execution_name(submission_id),
        "input": json.dumps(told, separators=(",", ":")),
    }
    return Execution(document, build_document([job.request for job in jobs]), request)


def _check_budget(cost: Estimate, limit_usd: int | None) -> None:
    if limit_usd is not None and cost.usd > limit_usd:
        raise OverBudget(
            f"the plan is estimated at {cost.usd:.2f} USD, above [COST_OPTIMIZATION] budget_limit "
            f"= {limit_usd}; select fewer regions or days, or give --over-budget"
        )


def _season(submission: Submission) -> Iterator[str]:
    if not submission.window.has_season():
        yield "no day of the window lies in May to September; scenes may be dark or snow-covered"
