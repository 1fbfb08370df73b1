"""Plans of small submissions, and entries of their jobs' records."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

from pipelines.glacier.dates import Window
from pipelines.glacier.job_record import JobRecord, RunEntry, RunStatus
from pipelines.glacier.lines.storage import Storage
from pipelines.glacier.regions import Bounds, Region, Selection
from pipelines.glacier.satellite import SatelliteName
from pipelines.glacier.submit.plan import Plan, build_plan
from pipelines.glacier.submit.submission import Asked, Submission
from pipelines.glacier.targets.target import (
    BatchTarget,
    EcsTarget,
    FargateTarget,
    LambdaTarget,
    ServiceName,
    Target,
)
from shared.s3.memory import MemoryStore
from shared.s3.uri import S3Uri

SUBMISSION_ID = "s1"
STATE_MACHINE = "arn:aws:states:us-west-2:123456789012:stateMachine:glacier"
TARGETS: Mapping[ServiceName, Target] = {
    "lambda": LambdaTarget("f"),
    "batch": BatchTarget("q", "d", 2, 8192, 1800),
    "ecs": EcsTarget("c", "t", "glacier"),
    "fargate": FargateTarget("c", "t", "glacier", 4096, 16384, ("s",), (), spot=False),
}
BOX = Bounds(0, 0, 1, 1)


def submission_of(service: Asked = "lambda", satellite: SatelliteName = "landsat") -> Submission:
    """Return what two days of a satellite are asked for with."""
    return Submission(
        submission_id=SUBMISSION_ID,
        satellite=satellite,
        service=service,
        window=Window(date(2024, 8, 1), date(2024, 8, 2)),
        selection=Selection(),
        storage=Storage("us-west-2", "bucket", "base"),
        targets=TARGETS,
        state_machine_arn=STATE_MACHINE if service == "stepfunctions" else "",
    )


def plan_of(
    service: Asked = "lambda",
    regions: int = 1,
    *,
    satellite: SatelliteName = "landsat",
    tiles: Sequence[str] = ("22VFP",),
    submission: Submission | None = None,
) -> Plan:
    """Return the plan of regions that are called `000_x`, `001_x` and so on."""
    named = [Region(f"{number:03d}_x", 9.0, tuple(tiles), BOX) for number in range(regions)]
    return build_plan(submission or submission_of(service, satellite), named)


def entry_of(status: RunStatus, **others: object) -> RunEntry:
    """Return this submission's entry of a record."""
    entry = RunEntry(SUBMISSION_ID, status, "2024-09-01T00:00:00+00:00")
    return replace(entry, **others)  # type: ignore[arg-type]  # the names are those of the fields


async def store_record(
    store: MemoryStore, job_name: str, entry: RunEntry, *, satellite: SatelliteName = "landsat"
) -> None:
    """Write a job's record as whoever runs the job does."""
    record = JobRecord(job_name, satellite).with_entry(entry)
    await store.put(S3Uri("bucket", f"base/{satellite}/_runs/{job_name}.json"), record.to_bytes())
