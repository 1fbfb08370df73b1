"""Asking a service: one request and its answer, repeated where that cannot do harm.

Rule: whatever a service or the way to it does wrong comes out as `shared.s3.errors`.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar

import anyio

from shared.aws.clients import ServiceClient
from shared.aws.errors import SDK_ERRORS, translate
from shared.retry import RetryBudget, RetryPolicy, retrying
from shared.s3.errors import (
    CredentialsExpired,
    ObjectError,
    OutcomeUnknown,
    ServerError,
    Unreachable,
)
from shared.s3.uri import S3Uri

POLICY = RetryPolicy(attempts=6, base_seconds=1.0, ceiling_seconds=30.0)
Answer = TypeVar("Answer")

_CALL_SECONDS = 60.0
_SAID_MAX = 500


class Clients(Protocol):
    """The part of a `ClientPool` that is used here."""

    async def client(self, service: str) -> ServiceClient:
        """Return the open client of a service."""

    def renew(self) -> bool:
        """Look the credentials up again."""


class Asking:
    """Sends requests; one for all of a submission, so that they share slots and retries."""

    def __init__(
        self,
        clients: Clients,
        slots: anyio.CapacityLimiter,
        policy: RetryPolicy = POLICY,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._clients = clients
        self._slots = slots
        self._policy = policy
        self._budget = RetryBudget()
        self.sleep = sleep
        """How to wait."""

    async def once(
        self, service: str, operation: str, arguments: Mapping[str, object], *, writing: bool = True
    ) -> dict[str, Any]:
        """Send one request.

        Raises:
            OutcomeUnknown: it was to write something, and no answer tells whether it did.
            shared.s3.errors: everything else that went wrong.
        """
        place = S3Uri(f"{service}.{operation}")
        try:
            with anyio.fail_after(_CALL_SECONDS):
                client = await self._clients.client(service)
                answer: dict[str, Any] = await getattr(client, operation)(**arguments)
                return answer
        except TimeoutError as error:
            note = f"no answer within {_CALL_SECONDS:g} s"
            kind = OutcomeUnknown if writing else Unreachable
            raise kind(place, note=note) from error
        except SDK_ERRORS as error:
            found = translate(error, place, writing=writing)
            if isinstance(found, CredentialsExpired):
                self._clients.renew()
            if writing and isinstance(found, ServerError):
                found = OutcomeUnknown(place, found.answer)
            raise found from error

    async def retried(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """Repeat what was throttled or did not arrive; it holds a slot only while it is at work."""
        return await retrying(
            lambda _attempt: call(),
            policy=self._policy,
            budget=self._budget,
            slot=self._slots,
            sleep=self.sleep,
        )

    async def read(
        self, service: str, operation: str, arguments: Mapping[str, object]
    ) -> dict[str, Any]:
        """Ask what changes nothing, and may be asked again."""
        return await self.retried(lambda: self.once(service, operation, arguments, writing=False))


def said(error: ObjectError) -> str:
    """Return what a service said, in one line."""
    parts = (error.answer.code, error.answer.message)
    text = " ".join(part for part in parts if part) or str(error)
    if isinstance(error, OutcomeUnknown):
        text = f"no clear answer, it may have been accepted; look before it is sent again: {text}"
    return one_line(text)


def one_line(text: str) -> str:
    """Return a text without its line ends, and not too long."""
    return " ".join(text.split())[:_SAID_MAX]
