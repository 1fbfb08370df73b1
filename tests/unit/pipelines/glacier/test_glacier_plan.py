"""Routing, jobs, and the plan document."""

import json
from collections import Counter
from dataclasses import replace
from datetime import date

import pytest

from pipelines.glacier.dates import Window
from pipelines.glacier.lines.storage import Storage
from pipelines.glacier.regions import Bounds, Region, Selection
from pipelines.glacier.satellite import SatelliteName
from pipelines.glacier.submit.plan import JOBS_MAX, Outcome, TooManyJobs, build_plan
from pipelines.glacier.submit.rates import PRICES
from pipelines.glacier.submit.rendering import render_json, render_outcome, render_text
from pipelines.glacier.submit.routing import TooManyTiles, default_chunk_days, route
from pipelines.glacier.submit.submission import (
    Asked,
    RoutingRules,
    Submission,
)
from pipelines.glacier.targets.target import BatchTarget, LambdaTarget

_BOX = Bounds(0.0, 0.0, 3000.0, 3000.0)
_ONE = Region("134_Arsuk", 86.4, ("22VFP",), _BOX)
_TWO = Region("049_jakobshavn", 2645.46, ("22WEB", "22WEC"), _BOX)
_FOUR = Region("090_petermann", 11456.37, ("20XNQ", "20XNR", "20XMQ", "20XMR"), _BOX)
_SUBMISSION = Submission(
    submission_id="s1",
    satellite="sentinel2",
    service="lambda",
    window=Window(date(2024, 6, 1), date(2024, 8, 15)),
    selection=Selection(),
    storage=Storage("us-west-2", "bucket", "base"),
    targets={"lambda": LambdaTarget("f"), "batch": BatchTarget("q", "d", 2, 8192, 1800)},
    routing=RoutingRules(chunk_days=31),
)


@pytest.mark.parametrize(
    ("asked", "satellite", "tiles", "service"),
    [
        ("auto", "sentinel2", 1, "lambda"),
        ("auto", "sentinel2", 2, "lambda"),
        ("auto", "sentinel2", 3, "batch"),
        ("auto", "sentinel2", 4, "batch"),
        ("auto", "landsat", 4, "lambda"),
        ("lambda", "sentinel2", 4, "lambda"),
        ("batch", "landsat", 1, "batch"),
        ("fargate", "sentinel2", 1, "fargate"),
    ],
)
def test_tiles_decide_where_nobody_does(
    asked: Asked, satellite: SatelliteName, tiles: int, service: str
) -> None:
    """A function has fifteen minutes; three tiles take longer."""
    assert route(tiles, asked=asked, satellite=satellite, rules=RoutingRules()) == service


def test_the_limit_can_be_moved() -> None:
    """Larger functions do more."""
    rules = RoutingRules(lambda_max_tiles=4)

    assert route(4, asked="auto", satellite="sentinel2", rules=rules) == "lambda"


def test_lambda_is_refused_what_it_cannot_do() -> None:
    """Before anything is sent, and with what can be done instead."""
    with pytest.raises(TooManyTiles) as told:
        build_plan(_SUBMISSION, [_ONE, _FOUR])

    assert "'090_petermann' has 4" in str(told.value)
    assert "134_Arsuk" not in str(told.value)
    assert "--force-service" in str(told.value)


def test_lambda_can_be_forced() -> None:
    """Whoever knows the region knows better."""
    rules = replace(_SUBMISSION.routing, force_service=True)

    plan = build_plan(replace(_SUBMISSION, routing=rules), [_FOUR])

    assert {job.service for job in plan.jobs} == {"lambda"}


def test_landsat_has_no_limit_of_tiles() -> None:
    """Its scenes are not merged."""
    plan = build_plan(replace(_SUBMISSION, satellite="landsat"), [_FOUR])

    assert plan.jobs[0].tiles == 4


def test_windows_are_cut_for_lambda_alone() -> None:
    """A container has the time that it needs."""
    plan = build_plan(replace(_SUBMISSION, service="auto"), [_TWO, _FOUR])

    assert [(job.name, job.service) for job in plan.jobs] == [
        ("aws-sentinel2-20240601-049_jakobshavn", "lambda"),
        ("aws-sentinel2-20240702-049_jakobshavn", "lambda"),
        ("aws-sentinel2-20240802-049_jakobshavn", "lambda"),
        ("aws-sentinel2-20240601-090_petermann", "batch"),
    ]
    days = [(job.window.first.isoformat(), job.window.last.isoformat()) for job in plan.jobs]
    assert days[:3] == [
        ("2024-06-01", "2024-07-01"),
        ("2024-07-02", "2024-08-01"),
        ("2024-08-02", "2024-08-15"),
    ]
    assert days[3] == ("2024-06-01", "2024-08-15")


def test_each_job_has_a_name_of_its_own() -> None:
    """Its record lies under the name."""
    plan = build_plan(replace(_SUBMISSION, service="auto"), [_ONE, _TWO, _FOUR])

    assert set(Counter(job.name for job in plan.jobs).values()) == {1}


@pytest.mark.parametrize(("satellite", "days"), [("sentinel2", 31), ("landsat", 0)])
def test_only_sentinel2_is_cut_by_itself(satellite: SatelliteName, days: int) -> None:
    """A Landsat region takes seconds."""
    assert default_chunk_days(satellite) == days


def test_a_plan_has_an_end() -> None:
    """A slip in the year would send a hundred thousand jobs."""
    window = Window(date(1970, 1, 1), date(2069, 12, 31))
    one_day = replace(_SUBMISSION, window=window, routing=RoutingRules(chunk_days=1))

    with pytest.raises(TooManyJobs, match=str(JOBS_MAX)):
        build_plan(one_day, [_ONE])


@pytest.mark.parametrize(("month", "warnings"), [(5, 0), (11, 1)])
def test_a_window_out_of_season_is_a_warning(month: int, warnings: int) -> None:
    """Never more than that: somebody may want the dark."""
    window = Window(date(2024, month, 1), date(2024, month, 2))

    plan = build_plan(replace(_SUBMISSION, window=window), [_ONE])

    assert len(plan.warnings) == warnings


def test_the_document_has_the_keys_that_programs_read() -> None:
    """Neither more nor fewer, and nothing else is printed."""
    submission = replace(
        _SUBMISSION, dry_run=True, window=Window(date(2024, 6, 1), date(2024, 6, 2))
    )
    plan = build_plan(submission, [_ONE], warnings=["odd"])

    document = json.loads(render_json(plan))

    job = document.pop("jobs")[0]
    assert document == {
        "service": "lambda",
        "satellite": "sentinel2",
        "date1": "2024-06-01",
        "date2": "2024-06-02",
        "aws_region": "us-west-2",
        "s3_bucket": "bucket",
        "s3_base_path": "base",
        "dry_run": True,
        "submission_id": "s1",
        "warnings": ["odd"],
        "estimate": {"usd": 0.0134, "by_service": {"lambda": 0.0134}, "prices": PRICES},
    }
    assert {name: job[name] for name in job if name != "request"} == {
        "job_name": "aws-sentinel2-20240601-134_Arsuk",
        "region": "134_Arsuk",
        "tiles": 1,
        "service": "lambda",
    }
    assert job["request"] == plan.jobs[0].request


def test_a_sent_job_says_how_it_went() -> None:
    """Beside what it said before."""
    plan = build_plan(_SUBMISSION, [_ONE])
    names = [job.name for job in plan.jobs]
    outcomes = {
        names[0]: Outcome(accepted=True, id="r1"),
        names[1]: Outcome(accepted=False, error="no"),
    }

    jobs = json.loads(render_json(plan, outcomes))["jobs"]

    said = [{key: job.get(key, "-") for key in ("accepted", "id", "error")} for job in jobs]
    assert said == [
        {"accepted": True, "id": "r1", "error": None},
        {"accepted": False, "id": None, "error": "no"},
        {"accepted": "-", "id": "-", "error": "-"},
    ]


def test_failed_regions_can_be_pasted() -> None:
    """What was never tried has failed as well; a region is named once."""
    plan = build_plan(_SUBMISSION, [_ONE, _TWO])
    outcomes = {job.name: Outcome(accepted=True, id="r") for job in plan.jobs[:4]}

    lines = render_outcome(plan, outcomes).splitlines()

    assert lines[-2] == "6 jobs: 4 accepted, 2 failed"
    assert lines[-1] == "failed: --regions 049_jakobshavn"


def test_nothing_is_to_be_pasted_where_nothing_failed() -> None:
    """The last line is the sum."""
    window = Window(date(2024, 6, 1), date(2024, 6, 2))
    plan = build_plan(replace(_SUBMISSION, window=window), [_ONE])

    text = render_outcome(plan, {plan.jobs[0].name: Outcome(accepted=True, id="r")})

    assert text.endswith("1 job: 1 accepted, 0 failed\n")


def test_the_text_shows_each_job_and_says_that_nothing_is_sent() -> None:
    """It is read before the same line is typed without --dry-run."""
    plan = build_plan(replace(_SUBMISSION, service="auto", dry_run=True), [_ONE, _FOUR])

    text = render_text(plan)

    assert all(job.name in text for job in plan.jobs)
    assert text.endswith("4 jobs: 3 on lambda, 1 on batch; dry run, nothing is sent\n")
