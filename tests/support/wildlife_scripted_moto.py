"""A story on Step Functions as moto interprets them: functions and jobs are scripted."""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pipelines.wildlife.machine.history import Happened, read_event
from pipelines.wildlife.states.index import DETECTION
from tests.support.local_aws import LocalAws, open_local_aws
from tests.support.local_aws_batch import Jobs
from tests.support.moto_server import MotoServer
from tests.support.wildlife_paths import HANGS, SPOT, Script, Story, added, definition, told

QUEUE, JOB = "forest-spot", "detector"
_ASL = "moto.stepfunctions.parser.asl"
_RETRIER = f"{_ASL}.component.common.retry.retrier_decl.time"
_ERROR_PREFIX = f"{_ASL}.component.common.error_name.custom_error_name.ILLEGAL_CUSTOM_ERROR_PREFIX"
"""moto, unlike Step Functions, lets no Fail state pass on a caught `States.TaskFailed`."""
_HANG_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Executed:
    """What an execution came to."""

    status: str
    output: Any
    error: str
    cause: str
    events: Sequence[Happened]

    @property
    def entered(self) -> tuple[str, ...]:
        """The states that were entered."""
        return tuple(each.state for each in self.events if each.kind.endswith("StateEntered"))


class ScriptedMoto:
    """An account in which stories are executed, one after the other."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._number = 0
        self.script = Script(Story(""))
        self.extra: dict[str, Mapping[str, Any]] = {}
        """By function, what it adds besides."""
        self.over = threading.Event()
        """Set when whatever hangs may go on."""
        self.events: dict[str, Any] = {}
        """What each function got last."""

    def deploy(self, name: str) -> str:
        """Create the state machine under a name of its own, and return its ARN."""
        answer = self._aws.client("stepfunctions").create_state_machine(
            name=name, definition=definition(), roleArn="arn:aws:iam::123456789012:role/states"
        )
        arn: str = answer["stateMachineArn"]
        return arn

    def tell(self, story: Story) -> None:
        """Have the next execution go this way."""
        self.script = Script(story)

    def execute(self, story: Story, text: str) -> Executed:
        """Execute a definition to its end."""
        self.tell(story)
        self._number += 1
        said = self._aws.execute(json.loads(text), story.given, f"story-{self._number}")
        steps = self._aws.client("stepfunctions")
        events = steps.get_execution_history(executionArn=said["executionArn"], maxResults=1000)
        return Executed(
            said["status"],
            json.loads(said["output"]) if "output" in said else None,
            said.get("error", ""),
            said.get("cause", ""),
            [read_event(each, each["timestamp"]) for each in events["events"]],
        )

    def invoke(self, name: str, body: bytes | str, answer: dict[str, str]) -> bytes:
        """Answer as a function does."""
        event: Mapping[str, Any] = json.loads(body)
        self.events[name] = event
        end = self.script.next_end(name)
        if end == HANGS:
            self.over.wait(_HANG_SECONDS)
        if end:
            answer["x-amz-function-error"] = "Unhandled"
            return json.dumps(told(end)).encode()
        return json.dumps({**added(name, event), **self.extra.get(name, {})}).encode()

    def attempt(self, job: Any) -> tuple[int, str]:
        """Do one attempt of a job."""
        end = self.script.next_end(DETECTION)
        job.job_started_at = datetime.now(UTC)
        job._start_attempt()
        job.status = "RUNNING"
        job.latest_attempt["container"]["exitCode"] = 0
        job._stop_attempt()
        if end == SPOT:
            return 1, "Host EC2 (instance i-0123456789abcdef0) terminated."
        if end == HANGS:
            self.over.wait(_HANG_SECONDS)
        return int(end or 0), "Essential container in task exited"


@contextmanager
def open_scripted_moto(server: MotoServer, folder: Path) -> Iterator[ScriptedMoto]:
    """Have moto execute stories while the block lasts; no retry waits."""
    from moto.awslambda_simple.models import LambdaSimpleBackend  # noqa: PLC0415 - slow to import
    from moto.stepfunctions.parser.asl.parse.asl_parser import (  # noqa: PLC0415 - the same
        AmazonStateLanguageParser,
    )

    with open_local_aws(server, folder) as aws:
        aws.add_job_queue(QUEUE)
        aws.add_job_definition(JOB, "detector:1")
        scripted = ScriptedMoto(aws)

        def invoke(
            backend: Any, name: str, qualifier: str | None, body: Any, headers: Any, answer: Any
        ) -> bytes:
            return scripted.invoke(name, body, answer)

        def attempt(jobs: Jobs, job: Any, number: int) -> tuple[int, str]:
            return scripted.attempt(job)

        with (
            patch.object(LambdaSimpleBackend, "invoke", invoke),
            patch.object(Jobs, "_attempt", attempt),
            patch(_RETRIER),
            patch(_ERROR_PREFIX, "\0"),
            # Reading a definition takes moto half a second, and it does so at every turn.
            patch.object(
                AmazonStateLanguageParser, "parse", cache(AmazonStateLanguageParser.parse)
            ),
        ):
            try:
                yield scripted
            finally:
                scripted.over.set()
