"""The plan of a submission: its jobs, and the exact request of each. Pure.

There is a job for each region and window of days. The plan is also the document that `--output
json` prints; after a real run each job says how its submission went.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from pipelines.glacier.dates import Window
from pipelines.glacier.regions import Region
from pipelines.glacier.submit.event import build_environment, build_event
from pipelines.glacier.submit.routing import check_tiles, route
from pipelines.glacier.submit.submission import Submission
from pipelines.glacier.targets.requests import build_request
from pipelines.glacier.targets.target import Arguments, ServiceName, Task

JOBS_MAX = 10_000
"""Of one plan: far more than all regions for years, far less than what a slip could ask for."""


class TooManyJobs(ValueError):
    """Regions and days make more jobs than one submission may have."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the submission of a job went."""

    accepted: bool
    id: str = ""
    """Request id, job id or ARN of the task."""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """One region and window, on one service."""

    name: str
    region: str
    tiles: int
    window: Window
    service: ServiceName
    request: Arguments

    def to_json(self, outcome: Outcome | None) -> Mapping[str, object]:
        """Return what the document says of it."""
        said: Mapping[str, object] = (
            {}
            if outcome is None
            else {
                "accepted": outcome.accepted,
                "id": outcome.id or None,
                "error": outcome.error or None,
            }
        )
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
    warnings: tuple[str, ...] = ()

    def to_json(self, outcomes: Mapping[str, Outcome] | None = None) -> Mapping[str, object]:
        """Return the document; `outcomes` by job name, once jobs were sent."""
        asked, known = self.submission, outcomes or {}
        return {
            "service": asked.service,
            "satellite": asked.satellite,
            "date1": asked.window.first.isoformat(),
            "date2": asked.window.last.isoformat(),
            "aws_region": asked.storage.aws_region,
            "s3_bucket": asked.storage.s3_bucket,
            "s3_base_path": asked.storage.s3_base_path,
            "dry_run": asked.dry_run,
            "warnings": list(self.warnings),
            "jobs": [job.to_json(known.get(job.name)) for job in self.jobs],
        }


def build_plan(
    submission: Submission, regions: Sequence[Region], *, warnings: Sequence[str] = ()
) -> Plan:
    """Make the jobs of the selected regions.

    Raises:
        TooManyTiles: Lambda was asked for regions that it cannot do.
        TooManyJobs: see `JOBS_MAX`.
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
    return Plan(submission, jobs, tuple(said))


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
            f"{len(services)} regions and {submission.window.days} days make {count} jobs; "
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
    request = build_request(task, submission.targets[service])
    return Job(name, region.name, len(region.tiles), window, service, request)


def _season(submission: Submission) -> Iterator[str]:
    if not submission.window.has_season():
        yield "no day of the window lies in May to September; scenes may be dark or snow-covered"
