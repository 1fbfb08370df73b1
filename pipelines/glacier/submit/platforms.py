"""What Batch, ECS and Step Functions say of the jobs that they were given.

Rule: a service is asked for many jobs at a time, and what it does not mention is left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pipelines.glacier.submit.asking import Asking, one_line
from pipelines.glacier.submit.log_links import BATCH_LOG_GROUP, log_link
from pipelines.glacier.submit.progress import PlatformState
from pipelines.glacier.targets.target import ServiceName

_AT_ONCE = 100
"""Jobs or tasks that one request may ask for."""
_BATCH_OVER = frozenset({"SUCCEEDED", "FAILED"})


@dataclass(frozen=True, slots=True)
class Given:
    """A job as its service knows it."""

    service: ServiceName
    id: str
    cluster: str = ""
    """Of a task."""


class Platforms:
    """Asks the services."""

    def __init__(self, asking: Asking, aws_region: str) -> None:
        self._asking = asking
        self._aws_region = aws_region

    async def look(self, given: Iterable[Given]) -> Mapping[str, PlatformState]:
        """Return what is known of some jobs, by their ids; raises `shared.s3.errors`."""
        jobs = list(given)
        states: dict[str, PlatformState] = {}
        for ids in _portions(each.id for each in jobs if each.service == "batch"):
            states |= await self._batch(ids)
        tasks = [each for each in jobs if each.service in {"ecs", "fargate"}]
        for cluster in dict.fromkeys(each.cluster for each in tasks):
            for ids in _portions(each.id for each in tasks if each.cluster == cluster):
                states |= await self._ecs(cluster, ids)
        return states

    async def execution(self, arn: str) -> PlatformState:
        """Return what is known of a state machine's run."""
        told = await self._asking.read("stepfunctions", "describe_execution", {"executionArn": arn})
        if told["status"] == "RUNNING":
            return PlatformState("at work")
        parts = (told["status"], told.get("error", ""), told.get("cause", ""))
        return PlatformState("over", _joined("execution", *parts))

    async def _batch(self, ids: Sequence[str]) -> Mapping[str, PlatformState]:
        told = await self._asking.read("batch", "describe_jobs", {"jobs": list(ids)})
        return {each["jobId"]: self._batch_state(each) for each in told["jobs"]}

    def _batch_state(self, job: Mapping[str, Any]) -> PlatformState:
        container = job.get("container", {})
        logs = container.get("logConfiguration", {}).get("options", {})
        group = logs.get("awslogs-group", BATCH_LOG_GROUP)
        stream = container.get("logStreamName", "")
        log = log_link(self._aws_region, group, stream) if stream else ""
        if job["status"] not in _BATCH_OVER:
            return PlatformState("at work", log=log)
        code = container.get("exitCode")
        ended = "" if code is None else f"exit status {code}"
        why = _joined(job["status"], job.get("statusReason"), container.get("reason"), ended)
        return PlatformState("over", why, log)

    async def _ecs(self, cluster: str, ids: Sequence[str]) -> Mapping[str, PlatformState]:
        told = await self._asking.read(
            "ecs", "describe_tasks", {"cluster": cluster, "tasks": list(ids)}
        )
        found = {each["taskArn"]: _task_state(each) for each in told["tasks"]}
        # A task is forgotten an hour after it stopped.
        missing = [each["arn"] for each in told.get("failures", []) if each.get("arn")]
        gone = PlatformState("over", "ECS knows the task no more")
        return {**dict.fromkeys(missing, gone), **found}


def _task_state(task: Mapping[str, Any]) -> PlatformState:
    if task.get("lastStatus") != "STOPPED":
        return PlatformState("at work")
    containers: list[Mapping[str, Any]] = task.get("containers", [])
    container = containers[0] if containers else {}
    code = container.get("exitCode")
    ended = "" if code is None else f"exit status {code}"
    why = _joined("STOPPED", task.get("stoppedReason"), container.get("reason"), ended)
    return PlatformState("over", why)


def _portions(ids: Iterable[str]) -> Iterable[list[str]]:
    remaining = iter(ids)
    while portion := list(islice(remaining, _AT_ONCE)):
        yield portion


def _joined(*parts: str | None) -> str:
    return one_line(" ".join(filter(None, parts)))
