"""How executions stand and end. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How an execution stands; the words of Step Functions."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    ABORTED = "ABORTED"


@dataclass(frozen=True, slots=True)
class Ending:
    """How an execution has ended."""

    status: Status
    output: object = None
    error: str = ""
    cause: str = ""
