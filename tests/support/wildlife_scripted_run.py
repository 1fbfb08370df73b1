"""A story on the interpreter of local runs, in virtual time: functions and jobs are scripted."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio

from pipelines.wildlife.machine.definition import BATCH, LAMBDA, check_definition
from pipelines.wildlife.machine.endings import Ending, Status
from pipelines.wildlife.machine.failures import TaskFailure
from pipelines.wildlife.machine.history import Happened, History, parse_events
from pipelines.wildlife.machine.interpreter import Call, Interpreter
from pipelines.wildlife.machine.local_batch import LocalBatch
from pipelines.wildlife.states.index import DETECTION
from shared.commands import CommandLimits, CommandOutcome
from tests.support.virtual_time import run_in_virtual_time
from tests.support.wildlife_paths import HANGS, SPOT, Script, Story, added, told

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@dataclass
class ScriptedRun:
    """One execution, and what was seen of it."""

    story: Story
    folder: Path
    chance: Callable[[], float] = lambda: 0.5
    extra: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By state, what its function adds besides."""
    dropped: str = ""
    """A key that every function loses."""
    ending: Ending = field(default_factory=lambda: Ending(Status.RUNNING))
    inputs: dict[str, Any] = field(default_factory=dict)
    """What each function got, and the parameters of the `job`."""
    delays: list[float] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    """States that were cancelled while they hung."""
    hanging: anyio.Event = field(default_factory=anyio.Event)
    lines: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.script = Script(self.story)

    def execute(self, text: str) -> float:
        """Execute a definition, and return the seconds that it took by its own clock."""
        took: list[float] = []

        async def main() -> None:
            began = anyio.current_time()
            await self.states(text)
            took.append(anyio.current_time() - began)

        run_in_virtual_time(main)
        return took[0]

    async def states(self, text: str) -> None:
        """Execute a definition in the loop that runs."""
        batch = LocalBatch(self.folder, run=self._command, is_reclaimed=lambda: self._next_is(SPOT))

        async def detect(call: Call) -> object:
            self.inputs["job"] = call.parameters
            return await batch(call)

        resources = {LAMBDA: self._function, BATCH: detect}
        interpreter = Interpreter(check_definition(text), resources, self._sleep, self.chance)
        history = History("run-1", self.lines.append, lambda: NOW)
        self.ending = await interpreter.run(self.story.given, history)

    @property
    def events(self) -> Sequence[Happened]:
        """The history."""
        return list(parse_events(b"".join(self.lines)))

    @property
    def kinds(self) -> list[str]:
        """The names of the events, without the local runner's own."""
        return [event.kind for event in self.events if event.kind != "TaskProgressed"]

    @property
    def entered(self) -> tuple[str, ...]:
        """The states that were entered."""
        return tuple(each.state for each in self.events if each.kind.endswith("StateEntered"))

    async def _function(self, call: Call) -> object:
        event = call.parameters["Payload"]
        assert isinstance(event, Mapping)
        self.inputs[call.state] = event
        end = self.script.next_end(call.state)
        if end == HANGS:
            await self._hang(call.state)
        if end:
            raise TaskFailure(end, json.dumps(told(end)))
        answer = {**added(call.state, event), **self.extra.get(call.state, {})}
        answer.pop(self.dropped, None)
        return {"ExecutedVersion": "$LATEST", "Payload": answer, "StatusCode": 200}

    async def _command(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        limits: CommandLimits,
        progress: Callable[[], None],
    ) -> CommandOutcome:
        end = self.script.next_end(DETECTION)
        await anyio.Path(argv[3]).write_text('{"event": "progress", "done": 1, "total": 3}\n')
        progress()
        if end == SPOT:
            await anyio.sleep_forever()
        if end == HANGS:
            await self._hang(DETECTION)
        status = int(end or 0)
        return CommandOutcome(
            tuple(argv), status, None, timed_out=False, duration_seconds=1, tail=""
        )

    def _next_is(self, end: str) -> bool:
        return self.script.peek(DETECTION) == end

    async def _hang(self, state: str) -> None:
        try:
            self.hanging.set()
            await anyio.sleep_forever()
        finally:
            self.stopped.append(state)

    async def _sleep(self, seconds: float) -> None:
        self.delays.append(seconds)
        await anyio.sleep(seconds)
