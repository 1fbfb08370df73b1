"""What the state machine is told: the jobs, as a document in S3, and where it lies. Pure.

| where                                    | what                                                 |
|------------------------------------------|------------------------------------------------------|
| `_runs/submissions/{submission_id}.json` | a list of `build_item`, one for each job             |
| the input of the execution               | `{"submission_id", "jobs": {"bucket","key","count"}}`|

The output of an execution is `{"run", "jobs", "total", "success", "no_data", "failed",
"failed_jobs"}`: counts, and the names of the jobs that failed.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from pipelines.glacier.layout import RUNS
from pipelines.glacier.targets.requests import build_request
from pipelines.glacier.targets.target import Arguments, BatchTarget, Task
from pipelines.glacier.targets.tile_rule import LAMBDA_MAX_TILES

ROUTED_BY = "$.lambda_max_tiles"
"""Where a job says above how many tiles Batch has to run it."""
NAMES_CHARACTERS_MAX = 128 * 1024
"""Of all jobs of a run. Were all to fail, their names are its result, of at most 256 KiB."""

_OUTCOME_CHARACTERS = len('{"success":""},')
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")


class TooLargeRun(ValueError):
    """One execution cannot tell what became of so many jobs."""


def build_item(
    task: Task, *, tiles: int, batch: BatchTarget, lambda_max_tiles: int = LAMBDA_MAX_TILES
) -> Arguments:
    """Return one job: what a function is sent, and what a Batch job is given."""
    return {
        "job_name": task.name,
        "region": task.region,
        "satellite": task.event["satellite"],
        "tiles": tiles,
        "lambda_max_tiles": lambda_max_tiles,
        "event": task.event,
        "batch": _batch(build_request(task, batch)),
    }


def build_document(items: Sequence[Arguments]) -> bytes:
    """Return the jobs as they are stored; TooLargeRun."""
    characters = sum(len(str(item["job_name"])) + _OUTCOME_CHARACTERS for item in items)
    if characters > NAMES_CHARACTERS_MAX:
        most = len(items) * NAMES_CHARACTERS_MAX // characters
        raise TooLargeRun(
            f"{len(items)} jobs are more than one execution can report, about {most}; "
            "select fewer regions or days"
        )
    return (json.dumps(items, separators=(",", ":")) + "\n").encode()


def jobs_document(submission_id: str) -> PurePosixPath:
    """Return the place of the document, relative to the satellite's folder."""
    return RUNS / "submissions" / f"{execution_name(submission_id)}.json"


def build_input(submission_id: str, *, bucket: str, key: str, count: int) -> Arguments:
    """Return the input of the execution."""
    jobs = {"bucket": bucket, "key": key, "count": count}
    return {"submission_id": submission_id, "jobs": jobs}


def execution_name(submission_id: str) -> str:
    """Return the name of the execution: the same submission is never executed twice."""
    if not _NAME.fullmatch(submission_id):
        raise ValueError(f"submission {submission_id!r} is no name of an execution")
    return submission_id


def _batch(request: Arguments) -> Arguments:
    """Return the arguments of SubmitJob, in the capitals that Step Functions wants them in."""
    overrides = request["containerOverrides"]
    if not isinstance(overrides, Mapping):
        raise TypeError(f"no overrides: {overrides!r}")
    return {
        # Free names, which keep their spelling.
        "parameters": request["parameters"],
        "environment": _capitals(overrides["environment"]),
        "resources": _capitals(overrides["resourceRequirements"]),
        "retry": _capitals(request["retryStrategy"]),
        "timeout": _capitals(request["timeout"]),
    }


def _capitals(value: object) -> object:
    if isinstance(value, Mapping):
        return {f"{name[:1].upper()}{name[1:]}": _capitals(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_capitals(inner) for inner in value]
    return value
