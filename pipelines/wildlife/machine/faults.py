"""Faults that a local run is given on purpose, to see what follows: which state, how, how often.

Stage0Exif=Lambda.Unknown        the state fails once with this error, without being run
WeatherEnrichment=States.Timeout*5    five times
SubmitBatchStage1=spot           the detection loses its machine, once it has done a chunk
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pipelines.wildlife.machine.failures import TIMEOUT, TaskFailure
from pipelines.wildlife.machine.interpreter import Call, Resource
from pipelines.wildlife.states.index import DETECTION, FUNCTIONS
from shared.errors import UsageError

SPOT = "spot"
_FAULT = re.compile(r"([A-Za-z0-9]+)=([A-Za-z0-9._]{1,80})(?:\*([1-9]\d{0,3}))?")


@dataclass(slots=True)
class Fault:
    """Something that is to go wrong."""

    state: str
    error: str
    times: int = 1
    """How often it still does."""


def parse_fault(text: str) -> Fault:
    """Read a fault; UsageError."""
    match = _FAULT.fullmatch(text)
    states = (*FUNCTIONS, DETECTION)
    if match is None or match[1] not in states:
        raise UsageError(
            f"fault {text[:100]!r} is not valid; allowed: STATE=ERROR or STATE=ERROR*TIMES, with a "
            f"state of {', '.join(states)}"
        )
    if match[2] == SPOT and match[1] != DETECTION:
        raise UsageError(f"fault {text[:100]!r} is not valid; {SPOT} is for {DETECTION} alone")
    return Fault(match[1], match[2], int(match[3] or 1))


class Faults:
    """What is still to go wrong in a run."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._faults = list(faults)

    def take(self, state: str) -> str:
        """Return the error that a try of a state is to end in; empty: none."""
        return self._taken(lambda fault: fault.state == state and fault.error != SPOT)

    def take_spot(self) -> bool:
        """Tell whether an attempt of the detection is to lose its machine."""
        return bool(self._taken(lambda fault: fault.error == SPOT))

    def around(self, resource: Resource) -> Resource:
        """Return a resource that fails where it is to."""

        async def faulty(call: Call) -> object:
            error = self.take(call.state)
            if error == TIMEOUT:
                raise TaskFailure(TIMEOUT)
            if error:
                told = {"errorMessage": "a fault that was asked for", "errorType": error}
                raise TaskFailure(error, json.dumps(told))
            return await resource(call)

        return faulty

    def _taken(self, fits: Callable[[Fault], bool]) -> str:
        for fault in self._faults:
            if fault.times and fits(fault):
                fault.times -= 1
                return fault.error
        return ""
