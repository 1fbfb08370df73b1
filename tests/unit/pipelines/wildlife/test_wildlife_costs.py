from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipelines.wildlife.costs.estimate import (
    LONG_RUN,
    Work,
    calculate_job_cost,
    check_budget,
    estimate,
)
from pipelines.wildlife.costs.prices import BOOKS, REFERENCE
from pipelines.wildlife.document.checks import check_document
from pipelines.wildlife.errors import BudgetExceeded, InvalidInput
from pipelines.wildlife.guard import Found, Queues, guard_budget
from pipelines.wildlife.pictures import (
    BadCamera,
    BadRate,
    camera_of,
    parse_rates,
    seconds_per_image,
)
from pipelines.wildlife.settings import RunSettings
from tests.unit.pipelines.wildlife.test_wildlife_document import EXAMPLE

_BOOK = BOOKS[REFERENCE]
_QUEUES = Queues(spot="spot-queue", either="either-queue", on_demand="sure-queue")
_NOW = datetime(2026, 11, 21, 18, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("pictures", "seconds", "spot", "cost", "total"),
    [
        (1200, 0.8, True, 0.096, 0.142875),
        (1200, 0.8, False, 0.288, 0.334875),
        (1000, 0.7, True, 0.07, 0.1090625),
    ],
)
def test_the_worked_figures(
    pictures: int,
    seconds: float,
    spot: bool,  # noqa: FBT001 - a row of the table
    cost: float,
    total: float,
) -> None:
    """Runs were always compared by these figures, to the last decimal."""
    costs = estimate(Work(pictures, seconds, spot, 3600), _BOOK)

    assert round(costs.estimated_cost_dkk, 12) == cost
    assert round(costs.estimated_total_dkk, 12) == total


def test_small_runs_pay_for_functions_and_states() -> None:
    """A fifth on top of next to nothing would not cover what starting costs."""
    costs = estimate(Work(10, 0.7, spot=True, max_job_duration=3600), _BOOK)
    parts = costs.breakdown

    items = parts["compute_dkk"] + parts["lambda_dkk"] + parts["step_functions_dkk"]
    assert costs.estimated_cost_dkk < items
    assert costs.estimated_total_dkk == pytest.approx(items + parts["storage_dkk"])


@given(pictures=st.integers(1, 50_000))
def test_a_picture_more_never_costs_less(pictures: int) -> None:
    """Advice to lower max_images has to work."""
    fewer, more = (
        estimate(Work(count, 0.7, spot=True, max_job_duration=3600), _BOOK).estimated_total_dkk
        for count in (pictures, pictures + 1)
    )

    assert fewer < more


def test_exactly_the_budget_passes_and_a_hair_more_does_not() -> None:
    """The guard refuses before anything is spent, and says both figures."""
    check_budget(0.142875, 0.142875)
    with pytest.raises(BudgetExceeded) as caught:
        check_budget(0.142875, 0.1428)

    assert str(caught.value) == (
        "Estimated cost exceeds budget: estimated 0.1429 DKK > budget 0.1428 DKK"
    )


def test_a_job_cost_is_hours_times_price() -> None:
    """The figure that informs: a tenth of a second each at ten cents an hour."""
    assert calculate_job_cost(36_000) == {
        "file_count": 36_000,
        "estimated_hours": 1.0,
        "estimated_cost": 0.1,
        "cost_per_file": 0.1 / 36_000,
    }
    assert calculate_job_cost(0)["cost_per_file"] == 0.0
    with pytest.raises(ValueError, match="must not be negative"):
        calculate_job_cost(-1)


def test_the_guard_adds_to_the_document_and_drops_nothing() -> None:
    """A state that drops a key ends the run in the next one."""
    request = check_document({**EXAMPLE, "max_images": 500})
    found = Found(1200, Counter({"cam01": 500}))

    payload = guard_budget(request, found, BOOKS, _QUEUES, _NOW)

    assert set(request.document.model_dump()) <= set(payload)
    assert payload["images_found"] == 1200
    assert payload["max_images"] == payload["estimated_images"] == 500
    assert payload["started_at"] == "2026-11-21T18:00:05Z"
    assert payload["intermediate_uri"] == "s3://bucket/out/run_001/stage1/"
    assert payload["batch_state_timeout_s"] == 3600 * 2 + 1800
    assert payload["job_queue"] == "either-queue"
    assert payload["budget_remaining_dkk"] == 25 - float(str(payload["estimated_total_dkk"]))


def test_the_queue_follows_the_capacity_that_was_asked_for() -> None:
    """One queue for both made `use_spot` say nothing."""
    request = check_document({**EXAMPLE, "use_spot": False})

    payload = guard_budget(request, Found(5, Counter(cam01=5)), BOOKS, _QUEUES, _NOW)

    assert payload["job_queue"] == "sure-queue"


@pytest.mark.parametrize(
    ("changed", "found", "said"),
    [
        ({}, Found(0, Counter()), "holds no picture"),
        ({"price_book": "mine"}, Found(1, Counter(a=1)), "price_book = 'mine' is not known"),
    ],
)
def test_what_cannot_be_run_is_refused(changed: dict[str, object], found: Found, said: str) -> None:
    """No picture and no prices are mistakes of the document."""
    request = check_document({**EXAMPLE, **changed})

    with pytest.raises(InvalidInput, match=said):
        guard_budget(request, found, BOOKS, _QUEUES, _NOW)


def test_a_run_that_takes_longer_than_an_attempt_is_warned_about() -> None:
    """It is the person's money that the time limit would waste."""
    request = check_document({**EXAMPLE, "max_job_duration": 300})

    payload = guard_budget(request, Found(1200, Counter(cam01=1200)), BOOKS, _QUEUES, _NOW)

    assert payload["warnings"] == [LONG_RUN]


def test_cameras_have_rates_of_their_own() -> None:
    """Several cameras count by their pictures."""
    assert seconds_per_image({"cam01": 3, "cam02": 1}) == pytest.approx(0.75)
    assert seconds_per_image({"yard": 2}) == 0.7


def test_rates_can_be_set_by_camera_and_for_all_others() -> None:
    """A machine with another model is not as quick as the one that the usual figures are of."""
    rates = parse_rates(["cam01=0.5", "yard-2=12", "*=1.25"])

    assert seconds_per_image({"cam01": 1}, rates) == 0.5
    assert seconds_per_image({"cam02": 1}, rates) == 0.6
    assert seconds_per_image({"yard-2": 1, "gate": 1}, rates) == pytest.approx(6.625)
    request = check_document(EXAMPLE)
    found = Found(1200, Counter(cam01=1200))
    payload = guard_budget(request, found, BOOKS, _QUEUES, _NOW, rates=rates)
    assert payload["seconds_per_image"] == 0.5
    assert payload["estimated_cost_dkk"] == pytest.approx(0.06)


@pytest.mark.parametrize("text", ["cam01", "cam01=", "cam01=0", "=1", "a b=1", "cam01=-1", "x=1e9"])
def test_a_rate_that_is_none_is_a_mistake_of_the_settings(text: str) -> None:
    """Nothing may make a run look as if it cost nothing."""
    with pytest.raises(BadRate, match="is not valid; allowed: CAMERA=SECONDS"):
        parse_rates([text])
    with pytest.raises(ValidationError, match="allowed: CAMERA=SECONDS"):
        RunSettings(seconds_per_image=(text,))


def test_a_camera_is_the_first_folder_or_the_last_of_the_place() -> None:
    """A picture's own name is no camera."""
    assert camera_of("cam02/2024/a.jpg", "raw") == "cam02"
    assert camera_of("a.jpg", "cam01") == "cam01"
    for name in ("..", "-a", "a b", "x" * 65, ""):
        with pytest.raises(BadCamera):
            camera_of(f"{name}/a.jpg", "raw")


@pytest.mark.parametrize(
    ("said", "queue"),
    [
        ({"use_spot": True, "budget_dkk": 25}, "either-queue"),
        ({"use_spot": True, "budget_dkk": 0.2}, "spot-queue"),
        ({"use_spot": False, "budget_dkk": 25}, "sure-queue"),
    ],
)
def test_on_demand_stands_in_for_spot_only_within_the_budget(
    said: dict[str, object], queue: str
) -> None:
    """Whoever asked for spare capacity must not pay three times as much without being asked."""
    request = check_document({**EXAMPLE, **said})

    payload = guard_budget(request, Found(1200, Counter({"cam01": 1200})), BOOKS, _QUEUES, _NOW)

    assert payload["job_queue"] == queue
