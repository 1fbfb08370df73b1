"""What people and programs are told of a run: while it goes on, at its end, and in metrics."""

import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipelines.wildlife.commands.ending import reason_of, status_of
from pipelines.wildlife.commands.following import duration, event_line, progress_line
from pipelines.wildlife.commands.onlooker import Onlooker
from pipelines.wildlife.costs.prices import BOOKS
from pipelines.wildlife.costs.running import running_cost
from pipelines.wildlife.errors import WildlifeStatus
from pipelines.wildlife.handlers.metrics import failed_line, metrics_line
from pipelines.wildlife.machine.endings import Ending, Status
from pipelines.wildlife.machine.history import Happened, History, parse_events
from pipelines.wildlife.machine.view import view_of

_BEGAN = datetime(2026, 6, 1, 12, tzinfo=UTC)
_PAYLOAD = {"budget_dkk": 25, "use_spot": True, "price_book": "reference"}


def _event(seconds: float, kind: str, **details: Any) -> Happened:
    return Happened(1, _BEGAN + timedelta(seconds=seconds), kind, details)


def _until_detection() -> list[Happened]:
    given = json.dumps(_PAYLOAD)
    return [
        _event(0, "ExecutionStarted", input=given),
        _event(0, "TaskStateEntered", name="GuardBudget", input=given),
        _event(0, "TaskScheduled"),
        _event(1, "TaskStateExited", name="GuardBudget"),
        _event(1, "TaskStateEntered", name="SubmitBatchStage1", input=given),
        _event(1, "TaskScheduled"),
        _event(11, "TaskProgressed", done=100, total=300),
    ]


def test_a_line_shows_pictures_a_second_cost_and_what_is_left() -> None:
    """Who waits wants to know whether it is worth it."""
    view = view_of("run-1", _until_detection())

    line = progress_line(view, _BEGAN + timedelta(seconds=11), 200)

    assert line.startswith("SubmitBatchStage1 [######..............] 100 of 300, 10.0/s, 20 s left")
    assert line.endswith(" of 25.0000 DKK · 11 s")
    assert len(progress_line(view, _BEGAN, 40)) < 40


def test_the_cost_so_far_is_that_of_machines_and_functions() -> None:
    """An hour of two vCPU on spot, seconds of small and large functions, some transitions."""
    prices = BOOKS["reference"]
    large = {"Stage0Exif": 10, "Stage2Post": 20, "WriteParquet": 30}
    small = {"GuardBudget": 1, "WeatherEnrichment": 4}
    cost = running_cost(
        {"SubmitBatchStage1": 3600, **small, **large}, entered=6, prices=prices, spot=True
    )

    seconds = 5 * 0.5 + 60 * 1769 / 1024
    expected = 2 * 0.15 * 1.2 + 7 * 0.0000166667 * seconds + 7 * 0.000025 * 7

    assert cost == pytest.approx(expected)
    assert running_cost({}, entered=0, prices=prices, spot=False) == pytest.approx(7 * 0.000025)


def test_a_state_that_was_tried_again_says_so() -> None:
    """A run that is slow for that reason should not be a riddle."""
    events = [
        *_until_detection()[:2],
        _event(0, "TaskScheduled"),
        _event(1, "TaskFailed", error="Lambda.Unknown"),
        _event(2, "TaskScheduled"),
        _event(3, "TaskStateExited", name="GuardBudget"),
    ]
    view = view_of("run-1", events)

    line = event_line(view.visits[0], _BEGAN)

    assert line == "GuardBudget: 3.0 s, tried 2 times, Lambda.Unknown"


def test_an_onlooker_without_a_terminal_gets_a_line_a_state() -> None:
    """Escape sequences in a log file help nobody."""
    stream = io.StringIO()
    onlooker = Onlooker("run-1", stream)

    for event in _until_detection():
        onlooker.take(event)

    assert stream.getvalue() == "GuardBudget: 1.0 s\n"
    assert onlooker.view.current is not None
    assert onlooker.view.current.state == "SubmitBatchStage1"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (9.94, "9.9 s"), (42, "42 s"), (61, "1 min 01 s"), (7260, "2 h 01 min")],
)
def test_times_are_said_as_people_say_them(seconds: float, text: str) -> None:
    """Seconds matter in the beginning only."""
    assert duration(seconds) == text


def _function(error: str, message: str) -> Ending:
    cause = json.dumps({"errorMessage": message, "errorType": error})
    return Ending(Status.FAILED, error=error, cause=cause)


def _job(*codes: int) -> Ending:
    attempts = [{"Container": {"ExitCode": code, "Reason": "model is missing"}} for code in codes]
    return Ending(
        Status.FAILED, error="States.TaskFailed", cause=json.dumps({"Attempts": attempts})
    )


@pytest.mark.parametrize(
    ("ending", "status", "words"),
    [
        (Ending(Status.SUCCEEDED), WildlifeStatus.DONE, ""),
        (
            _function("InvalidInput", "budget_dkk is required\ninput_uri is required"),
            WildlifeStatus.INVALID_INPUT,
            "budget_dkk is required\ninput_uri is required",
        ),
        (
            Ending(
                Status.FAILED,
                error="BudgetExceeded",
                cause='Estimated cost exceeds budget: {"errorMessage": "Estimated cost exceeds '
                'budget: estimated 2.0000 DKK > budget 1.0000 DKK"}',
            ),
            WildlifeStatus.BUDGET_EXCEEDED,
            "Estimated cost exceeds budget: estimated 2.0000 DKK > budget 1.0000 DKK",
        ),
        (_function("BadLine", "line 3"), WildlifeStatus.STAGE_FAILED, "BadLine: line 3"),
        (_function("UsageError", "no file"), WildlifeStatus.CONFIGURATION, "no file"),
        (
            _job(1, 1),
            WildlifeStatus.STAGE_FAILED,
            "the detection failed after 2 attempts: exit status 1: model is missing",
        ),
        (
            _job(2),
            WildlifeStatus.CONFIGURATION,
            "the detection failed: exit status 2: model is missing",
        ),
        (
            Ending(Status.FAILED, error="States.TaskFailed", cause="no JSON"),
            WildlifeStatus.STAGE_FAILED,
            "the detection failed: no JSON",
        ),
        (
            Ending(Status.FAILED, error="States.Timeout"),
            WildlifeStatus.STAGE_FAILED,
            "States.Timeout",
        ),
    ],
)
def test_an_ending_has_its_status_and_its_words(
    ending: Ending, status: WildlifeStatus, words: str
) -> None:
    """Scripts go by the number, people by the line."""
    assert status_of(ending) == status
    if words:
        assert reason_of(ending) == words


def test_a_history_with_a_torn_end_is_read_as_far_as_it_goes() -> None:
    """A machine that lost its power leaves half a line."""
    lines: list[bytes] = []
    history = History("run-1", lines.append, lambda: _BEGAN)
    history.add("ExecutionStarted", input="{}")
    history.add("TaskStateEntered", name="GuardBudget", input="{}")

    events = [*parse_events(b"".join(lines) + b"[1]\n" + lines[0][:20])]

    assert [event.kind for event in events] == ["ExecutionStarted", "TaskStateEntered"]
    assert json.loads(lines[1])["executionId"] == "run-1"


@pytest.mark.parametrize(
    ("state", "payload", "numbers"),
    [
        ("GuardBudget", {"estimated_total_dkk": 0.5}, {"EstimatedCostDkk": 0.5}),
        ("Stage0Exif", {"stage0_results": {"processed_images": 7}}, {"ImagesProcessed": 7}),
        ("Stage2Post", {"stage2_results": {"observations_created": 2}}, {"ObservationsCreated": 2}),
        ("WeatherEnrichment", {"weather_results": {"weather_calls": 3}}, {"WeatherCalls": 3}),
        ("WeatherEnrichment", {}, {}),
        ("WriteParquet", {}, {"RunFailed": 0}),
    ],
)
def test_metrics_have_the_names_of_the_contract(
    state: str, payload: Mapping[str, Any], numbers: Mapping[str, float]
) -> None:
    """Alarms and dashboards are made for these names, by environment."""
    line = json.loads(metrics_line(state, "dev", {"session_id": "s", **payload}, 1.25, 1000))

    about = line["_aws"]["CloudWatchMetrics"][0]
    wanted = {"StageSeconds": 1.25, **numbers}
    assert {each["Name"]: line[each["Name"]] for each in about["Metrics"]} == wanted
    assert (about["Namespace"], about["Dimensions"]) == ("WildlifePipeline", [["Environment"]])
    assert (line["Environment"], line["session_id"]) == ("dev", "s")


def test_a_function_that_raised_counts_as_a_failed_run() -> None:
    """That is what somebody wants to be woken for."""
    assert json.loads(failed_line("Stage0Exif", "prod", 1000))["RunFailed"] == 1
