"""The function of CostEstimation: the guard's formula once more."""

from pipelines.wildlife.handlers.running import LambdaContext, handle
from pipelines.wildlife.states.world import Event


def handler(event: Event, context: LambdaContext) -> Event:
    """Do the state's work on an event."""
    return handle("CostEstimation", event, context)
