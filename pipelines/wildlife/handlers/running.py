"""What all functions do around their state: settings, storage, the time that is left, numbers.

The state itself is the same coroutine that local runs call. An error leaves a function as it is:
the state machine knows it by the name of its class.
"""

import os
import sys
import time
from collections.abc import Callable
from typing import Protocol

import anyio
import structlog

from pipelines.wildlife.handlers.metrics import failed_line, metrics_line
from pipelines.wildlife.settings import SERVICE, RunSettings
from pipelines.wildlife.states.opening import open_run_storage
from pipelines.wildlife.states.running import run_state
from pipelines.wildlife.states.world import Event, World
from shared.log import configure_logging
from shared.settings import load_settings

_MILLISECONDS = 1000


class LambdaContext(Protocol):
    """The part of the platform's context that is used here."""

    @property
    def aws_request_id(self) -> str:
        """The event's own id, kept by the platform's retries."""

    def get_remaining_time_in_millis(self) -> int:
        """Return what is left of the time limit."""


def handle(state: str, event: Event, context: LambdaContext) -> Event:
    """Do the work of a state, and return the event with what it has added."""
    configure_logging(SERVICE)
    settings = load_settings(RunSettings, [], os.environ, service=SERVICE).settings
    environment = settings.environment_name
    done = False

    async def work() -> Event:
        async with open_run_storage(settings, event) as storage:
            world = World(storage=storage, settings=settings, seconds_left=_seconds_left(context))
            return await run_state(state, event, world)

    with structlog.contextvars.bound_contextvars(request_id=context.aws_request_id):
        began = time.monotonic()
        try:
            result = anyio.run(work, backend="asyncio", backend_options={"use_uvloop": True})
            done = True
        finally:
            if not done:
                _tell(failed_line(state, environment, time.time_ns() // 1_000_000))
    seconds = time.monotonic() - began
    _tell(metrics_line(state, environment, result, seconds, time.time_ns() // 1_000_000))
    return result


def _seconds_left(context: LambdaContext) -> Callable[[], float]:
    return lambda: context.get_remaining_time_in_millis() / _MILLISECONDS


def _tell(line: str) -> None:
    """Tell CloudWatch by way of the log, where a line must hold nothing else."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
