"""What `batch:submitJob` asks for, and whether an attempt that failed is made again. Pure.

| how an attempt ended                   | rules that may fit         | without one that fits |
|----------------------------------------|----------------------------|-----------------------|
| exit status 0                          | -                          | the job is done       |
| another exit status, a lost machine    | the first that fits all of | again                 |
|                                        | what it asks about         |                       |
| its time was over, or it was cancelled | -                          | the job has failed    |
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$"


class BadRequest(ValueError):
    """Batch would refuse this."""


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=lambda name: "".join(word.capitalize() for word in name.split("_")),
    )


class Rule(_Part):
    """What follows from an attempt whose end is like this."""

    on_status_reason: str | None = None
    on_reason: str | None = None
    on_exit_code: str | None = None
    action: Literal["RETRY", "EXIT", "retry", "exit"]


class _Variable(_Part):
    name: str
    value: str


class _Overrides(_Part):
    environment: tuple[_Variable, ...] = ()


class _Strategy(_Part):
    attempts: int = Field(default=1, ge=1, le=10)
    evaluate_on_exit: tuple[Rule, ...] = Field(default=(), max_length=5)


class _Timeout(_Part):
    attempt_duration_seconds: int = Field(ge=60)


class JobRequest(_Part):
    """One job."""

    job_name: str = Field(pattern=_PATTERN)
    job_queue: str
    job_definition: str
    container_overrides: _Overrides = _Overrides()
    retry_strategy: _Strategy = _Strategy()
    timeout: _Timeout

    @property
    def variables(self) -> Mapping[str, str]:
        """The variables that its container gets."""
        return {each.name: each.value for each in self.container_overrides.environment}

    @property
    def attempts(self) -> int:
        """How often it is tried, the first time included."""
        return self.retry_strategy.attempts

    @property
    def attempt_seconds(self) -> int:
        """How long an attempt may take."""
        return self.timeout.attempt_duration_seconds


@dataclass(frozen=True, slots=True)
class AttemptEnd:
    """How an attempt ended."""

    exit_code: int | None
    status_reason: str
    """In Batch's words."""
    reason: str = ""
    """Of the container."""
    final: bool = False
    """Whether nothing can bring about another one: its time was over, or somebody wanted it so."""


_REQUEST: TypeAdapter[JobRequest] = TypeAdapter(JobRequest)


def parse_request(parameters: Mapping[str, object]) -> JobRequest:
    """Read the parameters of a task; BadRequest."""
    try:
        return _REQUEST.validate_python(parameters)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise BadRequest(f"{where}: {first['msg']}") from error


def is_made_again(request: JobRequest, end: AttemptEnd, attempt: int) -> bool:
    """Tell whether another attempt follows the `attempt`-th, which failed."""
    if end.final or attempt >= request.attempts:
        return False
    rule = next(
        (each for each in request.retry_strategy.evaluate_on_exit if _fits(each, end)), None
    )
    return rule is None or rule.action.upper() == "RETRY"


def _fits(rule: Rule, end: AttemptEnd) -> bool:
    facts: Sequence[tuple[str | None, str]] = (
        (rule.on_status_reason, end.status_reason),
        (rule.on_reason, end.reason),
        (rule.on_exit_code, "" if end.exit_code is None else str(end.exit_code)),
    )
    asked = [(pattern, fact) for pattern, fact in facts if pattern is not None]
    return all(bool(fact) and fnmatchcase(fact, pattern) for pattern, fact in asked)
