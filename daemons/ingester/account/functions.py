"""The functions and the distribution of a site: asked with a bound, asked again where it may help.

| the service says                             | then                                           |
|----------------------------------------------|------------------------------------------------|
| throttled, 5xx, nothing in time, expired keys| tried again as often as a file, then CallFailed|
| no such function or distribution, denied     | CallRefused at once                            |
| accepted, but the function itself failed     | CallRefused                                    |

Asking twice is harmless: an index that is built again is the same, and an invalidation has a
reference by which it is known. A function that is waited for is asked once, because nobody can say
whether one that gave no answer is still at work.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import anyio

from daemons.ingester.syncing.transfer import SYNC_POLICY
from shared.aws.clients import ClientPool
from shared.aws.errors import SDK_ERRORS, translate
from shared.errors import PermanentError, TransientError
from shared.retry import RetryBudget, RetryPolicy, retrying
from shared.s3.errors import AccessDenied, CredentialsExpired, NotFound, ObjectError
from shared.s3.uri import S3Uri

FUNCTION_SECONDS = 900.0
"""No function runs longer."""
_CALL_SECONDS = 60.0
_MARGIN_SECONDS = 30.0
_ACCEPTED, _ALLOWED = 202, 204
_LONGEST_SAID = 500

Result = TypeVar("Result")


class CallFailed(TransientError):
    """A service gave no usable answer, also when it was asked again."""

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        self._retry_after = retry_after
        super().__init__(message)

    @property
    def retry_after(self) -> float:
        """Seconds that the service asked us to wait, 0 when it did not."""
        return self._retry_after


class CallRefused(PermanentError):
    """A service answered that it will not, or that what was asked for has failed."""


class Functions:
    """Invokes the functions of one site's account."""

    def __init__(self, clients: ClientPool, policy: RetryPolicy = SYNC_POLICY) -> None:
        self._calls = _Calls(clients, policy)

    async def invoke_event(self, name: str, payload: bytes) -> None:
        """Have a function run some time soon; nothing says how that ends.

        Raises:
            CallFailed, CallRefused: it will not run.
        """
        answer = await self._calls.repeat(
            f"function {name!r} was not invoked",
            lambda: self._invoke(name, "Event", payload),
            seconds=_CALL_SECONDS,
        )
        if answer["StatusCode"] != _ACCEPTED or "FunctionError" in answer:
            said = answer.get("FunctionError", f"status {answer['StatusCode']}")
            raise CallRefused(f"function {name!r} was not accepted: {said}; look at its log")

    async def dry_run(self, name: str) -> None:
        """See whether a function is there and may be invoked, without doing it."""
        answer = await self._calls.repeat(
            f"function {name!r} cannot be invoked",
            lambda: self._invoke(name, "DryRun", b""),
            seconds=_CALL_SECONDS,
        )
        if answer["StatusCode"] != _ALLOWED:
            raise CallRefused(f"function {name!r} answered status {answer['StatusCode']} to a test")

    async def invoke(self, name: str, payload: bytes) -> Mapping[str, object]:
        """Have a function run, wait for its end, and return what it gives back.

        Raises:
            CallFailed: there was no answer; the function may be at work all the same.
            CallRefused: it is not there, not allowed, or has failed.
        """
        answer = await self._calls.once(
            f"function {name!r} gave no result",
            lambda: self._invoke(name, "RequestResponse", payload),
            seconds=FUNCTION_SECONDS + _MARGIN_SECONDS,
        )
        said = _parsed(answer["Payload"])
        if "FunctionError" in answer:
            fault = str(said.get("errorMessage", said))[:_LONGEST_SAID]
            raise CallRefused(f"function {name!r} has failed: {fault}; look at its log")
        return said

    async def _invoke(self, name: str, kind: str, payload: bytes) -> dict[str, Any]:
        client = await self._calls.clients.client("lambda")
        answer = await client.invoke(FunctionName=name, InvocationType=kind, Payload=payload)
        async with answer["Payload"] as stream:
            return {**answer, "Payload": await stream.read()}


class Distributions:
    """Has the caches of distributions forget what they hold."""

    def __init__(self, clients: ClientPool, policy: RetryPolicy = SYNC_POLICY) -> None:
        self._calls = _Calls(clients, policy)

    async def invalidate(self, distribution: str, paths: Sequence[str], reference: str) -> str:
        """Create one invalidation and return its id; the same `reference` never makes two.

        Raises:
            CallFailed, CallRefused: there is none.
        """
        batch = {
            "Paths": {"Quantity": len(paths), "Items": list(paths)},
            "CallerReference": reference,
        }

        async def send() -> dict[str, Any]:
            client = await self._calls.clients.client("cloudfront")
            return await client.create_invalidation(
                DistributionId=distribution, InvalidationBatch=batch
            )

        answer = await self._calls.repeat(
            f"distribution {distribution!r} was not invalidated", send, seconds=_CALL_SECONDS
        )
        return str(answer["Invalidation"]["Id"])


class _Calls:
    """Calls of one account, in the words of this module."""

    def __init__(self, clients: ClientPool, policy: RetryPolicy) -> None:
        self.clients = clients
        self._policy = policy
        self._budget = RetryBudget()

    async def repeat(
        self, failed: str, send: Callable[[], Awaitable[Result]], *, seconds: float
    ) -> Result:
        """Send until answered or the policy gives up; `failed` begins the message."""
        return await retrying(
            lambda _attempt: self.once(failed, send, seconds=seconds),
            policy=self._policy,
            budget=self._budget,
        )

    async def once(
        self, failed: str, send: Callable[[], Awaitable[Result]], *, seconds: float
    ) -> Result:
        """Send one time."""
        try:
            with anyio.fail_after(seconds):
                return await send()
        except SDK_ERRORS as error:
            raise self._translated(failed, error) from error
        except TimeoutError as error:
            raise CallFailed(f"{failed}: no answer within {seconds:g} s") from error

    def _translated(self, failed: str, error: Exception) -> CallFailed | CallRefused:
        found = translate(error, S3Uri("aws"), writing=False)
        message = f"{failed}: {_said(found)}"
        if isinstance(found, CredentialsExpired):
            self.clients.renew()
        if isinstance(found, TransientError):
            return CallFailed(message, found.retry_after)
        return CallRefused(f"{message}; {_advice(found)}")


def _said(error: ObjectError) -> str:
    return " ".join(part for part in (error.code, error.answer.message) if part)[:_LONGEST_SAID]


def _advice(error: ObjectError) -> str:
    if isinstance(error, NotFound):
        return "deploy it, or correct the site's entry in .site-account-mappings.json"
    if isinstance(error, AccessDenied):
        return "allow it to the automation role of the site's account"
    return "look at what the site's account says of it"


def _parsed(body: bytes) -> Mapping[str, object]:
    """Read what a function gave back; what is no object is one's `result`."""
    try:
        found = json.loads(body or b"null")
    except (ValueError, RecursionError):
        return {"result": body.decode("utf-8", "replace")}
    if found is None:
        return {}
    return found if isinstance(found, dict) else {"result": found}
