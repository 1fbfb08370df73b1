"""Executions on AWS as they are followed: pages, progress out of logs, names and ARNs."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipelines.wildlife.commands.remote import Account
from pipelines.wildlife.machine.endings import Ending, Status
from pipelines.wildlife.machine.history import Happened
from pipelines.wildlife.machine.remote import RemoteMachine
from shared.aws.calls import AwsCalls
from shared.retry import RetryPolicy
from shared.s3.errors import AccessDenied
from tests.support.scripted_aws import Answer, ScriptedAws, refusal
from tests.support.virtual_time import run_in_virtual_time

_ARN = "arn:aws:states:eu-north-1:123456789012:stateMachine:dev-wildlife-pipeline"
_EXECUTION = "arn:aws:states:eu-north-1:123456789012:execution:dev-wildlife-pipeline:run-1"
_BEGAN = datetime(2026, 6, 1, 12, tzinfo=UTC)
_JOB = {
    "jobs": [
        {
            "container": {
                "logStreamName": "detector/1",
                "logConfiguration": {"options": {"awslogs-group": "/aws/batch/dev"}},
            }
        }
    ]
}
_PRINTED = {
    "events": [{"message": "a log"}, {"message": '{"event":"progress","done":5,"total":9}'}]
}
_SAID = {"status": "SUCCEEDED", "output": '{"session_id": "run-1"}'}


def _event(number: int, kind: str, **details: Any) -> dict[str, Any]:
    at = _BEGAN + timedelta(seconds=number)
    name = f"{kind[0].lower()}{kind[1:]}EventDetails"
    return {"id": number, "timestamp": at, "type": kind, name: details}


_STARTED = _event(1, "ExecutionStarted", input="{}")
_SUBMITTED = _event(2, "TaskSubmitted", output=json.dumps({"JobId": "job-1"}))
_DONE = _event(3, "ExecutionSucceeded", output="{}")


def _page(*events: dict[str, Any], token: str = "") -> Answer:
    return {"events": [*events], **({"nextToken": token} if token else {})}


def _follow(aws: ScriptedAws) -> tuple[list[Happened], Ending]:
    taken: list[Happened] = []
    endings: list[Ending] = []

    async def main() -> None:
        machine = RemoteMachine(AwsCalls(aws), _ARN, poll_seconds=5)
        endings.append(await machine.follow(_EXECUTION, taken.append))

    run_in_virtual_time(main)
    return taken, endings[0]


def test_each_event_is_told_once_and_the_detections_progress_with_them() -> None:
    """The history has no progress; what the job prints has."""
    aws = ScriptedAws(
        {
            "get_execution_history": [
                _page(_STARTED, token="more"),
                _page(_SUBMITTED),
                _page(_STARTED, _SUBMITTED),
                _page(_STARTED, _SUBMITTED, _DONE),
            ],
            "describe_jobs": [_JOB],
            "get_log_events": [_PRINTED],
            "describe_execution": [_SAID],
        }
    )

    taken, ending = _follow(aws)

    kinds = [event.kind for event in taken]
    assert kinds == ["ExecutionStarted", "TaskSubmitted", "TaskProgressed", "ExecutionSucceeded"]
    assert (taken[2].details["done"], taken[2].details["total"]) == (5, 9)
    assert ending == Ending(Status.SUCCEEDED, {"session_id": "run-1"})
    assert aws.arguments("get_execution_history")[1]["nextToken"] == "more"
    assert aws.arguments("get_log_events")[0]["logGroupName"] == "/aws/batch/dev"


def test_who_may_not_read_logs_sees_the_states_all_the_same() -> None:
    """Progress is for comfort; a permission that is missing must not end the command."""
    aws = ScriptedAws(
        {
            "get_execution_history": [
                _page(_STARTED, _SUBMITTED),
                _page(_STARTED, _SUBMITTED, _DONE),
            ],
            "describe_jobs": [refusal("AccessDeniedException", 403)],
            "describe_execution": [_SAID],
        }
    )

    taken, _ = _follow(aws)

    assert [event.number for event in taken] == [1, 2, 3]


def test_who_may_not_see_the_execution_is_told_so() -> None:
    """Waiting for ever would look like a run that takes long."""
    aws = ScriptedAws({"get_execution_history": [refusal("AccessDeniedException", 403)]})

    with pytest.raises(AccessDenied):
        _follow(aws)


def test_an_execution_is_found_by_its_name() -> None:
    """People have the name, the service wants the ARN."""
    machine = RemoteMachine(AwsCalls(ScriptedAws({})), _ARN, poll_seconds=5)

    assert machine.execution_arn("run-1") == _EXECUTION
    assert machine.execution_arn(_EXECUTION) == _EXECUTION


@pytest.mark.parametrize(
    ("answer", "takes_jobs"),
    [
        ({"jobQueues": []}, True),
        (refusal("InternalFailure", 501, "not included in your plan"), False),
        (refusal("AccessDeniedException", 403), False),
    ],
)
@pytest.mark.asyncio
async def test_an_account_without_batch_is_told_at_once(
    answer: Answer, *, takes_jobs: bool
) -> None:
    """There the detection runs here; a minute of retries would not change its plan."""
    aws = ScriptedAws({"describe_job_queues": [answer]})
    calls = AwsCalls(aws, policy=RetryPolicy(attempts=1))
    account = Account(RemoteMachine(calls, _ARN, poll_seconds=5), calls)

    assert await account.has_batch() is takes_jobs
    assert len(aws.asked) == 1
