"""CostEstimation: what the detection costs by the number of pictures that can be read."""

from pipelines.wildlife.costs.estimate import Work, calculate_job_cost, check_budget, estimate
from pipelines.wildlife.costs.prices import BOOKS
from pipelines.wildlife.models.payload import CostEstimate, Stage0Results
from pipelines.wildlife.states.world import Event, World, parse_payload

_MILLISECONDS = 1000


async def run(event: Event, world: World) -> Event:
    """Add `cost_estimate`; BudgetExceeded if the guard's formula says so of what is there now."""
    del world
    given = parse_payload(event)
    pictures = _counted(given.stage0_results)
    prices = BOOKS[given.price_book]
    again = estimate(
        Work(
            pictures=pictures,
            seconds_per_image=given.seconds_per_image,
            spot=given.use_spot,
            max_job_duration=given.max_job_duration,
        ),
        prices,
    )
    check_budget(again.estimated_total_dkk, given.budget_dkk)
    costs = calculate_job_cost(pictures, round(_MILLISECONDS * given.seconds_per_image))
    told = CostEstimate.model_validate(
        {**costs, "estimated_cost_dkk": costs["estimated_cost"] * prices.usd_to_dkk}
    )
    return {**event, "cost_estimate": told.model_dump(mode="json")}


def _counted(results: Stage0Results | None) -> int:
    if results is None:
        raise ValueError("stage0_results is not in the event; Stage0Exif has to come before")
    return results.processed_images
