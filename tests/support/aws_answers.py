"""What the stand-in for an account's services answers, and what it remembers of requests. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from tests.support.gate import Gate


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered; without a status, success."""

    status: int = 0
    code: str = ""
    message: str = "said by the test"
    body: bytes = b"null"
    """What a function that is waited for gives back."""
    function_error: str = ""
    """`Unhandled`: the function itself has failed."""
    retry_after: str = ""
    held: Gate | None = None
    """Nothing is answered before it is open."""
    hangs_up: bool = False
    """The connection ends without an answer."""


WORKS = Answer()
HANGS_UP = Answer(hangs_up=True)


def throttled(retry_after: str = "") -> Answer:
    """Answer that there are too many requests."""
    return Answer(429, "TooManyRequestsException", "Rate Exceeded.", retry_after=retry_after)


def broken(status: int = 500) -> Answer:
    """Answer that the service has failed."""
    return Answer(status, "ServiceException", "An error occurred.")


def denied() -> Answer:
    """Answer that this is not allowed."""
    return Answer(403, "AccessDenied", "User is not authorized to perform this action")


@dataclass(frozen=True, slots=True)
class Assumed:
    """A role that was assumed: what was asked for, and the keys that were given."""

    account_id: str
    role_arn: str
    session_name: str
    duration_seconds: int
    policy: Mapping[str, Any] | None
    access_key: str
    token: str
    expires_at: datetime

    @property
    def arn(self) -> str:
        """Who acts with these keys."""
        role = self.role_arn.rpartition("/")[2]
        return f"arn:aws:sts::{self.account_id}:assumed-role/{role}/{self.session_name}"

    def allows(self, action: str, resource: str) -> bool:
        """Say whether the session's policy, if there is one, allows it."""
        if self.policy is None:
            return True
        return any(
            _covers(statement["Action"], action) and _covers(statement["Resource"], resource)
            for statement in self.policy["Statement"]
        )


@dataclass(frozen=True, slots=True)
class Invoked:
    """An invocation that was accepted."""

    function: str
    kind: str
    """`Event`, `DryRun` or `RequestResponse`."""
    payload: bytes
    session: Assumed


@dataclass(frozen=True, slots=True)
class Invalidated:
    """An invalidation that was created."""

    distribution: str
    paths: tuple[str, ...]
    reference: str
    session: Assumed


def _covers(patterns: str | Iterable[str], name: str) -> bool:
    chosen = [patterns] if isinstance(patterns, str) else patterns
    return any(fnmatchcase(name, pattern) for pattern in chosen)
