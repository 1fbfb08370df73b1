"""What follows from what is seen of a job that is waited for."""

import json

import pytest

from pipelines.glacier.job_record import RunStatus
from pipelines.glacier.submit.plan import Outcome, Plan
from pipelines.glacier.submit.progress import (
    RETRY_QUIET_SECONDS,
    ROUNDS_MAX,
    RUNNING_QUIET_SECONDS,
    SILENT_SECONDS,
    PlatformState,
    Repeat,
    Seen,
    Verdict,
    Wait,
    judge,
)
from pipelines.glacier.submit.rendering import render_json, render_outcome
from pipelines.glacier.submit.result import Result, Tally
from tests.support.glacier_plans import entry_of, plan_of

_AT_WORK = PlatformState("at work")
_OVER = PlatformState("over", "FAILED Host EC2 terminated", "https://log")


def _seen(
    status: RunStatus | None = None,
    platform: PlatformState | None = None,
    quiet: float = 0.0,
    rounds: int = 0,
    *,
    may_repeat: bool = True,
    answered: bool = True,
) -> Seen:
    told = {"statusCode": 500} if answered else {}
    entry = None if status is None else entry_of(status, error="it broke", response=told)
    return Seen(entry, platform, quiet, rounds, may_repeat=may_repeat)


@pytest.mark.parametrize("platform", [None, _AT_WORK, _OVER])
def test_the_record_s_end_is_the_end(platform: PlatformState | None) -> None:
    """A Batch job may take a minute to be told over; its results are there."""
    log = platform.log if platform else ""

    assert judge(_seen("success", platform, rounds=2)) == Result("success", rounds=2, log=log)
    assert judge(_seen("no_data", platform)) == Result("no_data", log=log)
    assert judge(_seen("failed", platform)) == Result("failed", "it broke", log=log)
    assert judge(_seen("invalid", platform)) == Result("failed", "it broke", log=log)


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (_seen("partial"), Repeat()),
        (_seen("partial", _OVER), Repeat()),
        (_seen("partial", _AT_WORK), Wait()),
        (_seen("partial", rounds=ROUNDS_MAX - 1), Repeat()),
        (_seen("partial", may_repeat=False), Wait()),
        (_seen("failed", quiet=RETRY_QUIET_SECONDS - 1, answered=False), Wait()),
        (_seen("running"), Wait()),
        (_seen(), Wait()),
        (_seen("running", _AT_WORK, quiet=1e9), Wait()),
        (_seen(None, _AT_WORK, quiet=1e9), Wait()),
        (_seen("running", quiet=RUNNING_QUIET_SECONDS - 1), Wait()),
        (_seen(quiet=SILENT_SECONDS - 1), Wait()),
    ],
)
def test_a_job_goes_on(seen: Seen, verdict: Verdict) -> None:
    """Out of time it is submitted again, unless its service does that; else there is time."""
    assert judge(seen) == verdict


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (_seen("partial", rounds=ROUNDS_MAX), "submitted again 5 times"),
        (_seen("partial", _OVER, may_repeat=False), "it is not finished"),
        (_seen("failed", quiet=RETRY_QUIET_SECONDS, answered=False), "it broke"),
        (_seen("failed", _OVER, answered=False), "it broke"),
        (_seen("invalid", answered=False), "it broke"),
        (_seen("running", _OVER), "without a result: FAILED Host EC2 terminated"),
        (_seen(None, _OVER), "without a result: FAILED Host EC2 terminated"),
        (_seen("running", quiet=RUNNING_QUIET_SECONDS), "run out of memory (waited 1200 s)"),
        (_seen(quiet=SILENT_SECONDS), "its record never appeared"),
    ],
)
def test_a_job_is_given_up(seen: Seen, reason: str) -> None:
    """Whoever waits for ever has no result either."""
    verdict = judge(seen)

    assert isinstance(verdict, Result)
    assert verdict.status == "failed"
    assert reason in verdict.reason


@pytest.mark.parametrize(
    ("regions", "succeeded", "said"),
    [
        (24, 0, None),
        (25, 25, "met"),
        (25, 24, "met"),
        (25, 23, "MISSED"),
        (40, 38, "met"),
        (0, 0, None),
    ],
)
def test_of_many_regions_nineteen_in_twenty_succeed(
    regions: int, succeeded: int, said: str | None
) -> None:
    """The rule that a large submission is judged by."""
    tally = Tally(regions, succeeded)

    assert tally.rule_met is (None if said is None else said == "met")
    assert tally.line().endswith(f"; {said}: at least 95%") is (said is not None)


def _ended(**results: Result) -> tuple[Plan, dict[str, Outcome], dict[str, Result]]:
    """Return a plan with four jobs that were accepted but for the last, and their results."""
    plan = plan_of(regions=4)
    outcomes = {job.name: Outcome(accepted=True, id="r") for job in plan.jobs}
    outcomes[plan.jobs[3].name] = Outcome(accepted=False, error="refused")
    return (
        plan,
        outcomes,
        {f"aws-landsat-20240801-{name[1:]}": each for name, each in results.items()},
    )


def test_what_was_waited_for_is_told_by_its_result() -> None:
    """What failed can be sent again by pasting a line; what may be at work must not."""
    plan, outcomes, results = _ended(
        _000_x=Result("success", rounds=2, log="https://log"),
        _001_x=Result("failed", "it broke", log="https://log"),
        _002_x=Result("unfinished", "no time"),
    )

    lines = render_outcome(plan, outcomes, results).splitlines()
    document = json.loads(render_json(plan, outcomes, results))

    assert lines == [
        "  aws-landsat-20240801-000_x  lambda  success, submitted 3 times",
        "  aws-landsat-20240801-001_x  lambda  failed: it broke; https://log",
        "  aws-landsat-20240801-002_x  lambda  unfinished: no time",
        "  aws-landsat-20240801-003_x  lambda  failed: refused",
        "4 jobs: 3 accepted, 1 failed",
        "finished: 1 failed, 1 success, 1 unfinished",
        "1 of 4 regions succeeded (25.0%)",
        "failed: --regions 001_x,003_x",
        "still at work: towpath glacier status --regions 002_x",
    ]
    first = document["jobs"][0]
    assert (first["status"], first["rounds"], first["accepted"]) == ("success", 2, True)
    assert document["summary"]["regions"] == 4
    assert document["summary"]["rule"] == {"regions_min": 25, "share_min": 0.95, "met": None}


def test_what_was_not_waited_for_is_only_told_as_sent() -> None:
    """Nobody knows more."""
    plan, outcomes, _ = _ended()

    assert render_outcome(plan, outcomes).splitlines()[-2:] == [
        "4 jobs: 3 accepted, 1 failed",
        "failed: --regions 003_x",
    ]
    assert "summary" not in json.loads(render_json(plan, outcomes))
