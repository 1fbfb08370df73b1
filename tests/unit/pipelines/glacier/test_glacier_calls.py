"""Starting jobs: what is repeated, what is looked up, and what is never sent twice."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeAlias

import anyio
import anyio.lowlevel
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

from pipelines.glacier.dates import Window
from pipelines.glacier.regions import Bounds, Region, Selection
from pipelines.glacier.submit.calls import Calls
from pipelines.glacier.submit.plan import Job, Outcome, Plan, build_plan
from pipelines.glacier.submit.sending import start_all
from pipelines.glacier.submit.submission import Storage, Submission
from pipelines.glacier.targets.target import (
    BatchTarget,
    EcsTarget,
    FargateTarget,
    LambdaTarget,
    ServiceName,
    Target,
)
from shared.aws.clients import ServiceClient

Answer: TypeAlias = Exception | Mapping[str, Any]

_TARGETS: dict[ServiceName, Target] = {
    "lambda": LambdaTarget("f"),
    "batch": BatchTarget("q", "d", 2, 8192, 1800),
    "ecs": EcsTarget("c", "t", "glacier"),
    "fargate": FargateTarget("c", "t", "glacier", 4096, 16384, ("s",), (), False),  # noqa: FBT003 - a table
}
_OPERATION = {"lambda": "invoke", "batch": "submit_job", "ecs": "run_task", "fargate": "run_task"}
_LOST = ReadTimeoutError(endpoint_url="http://x")
_REFUSED_CONNECTION = ConnectTimeoutError(endpoint_url="http://x")
_TASK = {"tasks": [{"taskArn": "arn:task"}], "failures": []}


def _error(code: str, status: int) -> ClientError:
    meta = {"HTTPStatusCode": status, "RequestId": "r0"}
    return ClientError({"Error": {"Code": code, "Message": "said"}, "ResponseMetadata": meta}, "Op")


def _full(reason: str) -> Mapping[str, Any]:
    return {"tasks": [], "failures": [{"arn": "a", "reason": reason}]}


class _Body(AbstractAsyncContextManager["_Body"]):
    async def __aexit__(self, *_: object) -> None:
        pass


_GOOD: dict[str, Mapping[str, Any]] = {
    "invoke": {"StatusCode": 202, "Payload": _Body(), "ResponseMetadata": {"RequestId": "r1"}},
    "submit_job": {"jobId": "job-1"},
    "run_task": _TASK,
}
_ID = {"invoke": "r1", "submit_job": "job-1", "run_task": "arn:task"}


@dataclass
class _Services:
    """All services: each operation gives its answers in turn, the last one for ever."""

    answers: dict[str, list[Answer]]
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    renewed: int = 0

    async def client(self, service: str) -> ServiceClient:
        return self

    def renew(self) -> bool:
        self.renewed += 1
        return True

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        async def call(**arguments: object) -> dict[str, Any]:
            self.asked.append((operation, dict(arguments)))
            laid = self.answers[operation]
            answer = laid.pop(0) if len(laid) > 1 else laid[0]
            if isinstance(answer, Exception):
                raise answer
            return dict(answer)

        return call

    def times(self, operation: str) -> int:
        return [name for name, _ in self.asked].count(operation)


def _plan(service: ServiceName, regions: int = 1) -> Plan:
    submission = Submission(
        submission_id="s1",
        satellite="landsat",
        service=service,
        window=Window(date(2024, 8, 1), date(2024, 8, 2)),
        selection=Selection(),
        storage=Storage("us-west-2", "bucket", "base"),
        targets={service: _TARGETS[service]},
    )
    box = Bounds(0, 0, 1, 1)
    return build_plan(
        submission, [Region(f"{n:03d}_x", 9.0, ("22VFP",), box) for n in range(regions)]
    )


async def _never_waits(_seconds: float) -> None:
    await anyio.lowlevel.checkpoint()


async def _start(
    service: ServiceName, answers: list[Answer], **others: list[Answer]
) -> tuple[Outcome, _Services]:
    services = _Services({_OPERATION[service]: answers, **others})
    calls = Calls(services, anyio.CapacityLimiter(10), sleep=_never_waits)
    return await calls.start(_plan(service).jobs[0]), services


@pytest.mark.parametrize("service", list(_TARGETS))
@pytest.mark.asyncio
async def test_a_job_is_started_with_its_very_request(service: ServiceName) -> None:
    """What a dry run has shown is what is sent."""
    operation = _OPERATION[service]

    outcome, services = await _start(service, [_GOOD[operation]])

    assert outcome == Outcome(accepted=True, id=_ID[operation])
    assert services.asked == [(operation, dict(_plan(service).jobs[0].request))]


@pytest.mark.parametrize("service", list(_TARGETS))
@pytest.mark.parametrize(
    "error", [_error("TooManyRequestsException", 429), _REFUSED_CONNECTION], ids=["busy", "away"]
)
@pytest.mark.asyncio
async def test_what_was_surely_not_begun_is_repeated(
    service: ServiceName, error: Exception
) -> None:
    """A fan-out of two hundred is throttled sooner or later."""
    operation = _OPERATION[service]

    outcome, services = await _start(service, [error, error, _GOOD[operation]])

    assert outcome.accepted
    assert services.times(operation) == 3


@pytest.mark.parametrize("error", [_LOST, _error("ServiceException", 500)], ids=["lost", "5xx"])
@pytest.mark.asyncio
async def test_a_function_that_may_run_is_never_invoked_again(error: Exception) -> None:
    """The SDK's own retries once had five runs of one job at work."""
    outcome, services = await _start("lambda", [error, _GOOD["invoke"]])

    assert services.times("invoke") == 1
    assert not outcome.accepted
    assert "may have been accepted" in outcome.error


@pytest.mark.asyncio
async def test_a_batch_job_without_an_answer_is_looked_up() -> None:
    """It is the one whose environment holds this submission; others have the same name."""
    environment = _plan("batch").jobs[0].request["containerOverrides"]
    assert isinstance(environment, Mapping)
    mine = {"environment": [*environment["environment"], {"name": "AWS_X", "value": "1"}]}
    older = {"environment": [{"name": "SUBMISSION_ID", "value": "s0"}]}

    outcome, services = await _start(
        "batch",
        [_LOST],
        list_jobs=[
            {"jobSummaryList": [{"jobId": "old"}], "nextToken": "n"},
            {"jobSummaryList": [{"jobId": "mine"}]},
        ],
        describe_jobs=[
            {"jobs": [{"jobId": "old", "container": older}]},
            {"jobs": [{"jobId": "mine", "container": mine}]},
        ],
    )

    assert outcome == Outcome(accepted=True, id="mine")
    assert services.times("submit_job") == 1
    filters = [{"name": "JOB_NAME", "values": ["aws-landsat-20240801-000_x"]}]
    assert services.asked[1] == ("list_jobs", {"jobQueue": "q", "filters": filters})
    assert services.asked[3][1]["nextToken"] == "n"


@pytest.mark.asyncio
async def test_a_batch_job_that_is_not_found_is_told_and_not_sent_again() -> None:
    """A listing that comes too early is no proof."""
    outcome, services = await _start("batch", [_LOST], list_jobs=[{"jobSummaryList": []}])

    assert not outcome.accepted
    assert "may have been accepted" in outcome.error
    assert services.times("submit_job") == 1


@pytest.mark.parametrize("service", ["ecs", "fargate"])
@pytest.mark.asyncio
async def test_a_task_without_an_answer_is_asked_for_with_the_same_token(
    service: ServiceName,
) -> None:
    """ECS starts one task for a token, however often it is asked."""
    outcome, services = await _start(service, [_LOST, _error("ServerException", 500), _TASK])

    assert outcome.id == "arn:task"
    assert len({arguments["clientToken"] for _, arguments in services.asked}) == 1


@pytest.mark.parametrize(
    "reason", ["RESOURCE:MEMORY", "Capacity is unavailable at this time. Please try again later"]
)
@pytest.mark.asyncio
async def test_capacity_is_waited_for_with_new_tokens(reason: str) -> None:
    """An empty list of tasks is a failed submission, and its token might be answered as before."""
    outcome, services = await _start("fargate", [_full(reason), _full(reason), _TASK])

    assert outcome.accepted
    assert len({arguments["clientToken"] for _, arguments in services.asked}) == 3


@pytest.mark.asyncio
async def test_capacity_is_asked_for_five_times_more_and_no_longer() -> None:
    """Somebody else may want to know."""
    outcome, services = await _start("fargate", [_full("RESOURCE:CPU")])

    assert not outcome.accepted
    assert "RESOURCE:CPU" in outcome.error
    assert services.times("run_task") == 6


@pytest.mark.parametrize(
    ("service", "answer", "said"),
    [
        ("ecs", _full("MISSING"), "MISSING"),
        ("ecs", {"tasks": []}, "no reason"),
        ("lambda", _error("ResourceNotFoundException", 404), "ResourceNotFoundException said"),
        ("batch", _error("ClientException", 400), "ClientException said"),
        ("fargate", _error("AccessDeniedException", 403), "AccessDeniedException said"),
        ("lambda", {**_GOOD["invoke"], "StatusCode": 200}, "status 200"),
    ],
)
@pytest.mark.asyncio
async def test_a_refusal_is_told_once(service: ServiceName, answer: Answer, said: str) -> None:
    """It would be the same again."""
    outcome, services = await _start(service, [answer])

    assert not outcome.accepted
    assert said in outcome.error
    assert len(services.asked) == 1


@pytest.mark.asyncio
async def test_expired_credentials_are_looked_up_again() -> None:
    """A long fan-out outlives the token that it began with."""
    outcome, services = await _start(
        "lambda", [_error("ExpiredTokenException", 403), _GOOD["invoke"]]
    )

    assert outcome.accepted
    assert services.renewed == 1


@pytest.mark.asyncio
async def test_one_job_that_fails_stops_no_other() -> None:
    """The rest of the night's work is not its fault."""
    outcomes: dict[str, Outcome] = {}

    async def start(job: Job) -> Outcome:
        await anyio.lowlevel.checkpoint()
        return Outcome(accepted=job.region != "001_x", id="r", error="")

    await start_all(_plan("lambda", regions=4), start, outcomes)

    assert [outcome.accepted for outcome in outcomes.values()].count(False) == 1
    assert len(outcomes) == 4


@pytest.mark.asyncio
async def test_so_many_requests_are_under_way_and_no_more() -> None:
    """The service counts them."""
    under_way = most = 0

    class _Slow(_Services):
        async def client(self, service: str) -> ServiceClient:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await anyio.lowlevel.checkpoint()
            under_way -= 1
            return self

    services = _Slow({"invoke": [_GOOD["invoke"]]})
    calls = Calls(services, anyio.CapacityLimiter(3), sleep=_never_waits)
    outcomes: dict[str, Outcome] = {}

    await start_all(_plan("lambda", regions=20), calls.start, outcomes)

    assert (len(outcomes), most) == (20, 3)
