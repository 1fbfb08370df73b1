"""Starting one job at its service: what is tried again, what is looked up, what is given up.

| the answer                        | Lambda    | Batch                 | ECS, Fargate             |
|-----------------------------------|-----------|-----------------------|--------------------------|
| throttled, no connection          | repeated  | repeated              | repeated                 |
| none, half of one, 5xx            | told      | looked up by its name | repeated with its token  |
| no task, for lack of capacity     |           |                       | repeated with a new token|
| refused, no task for other reasons| told      | told                  | told                     |

A function or job whose submission has an unknown outcome is never sent again: it may be at work.
A task may be, since ECS starts one for each token.
"""

from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from typing import Any, Protocol, TypeVar

import anyio

from pipelines.glacier.submit.plan import Job, Outcome
from shared.aws.clients import ServiceClient
from shared.aws.errors import SDK_ERRORS, translate
from shared.errors import PermanentError, SuiteError, TransientError
from shared.retry import RetryBudget, RetryPolicy, retrying
from shared.s3.errors import (
    CredentialsExpired,
    ObjectError,
    OutcomeUnknown,
    ServerError,
    Unreachable,
)
from shared.s3.uri import S3Uri

POLICY = RetryPolicy(attempts=6, base_seconds=1.0, ceiling_seconds=30.0)
Result = TypeVar("Result")

_CALL_SECONDS = 60.0
_ACCEPTED = 202
_PAGES_MAX = 10
_SAID_MAX = 500
_CAPACITY = ("RESOURCE:", "CAPACITY")
"""How the reasons begin, or what they hold, that may be gone in a minute."""


class Clients(Protocol):
    """The part of a `ClientPool` that is used here."""

    async def client(self, service: str) -> ServiceClient:
        """Return the open client of a service."""

    def renew(self) -> bool:
        """Look the credentials up again."""


class NoCapacity(TransientError):
    """ECS had no room for the task; it was not started."""


class NotStarted(PermanentError):
    """The service answered, and the job is not there."""


class Calls:
    """Starts jobs; one for all jobs of a submission, so that they share their retries."""

    def __init__(
        self,
        clients: Clients,
        slots: anyio.CapacityLimiter,
        policy: RetryPolicy = POLICY,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._clients = clients
        self._slots = slots
        self._policy = policy
        self._sleep = sleep
        self._budget = RetryBudget()

    async def start(self, job: Job) -> Outcome:
        """Start a job and say how that went; raises nothing that is the service's fault."""
        begun = {"lambda": self._invoke, "batch": self._submit_job}.get(job.service, self._run_task)
        try:
            return Outcome(accepted=True, id=await begun(job))
        except ObjectError as error:
            return Outcome(accepted=False, error=_said(error))
        except SuiteError as error:
            return Outcome(accepted=False, error=_one_line(str(error)))

    async def _invoke(self, job: Job) -> str:
        answer = await self._retried(lambda: self._once("lambda", "invoke", job.request))
        async with answer["Payload"]:
            pass  # There is none, and its connection can be used again.
        if answer["StatusCode"] != _ACCEPTED:
            raise NotStarted(f"the function answered status {answer['StatusCode']}")
        return str(answer["ResponseMetadata"].get("RequestId", ""))

    async def _submit_job(self, job: Job) -> str:
        try:
            answer = await self._retried(lambda: self._once("batch", "submit_job", job.request))
        except OutcomeUnknown:
            if found := await self._retried(lambda: self._look_up(job)):
                return found
            raise
        return str(answer["jobId"])

    async def _look_up(self, job: Job) -> str:
        """Return the id of the job of this name whose environment is that of the request."""
        sent = job.request["containerOverrides"]
        wanted = sent["environment"] if isinstance(sent, Mapping) else None
        asked: dict[str, object] = {
            "jobQueue": job.request["jobQueue"],
            "filters": [{"name": "JOB_NAME", "values": [job.name]}],
        }
        for _ in range(_PAGES_MAX):
            page = await self._once("batch", "list_jobs", asked, writing=False)
            ids = [each["jobId"] for each in page["jobSummaryList"]]
            if ids:
                told = await self._once("batch", "describe_jobs", {"jobs": ids}, writing=False)
                for each in told["jobs"]:
                    if _holds(each.get("container", {}).get("environment", []), wanted):
                        return str(each["jobId"])
            if not page.get("nextToken"):
                break
            asked["nextToken"] = page["nextToken"]
        return ""

    async def _run_task(self, job: Job) -> str:
        refusals = 0

        async def attempt() -> str:
            nonlocal refusals
            token = str(job.request["clientToken"])
            if refusals:
                # Asked with the same token ECS may repeat its answer, which was that there is none.
                token = sha256(f"{token} {refusals}".encode()).hexdigest()
            arguments = {**job.request, "clientToken": token}
            try:
                answer = await self._once("ecs", "run_task", arguments)
            except OutcomeUnknown as error:
                raise Unreachable(error.uri, error.answer) from error
            if answer["tasks"]:
                return str(answer["tasks"][0]["taskArn"])
            refusals += 1
            raise _no_task(answer.get("failures", []))

        return await self._retried(attempt)

    async def _retried(self, call: Callable[[], Awaitable[Result]]) -> Result:
        return await retrying(
            lambda _attempt: call(),
            policy=self._policy,
            budget=self._budget,
            slot=self._slots,
            sleep=self._sleep,
        )

    async def _once(
        self, service: str, operation: str, arguments: Mapping[str, object], *, writing: bool = True
    ) -> dict[str, Any]:
        """Send one request; raises `shared.s3.errors` in the words of this module's table."""
        place = S3Uri(f"{service}.{operation}")
        try:
            with anyio.fail_after(_CALL_SECONDS):
                client = await self._clients.client(service)
                answer: dict[str, Any] = await getattr(client, operation)(**arguments)
                return answer
        except TimeoutError as error:
            raise OutcomeUnknown(place, note=f"no answer within {_CALL_SECONDS:g} s") from error
        except SDK_ERRORS as error:
            found = translate(error, place, writing=writing)
            if isinstance(found, CredentialsExpired):
                self._clients.renew()
            if writing and isinstance(found, ServerError):
                found = OutcomeUnknown(place, found.answer)
            raise found from error


def _no_task(failures: list[Mapping[str, str]]) -> NoCapacity | NotStarted:
    reasons = [f"{each.get('reason', '')} {each.get('detail', '')}".strip() for each in failures]
    text = "; ".join(filter(None, reasons)) or "no reason is given"
    kind = NoCapacity if any(_is_capacity(reason) for reason in reasons) else NotStarted
    return kind(f"no task was started: {text}"[:_SAID_MAX])


def _is_capacity(reason: str) -> bool:
    upper = reason.upper()
    return upper.startswith(_CAPACITY[0]) or _CAPACITY[1] in upper


def _holds(found: list[Mapping[str, str]], wanted: object) -> bool:
    """Tell whether an environment has all that was sent; Batch adds variables of its own."""
    return isinstance(wanted, list) and all(each in found for each in wanted)


def _said(error: ObjectError) -> str:
    said = " ".join(part for part in (error.answer.code, error.answer.message) if part) or str(
        error
    )
    if isinstance(error, OutcomeUnknown):
        said = f"no clear answer, it may have been accepted; look before it is sent again: {said}"
    return _one_line(said)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_SAID_MAX]
