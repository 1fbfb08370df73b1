"""The ways that an execution of the state machine can go, as a table for every interpreter of it.

A story says how each try of a state ends; whatever it does not name goes well. What a state does
here is to add a key, so that nobody has to see a picture.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipelines.wildlife.machine.definition import (
    FUNCTION_PLACEHOLDERS,
    JOB_DEFINITION,
    SPECIES,
    read_definition,
    substitute,
)
from pipelines.wildlife.states.index import DETECTION, FUNCTIONS

HANGS = "hangs"
SPOT = "spot"
GIVEN: Mapping[str, Any] = {
    "input_uri": "s3://forest/raw/cam01/",
    "output_uri": "s3://forest/out/run_001/",
    "budget_dkk": 25,
}
ADDED: Mapping[str, Mapping[str, Any]] = {
    "GuardBudget": {
        "session_id": "run-abc123",
        "job_queue": "forest-spot",
        "max_job_duration": 300,
        "batch_state_timeout_s": 2400,
        "stage0_output_uri": "s3://forest/out/run_001/stage0/",
        "intermediate_uri": "s3://forest/out/run_001/stage1/",
    },
    "Stage0Exif": {"stage0_results": {"processed_images": 3}},
    "CostEstimation": {"cost_estimate": {"file_count": 3}},
    "Stage2Post": {"stage2_results": {"observations_created": 2}},
    "WeatherEnrichment": {"weather_results": {"weather_calls": 1}},
    "WriteParquet": {"final_results": {"files_created": 2}},
}
"""What each function adds; the first and the last as a run has it, as far as the machine looks."""
ORDER = (
    *("GuardBudget", "Stage0Exif", "CostEstimation", DETECTION),
    *("Stage2Post", "WeatherEnrichment", "WriteParquet", "Success"),
)
_RETRIED = "Lambda.TooManyRequestsException"


@dataclass(frozen=True, slots=True)
class Story:
    """One way."""

    name: str
    ends: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By state, how one try after the other ends: an error's name, or nothing if it goes well."""
    error: str = ""
    """Of the execution; empty where it succeeds."""
    last: str = "Success"
    skipped: Sequence[str] = ()
    """States that would come before the last one."""
    tries: Mapping[str, int] = field(default_factory=dict)
    """By state, where it is not one."""
    given: Any = field(default_factory=lambda: dict(GIVEN))
    quick: bool = False
    """Whether it is told on a slow interpreter by `make test` as well."""

    @property
    def states(self) -> tuple[str, ...]:
        """The states that are entered, in their order."""
        failing = [state for state in ORDER if state in self.ends and self.last.startswith("Fail")]
        way = ORDER if not failing else ORDER[: ORDER.index(failing[-1]) + 1]
        entered = [state for state in way if state not in self.skipped]
        return tuple(entered if entered[-1] == self.last else [*entered, self.last])

    def calls(self) -> Mapping[str, int]:
        """How often each state is tried."""
        tasks = [state for state in self.states if state in {*FUNCTIONS, DETECTION}]
        return {state: self.tries.get(state, 1) for state in tasks}


def _failing(state: str, error: str) -> Story:
    return Story(f"{state} fails", {state: (error,)}, error, "FailRun")


def _used_up(state: str, error: str) -> Story:
    return Story(
        f"{state}: {error} to the end", {state: (error,) * 4}, error, "FailRun", (), {state: 4}
    )


STORIES: Sequence[Story] = (
    Story("success"),
    Story(
        "too dear by the document",
        {"GuardBudget": ("BudgetExceeded",)},
        "BudgetExceeded",
        "FailBudget",
    ),
    Story(
        "too dear by what is there",
        {"CostEstimation": ("BudgetExceeded",)},
        "BudgetExceeded",
        "FailBudget",
        quick=True,
    ),
    Story(
        "bad document",
        {"GuardBudget": ("InvalidInput",)},
        "InvalidInput",
        "FailInput",
    ),
    *(_failing(state, "BadLine") for state in FUNCTIONS if state != "WeatherEnrichment"),
    Story(
        "a budget's error of another state",
        {"Stage2Post": ("BudgetExceeded",)},
        "BudgetExceeded",
        "FailRun",
    ),
    Story("no weather", {"WeatherEnrichment": ("BadLine",)}),
    Story(
        "a machine is lost, a function throttled, and there is no weather",
        {DETECTION: (SPOT,), "Stage2Post": (_RETRIED,), "WeatherEnrichment": ("BadLine",)},
        tries={DETECTION: 2, "Stage2Post": 2},
        quick=True,
    ),
    Story(
        "no weather in time",
        {"WeatherEnrichment": ("Sandbox.Timedout",) * 4},
        tries={"WeatherEnrichment": 4},
    ),
    _used_up("GuardBudget", "Sandbox.Timedout"),
    _used_up("Stage0Exif", "Sandbox.Timedout"),
    _used_up("CostEstimation", _RETRIED),
    _used_up("Stage2Post", "Lambda.Unknown"),
    _used_up("WriteParquet", "Sandbox.Timedout"),
    Story(
        "all well in the end",
        dict.fromkeys(FUNCTIONS, (_RETRIED, "Lambda.ServiceException", "Lambda.Unknown")),
        tries=dict.fromkeys(FUNCTIONS, 4),
    ),
    Story(
        "the detection fails twice",
        {DETECTION: ("1", "1")},
        "States.TaskFailed",
        "FailRun",
        (),
        {DETECTION: 2},
    ),
    Story(
        "the detection is misconfigured",
        {DETECTION: ("2",)},
        "States.TaskFailed",
        "FailRun",
        quick=True,
    ),
    Story("the detection fails once", {DETECTION: ("1",)}, tries={DETECTION: 2}),
    Story("a machine is lost to spot", {DETECTION: (SPOT,)}, tries={DETECTION: 2}),
    Story(
        "two machines are lost to spot",
        {DETECTION: (SPOT, SPOT)},
        "States.TaskFailed",
        "FailRun",
        (),
        {DETECTION: 2},
    ),
)


def definition(**changes: Any) -> str:
    """Return the definition with each function named after its state; tasks may be changed."""
    values = {placeholder: state for state, placeholder in FUNCTION_PLACEHOLDERS.items()}
    filled = substitute(read_definition(), {**values, JOB_DEFINITION: "detector", SPECIES: ""})
    if not changes:
        return filled
    document = json.loads(filled)
    for state, fields in changes.items():
        document["States"][state] |= fields
    return json.dumps(document)


class Script:
    """Says how the next try of a state ends, and keeps what was tried."""

    def __init__(self, story: Story) -> None:
        self._left = {state: list(ends) for state, ends in story.ends.items()}
        self.tried: list[str] = []
        """The states, try by try."""

    def next_end(self, state: str) -> str:
        """Return an error's name, or nothing where it goes well."""
        self.tried.append(state)
        left = self._left.get(state)
        return left.pop(0) if left else ""

    def peek(self, state: str) -> str:
        """Return how the next try will end."""
        left = self._left.get(state)
        return left[0] if left else ""

    def counts(self) -> Mapping[str, int]:
        """How often each state was tried."""
        return {state: self.tried.count(state) for state in dict.fromkeys(self.tried)}


def added(state: str, event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a function gives back that goes well."""
    return {**event, **ADDED[state]}


def told(error: str) -> Mapping[str, str]:
    """Return an error as a function has it."""
    return {"errorMessage": f"{error} was scripted", "errorType": error}
