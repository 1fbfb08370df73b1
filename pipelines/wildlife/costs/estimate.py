"""What a run is expected to cost, before anything is spent. Pure; DKK.

    compute            = N x seconds_per_image / 3600 x 2 x vcpu_hour
    estimated_cost     = compute x 1.2
    lambda             = usd_to_dkk x usd_per_gb_second x (7 + 0.05 x N)
    step functions     = usd_to_dkk x usd_per_transition x 9
    storage            = N x 2 MB / 1024 x gb_month
    estimated_total    = max(estimated_cost, compute + lambda + step functions) + storage
    worst_case         = 2 x max_job_duration / 3600 x 2 x vcpu_hour x 1.2 + storage

Below a few hundred pictures the single items outweigh the share of a fifth for all but compute,
hence the maximum. The worst case is that both attempts of the detection use up their time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipelines.wildlife.costs.prices import PriceBook
from pipelines.wildlife.errors import BudgetExceeded

VCPUS = 2
ATTEMPTS = 2
TRANSITIONS = 9
"""The start and eight states."""
_LAMBDA_GB_SECONDS = (7.0, 0.05)
"""Of a run, and of each picture."""
_TOLERANCE = 1e-9
LONG_RUN = "estimated_duration_exceeds_max_job_duration"


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done."""

    pictures: int
    seconds_per_image: float
    spot: bool
    max_job_duration: int
    """Seconds of one attempt."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What it costs, in DKK."""

    estimated_cost_dkk: float
    estimated_total_dkk: float
    worst_case_dkk: float
    """Reported; the budget is not compared with it."""
    breakdown: Mapping[str, float]
    warnings: tuple[str, ...] = field(default=())


def estimate(work: Work, prices: PriceBook) -> Estimate:
    """Return what a run costs."""
    hour = prices.vcpu_hour(spot=work.spot)
    compute = work.pictures * work.seconds_per_image / 3600 * VCPUS * hour
    fixed, each = _LAMBDA_GB_SECONDS
    seconds = fixed + each * work.pictures
    functions = prices.usd_to_dkk * prices.lambda_usd_gb_second * seconds
    transitions = prices.usd_to_dkk * prices.transition_usd * TRANSITIONS
    stored_gb = work.pictures * prices.megabytes_per_picture / 1024
    storage = stored_gb * prices.storage_gb_month
    cost = compute * prices.overhead
    longest = ATTEMPTS * work.max_job_duration / 3600 * VCPUS * hour * prices.overhead
    too_long = work.pictures * work.seconds_per_image > work.max_job_duration
    return Estimate(
        estimated_cost_dkk=cost,
        estimated_total_dkk=max(cost, compute + functions + transitions) + storage,
        worst_case_dkk=longest + storage,
        breakdown={
            "compute_dkk": compute,
            "lambda_dkk": functions,
            "step_functions_dkk": transitions,
            "storage_dkk": storage,
            "overhead_dkk": (prices.overhead - 1) * compute,
        },
        warnings=(LONG_RUN,) if too_long else (),
    )


def fits_budget(total_dkk: float, budget_dkk: float) -> bool:
    """Tell whether a total may be spent; exactly the budget may."""
    return total_dkk - budget_dkk <= _TOLERANCE


def check_budget(total_dkk: float, budget_dkk: float) -> None:
    """Refuse what costs more than it may; BudgetExceeded. Exactly the budget passes."""
    if not fits_budget(total_dkk, budget_dkk):
        raise BudgetExceeded(
            f"Estimated cost exceeds budget: estimated {total_dkk:.4f} DKK > "
            f"budget {budget_dkk:.4f} DKK"
        )


def calculate_job_cost(
    file_count: int, ms_per_frame: int = 100, price_per_hour: float = 0.10
) -> dict[str, float]:
    """Return hours and cost of a detection, in the currency of `price_per_hour`.

    The defaults are a tenth of a second and an on-demand instance in USD. The figure informs; the
    guard has its own.

    Raises:
        ValueError: an argument is negative.
    """
    if min(file_count, ms_per_frame, price_per_hour) < 0:
        raise ValueError(
            f"file_count {file_count!r}, ms_per_frame {ms_per_frame!r} and price_per_hour "
            f"{price_per_hour!r} must not be negative"
        )
    hours = file_count * ms_per_frame / 3_600_000
    cost = hours * price_per_hour
    return {
        "file_count": file_count,
        "estimated_hours": hours,
        "estimated_cost": cost,
        "cost_per_file": cost / file_count if file_count else 0.0,
    }
