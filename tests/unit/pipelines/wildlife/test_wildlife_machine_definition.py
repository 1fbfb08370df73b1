"""The definition of the state machine, word by word, and what is refused of others."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from pipelines.wildlife.machine.definition import (
    BATCH,
    LAMBDA,
    PLACEHOLDERS,
    BadSubstitution,
    check_definition,
    placeholders,
    read_definition,
    substitute,
)
from pipelines.wildlife.machine.document import BadDefinition, parse_machine
from tests.support.wildlife_paths import ORDER, definition

_R1 = [
    {
        "ErrorEquals": [
            "Lambda.ServiceException",
            "Lambda.AWSLambdaException",
            "Lambda.SdkClientException",
            "Lambda.TooManyRequestsException",
            "Lambda.Unknown",
            "Sandbox.Timedout",
            "States.Timeout",
        ],
        "IntervalSeconds": 2,
        "BackoffRate": 2.0,
        "MaxAttempts": 3,
        "MaxDelaySeconds": 30,
        "JitterStrategy": "FULL",
    }
]
_CAUGHT = {
    "GuardBudget": {
        "BudgetExceeded": "FailBudget",
        "InvalidInput": "FailInput",
        "States.ALL": "FailRun",
    },
    "CostEstimation": {"BudgetExceeded": "FailBudget", "States.ALL": "FailRun"},
    "WeatherEnrichment": {"States.ALL": "WriteParquet"},
}
_LIMITS = {"GuardBudget": 60, "Stage0Exif": 900, "CostEstimation": 60}


def _states() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(read_definition())["States"]
    return found


@pytest.mark.parametrize(
    "name",
    [*_LIMITS, "Stage2Post", "WeatherEnrichment", "WriteParquet"],
)
def test_a_function_is_called_as_the_contract_says(name: str) -> None:
    """Resource, payload, time limit, retries and catches are fixed; each wrong one costs runs."""
    state = _states()[name]

    assert state["Resource"] == LAMBDA
    assert state["Parameters"] == {"FunctionName": f"${{{name}Lambda}}", "Payload.$": "$"}
    assert state["TimeoutSeconds"] == _LIMITS.get(name, 300)
    assert state["Retry"] == _R1
    caught = {each["ErrorEquals"][0]: each["Next"] for each in state["Catch"]}
    assert caught == _CAUGHT.get(name, {"States.ALL": "FailRun"})
    path = "$.weather_error" if name == "WeatherEnrichment" else "$.error"
    assert {each["ResultPath"] for each in state["Catch"]} == {path}


def test_the_states_follow_each_other_in_their_order() -> None:
    """Money is spent behind two guards, and weather is asked for what is left."""
    document = json.loads(read_definition())

    way = [document["StartAt"]]
    while "Next" in document["States"][way[-1]]:
        way.append(document["States"][way[-1]]["Next"])

    assert tuple(way) == ORDER


def test_the_job_is_tried_twice_by_the_rules() -> None:
    """A lost machine or image is worth another try, a mistake in the configuration is not."""
    state = _states()["SubmitBatchStage1"]

    assert state["Resource"] == BATCH
    assert "Retry" not in state
    assert state["TimeoutSecondsPath"] == "$.batch_state_timeout_s"
    assert state["ResultPath"] == "$.stage1_job"
    assert state["Parameters"]["RetryStrategy"] == {
        "Attempts": 2,
        "EvaluateOnExit": [
            {"OnStatusReason": "Host EC2*", "Action": "RETRY"},
            {"OnReason": "CannotPullContainerError*", "Action": "RETRY"},
            {"OnExitCode": "2", "Action": "EXIT"},
            {"OnExitCode": "*", "Action": "RETRY"},
        ],
    }


def test_nothing_but_the_known_names_is_replaced() -> None:
    """The stack and the local runner fill the same holes of the same file."""
    assert placeholders(read_definition()) == PLACEHOLDERS
    assert not placeholders(definition())
    check_definition(read_definition())
    check_definition(definition())


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "has no value"),
        ({"A": "x", "B": "y"}, "'B' is not in the definition"),
        ({"A": 'x", "Resource": "'}, "cannot stand inside JSON text"),
        ({"A": "${B}"}, "cannot stand inside JSON text"),
    ],
)
def test_what_does_not_fit_is_not_put_in(values: Mapping[str, str], said: str) -> None:
    """A value that ends the text it stands in would make another machine."""
    with pytest.raises(BadSubstitution, match=said):
        substitute('{"Comment": "${A}"}', values)


_TASK = {"Type": "Task", "Resource": "r", "End": True}


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ({"A": {**_TASK, "Assign": {}}}, "A.Task.Assign: Extra inputs"),
        ({"A": {"Type": "Choice"}}, "Choice"),
        ({"A": {**_TASK, "Resource": "other"}}, "A: resource 'other' is not known"),
        ({"A": {**_TASK, "Next": "B"}}, "A: a task has either Next or End"),
        ({"A": {"Type": "Task", "Resource": "r", "Next": "B"}}, "there is no state 'B'"),
        ({"A": _TASK, "B": _TASK}, "B: no state leads there"),
        ({"A": {**_TASK, "ResultPath": "a.b"}}, "'a.b' is no reference path"),
        ({"A": {**_TASK, "Parameters": {"x.$": "$..y"}}}, "is no reference path"),
        ({"A": {**_TASK, "Parameters": {"x.$": "States.UUID()"}}}, "States.Format"),
        ({"A": {**_TASK, "Parameters": {"x.$": "States.Format('{}')"}}}, "1 of {} for 0"),
        ({"A": {**_TASK, "TimeoutSeconds": 1, "TimeoutSecondsPath": "$.t"}}, "exclude each other"),
        ({"A": {"Type": "Fail", "Error": "x", "ErrorPath": "$.e"}}, "exclude each other"),
        (
            {"A": {**_TASK, "Retry": [{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["X"]}]}},
            "States.ALL must come last",
        ),
        (
            {"A": {**_TASK, "Retry": [{"ErrorEquals": ["States.ALL", "X"]}]}},
            "States.ALL must stand alone",
        ),
        ({"A": {**_TASK, "Retry": [{"ErrorEquals": []}]}}, "ErrorEquals"),
    ],
)
def test_what_is_not_executed_here_is_refused(states: Mapping[str, Any], said: str) -> None:
    """A local run that passes over a field would not be what AWS does."""
    text = json.dumps({"StartAt": "A", "States": states})

    with pytest.raises(BadDefinition) as raised:
        parse_machine(text, resources=("r",))

    assert said in str(raised.value)


def test_every_mistake_is_named_at_once() -> None:
    """Who mends a definition wants all of it."""
    states = {"A": {**_TASK, "Resource": "x", "OutputPath": "y"}, "B": {"Type": "Succeed"}}

    with pytest.raises(BadDefinition) as raised:
        parse_machine(json.dumps({"StartAt": "A", "States": states}), resources=("r",))

    assert len(str(raised.value).splitlines()) == 3
