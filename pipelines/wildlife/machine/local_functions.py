"""Functions of a local run: the states' own coroutines, called as Lambda would call them.

What goes in and comes out is JSON, as it is there; an error is known by the name of its class.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pipelines.wildlife.machine.failures import TaskFailure
from pipelines.wildlife.machine.interpreter import Call
from pipelines.wildlife.machine.reports import Reports
from pipelines.wildlife.states.index import FUNCTIONS
from pipelines.wildlife.states.running import run_state
from pipelines.wildlife.states.world import World
from shared.errors import SuiteError


@dataclass(frozen=True, slots=True)
class LocalFunctions:
    """Does what `lambda:invoke` asks for; a function is named after its state."""

    world: World

    async def __call__(self, call: Call) -> object:
        """Call a function; TaskFailure with what it raised."""
        name, event = call.parameters.get("FunctionName"), call.parameters.get("Payload")
        if name not in FUNCTIONS or not isinstance(event, Mapping):
            text = f"there is no function {str(name)[:100]!r} that takes a {type(event).__name__}"
            raise TaskFailure("Lambda.ResourceNotFoundException", text)
        try:
            result = await run_state(str(name), event, self._around(call))
            answer = json.dumps(result)
        except (SuiteError, OSError, ValueError, LookupError, TypeError, ImportError) as error:
            raise _failure(error) from error
        return {"ExecutedVersion": "$LATEST", "Payload": json.loads(answer), "StatusCode": 200}

    def _around(self, call: Call) -> World:
        until = time.monotonic() + call.seconds
        return replace(
            self.world,
            seconds_left=lambda: max(0.0, until - time.monotonic()),
            progress=Reports(call).take,
        )


def _failure(error: Exception) -> TaskFailure:
    name = type(error).__name__
    told = {"errorMessage": str(error), "errorType": name}
    return TaskFailure(name, json.dumps(told))
