"""A definition in the States Language, read into what the interpreter goes by. Pure.

Of the language it has what our definition uses: tasks with retries and catches, and two ways to
end; JSONPath throughout. Whatever else stands in a definition is refused here, so that no local run
passes over what AWS would do.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from pipelines.wildlife.machine.expressions import BadExpression, check_template, parse_expression
from pipelines.wildlife.machine.paths import BadPath, parse_path
from shared.errors import PermanentError

_SHOWN = 200
Seconds: TypeAlias = Annotated[int, Field(ge=1, le=99_999_999)]
Names: TypeAlias = Annotated[tuple[str, ...], Field(min_length=1)]


class BadDefinition(PermanentError):
    """A definition is not right; each line is one mistake."""


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=lambda name: "".join(word.capitalize() for word in name.split("_")),
    )


class Retrier(_Part):
    """When a task is tried again, and how soon."""

    error_equals: Names
    interval_seconds: Seconds = 1
    backoff_rate: Annotated[float, Field(ge=1)] = 2.0
    max_attempts: Annotated[int, Field(ge=0, le=99_999_999)] = 3
    max_delay_seconds: Seconds | None = None
    jitter_strategy: Literal["FULL", "NONE"] = "NONE"


class Catcher(_Part):
    """Where a run goes on after an error."""

    error_equals: Names
    next: str
    result_path: str | None = "$"


class _Described(_Part):
    comment: str = ""


class Task(_Described):
    """Something that is done elsewhere."""

    type: Literal["Task"]
    resource: str
    parameters: dict[str, object] | None = None
    result_selector: dict[str, object] | None = None
    result_path: str | None = "$"
    """None: the result is dropped."""
    output_path: str = "$"
    timeout_seconds: Seconds | None = None
    timeout_seconds_path: str | None = None
    retry: tuple[Retrier, ...] = ()
    catch: tuple[Catcher, ...] = ()
    next: str | None = None
    end: bool = False


class Succeed(_Described):
    """The run has done what it should."""

    type: Literal["Succeed"]


class Fail(_Described):
    """The run has not."""

    type: Literal["Fail"]
    error: str | None = None
    error_path: str | None = None
    cause: str | None = None
    cause_path: str | None = None


State: TypeAlias = Annotated[Task | Succeed | Fail, Field(discriminator="type")]


class Machine(_Described):
    """States by their names, and the first of them."""

    start_at: str
    states: dict[str, State]


_MACHINE: TypeAdapter[Machine] = TypeAdapter(Machine)


def parse_machine(text: str, *, resources: Sequence[str]) -> Machine:
    """Read a definition whose tasks are done by these resources; BadDefinition."""
    try:
        machine = _MACHINE.validate_python(json.loads(text))
    except ValidationError as error:
        lines = [_line(dict(fault)) for fault in error.errors(include_url=False)]
        raise BadDefinition("\n".join(lines)) from error
    except ValueError as error:
        raise BadDefinition(f"the definition is not valid JSON: {str(error)[:_SHOWN]}") from error
    problems = [*_of_machine(machine), *_of_states(machine, resources)]
    if problems:
        raise BadDefinition("\n".join(dict.fromkeys(problems)))
    return machine


def _line(fault: Mapping[str, object]) -> str:
    location = fault["loc"]
    where = ".".join(map(str, location)) if isinstance(location, tuple) else ""
    return f"{where}: {fault['msg']}, not {str(fault['input'])[:_SHOWN]!r}"


def _of_machine(machine: Machine) -> Iterator[str]:
    if machine.start_at not in machine.states:
        yield f"StartAt: there is no state {machine.start_at!r}"
    for name in sorted(machine.states.keys() - _reached(machine)):
        yield f"{name}: no state leads there"


def _reached(machine: Machine) -> set[str]:
    reached: set[str] = set()
    waiting = [machine.start_at]
    while waiting:
        name = waiting.pop()
        if name not in reached and name in machine.states:
            reached.add(name)
            waiting += _following(machine.states[name])
    return reached


def _following(state: State) -> list[str]:
    if not isinstance(state, Task):
        return []
    return [*filter(None, [state.next]), *(catcher.next for catcher in state.catch)]


def _of_states(machine: Machine, resources: Sequence[str]) -> Iterator[str]:
    for name, state in machine.states.items():
        problems = _of_end(state) if isinstance(state, Fail) else ()
        if isinstance(state, Task):
            problems = _of_task(state, resources)
        yield from (f"{name}: {problem}" for problem in problems)
        for following in _following(state):
            if following not in machine.states:
                yield f"{name}: there is no state {following!r}"


def _of_task(task: Task, resources: Sequence[str]) -> Iterator[str]:
    if task.resource not in resources:
        yield f"resource {task.resource!r} is not known; known are {list(resources)}"
    if (task.next is None) != task.end:
        yield "a task has either Next or End"
    if task.timeout_seconds is not None and task.timeout_seconds_path is not None:
        yield "TimeoutSeconds and TimeoutSecondsPath exclude each other"
    for path in (task.result_path, task.output_path, task.timeout_seconds_path):
        yield from _of_path(path)
    for template in (task.parameters, task.result_selector):
        yield from check_template(template)
    yield from _of_catchers(task)


def _of_catchers(task: Task) -> Iterator[str]:
    for catcher in task.catch:
        yield from _of_path(catcher.result_path)
    for handlers in (task.retry, task.catch):
        for handler in handlers[:-1]:
            if "States.ALL" in handler.error_equals:
                yield "States.ALL must come last"
        if any(
            "States.ALL" in each.error_equals and len(each.error_equals) > 1 for each in handlers
        ):
            yield "States.ALL must stand alone"


def _of_end(state: Fail) -> Iterator[str]:
    for plain, computed in ((state.error, state.error_path), (state.cause, state.cause_path)):
        if plain is not None and computed is not None:
            yield "a text and its path exclude each other"
        if computed is not None:
            try:
                parse_expression(computed)
            except BadExpression as error:
                yield str(error)


def _of_path(path: str | None) -> Iterator[str]:
    try:
        parse_path(path or "$")
    except BadPath as error:
        yield str(error)
