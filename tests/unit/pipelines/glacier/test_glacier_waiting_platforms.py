"""What Batch, ECS and Step Functions say of jobs, and where their logs are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from pipelines.glacier.submit.asking import Asking
from pipelines.glacier.submit.executing import execute
from pipelines.glacier.submit.log_links import function_log_group, log_link
from pipelines.glacier.submit.plan import Execution, Outcome
from pipelines.glacier.submit.platforms import Given, Platforms
from pipelines.glacier.submit.progress import PlatformState
from shared.aws.clients import ServiceClient
from shared.retry import RetryPolicy
from shared.s3.errors import AccessDenied
from shared.s3.memory import Faults, MemoryStore
from shared.s3.memory_buckets import MemoryBuckets, Verb
from shared.s3.uri import S3Uri
from tests.support.glacier_plans import STATE_MACHINE, plan_of

_LOST = ReadTimeoutError(endpoint_url="http://x")


@dataclass
class _Services:
    """Answers each operation by a function of its arguments."""

    answers: Mapping[str, Callable[[Mapping[str, Any]], Any]]
    asked: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    async def client(self, service: str) -> ServiceClient:
        return self

    def renew(self) -> bool:
        return False

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        async def call(**arguments: Any) -> dict[str, Any]:
            self.asked.append((operation, arguments))
            answer: dict[str, Any] = self.answers[operation](arguments)
            return answer

        return call

    def asking(self) -> Asking:
        policy = RetryPolicy(attempts=3, base_seconds=0.0)
        return Asking(self, anyio.CapacityLimiter(10), policy)


def _batch_job(job_id: str, status: str, **container: Any) -> Mapping[str, Any]:
    return {"jobId": job_id, "status": status, "container": container}


async def _batch_state(job: Mapping[str, Any]) -> PlatformState:
    services = _Services({"describe_jobs": lambda _: {"jobs": [job]}})
    states = await Platforms(services.asking(), "us-west-2").look([Given("batch", "a")])
    return states["a"]


@pytest.mark.parametrize("status", ["SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING"])
@pytest.mark.asyncio
async def test_a_batch_job_is_at_work_until_it_is_over(status: str) -> None:
    """Waiting for capacity is no failure."""
    assert (await _batch_state(_batch_job("a", status))).status == "at work"


@pytest.mark.asyncio
async def test_a_batch_job_tells_why_it_is_over_and_where_its_log_is() -> None:
    """The console shows it two pages further on."""
    job = _batch_job(
        "a", "FAILED", exitCode=137, reason="OutOfMemoryError", logStreamName="glacier/default/1"
    )

    state = await _batch_state({**job, "statusReason": "Essential container\nexited"})

    assert state.status == "over"
    assert state.reason == "FAILED Essential container exited OutOfMemoryError exit status 137"
    assert state.log == log_link("us-west-2", "/aws/batch/job", "glacier/default/1")


@pytest.mark.asyncio
async def test_a_job_definition_s_own_log_group_is_taken() -> None:
    """The stack gives it one."""
    options = {"awslogs-group": "/aws/glacier-processing"}

    state = await _batch_state(
        _batch_job("a", "RUNNING", logStreamName="s", logConfiguration={"options": options, "x": 1})
    )

    assert state.log == log_link("us-west-2", "/aws/glacier-processing", "s")


@pytest.mark.parametrize(
    ("aws_region", "domain"), [("us-west-2", "aws.amazon.com"), ("cn-north-1", "amazonaws.cn")]
)
def test_a_link_is_quoted_as_the_console_quotes_it(aws_region: str, domain: str) -> None:
    """With one `/` in the wrong place it shows an empty list."""
    link = log_link(aws_region, "/aws/batch/job", "a/b/c")

    page, _, place = link.partition("#")
    assert page == f"https://{aws_region}.console.{domain}/cloudwatch/home?region={aws_region}"
    assert place == (
        "logsV2:log-groups/log-group/$252Faws$252Fbatch$252Fjob/log-events/a$252Fb$252Fc"
    )


@pytest.mark.parametrize(
    "name", ["f", "f:live", "arn:aws:lambda:us-west-2:123456789012:function:f:live"]
)
def test_a_function_s_versions_write_into_one_log_group(name: str) -> None:
    """However the configuration names it."""
    assert function_log_group(name) == "/aws/lambda/f"


@pytest.mark.asyncio
async def test_many_jobs_are_asked_for_a_hundred_at_a_time() -> None:
    """A request takes no more, and each asks for its own cluster."""
    services = _Services(
        {
            "describe_jobs": lambda given: {
                "jobs": [_batch_job(each, "RUNNING") for each in given["jobs"]]
            },
            "describe_tasks": lambda given: {
                "tasks": [{"taskArn": each, "lastStatus": "RUNNING"} for each in given["tasks"]],
                "failures": [],
            },
        }
    )
    jobs = [Given("batch", f"b{number}") for number in range(250)]
    tasks = [Given("ecs", "e", "one"), Given("fargate", "f", "two")]

    states = await Platforms(services.asking(), "us-west-2").look([*jobs, *tasks])

    sizes = [len(given["jobs"]) for name, given in services.asked if name == "describe_jobs"]
    clusters = [given["cluster"] for name, given in services.asked if name == "describe_tasks"]
    assert len(states) == 252
    assert (sizes, clusters) == ([100, 100, 50], ["one", "two"])


@pytest.mark.asyncio
async def test_a_task_that_is_forgotten_is_over() -> None:
    """ECS remembers one for an hour."""
    stopped = {
        "taskArn": "t1",
        "lastStatus": "STOPPED",
        "stoppedReason": "Essential container in task exited",
        "containers": [{"exitCode": 1, "reason": "x"}],
    }
    told = {"tasks": [stopped], "failures": [{"arn": "t2", "reason": "MISSING"}]}
    services = _Services({"describe_tasks": lambda _: told})

    states = await Platforms(services.asking(), "us-west-2").look(
        [Given("ecs", "t1", "c"), Given("ecs", "t2", "c")]
    )

    assert states["t1"].reason == "STOPPED Essential container in task exited x exit status 1"
    assert states["t2"] == PlatformState("over", "ECS knows the task no more")


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ({"status": "RUNNING"}, PlatformState("at work")),
        ({"status": "SUCCEEDED"}, PlatformState("over", "execution SUCCEEDED")),
        (
            {"status": "FAILED", "error": "E", "cause": "c"},
            PlatformState("over", "execution FAILED E c"),
        ),
    ],
)
@pytest.mark.asyncio
async def test_an_execution_is_over_however_it_ended(
    told: Mapping[str, str], state: PlatformState
) -> None:
    """The records say how each job did."""
    services = _Services({"describe_execution": lambda _: told})

    assert await Platforms(services.asking(), "us-west-2").execution("arn") == state


def _execution() -> Execution:
    execution = plan_of("stepfunctions", regions=2).execution
    assert execution is not None
    return execution


def _raised(*answers: Any) -> Callable[[Mapping[str, Any]], Any]:
    laid = list(answers)

    def answer(_: Mapping[str, Any]) -> Any:
        found = laid.pop(0) if len(laid) > 1 else laid[0]
        if isinstance(found, Exception):
            raise found
        return found

    return answer


def _error(code: str) -> ClientError:
    meta = {"HTTPStatusCode": 400, "RequestId": "r"}
    return ClientError({"Error": {"Code": code, "Message": "said"}, "ResponseMetadata": meta}, "Op")


async def _execute(*answers: Any, store: MemoryStore | None = None) -> tuple[Outcome, _Services]:
    services = _Services({"start_execution": _raised(*answers)})
    buckets = MemoryBuckets()
    buckets.create("bucket")
    outcome = await execute(_execution(), services.asking(), store or MemoryStore(buckets))
    return outcome, services


@pytest.mark.asyncio
async def test_an_execution_without_an_answer_is_asked_for_by_the_same_name() -> None:
    """Step Functions starts one for a name, however often it is asked."""
    outcome, services = await _execute(_LOST, {"executionArn": "arn:e"})

    assert outcome == Outcome(accepted=True, id="arn:e")
    assert [given for _, given in services.asked] == [_execution().request] * 2


@pytest.mark.asyncio
async def test_an_execution_that_has_ended_meanwhile_was_started() -> None:
    """Only while it is at work the same request is answered as the first one."""
    outcome, _ = await _execute(_LOST, _error("ExecutionAlreadyExists"))

    arn = f"{STATE_MACHINE.replace(':stateMachine:', ':execution:')}:s1"
    assert outcome == Outcome(accepted=True, id=arn)


@pytest.mark.asyncio
async def test_an_execution_that_nobody_knows_of_is_told_by_its_name() -> None:
    """It may be at work; with another name all its jobs would run twice."""
    outcome, services = await _execute(_LOST)

    assert not outcome.accepted
    assert ":execution:glacier:s1 is there before it is sent again" in outcome.error
    assert len(services.asked) == 3


@pytest.mark.asyncio
async def test_a_machine_that_refuses_is_told() -> None:
    """It would be the same again."""
    outcome, services = await _execute(_error("StateMachineDoesNotExist"))

    assert (outcome.accepted, outcome.error) == (False, "StateMachineDoesNotExist said")
    assert len(services.asked) == 1


@pytest.mark.asyncio
async def test_nothing_is_started_without_its_jobs() -> None:
    """The machine would read a document that is not there."""

    class _Refusing(Faults):
        async def before(self, verb: Verb, uri: S3Uri) -> None:
            raise AccessDenied(uri)

    store = MemoryStore(MemoryBuckets(), faults=_Refusing())

    outcome, services = await _execute({"executionArn": "arn:e"}, store=store)

    assert not outcome.accepted
    assert "was not stored" in outcome.error
    assert services.asked == []
