"""Executes a definition as Step Functions does, in this process: for runs without AWS, and tests.

What tasks do is handed in by resource; it gets the task's parameters, and gives back a result or
raises `TaskFailure`. Rule: the state of a run is one JSON document that goes from state to state;
nothing else is passed on.

| what happens                              | then                                              |
|-------------------------------------------|---------------------------------------------------|
| a task fails, a retrier knows the error   | again after its delay, in the same visit          |
| no retrier, or none any more; a catcher   | its state, with the error where `ResultPath` says |
| neither                                   | the execution has failed                          |
| a task takes too long                     | `States.Timeout`, like any error                  |
| a path leads nowhere                      | `States.Runtime`, which nobody catches            |
| it is cancelled                           | the task is cancelled, the execution is aborted   |
| a task raises anything else: a mistake    | raised; the execution has failed                  |
"""

import json
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import anyio

from pipelines.wildlife.machine.document import Catcher, Fail, Machine, Task
from pipelines.wildlife.machine.endings import Ending, Status
from pipelines.wildlife.machine.expressions import Unfit, evaluate, fill, parse_expression
from pipelines.wildlife.machine.failures import (
    DATA_LIMIT,
    RUNTIME,
    TIMEOUT,
    TaskFailure,
    Tries,
    find_catcher,
)
from pipelines.wildlife.machine.history import History
from pipelines.wildlife.machine.paths import NothingThere, put_at, read_path

PAYLOAD_BYTES_MAX = 256 * 1024
_LONGEST_SECONDS = 99_999_999


@dataclass(frozen=True, slots=True)
class Call:
    """One try of a task."""

    state: str
    parameters: Mapping[str, object]
    seconds: float
    """How long it may take."""
    note: Callable[..., None]
    """Writes an event: its kind, and details by their names."""


Resource: TypeAlias = Callable[[Call], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Interpreter:
    """Executes one machine with the resources it names."""

    machine: Machine
    resources: Mapping[str, Resource]
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    chance: Callable[[], float] = random.random

    async def run(self, given: object, history: History) -> Ending:
        """Execute the machine to its end; cancelled, the execution is aborted."""
        history.add("ExecutionStarted", input=_written(given))
        ending = Ending(Status.FAILED, error=RUNTIME, cause="the interpreter crashed; see its log")
        try:
            ending = await self._states(given, history)
        except TaskFailure as failure:
            ending = Ending(Status.FAILED, error=failure.error, cause=failure.cause)
        except anyio.get_cancelled_exc_class():
            ending = Ending(Status.ABORTED, cause="interrupted")
            raise
        finally:
            _note_end(ending, history)
        return ending

    async def _states(self, given: object, history: History) -> Ending:
        name, document = self.machine.start_at, given
        while True:
            state = self.machine.states[name]
            history.add(f"{state.type}StateEntered", name=name, input=_written(document))
            if isinstance(state, Fail):
                return _failed(state, document)
            following = None
            if isinstance(state, Task):
                following, document = await self._visit(name, state, document, history)
            history.add(f"{state.type}StateExited", name=name, output=_written(document))
            if following is None:
                return Ending(Status.SUCCEEDED, document)
            name = following

    async def _visit(
        self, name: str, task: Task, document: object, history: History
    ) -> tuple[str | None, object]:
        """Do a task, again where a retrier says so; return the next state, and what it gets."""
        tries = Tries(task.retry)
        while True:
            try:
                return task.next, await self._try(name, task, document, history)
            except TaskFailure as failure:
                delay = tries.delay(failure.error, self.chance())
                if delay is None:
                    catcher = find_catcher(task.catch, failure.error)
                    if catcher is None:
                        raise
                    return catcher.next, _caught(catcher, document, failure)
            await self.sleep(delay)

    async def _try(self, name: str, task: Task, document: object, history: History) -> object:
        parameters = _parameters(task, document)
        seconds = _limit(task, document)
        about = {"resourceType": _type(task), "resource": task.resource.rpartition(":")[2]}
        written = _written(parameters)
        history.add("TaskScheduled", **about, parameters=written, timeoutInSeconds=seconds)
        history.add("TaskStarted", **about)

        def note(kind: str, **details: object) -> None:
            history.add(kind, **about, **details)

        try:
            result = await self._done(task, Call(name, parameters, seconds, note))
        except TaskFailure as failure:
            kind = "TaskTimedOut" if failure.error == TIMEOUT else "TaskFailed"
            note(kind, error=failure.error, cause=failure.cause)
            raise
        note("TaskSucceeded", output=_written(result))
        return _output(task, document, result)

    async def _done(self, task: Task, call: Call) -> object:
        result: object = None
        with anyio.move_on_after(call.seconds) as limit:
            result = await self.resources[task.resource](call)
        if limit.cancelled_caught:
            raise TaskFailure(TIMEOUT)
        return result


def _note_end(ending: Ending, history: History) -> None:
    if ending.status == Status.SUCCEEDED:
        history.add("ExecutionSucceeded", output=_written(ending.output))
    else:
        kind = f"Execution{ending.status.value.capitalize()}"
        history.add(kind, error=ending.error, cause=ending.cause)


def _parameters(task: Task, document: object) -> Mapping[str, object]:
    filled = _worked_out(lambda: fill(task.parameters or {}, document))
    return filled if isinstance(filled, Mapping) else {}


def _limit(task: Task, document: object) -> float:
    if task.timeout_seconds_path is None:
        return float(task.timeout_seconds or _LONGEST_SECONDS)
    path = task.timeout_seconds_path
    found = _worked_out(lambda: read_path(path, document))
    if isinstance(found, bool) or not isinstance(found, int) or not 0 < found <= _LONGEST_SECONDS:
        raise TaskFailure(RUNTIME, f"{path!r} is {str(found)[:100]!r}, and no number of seconds")
    return float(found)


def _output(task: Task, document: object, result: object) -> object:
    """Return what the state hands on: its result selected, put in its place, and narrowed."""
    selector = task.result_selector
    if selector is not None:
        result = _worked_out(lambda: fill(selector, result))
    if task.result_path is not None:
        document = _put(task.result_path, document, result)
    return _bounded(_worked_out(lambda: read_path(task.output_path, document)))


def _caught(catcher: Catcher, document: object, failure: TaskFailure) -> object:
    told = {"Error": failure.error, "Cause": failure.cause}
    if catcher.result_path is None:
        return document
    return _bounded(_put(catcher.result_path, document, told))


def _put(path: str, document: object, value: object) -> object:
    try:
        return put_at(path, document, value)
    except NothingThere as error:
        raise TaskFailure("States.ResultPathMatchFailure", str(error)) from error


def _failed(state: Fail, document: object) -> Ending:
    error = _said(state.error, state.error_path, document)
    cause = _said(state.cause, state.cause_path, document)
    return Ending(Status.FAILED, error=error, cause=cause)


def _said(plain: str | None, computed: str | None, document: object) -> str:
    if computed is None:
        return plain or ""
    said = _worked_out(lambda: evaluate(parse_expression(computed), document))
    if not isinstance(said, str):
        raise TaskFailure(RUNTIME, f"{computed!r} is no text")
    return said


def _worked_out(work: Callable[[], object]) -> object:
    try:
        return work()
    except NothingThere as error:
        raise TaskFailure(RUNTIME, str(error)) from error
    except Unfit as error:
        raise TaskFailure("States.IntrinsicFailure", str(error)) from error


def _bounded(document: object) -> object:
    if len(_written(document).encode()) > PAYLOAD_BYTES_MAX:
        raise TaskFailure(DATA_LIMIT, f"more than {PAYLOAD_BYTES_MAX} bytes go to the next state")
    return document


def _type(task: Task) -> str:
    return task.resource.rpartition(":::")[2].partition(":")[0]


def _written(document: object) -> str:
    return json.dumps(document)
