"""The first state of a run: is the document right, are there pictures, may it cost that much? Pure.

What is listed comes in as names; nothing is asked here and nothing is spent.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pipelines.wildlife.costs.estimate import Estimate, Work, check_budget, estimate, fits_budget
from pipelines.wildlife.costs.prices import PriceBook
from pipelines.wildlife.document.checks import Request
from pipelines.wildlife.errors import InvalidInput
from pipelines.wildlife.pictures import USUAL_RATES, Rates, seconds_per_image

_QUEUE_SECONDS = 1800
"""That a job may wait in its queue on top of two attempts."""


@dataclass(frozen=True, slots=True)
class Found:
    """What lies below the input."""

    pictures: int
    """All of them."""
    taken: "Counter[str]"
    """Those that the run takes, by camera."""

    @property
    def used(self) -> int:
        """How many the run takes."""
        return self.taken.total()


@dataclass(frozen=True, slots=True)
class Queues:
    """Where the detection waits for a machine."""

    spot: str
    either: str
    """Spare capacity, with on-demand behind it."""
    on_demand: str


def find_prices(request: Request, books: Mapping[str, PriceBook]) -> PriceBook:
    """Return the price book that a document names; InvalidInput."""
    name = request.document.price_book
    if name not in books:
        known = ", ".join(map(repr, sorted(books)))
        raise InvalidInput(f"price_book = {name!r} is not known; known: {known}")
    return books[name]


def estimate_run(
    request: Request, found: Found, prices: PriceBook, rates: Rates = USUAL_RATES
) -> Estimate:
    """Return what a run over these pictures costs; InvalidInput where there is none."""
    if not found.used:
        raise InvalidInput(f"input_uri {str(request.source)!r} holds no picture")
    return estimate(_work(request, found, rates, spot=request.document.use_spot), prices)


def guard_budget(
    request: Request,
    found: Found,
    books: Mapping[str, PriceBook],
    queues: Queues,
    started_at: datetime,
    *,
    rates: Rates = USUAL_RATES,
) -> Mapping[str, object]:
    """Return the state's payload: the document, and what the run is going to be.

    Raises:
        InvalidInput: no picture is there, or the price book is not known.
        BudgetExceeded: it would cost more than it may.
    """
    document, target = request.document, request.target
    prices = find_prices(request, books)
    costs = estimate_run(request, found, prices, rates)
    check_budget(costs.estimated_total_dkk, document.budget_dkk)
    duration = document.max_job_duration
    return {
        **document.model_dump(mode="json"),
        "input_uri": str(request.source),
        "output_uri": str(target),
        "session_id": request.session_id,
        "started_at": started_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "images_found": found.pictures,
        "estimated_images": found.used,
        "max_images": found.used,
        "seconds_per_image": seconds_per_image(found.taken, rates),
        "compute_mode": "hybrid",
        "max_runtime_min": duration // 60,
        "estimated_cost_dkk": costs.estimated_cost_dkk,
        "estimated_total_dkk": costs.estimated_total_dkk,
        "cost_breakdown": dict(costs.breakdown),
        "worst_case_dkk": costs.worst_case_dkk,
        "budget_remaining_dkk": document.budget_dkk - costs.estimated_total_dkk,
        "stage0_output_uri": target.join("stage0/"),
        "intermediate_uri": target.join("stage1/"),
        "weather_uri": target.join("weather/"),
        "job_queue": _queue(request, found, prices, queues, rates),
        "batch_state_timeout_s": duration * 2 + _QUEUE_SECONDS,
        "warnings": [*request.warnings, *costs.warnings],
    }


def _queue(request: Request, found: Found, prices: PriceBook, queues: Queues, rates: Rates) -> str:
    """Choose the queue: on-demand may stand in for spare capacity where the budget allows it."""
    if not request.document.use_spot:
        return queues.on_demand
    dear = estimate(_work(request, found, rates, spot=False), prices).estimated_total_dkk
    return queues.either if fits_budget(dear, request.document.budget_dkk) else queues.spot


def _work(request: Request, found: Found, rates: Rates, *, spot: bool) -> Work:
    return Work(
        pictures=found.used,
        seconds_per_image=seconds_per_image(found.taken, rates),
        spot=spot,
        max_job_duration=request.document.max_job_duration,
    )
