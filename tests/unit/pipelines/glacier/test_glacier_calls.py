"""Starting jobs: what is repeated, what is looked up, and what is never sent twice."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import anyio
import anyio.lowlevel
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

from pipelines.glacier.job_record import BadRecord, RunEntry
from pipelines.glacier.submit.asking import Asking
from pipelines.glacier.submit.calls import Calls, Records
from pipelines.glacier.submit.plan import Job, Outcome
from pipelines.glacier.submit.sending import start_all
from pipelines.glacier.targets.target import ServiceName
from shared.aws.clients import ServiceClient
from shared.s3.errors import Unreachable
from shared.s3.uri import S3Uri
from tests.support.glacier_plans import TARGETS, entry_of, plan_of

Answer: TypeAlias = Exception | Mapping[str, Any]

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


async def _never_waits(_seconds: float) -> None:
    await anyio.lowlevel.checkpoint()


class _Records(Records):
    """Says at each look whether there is an entry, the last time for ever."""

    def __init__(self, *found: bool | Exception) -> None:
        self.found = list(found)
        self.looks = 0

    async def entry(self, job_name: str) -> RunEntry | None:
        found = self.found[min(self.looks, len(self.found) - 1)]
        self.looks += 1
        if isinstance(found, Exception):
            raise found
        return entry_of("running") if found else None

    def place(self, job_name: str) -> str:
        return f"s3://bucket/{job_name}.json"


def _calls(services: _Services, records: Records | None = None, *, at_once: int = 10) -> Calls:
    asking = Asking(services, anyio.CapacityLimiter(at_once), sleep=_never_waits)
    return Calls(asking, records or _Records(False))  # noqa: FBT003 - there is none


async def _start(
    service: ServiceName, answers: list[Answer], **others: list[Answer]
) -> tuple[Outcome, _Services]:
    services = _Services({_OPERATION[service]: answers, **others})
    calls = _calls(services)
    return await calls.start(plan_of(service).jobs[0]), services


@pytest.mark.parametrize("service", list(TARGETS))
@pytest.mark.asyncio
async def test_a_job_is_started_with_its_very_request(service: ServiceName) -> None:
    """What a dry run has shown is what is sent."""
    operation = _OPERATION[service]

    outcome, services = await _start(service, [_GOOD[operation]])

    assert outcome == Outcome(accepted=True, id=_ID[operation])
    assert services.asked == [(operation, dict(plan_of(service).jobs[0].request))]


@pytest.mark.parametrize("service", list(TARGETS))
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
    assert (outcome.accepted, outcome.unknown) == (False, True)
    assert "may have been accepted" in outcome.error


@pytest.mark.asyncio
async def test_a_function_that_left_a_record_was_begun() -> None:
    """It writes one first of all; looking is not given up because one look fails."""
    records = _Records(False, Unreachable(S3Uri("b")), BadRecord("half"), True)  # noqa: FBT003 - looks
    services = _Services({"invoke": [_LOST]})

    outcome = await _calls(services, records).start(plan_of("lambda").jobs[0])

    assert outcome == Outcome(accepted=True, id="s3://bucket/aws-landsat-20240801-000_x.json")
    assert (services.times("invoke"), records.looks) == (1, 4)


@pytest.mark.asyncio
async def test_a_function_that_goes_on_is_not_told_by_its_old_record() -> None:
    """The entry of the round before would pass for the answer; whoever waits sees a new one."""
    records = _Records(True)  # noqa: FBT003 - looks

    outcome = await _calls(_Services({"invoke": [_LOST]}), records).start(
        plan_of("lambda").jobs[0], 1
    )

    assert (outcome.accepted, outcome.unknown, records.looks) == (False, True, 0)


@pytest.mark.parametrize("service", list(TARGETS))
@pytest.mark.asyncio
async def test_a_job_that_goes_on_can_be_told_from_the_one_before(service: ServiceName) -> None:
    """ECS would answer the same token with the old task, a look-up would find the old job; a
    function's record is that of the same submission.
    """
    operation, job = _OPERATION[service], plan_of(service).jobs[0]
    services = _Services({operation: [_GOOD[operation]]})
    calls = _calls(services)

    for repeat in range(3):
        await calls.start(job, repeat)

    different = [
        request
        for number, (_, request) in enumerate(services.asked)
        if request not in [other for _, other in services.asked[:number]]
    ]
    assert len(different) == (1 if service == "lambda" else 3)
    assert services.asked[0][1] == job.request


@pytest.mark.asyncio
async def test_a_batch_job_without_an_answer_is_looked_up() -> None:
    """It is the one whose environment holds this submission; others have the same name."""
    environment = plan_of("batch").jobs[0].request["containerOverrides"]
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

    await start_all(plan_of("lambda", regions=4), start, outcomes)

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
    calls = _calls(services, at_once=3)
    outcomes: dict[str, Outcome] = {}

    await start_all(plan_of("lambda", regions=20), calls.start, outcomes)

    assert (len(outcomes), most) == (20, 3)
