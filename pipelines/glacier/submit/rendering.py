"""A plan for people: a line for each job, the whole request of the first, and the sums. Pure."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping

from pipelines.glacier.submit.plan import Job, Outcome, Plan


def render_text(plan: Plan) -> str:
    """Return the lines of a plan that was not sent."""
    return "".join(f"{line}\n" for line in _lines(plan))


def render_json(plan: Plan, outcomes: Mapping[str, Outcome] | None = None) -> str:
    """Return the document, and nothing beside it."""
    return json.dumps(plan.to_json(outcomes), indent=2) + "\n"


def render_outcome(plan: Plan, outcomes: Mapping[str, Outcome]) -> str:
    """Return what became of each job, the sums, and what to paste to send the failed ones again."""
    lines = [_sent(job, outcomes[job.name]) for job in plan.jobs if job.name in outcomes]
    failed = failed_regions(plan, outcomes)
    accepted = sum(outcome.accepted for outcome in outcomes.values())
    total = len(plan.jobs)
    lines.append(f"{_jobs(total)}: {accepted} accepted, {total - accepted} failed")
    if failed:
        lines.append(f"failed: --regions {','.join(failed)}")
    return "".join(f"{line}\n" for line in lines)


def failed_regions(plan: Plan, outcomes: Mapping[str, Outcome]) -> list[str]:
    """Return the regions with a job that was not accepted, each once."""
    missed = Outcome(accepted=False)
    return list(
        dict.fromkeys(
            job.region for job in plan.jobs if not outcomes.get(job.name, missed).accepted
        )
    )


def _lines(plan: Plan) -> Iterator[str]:
    asked, storage = plan.submission, plan.submission.storage
    first, last = asked.window.first.isoformat(), asked.window.last.isoformat()
    yield f"{asked.satellite} {first} to {last}, service {asked.service}, {storage.aws_region}"
    yield f"results s3://{storage.s3_bucket}/{storage.s3_base_path}/{asked.satellite}/"
    width = max(len(job.name) for job in plan.jobs)
    for job in plan.jobs:
        days = f"{job.window.first.isoformat()} to {job.window.last.isoformat()}"
        tiles = "1 tile" if job.tiles == 1 else f"{job.tiles} tiles"
        yield f"  {job.name:<{width}}  {job.service:<7}  {tiles:<8}  {days}"
    yield f"request of the first job ({plan.jobs[0].service}):"
    for line in json.dumps(plan.jobs[0].request, indent=2).splitlines():
        yield f"  {line}"
    counts = Counter(job.service for job in plan.jobs)
    told = ", ".join(f"{count} on {service}" for service, count in counts.items())
    ending = "; dry run, nothing is sent" if asked.dry_run else ""
    yield f"{_jobs(len(plan.jobs))}: {told}{ending}"


def _sent(job: Job, outcome: Outcome) -> str:
    how = f"accepted {outcome.id}" if outcome.accepted else f"failed: {outcome.error}"
    return f"  {job.name}  {job.service}  {how}".rstrip()


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count} jobs"
