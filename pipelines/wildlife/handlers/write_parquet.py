"""The function of WriteParquet: the tables and the report."""

from pipelines.wildlife.handlers.running import LambdaContext, handle
from pipelines.wildlife.states.world import Event


def handler(event: Event, context: LambdaContext) -> Event:
    """Do the state's work on an event."""
    return handle("WriteParquet", event, context)
