"""The function of GuardBudget: is the document right, are there pictures, may it cost that much?"""

from pipelines.wildlife.handlers.running import LambdaContext, handle
from pipelines.wildlife.states.world import Event


def handler(event: Event, context: LambdaContext) -> Event:
    """Do the state's work on an event."""
    return handle("GuardBudget", event, context)
