"""The function of WeatherEnrichment: the weather of each sighting."""

from pipelines.wildlife.handlers.running import LambdaContext, handle
from pipelines.wildlife.states.world import Event


def handler(event: Event, context: LambdaContext) -> Event:
    """Do the state's work on an event."""
    return handle("WeatherEnrichment", event, context)
