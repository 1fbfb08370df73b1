"""One request to a control plane of AWS: limited in time, tried again, its error translated.

Rule: only what may be repeated is asked through here: looks, updates that set what is wanted, and
requests that their service itself knows again, by a name or a token. So a lost answer is asked for
again.
"""

from collections.abc import Awaitable, Callable, Collection
from typing import Any, Protocol, TypeAlias

import anyio

from shared.aws.clients import ServiceClient
from shared.aws.errors import SDK_ERRORS, translate
from shared.errors import TransientError
from shared.retry import RetryBudget, RetryPolicy, retrying
from shared.s3.errors import CredentialsExpired, ObjectError, Unreachable
from shared.s3.uri import S3Uri

Answer: TypeAlias = dict[str, Any]

POLICY = RetryPolicy(attempts=6, base_seconds=1.0, ceiling_seconds=20.0)
WAITING = RetryPolicy(attempts=120, base_seconds=0.5, ceiling_seconds=5.0)
"""For what takes its time: at most five minutes, see `UNTIL_SECONDS`."""
UNTIL_SECONDS = 300.0

_CALL_SECONDS = 60.0
_NOT_YET_ASSUMABLE = "cannot be assumed"
"""What Lambda says of a role for some seconds after it was made."""


class Clients(Protocol):
    """The part of a `ClientPool` that is used here."""

    async def client(self, service: str) -> ServiceClient:
        """Return the open client of a service."""

    def renew(self) -> bool:
        """Look the credentials up again."""


class NotYet(TransientError):
    """What is waited for has not come about."""


class AwsCalls:
    """Sends requests; one for all of a command, so that they share their retries."""

    def __init__(
        self,
        clients: Clients,
        *,
        policy: RetryPolicy = POLICY,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._clients = clients
        self._policy = policy
        self._sleep = sleep
        self._budget = RetryBudget()

    async def send(self, service: str, operation: str, **arguments: object) -> Answer:
        """Send a request until it is answered; raises `shared.s3.errors`."""
        return await retrying(
            lambda _attempt: self._once(service, operation, arguments),
            policy=self._policy,
            budget=self._budget,
            sleep=self._sleep,
        )

    async def find(
        self, service: str, operation: str, absent: Collection[str], **arguments: object
    ) -> Answer | None:
        """Send a request; None where the error's code is one of `absent`.

        Whoever is denied a look must not take what is there for missing: that is raised.
        """
        try:
            return await self.send(service, operation, **arguments)
        except ObjectError as error:
            if error.answer.code in absent:
                return None
            raise

    async def until(self, met: Callable[[], Awaitable[bool]], what: str) -> None:
        """Wait for something; NotYet when it has not come about in five minutes."""

        async def look(_attempt: int) -> None:
            if not await met():
                raise NotYet(f"{what} has not come about in {UNTIL_SECONDS:g} s; look at it in AWS")

        await retrying(
            look,
            policy=WAITING,
            budget=RetryBudget(capacity=10_000.0),
            deadline=UNTIL_SECONDS,
            sleep=self._sleep,
        )

    async def _once(self, service: str, operation: str, arguments: dict[str, object]) -> Answer:
        place = S3Uri(f"{service}.{operation}")
        try:
            with anyio.fail_after(_CALL_SECONDS):
                client = await self._clients.client(service)
                answer: Answer = await getattr(client, operation)(**arguments)
                return answer
        except TimeoutError as error:
            raise Unreachable(place, note=f"no answer within {_CALL_SECONDS:g} s") from error
        except SDK_ERRORS as error:
            found = translate(error, place, writing=False)
            if isinstance(found, CredentialsExpired):
                self._clients.renew()
            if _NOT_YET_ASSUMABLE in found.answer.message:
                raise Unreachable(place, found.answer) from error
            raise found from error
