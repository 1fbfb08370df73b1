"""Starting one job at its service: what is tried again, what is looked up, what is given up.

| the answer                        | Lambda    | Batch                 | ECS, Fargate             |
|-----------------------------------|-----------|-----------------------|--------------------------|
| throttled, no connection          | repeated  | repeated              | repeated                 |
| none, half of one, 5xx            | its record| looked up by its name | repeated with its token  |
|                                   | looked at |                       |                          |
| no task, for lack of capacity     |           |                       | repeated with a new token|
| refused, no task for other reasons| told      | told                  | told                     |

A function or job whose submission has an unknown outcome is never sent again: it may be at work.
A task may be, since ECS starts one for each token.
"""

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Protocol

from pipelines.glacier.job_record import BadRecord, RunEntry
from pipelines.glacier.submit.asking import Asking, one_line, said
from pipelines.glacier.submit.plan import Job, Outcome
from pipelines.glacier.targets.target import Arguments
from shared.errors import PermanentError, SuiteError, TransientError
from shared.s3.errors import ObjectError, OutcomeUnknown, Unreachable

_ACCEPTED = 202
_PAGES_MAX = 10
_CAPACITY = ("RESOURCE:", "CAPACITY")
"""How the reasons begin, or what they hold, that may be gone in a minute."""
_REPEAT = "REPEAT"
"""Variable of a container that goes on where another one stopped; only the look-up reads it."""
_LOOKS = (2.0, 4.0, 8.0, 16.0, 30.0, 60.0)
"""Seconds before each look at the record: a function may take a while to begin."""


class Records(Protocol):
    """Where the records of the submission's jobs are."""

    async def entry(self, job_name: str) -> RunEntry | None:
        """Return this submission's entry in a record; BadRecord, `shared.s3.errors`."""

    def place(self, job_name: str) -> str:
        """Return where the record of a job lies."""


class NoCapacity(TransientError):
    """ECS had no room for the task; it was not started."""


class NotStarted(PermanentError):
    """The service answered, and the job is not there."""


class Calls:
    """Starts jobs; one for all jobs of a submission, so that they share their retries."""

    def __init__(self, asking: Asking, records: Records) -> None:
        self._asking = asking
        self._records = records

    async def start(self, job: Job, repeat: int = 0) -> Outcome:
        """Start a job and say how that went; raises nothing that is the service's fault.

        `repeat` counts from 1 when a job goes on that was started before in this submission.
        """
        begun = {"lambda": self._invoke, "batch": self._submit_job}.get(job.service, self._run_task)
        sent = _repeated(job, repeat) if repeat else job
        try:
            return Outcome(accepted=True, id=await begun(sent))
        except ObjectError as error:
            unknown = isinstance(error, OutcomeUnknown)
            # A record that is there may be of the time before.
            if unknown and job.service == "lambda" and not repeat and await self._was_begun(job):
                return Outcome(accepted=True, id=self._records.place(job.name))
            return Outcome(accepted=False, error=said(error), unknown=unknown)
        except SuiteError as error:
            return Outcome(accepted=False, error=one_line(str(error)))

    async def _invoke(self, job: Job) -> str:
        answer = await self._asking.retried(
            lambda: self._asking.once("lambda", "invoke", job.request)
        )
        async with answer["Payload"]:
            pass  # There is none, and its connection can be used again.
        if answer["StatusCode"] != _ACCEPTED:
            raise NotStarted(f"the function answered status {answer['StatusCode']}")
        return str(answer["ResponseMetadata"].get("RequestId", ""))

    async def _was_begun(self, job: Job) -> bool:
        """Tell whether the record of a job has an entry of this submission, waiting a while."""
        for seconds in _LOOKS:
            await self._asking.sleep(seconds)
            try:
                if await self._records.entry(job.name) is not None:
                    return True
            except (SuiteError, BadRecord):
                # Not knowing is what it was before; the next look may tell.
                continue
        return False

    async def _submit_job(self, job: Job) -> str:
        try:
            answer = await self._asking.retried(
                lambda: self._asking.once("batch", "submit_job", job.request)
            )
        except OutcomeUnknown:
            if found := await self._asking.retried(lambda: self._look_up(job)):
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
            page = await self._asking.once("batch", "list_jobs", asked, writing=False)
            ids = [each["jobId"] for each in page["jobSummaryList"]]
            if ids:
                told = await self._asking.once(
                    "batch", "describe_jobs", {"jobs": ids}, writing=False
                )
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
                answer = await self._asking.once("ecs", "run_task", arguments)
            except OutcomeUnknown as error:
                raise Unreachable(error.uri, error.answer) from error
            if answer["tasks"]:
                return str(answer["tasks"][0]["taskArn"])
            refusals += 1
            raise _no_task(answer.get("failures", []))

        return await self._asking.retried(attempt)


def _repeated(job: Job, repeat: int) -> Job:
    """Return a job that a container service can tell from the one that was started before."""
    if job.service == "lambda":
        return job
    if job.service == "batch":
        overrides = job.request["containerOverrides"]
        if not isinstance(overrides, Mapping):
            raise TypeError(overrides)
        environment = [*overrides["environment"], {"name": _REPEAT, "value": str(repeat)}]
        changed: Arguments = {"containerOverrides": {**overrides, "environment": environment}}
    else:
        # With the same token ECS would start nothing.
        again = f"{job.request['clientToken']} again {repeat}"
        changed = {"clientToken": sha256(again.encode()).hexdigest()}
    return replace(job, request={**job.request, **changed})


def _no_task(failures: list[Mapping[str, str]]) -> NoCapacity | NotStarted:
    reasons = [f"{each.get('reason', '')} {each.get('detail', '')}".strip() for each in failures]
    text = "; ".join(filter(None, reasons)) or "no reason is given"
    kind = NoCapacity if any(_is_capacity(reason) for reason in reasons) else NotStarted
    return kind(one_line(f"no task was started: {text}"))


def _is_capacity(reason: str) -> bool:
    upper = reason.upper()
    return upper.startswith(_CAPACITY[0]) or _CAPACITY[1] in upper


def _holds(found: list[Mapping[str, str]], wanted: object) -> bool:
    """Tell whether an environment has all that was sent; Batch adds variables of its own."""
    return isinstance(wanted, list) and all(each in found for each in wanted)
