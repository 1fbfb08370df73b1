"""Executions of the state machine on AWS: begun, looked at, followed."""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import anyio

from pipelines.wildlife.machine.endings import Ending, Status
from pipelines.wildlife.machine.history import PROGRESS, Happened, read_event
from pipelines.wildlife.states.index import DETECTION
from shared.aws.calls import AwsCalls
from shared.errors import SuiteError

_LOG_GROUP = "/aws/batch/job"
"""Where Batch keeps what jobs print, unless their definition says otherwise."""
_LEAST_SECONDS = 0.05
_PAGE = 1000
_PAGES_MAX = 25
"""Step Functions ends an execution at 25,000 events."""
_LOG_EVENTS = 50


@dataclass(frozen=True, slots=True)
class Listed:
    """An execution in a list."""

    name: str
    arn: str
    status: Status
    started_at: datetime
    ended_at: datetime | None


class RemoteMachine:
    """One state machine."""

    def __init__(
        self,
        calls: AwsCalls,
        arn: str,
        *,
        poll_seconds: float,
    ) -> None:
        self._calls = calls
        self._arn = arn
        self._poll_seconds = poll_seconds
        self._told: dict[str, tuple[int, int]] = {}
        """Progress of each job, as it was told last."""

    async def begin(self, name: str, document: Mapping[str, object]) -> str:
        """Start an execution, and return its ARN; raises `shared.s3.errors`.

        The service knows a request again by name and input, so a lost answer is asked for anew.
        """
        answer = await self._calls.send(
            "stepfunctions",
            "start_execution",
            stateMachineArn=self._arn,
            name=name,
            input=json.dumps(document),
        )
        return str(answer["executionArn"])

    def execution_arn(self, name: str) -> str:
        """Return the ARN of an execution by its name; an ARN is returned as it is."""
        if name.startswith("arn:"):
            return name
        return f"{self._arn.replace(':stateMachine:', ':execution:', 1)}:{name}"

    async def ending(self, arn: str) -> Ending:
        """Return how an execution stands, or has ended; raises `shared.s3.errors`."""
        said = await self._calls.send("stepfunctions", "describe_execution", executionArn=arn)
        output = said.get("output")
        return Ending(
            Status(said["status"]),
            json.loads(output) if output else None,
            said.get("error", ""),
            said.get("cause", ""),
        )

    async def newest(self, limit: int = 10) -> Sequence[Listed]:
        """Return the executions that began last; raises `shared.s3.errors`."""
        said = await self._calls.send(
            "stepfunctions", "list_executions", stateMachineArn=self._arn, maxResults=limit
        )
        return [
            Listed(
                each["name"],
                each["executionArn"],
                Status(each["status"]),
                _utc(each["startDate"]),
                _utc(each["stopDate"]) if "stopDate" in each else None,
            )
            for each in said["executions"]
        ]

    async def events(self, arn: str) -> Sequence[Happened]:
        """Return what has happened in an execution so far; raises `shared.s3.errors`."""
        found: list[Happened] = []
        more: Mapping[str, object] = {}
        for _ in range(_PAGES_MAX):
            page = await self._calls.send(
                "stepfunctions",
                "get_execution_history",
                executionArn=arn,
                maxResults=_PAGE,
                includeExecutionData=True,
                **more,
            )
            found += [read_event(each, _utc(each["timestamp"])) for each in page["events"]]
            if not page.get("nextToken"):
                break
            more = {"nextToken": page["nextToken"]}
        return found

    async def follow(self, arn: str, take: Callable[[Happened], None]) -> Ending:
        """Hand over each event of an execution until its end, and return that."""
        async for event in self._new_events(arn):
            take(event)
        return await self.ending(arn)

    async def _new_events(self, arn: str) -> AsyncIterator[Happened]:
        """Yield events until one says that it was the last; the detection's progress among them."""
        seen = 0
        while True:
            events = await self.events(arn)
            for event in events:
                if event.number > seen:
                    seen = event.number
                    yield event
            if events and events[-1].is_end:
                return
            progress = await self._progress(events)
            if progress is not None:
                yield progress
            await anyio.sleep(max(_LEAST_SECONDS, self._poll_seconds))

    async def _progress(self, events: Sequence[Happened]) -> Happened | None:
        """Return how far the detection is, if it is at work and has told something new."""
        if not events or events[-1].kind != "TaskSubmitted":
            return None
        job_id = _job_id(events[-1])
        try:
            told = await self._told_by(job_id) if job_id else None
        except SuiteError:
            # Nobody needs it: who may not read logs sees the states all the same.
            return None
        if told is None or told == self._told.get(job_id):
            return None
        self._told[job_id] = told
        details = {"state": DETECTION, "done": told[0], "total": told[1]}
        return Happened(events[-1].number, datetime.now(UTC), PROGRESS, details)

    async def _told_by(self, job_id: str) -> tuple[int, int] | None:
        for line in reversed(await self._log_lines(job_id, _LOG_EVENTS)):
            said = _loaded(line)
            if said.get("event") == "progress":
                return int(said.get("done", 0)), int(said.get("total", 0))
        return None

    async def printed(self, arn: str, limit: int) -> Sequence[str]:
        """Return the last lines that the detection of an execution has printed."""
        submitted = [each for each in await self.events(arn) if each.kind == "TaskSubmitted"]
        return await self._log_lines(_job_id(submitted[-1]), limit) if submitted else ()

    async def _log_lines(self, job_id: str, limit: int) -> Sequence[str]:
        """Return the last lines of a job's newest attempt; raises `shared.s3.errors`."""
        said = await self._calls.send("batch", "describe_jobs", jobs=[job_id])
        container = said["jobs"][0].get("container", {}) if said.get("jobs") else {}
        stream = container.get("logStreamName")
        if not stream:
            return ()
        options = container.get("logConfiguration", {}).get("options", {})
        events = await self._calls.send(
            "logs",
            "get_log_events",
            logGroupName=options.get("awslogs-group", _LOG_GROUP),
            logStreamName=stream,
            limit=limit,
            startFromHead=False,
        )
        return [str(each["message"]) for each in events.get("events", [])]


def _job_id(event: Happened) -> str:
    return str(_loaded(event.details.get("output")).get("JobId", ""))


def _loaded(text: object) -> Mapping[str, Any]:
    try:
        found = json.loads(str(text))
    except ValueError:
        return {}
    return found if isinstance(found, Mapping) else {}


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
