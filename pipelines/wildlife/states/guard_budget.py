"""GuardBudget: is the document right, are there pictures, may it cost that much?"""

from pipelines.wildlife.costs.prices import BOOKS
from pipelines.wildlife.document.checks import check_document
from pipelines.wildlife.guard import Queues, guard_budget
from pipelines.wildlife.listing import find_pictures
from pipelines.wildlife.pictures import parse_rates
from pipelines.wildlife.states.world import Event, World


async def run(event: Event, world: World) -> Event:
    """Return the payload of the run; InvalidInput, BudgetExceeded."""
    request = check_document(event, local=world.local, books=BOOKS)
    found = await find_pictures(world.storage, request.source, request.document.max_images)
    settings = world.settings
    queues = Queues(
        spot=settings.job_queue_spot,
        either=settings.job_queue_either or settings.job_queue_spot,
        on_demand=settings.job_queue_on_demand,
    )
    rates = parse_rates(settings.seconds_per_image)
    told = guard_budget(request, found, BOOKS, queues, world.now(), rates=rates)
    return {**event, **told}
