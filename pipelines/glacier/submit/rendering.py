"""A plan for people: a line for each job, the whole request of the first, and the sums. Pure."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from pipelines.glacier.submit.plan import Job, Outcome, Plan
from pipelines.glacier.submit.rates import PRICES
from pipelines.glacier.submit.result import Result, Tally

_NOT_SENT = Outcome(accepted=False)
_NO_RESULT = Result("unfinished")


def render_text(plan: Plan) -> str:
    """Return the lines of a plan that was not sent."""
    return "".join(f"{line}\n" for line in _lines(plan))


def render_json(
    plan: Plan,
    outcomes: Mapping[str, Outcome] | None = None,
    results: Mapping[str, Result] | None = None,
) -> str:
    """Return the document, and nothing beside it."""
    document = dict(plan.to_json(outcomes, results))
    if results:
        document["summary"] = tally(plan, results).to_json()
    return json.dumps(document, indent=2) + "\n"


def render_outcome(
    plan: Plan,
    outcomes: Mapping[str, Outcome],
    results: Mapping[str, Result] | None = None,
) -> str:
    """Return what became of each job, and the sums."""
    ended = results or {}
    lines = [
        _sent(job, outcomes[job.name], ended.get(job.name))
        for job in plan.jobs
        if job.name in outcomes
    ]
    return "".join(f"{line}\n" for line in lines) + render_sums(plan, outcomes, results)


def render_sums(
    plan: Plan,
    outcomes: Mapping[str, Outcome],
    results: Mapping[str, Result] | None = None,
) -> str:
    """Return how many jobs went how, and what to paste to send the failed ones again."""
    accepted = sum(outcome.accepted for outcome in outcomes.values())
    total = len(plan.jobs)
    lines = [f"{_jobs(total)}: {accepted} accepted, {total - accepted} failed"]
    if results:
        counts = Counter(result.status for result in results.values())
        told = ", ".join(f"{counts[status]} {status}" for status in sorted(counts))
        lines += [f"finished: {told}", tally(plan, results).line()]
    if failed := failed_regions(plan, outcomes, results):
        lines.append(f"failed: --regions {','.join(failed)}")
    if results is not None and (open_ones := unfinished_regions(plan, outcomes, results)):
        lines.append(f"still at work: towpath glacier status --regions {','.join(open_ones)}")
    return "".join(f"{line}\n" for line in lines)


def failed_regions(
    plan: Plan,
    outcomes: Mapping[str, Outcome],
    results: Mapping[str, Result] | None = None,
) -> list[str]:
    """Return the regions with a job that was not accepted or has failed, each once."""
    ended = results or {}
    return _each_once(
        job.region
        for job in plan.jobs
        if not outcomes.get(job.name, _NOT_SENT).accepted
        or ended.get(job.name, _NO_RESULT).status == "failed"
    )


def unfinished_regions(
    plan: Plan, outcomes: Mapping[str, Outcome], results: Mapping[str, Result]
) -> list[str]:
    """Return the regions with a job that was accepted and may be at work, each once."""
    return _each_once(
        job.region
        for job in plan.jobs
        if outcomes.get(job.name, _NOT_SENT).accepted
        and results.get(job.name, _NO_RESULT).status == "unfinished"
    )


def all_is_well(
    plan: Plan, outcomes: Mapping[str, Outcome], results: Mapping[str, Result] | None
) -> bool:
    """Tell whether every job was accepted and, if they were waited for, has succeeded."""
    return not failed_regions(plan, outcomes, results) and (
        results is None or not unfinished_regions(plan, outcomes, results)
    )


def tally(plan: Plan, results: Mapping[str, Result]) -> Tally:
    """Count the regions whose jobs have all succeeded."""
    regions = {job.region for job in plan.jobs}
    failed = {job.region for job in plan.jobs if not results.get(job.name, _NO_RESULT).succeeded}
    return Tally(len(regions), len(regions - failed))


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
    if plan.execution is not None:
        machine = plan.execution.request["stateMachineArn"]
        yield f"jobs of {machine} in {plan.execution.document}"
    yield f"request of the first job ({plan.jobs[0].service}):"
    for line in json.dumps(plan.jobs[0].request, indent=2).splitlines():
        yield f"  {line}"
    counts = Counter(job.service for job in plan.jobs)
    told = ", ".join(f"{count} on {service}" for service, count in counts.items())
    ending = "; dry run, nothing is sent" if asked.dry_run else ""
    yield (f"estimated at {plan.estimate.usd:.4f} USD (prices: {PRICES}), if every day has a scene")
    yield f"{_jobs(len(plan.jobs))}: {told}{ending}"


def _sent(job: Job, outcome: Outcome, result: Result | None) -> str:
    how = f"accepted {outcome.id}" if outcome.accepted else f"failed: {outcome.error}"
    if result is not None and outcome.accepted:
        times = f", submitted {result.rounds + 1} times" if result.rounds else ""
        how = ": ".join(filter(None, (f"{result.status}{times}", result.reason)))
        if result.log and not result.succeeded:
            how = f"{how}; {result.log}"
    return f"  {job.name}  {job.service}  {how}".rstrip()


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count} jobs"


def _each_once(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
