"""The function of Stage0Exif: clock, place and camera of each picture."""

from pipelines.wildlife.handlers.running import LambdaContext, handle
from pipelines.wildlife.states.world import Event


def handler(event: Event, context: LambdaContext) -> Event:
    """Do the state's work on an event."""
    return handle("Stage0Exif", event, context)
