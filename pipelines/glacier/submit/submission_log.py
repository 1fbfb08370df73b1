"""The file of a project that tells what was submitted from it: `time:LEVEL:message`, a line each.

It is for people who ask later. Rule: it is only added to, and a submission goes on without it.
"""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from pipelines.glacier.submit.plan import Outcome, Plan
from pipelines.glacier.submit.rendering import render_sums
from pipelines.glacier.submit.result import Result
from shared.redact import redact_text

LOG_PATH = Path("aws/logs/aws_job_submission.log")
"""Where it lies, below the project's root."""
_LINE_MAX = 2000

Entry: TypeAlias = tuple[int, str]
"""A level of `logging`, and the message."""


def begun(plan: Plan) -> list[Entry]:
    """Return what is told before anything is sent; of a dry run it is all."""
    asked, count = plan.submission, len(plan.jobs)
    what = "dry run" if asked.dry_run else f"submission {asked.submission_id}"
    first, last = asked.window.first.isoformat(), asked.window.last.isoformat()
    jobs = "1 job" if count == 1 else f"{count} jobs"
    bucket = f"s3://{asked.storage.s3_bucket}/{asked.storage.s3_base_path}/{asked.satellite}/"
    service = f"service {asked.service} in {asked.storage.aws_region}"
    return [
        (
            logging.INFO,
            f"{what}: {asked.satellite} {first} to {last}, {jobs}, {service}, results {bucket}",
        )
    ]


def ended(
    plan: Plan, outcomes: Mapping[str, Outcome], results: Mapping[str, Result] | None = None
) -> Iterator[Entry]:
    """Yield what became of each job, as far as that is known, and the sums."""
    known = results or {}
    for job in plan.jobs:
        outcome, result = outcomes.get(job.name), known.get(job.name)
        service = job.service if plan.execution is None else plan.submission.service
        if outcome is None:
            continue
        if not outcome.accepted:
            yield logging.ERROR, f"{job.name}: not accepted by {service}: {outcome.error}"
        elif result is None:
            yield logging.INFO, f"{job.name}: accepted by {service} as {outcome.id}"
        else:
            said = f"{job.name}: {result.status} on {job.service} as {outcome.id} {result.reason}"
            yield logging.INFO if result.succeeded else logging.ERROR, said
    yield logging.INFO, f"submission {plan.submission.submission_id} ended"
    for line in render_sums(plan, outcomes, results).splitlines():
        yield logging.ERROR if line.startswith("failed: ") else logging.INFO, line


def append_entries(project: Path, entries: Sequence[Entry], now: datetime) -> None:
    """Add lines to the project's log; OSError."""
    time = f"{now:%Y-%m-%d %H:%M:%S},{now.microsecond // 1000:03d}"
    text = "".join(
        f"{time}:{logging.getLevelName(level)}:{_one_line(message)}\n" for level, message in entries
    )
    path = project / LOG_PATH
    path.parent.mkdir(parents=True, exist_ok=True)
    # A pipe in its place, which nobody reads, would stop the command for good.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o644)
    with open(descriptor, "ab", buffering=0) as stream:  # noqa: PTH123 - it has to be non-blocking
        # One write: lines of two submissions at a time are not mixed.
        stream.write(text.encode())


def _one_line(message: str) -> str:
    """Return a message as one line that a terminal takes for nothing else."""
    words = " ".join(redact_text(message).split())[:_LINE_MAX]
    return "".join(each if each.isprintable() else "?" for each in words)
