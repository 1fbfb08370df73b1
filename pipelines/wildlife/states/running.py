"""Running one state: logged, timed, with its time added to what the event says of the others."""

import time
from collections.abc import Mapping

import structlog
from structlog.typing import FilteringBoundLogger

from pipelines.wildlife.states.index import find_state
from pipelines.wildlife.states.world import Event, World

log: FilteringBoundLogger = structlog.get_logger()


async def run_state(name: str, event: Event, world: World) -> Event:
    """Run a state; what it raises is what the state machine catches, by the name of its class."""
    session = str(event.get("session_id", ""))
    with structlog.contextvars.bound_contextvars(state=name, session_id=session):
        began = time.monotonic()
        try:
            result = await find_state(name)(event, world)
        except ExceptionGroup as group:
            # A group has a name of its own, by which nobody catches what is in it.
            raise _first(group) from group
        seconds = round(time.monotonic() - began, 3)
        log.info("state_done", seconds=seconds)
    return {**result, "stage_seconds": {**_seconds(event), name: seconds}}


def _first(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _seconds(event: Event) -> Mapping[str, object]:
    said = event.get("stage_seconds")
    return said if isinstance(said, Mapping) else {}
