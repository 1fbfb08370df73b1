"""What a plan is estimated at, and the limit that a project sets itself."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from pipelines.glacier.dates import Window
from pipelines.glacier.satellite import SatelliteName
from pipelines.glacier.submit.estimate import job_seconds
from pipelines.glacier.submit.plan import OverBudget
from pipelines.glacier.submit.submission import Asked
from pipelines.glacier.targets.target import LambdaTarget
from tests.support.glacier_command import AWS_CONFIG, Submit, submit_in
from tests.support.glacier_plans import TARGETS, plan_of, submission_of

_FOUR = ("20XNQ", "20XNR", "20XMQ", "20XMR")
_AUGUST = Window(date(2024, 8, 1), date(2024, 8, 31))


@pytest.fixture
def submit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Submit:
    """The command, in a project."""
    return submit_in(tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize(
    ("satellite", "tiles", "days", "least", "most"),
    [
        ("sentinel2", 1, 1, 42, 102),
        ("sentinel2", 1, 3, 42, 120),
        ("sentinel2", 4, 3, 300, 480),
        ("landsat", 4, 1, 4, 60),
    ],
)
def test_times_are_like_those_that_were_seen(
    satellite: SatelliteName, tiles: int, days: int, least: float, most: float
) -> None:
    """An estimate is worth what its figures are."""
    window = Window(date(2024, 8, 1), date(2024, 8, days))
    submission = replace(submission_of("batch", satellite), window=window)
    job = plan_of(submission=submission, tiles=_FOUR[:tiles]).jobs[0]

    assert least <= job_seconds(job, satellite) <= most


@pytest.mark.parametrize(
    ("service", "usd"),
    # By hand: 31 days of a tile are 805 s; 124 objects are a twentieth of a cent.
    [
        # 805 s of 10 GB, and of 9.5 GB of storage
        ("lambda", 0.13417 + 0.00024 + 0.00062),
        # 805 s of two processors with 4 GB each
        ("batch", 0.02147 + 0.00062),
        ("ecs", 0.02147 + 0.00062),
        # 805 s of four processors and 16 GB
        ("fargate", 0.03621 + 0.01590 + 0.00062),
        # as Lambda, and ten transitions
        ("stepfunctions", 0.13503 + 0.00025),
    ],
)
def test_a_month_of_a_region_costs_cents(service: Asked, usd: float) -> None:
    """What a person reckons from the price list."""
    submission = replace(submission_of(service, "sentinel2"), window=_AUGUST)

    plan = plan_of(submission=submission)

    assert plan.estimate.usd == pytest.approx(usd, rel=0.01)
    assert plan.to_json()["estimate"] == plan.estimate.to_json()


def test_a_smaller_function_costs_less() -> None:
    """Its memory is what is paid for."""
    small = replace(
        submission_of(),
        targets={**TARGETS, "lambda": LambdaTarget("f", memory_mb=1024, storage_mb=512)},
    )

    assert plan_of(submission=small).estimate.usd < plan_of().estimate.usd / 5


def test_a_plan_above_the_limit_is_refused() -> None:
    """A slip in a date must not cost a month's money."""
    submission = replace(submission_of("lambda", "sentinel2"), window=_AUGUST, budget_usd=2)

    plan_of(submission=submission, regions=14)
    with pytest.raises(OverBudget, match=r"estimated at 2\.03 USD, .* budget_limit = 2; "):
        plan_of(submission=submission, regions=15)


def test_the_limit_of_the_file_holds_unless_it_is_overridden(
    submit: Submit, tmp_path: Path
) -> None:
    """Also in a dry run, which says what would be refused."""
    limited = AWS_CONFIG + "[COST_OPTIMIZATION]\nbudget_limit = 0\n"
    (tmp_path / "aws/config/aws_config.ini").write_text(limited)

    status, out, err = submit()
    allowed, document, _ = submit("--over-budget", "--output", "json")

    assert (status, out) == (2, "")
    assert "--over-budget" in err
    assert allowed == 0
    assert json.loads(document)["estimate"]["usd"] > 0


def test_the_plan_tells_its_estimate(submit: Submit) -> None:
    """Before anybody has paid."""
    _, out, _ = submit()

    assert "estimated at 0." in out
    assert " USD (prices: " in out
