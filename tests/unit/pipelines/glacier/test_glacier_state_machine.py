"""The state machine as a document: it routes as the submitter does, and every wait has a limit."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, cast, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.glacier.satellite import SatelliteName
from pipelines.glacier.submit.routing import route
from pipelines.glacier.submit.submission import RoutingRules
from pipelines.glacier.targets.requests import build_request
from pipelines.glacier.targets.state_machine import (
    CONCURRENCY,
    Places,
    build_definition,
    render_definition,
)
from pipelines.glacier.targets.state_machine_input import (
    NAMES_CHARACTERS_MAX,
    TooLargeRun,
    build_document,
    build_input,
    build_item,
    execution_name,
    jobs_document,
)
from pipelines.glacier.targets.target import BatchTarget, Task

RESULT_BYTES_MAX = 256 * 1024
"""Of what a state may return (Step Functions Developer Guide, "Quotas")."""
BATCH = BatchTarget("queue", "satellite-processing-sentinel2", 2, 8192, 1800)
DEFINITION = cast("Mapping[str, Any]", build_definition(Places()))
JOBS = DEFINITION["States"]["Jobs"]
OF_JOB: Mapping[str, Any] = JOBS["ItemProcessor"]["States"]


def _task(name: str = "aws-sentinel2-20240801-134_Arsuk") -> Task:
    event = {
        "satellite": "sentinel2",
        "regions": "134_Arsuk",
        "date1": "2024-08-01",
        "date2": "2024-08-31",
        "s3_bucket": "greenland-glacier-data",
    }
    environment = {"REGION": "134_Arsuk", "DATE1": "2024-08-01"}
    return Task(name, "134_Arsuk", "token", event, environment, tile_months=4)


def _holds(rule: Mapping[str, Any], item: Mapping[str, Any]) -> bool:
    """Judge a choice as Step Functions does, as far as the tile rule goes."""
    for name, every in (("And", all), ("Or", any)):
        if name in rule:
            return every(_holds(inner, item) for inner in rule[name])
    value = item[rule["Variable"].removeprefix("$.")]
    if "StringEquals" in rule:
        return bool(value == rule["StringEquals"])
    return bool(value > item[rule["NumericGreaterThanPath"].removeprefix("$.")])


@given(
    satellite=st.sampled_from(get_args(SatelliteName)),
    tiles=st.integers(1, 6),
    most=st.integers(1, 6),
)
def test_a_job_goes_where_the_submitter_would_send_it(
    satellite: SatelliteName, tiles: int, most: int
) -> None:
    """Its window of days was cut for that service."""
    item = {"satellite": satellite, "tiles": tiles, "lambda_max_tiles": most}
    [rule] = OF_JOB["Route"]["Choices"]
    rules = RoutingRules(lambda_max_tiles=most)

    taken = rule["Next"] if _holds(rule, item) else OF_JOB["Route"]["Default"]

    assert taken.lower() == route(tiles, asked="auto", satellite=satellite, rules=rules)


def _tasks() -> Iterator[Mapping[str, Any]]:
    for states in (DEFINITION["States"], OF_JOB):
        yield from (state for state in states.values() if state["Type"] == "Task")


def test_every_wait_has_a_limit_and_every_failure_an_end() -> None:
    """A service that never answers must not hold a run for a year."""
    assert DEFINITION["TimeoutSeconds"] > 0
    assert len(list(_tasks())) == 4
    for task in (*_tasks(), JOBS):
        assert task["Catch"][-1]["ErrorEquals"] == ["States.ALL"]
    for task in _tasks():
        assert task["TimeoutSeconds"] > 0
        assert task["Retry"][0]["JitterStrategy"] == "FULL"


def test_a_call_that_may_be_at_work_is_not_repeated_before_it_has_ended() -> None:
    """Blind repetition ran one job five times side by side."""
    [throttled, unclear] = OF_JOB["Lambda"]["Retry"]

    assert "Lambda.TooManyRequestsException" in throttled["ErrorEquals"]
    assert "Lambda.ServiceException" not in throttled["ErrorEquals"]
    assert "Lambda.ServiceException" in unclear["ErrorEquals"]
    assert (unclear["IntervalSeconds"], unclear["MaxAttempts"]) == (900, 1)


def test_every_state_can_be_reached_and_leads_somewhere() -> None:
    """A name that is written wrong is refused by a deployment, or never noticed."""
    for states, start in ((DEFINITION["States"], "Jobs"), (OF_JOB, "Begin")):
        named = {start} | {
            found
            for state in states.values()
            for found in _followers(
                {name: inner for name, inner in state.items() if name != "ItemProcessor"}
            )
        }
        assert named == set(states)


def _followers(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from (value[name] for name in ("Next", "Default") if name in value)
        for inner in value.values():
            yield from _followers(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _followers(inner)


def test_ten_jobs_run_at_a_time_and_the_text_is_always_the_same() -> None:
    """Else a template would differ from itself, and a deployment change what has not changed."""
    assert JOBS["MaxConcurrency"] == CONCURRENCY == 10
    assert render_definition() == render_definition(Places())
    assert json.loads(render_definition()) == DEFINITION


def test_batch_is_asked_for_the_same_as_without_the_machine() -> None:
    """In capitals, but for the free names of variables and parameters."""
    task = _task()
    request = cast("Mapping[str, Any]", build_request(task, BATCH))

    said = cast("Mapping[str, Any]", build_item(task, tiles=4, batch=BATCH)["batch"])

    assert said["parameters"] == request["parameters"]
    assert said["environment"] == [
        {"Name": "REGION", "Value": "134_Arsuk"},
        {"Name": "DATE1", "Value": "2024-08-01"},
    ]
    assert said["resources"][1] == {"Type": "MEMORY", "Value": "8192"}
    assert said["retry"]["EvaluateOnExit"][0]["OnStatusReason"] == "Host EC2*"
    assert said["timeout"] == {"AttemptDurationSeconds": 7200}


@pytest.mark.parametrize("length", [24, 57, 128])
def test_what_became_of_every_job_fits_into_the_result(length: int) -> None:
    """Were it larger, a run would end without a word, and most likely where all has failed."""
    item = {**build_item(_task("j" * length), tiles=1, batch=BATCH), "event": {}, "batch": {}}
    most = NAMES_CHARACTERS_MAX // (length + len('{"success":""},'))

    build_document([item] * most)
    with pytest.raises(TooLargeRun, match=rf"{most + 1} jobs .* about {most};"):
        build_document([item] * (most + 1))
    worst = json.dumps({"failed": "j" * length}, separators=(",", ":")) + ","
    assert len(worst) * most < RESULT_BYTES_MAX * 0.6


def test_a_submission_names_its_run_and_the_place_of_its_jobs() -> None:
    """The same submission is never executed twice, and its name leads nowhere else."""
    assert str(jobs_document("0af3")) == "_runs/submissions/0af3.json"
    assert build_input("0af3", bucket="b", key="k", count=2) == {
        "submission_id": "0af3",
        "jobs": {"bucket": "b", "key": "k", "count": 2},
    }
    for wrong in ("../x", "", "a" * 81, "a b"):
        with pytest.raises(ValueError, match="no name of an execution"):
            execution_name(wrong)
