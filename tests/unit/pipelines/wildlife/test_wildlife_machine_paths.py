"""Every way that an execution can go, on the interpreter of local runs."""

from pathlib import Path

import anyio
import pytest

from pipelines.wildlife.machine.endings import Ending, Status
from pipelines.wildlife.machine.failures import said_by
from pipelines.wildlife.states.index import DETECTION, FUNCTIONS
from tests.support.virtual_time import run_in_virtual_time
from tests.support.wildlife_paths import (
    ADDED,
    GIVEN,
    HANGS,
    STORIES,
    Story,
    definition,
)
from tests.support.wildlife_scripted_run import ScriptedRun

_BY_NAME = pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)


@_BY_NAME
def test_every_story_goes_as_it_is_told(story: Story, tmp_path: Path) -> None:
    """The contract says of each failure which state follows, and how often it is tried."""
    run = ScriptedRun(story, tmp_path)

    run.execute(definition())

    assert run.entered == story.states
    assert run.ending.error == story.error
    assert run.script.counts() == story.calls()
    assert run.ending.status == (Status.FAILED if story.error else Status.SUCCEEDED)


def test_what_is_said_is_never_dropped_before_the_last_state(tmp_path: Path) -> None:
    """A state that lost what others said would make the next one die of a path error."""
    run = ScriptedRun(Story("success"), tmp_path)

    run.execute(definition())

    everything = dict(GIVEN)
    for state in FUNCTIONS:
        assert everything.items() <= run.inputs[state].items()
        everything |= ADDED[state]
    assert run.inputs["WriteParquet"]["stage1_job"]["status"] == "SUCCEEDED"
    assert [
        each["StatusReason"] for each in run.inputs["Stage2Post"]["stage1_job"]["attempts"]
    ] == ["Essential container in task exited"]


def test_an_execution_gives_back_two_keys(tmp_path: Path) -> None:
    """The output document has exactly these, whatever was said on the way."""
    run = ScriptedRun(Story("success"), tmp_path)

    run.execute(definition())

    wanted = {"session_id": "run-abc123", "final_results": ADDED["WriteParquet"]["final_results"]}
    assert run.ending == Ending(Status.SUCCEEDED, wanted)


@pytest.mark.parametrize("state", ["GuardBudget", "CostEstimation"])
def test_nothing_is_spent_after_a_refusal(state: str, tmp_path: Path) -> None:
    """A budget that is exceeded means no job and no weather call, not a cheaper run."""
    run = ScriptedRun(Story("refused", {state: ("BudgetExceeded",)}), tmp_path)

    run.execute(definition())

    assert DETECTION not in run.script.tried
    assert "WeatherEnrichment" not in run.script.tried
    assert run.script.tried[-1] == state


def test_a_refusal_says_by_how_much(tmp_path: Path) -> None:
    """Who is refused wants both figures, wherever he looks at the execution."""
    run = ScriptedRun(Story("refused", {"GuardBudget": ("BudgetExceeded",)}), tmp_path)

    run.execute(definition())

    assert run.ending.cause.startswith("Estimated cost exceeds budget")
    assert "BudgetExceeded was scripted" in run.ending.cause


def test_weather_that_failed_is_written_down_for_the_last_state(tmp_path: Path) -> None:
    """The report says that there is no weather because the step failed."""
    run = ScriptedRun(Story("no weather", {"WeatherEnrichment": ("BadLine",)}), tmp_path)

    run.execute(definition())

    error = run.inputs["WriteParquet"]["weather_error"]
    assert (error["Error"], said_by(error["Cause"])) == ("BadLine", "BadLine was scripted")
    assert "stage2_results" in run.inputs["WriteParquet"]


@pytest.mark.parametrize("state", [*FUNCTIONS, DETECTION])
def test_a_state_that_hangs_is_ended_at_its_time(state: str, tmp_path: Path) -> None:
    """Nothing may hold a run for ever; functions are tried again, a job is not."""
    run = ScriptedRun(Story("hangs", {state: (HANGS,) * 4}), tmp_path)

    seconds = run.execute(definition())

    tries, limit = {DETECTION: (1, 2400), "Stage0Exif": (4, 900)}.get(state, (4, 300))
    limit = 60 if state in {"GuardBudget", "CostEstimation"} else limit
    assert run.script.tried.count(state) == tries
    assert run.kinds.count("TaskTimedOut") == tries
    assert run.ending.error == ("" if state == "WeatherEnrichment" else "States.Timeout")
    # Between tries lie at most 2, 4 and 8 seconds.
    assert tries * limit <= seconds <= tries * limit + 14 + 1


def test_delays_double_and_are_bounded(tmp_path: Path) -> None:
    """Full jitter under a doubling window: a service that is down is not hammered."""
    ends = ("Lambda.Unknown",) * 4
    run = ScriptedRun(Story("used up", {"Stage2Post": ends}), tmp_path, chance=lambda: 0.5)
    patient = definition(
        Stage2Post={
            "Retry": [
                {
                    "ErrorEquals": ["Lambda.Unknown"],
                    "IntervalSeconds": 2,
                    "BackoffRate": 2.0,
                    "MaxAttempts": 3,
                    "MaxDelaySeconds": 5,
                    "JitterStrategy": "FULL",
                }
            ]
        }
    )

    run.execute(patient)

    assert run.delays == [1.0, 2.0, 2.5]


def test_the_job_is_asked_for_as_the_contract_has_it(tmp_path: Path) -> None:
    """Name, queue, variables, attempts and time limit come from the payload, and nowhere else."""
    run = ScriptedRun(Story("success"), tmp_path)

    run.execute(definition())

    job = run.inputs["job"]
    assert job["JobName"] == "munin-detector-run-abc123"
    assert job["JobQueue"] == "forest-spot"
    assert job["Timeout"] == {"AttemptDurationSeconds": 300}
    assert job["RetryStrategy"]["Attempts"] == 2
    assert {each["Name"]: each["Value"] for each in job["ContainerOverrides"]["Environment"]} == {
        "INPUT_URI": "s3://forest/out/run_001/stage0/",
        "OUTPUT_URI": "s3://forest/out/run_001/stage1/",
        "SPECIES_CFG": "",
    }


def test_an_interrupted_run_is_aborted_and_its_child_is_stopped(tmp_path: Path) -> None:
    """Ctrl-C must leave neither a detector at work nor an execution that seems to run."""
    run = ScriptedRun(Story("interrupted", {DETECTION: (HANGS,)}), tmp_path)

    async def interrupt() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run.states, definition())
            await run.hanging.wait()
            tasks.cancel_scope.cancel()

    run_in_virtual_time(interrupt)

    assert run.kinds[-1] == "ExecutionAborted"
    assert run.stopped == [DETECTION]


def test_a_payload_that_is_too_large_ends_the_run(tmp_path: Path) -> None:
    """AWS carries 256 KiB from state to state; a run that needs more must fail here as well."""
    run = ScriptedRun(Story("large"), tmp_path, extra={"Stage0Exif": {"list": "x" * 262_144}})

    run.execute(definition())

    assert run.ending.error == "States.DataLimitExceeded"
    assert run.entered[-1] == "Stage0Exif"


@pytest.mark.parametrize("missing", ["session_id", "job_queue", "batch_state_timeout_s"])
def test_a_path_that_leads_nowhere_ends_the_run(missing: str, tmp_path: Path) -> None:
    """No catcher takes it, on AWS either: the definition or a state is wrong."""
    run = ScriptedRun(Story("incomplete"), tmp_path, dropped=missing)

    run.execute(definition())

    assert (run.ending.status, run.ending.error) == (Status.FAILED, "States.Runtime")
    assert DETECTION not in run.script.tried


def test_events_have_the_names_and_the_form_of_the_service(tmp_path: Path) -> None:
    """Who reads the history of an execution reads that of a local run as well."""
    run = ScriptedRun(Story("success"), tmp_path)

    run.execute(definition())

    assert run.kinds[:6] == [
        *("ExecutionStarted", "TaskStateEntered", "TaskScheduled", "TaskStarted"),
        *("TaskSucceeded", "TaskStateExited"),
    ]
    assert run.kinds[-3:] == ["SucceedStateEntered", "SucceedStateExited", "ExecutionSucceeded"]
    assert run.kinds.count("TaskSubmitted") == 1
    numbers = [event.number for event in run.events]
    assert numbers == list(range(1, len(numbers) + 1))
