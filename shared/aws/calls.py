"""One request to a control plane of AWS: limited in time, tried again, its error translated.

Rule: only what may be repeated is asked through here: looks, and requests that their service itself
knows again, by a name or a token.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeAlias

import anyio

from shared.aws.clients import ServiceClient
from shared.aws.errors import SDK_ERRORS, translate
from shared.retry import RetryBudget, RetryPolicy, retrying
from shared.s3.errors import CredentialsExpired, Unreachable
from shared.s3.uri import S3Uri

Answer: TypeAlias = dict[str, Any]

POLICY = RetryPolicy(attempts=6, base_seconds=1.0, ceiling_seconds=20.0)
_CALL_SECONDS = 60.0


class Clients(Protocol):
    """The part of a `ClientPool` that is used here."""

    async def client(self, service: str) -> ServiceClient:
        """Return the open client of a service."""

    def renew(self) -> bool:
        """Look the credentials up again."""


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
            raise found from error
