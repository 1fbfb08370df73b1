"""One request to S3 after another: the bucket's region, a place in flight, retries, translation."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import anyio

from shared.aws.clients import ClientPool
from shared.aws.errors import SDK_ERRORS, region_hint, status_of, translate
from shared.retry import RetryBudget, RetryPolicy, retrying
from shared.s3.deadlines import within
from shared.s3.errors import (
    AccessDenied,
    BucketMissing,
    CredentialsExpired,
    InvalidKey,
    NotFound,
    OutcomeUnknown,
    ServerError,
    Throttled,
    Unreachable,
)
from shared.s3.limits import AdaptiveLimit
from shared.s3.store import Capabilities
from shared.s3.uri import S3Uri, key_fault
from shared.s3.wire import Parameters

_ATTEMPT_SECONDS = 90.0
_SLOWEST_BYTES_PER_SECOND = 16 * 1024
_MOVED = frozenset({301, 307, 400})
_UNKNOWN_KEYS = frozenset({"InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"})
"""Refusals that mean the keys: they may have been replaced where they came from."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Request:
    """One operation on one object or bucket."""

    operation: str
    """In snake case, as the SDK names it."""
    uri: S3Uri
    parameters: Parameters = field(default_factory=dict)
    """All but Bucket and Key."""
    writing: bool = False
    """Whether it changes something even if no answer comes."""
    on_bucket: bool = False
    """The operation takes no Key."""
    size: int = 0
    """Bytes of the body; they decide how long one attempt may last."""
    unsent: Callable[[], Exception | None] = lambda: None
    """Why the attempt that has just failed could not send its body, where that was our own fault:
    nothing was carried out then, whatever the connection's end looks like."""

    @property
    def limit_seconds(self) -> float:
        """The longest one attempt may take."""
        return _ATTEMPT_SECONDS + self.size / _SLOWEST_BYTES_PER_SECOND


class Requests:
    """Sends requests of any number of tasks within one limit and one retry budget."""

    def __init__(
        self,
        clients: ClientPool,
        *,
        in_flight: int,
        policy: RetryPolicy | None = None,
        budget: RetryBudget | None = None,
        progress: Callable[[], None] = lambda: None,
        find_regions: bool = True,
    ) -> None:
        self.limit = AdaptiveLimit(in_flight)
        self._clients = clients
        self._progress = progress
        self._policy = policy or RetryPolicy()
        self._budget = budget or RetryBudget()
        self._find_regions = find_regions
        self._known: dict[str, Capabilities] = {}
        self._asking: dict[str, anyio.Lock] = {}

    async def send(self, request: Request, *, deadline: float | None = None) -> Mapping[str, Any]:
        """Send until answered or the policy gives up; raises `shared.s3.errors`."""
        await self.capabilities(request.uri.bucket, deadline=deadline)
        return await self.repeat(lambda attempt: self.once(request, attempt), deadline=deadline)

    async def repeat(
        self, call: Callable[[int], Awaitable[Result]], *, deadline: float | None = None
    ) -> Result:
        """Await `call(attempt)` within the limits until it succeeds or the policy gives up."""
        return await retrying(
            call, policy=self._policy, budget=self._budget, slot=self.limit, deadline=deadline
        )

    async def once(self, request: Request, attempt: int = 1) -> Mapping[str, Any]:
        """Send one time, and a second time if the answer names another region.

        Within `repeat`; who calls it has asked for the bucket's `capabilities` before.
        """
        fault = None if request.on_bucket else key_fault(request.uri.key)
        if fault:
            raise InvalidKey(request.uri, note=f"the key {fault}")
        known = self.known(request.uri.bucket)
        try:
            return await self._exchange(request, known.region)
        except SDK_ERRORS as error:
            region = region_hint(error)
            if status_of(error) not in _MOVED or region in {"", known.region}:
                raise self._failed(error, request, attempt) from error
        self.learn(request.uri.bucket, replace(known, region=region))
        try:
            return await self._exchange(request, region)
        except SDK_ERRORS as error:
            raise self._failed(error, request, attempt) from error

    async def capabilities(self, bucket: str, *, deadline: float | None = None) -> Capabilities:
        """Say what is known of a bucket; the first caller asks for its region, if that is wanted.

        Not within `repeat`: a task holds one place in flight.
        """
        if not self._find_regions:
            return self.known(bucket)
        if found := self._known.get(bucket):
            return found
        async with self._asking.setdefault(bucket, anyio.Lock()):
            if found := self._known.get(bucket):
                return found
            region = await self.repeat(
                lambda attempt: self._find_region(bucket, attempt), deadline=deadline
            )
            self.learn(bucket, Capabilities(region=region))
        return self._known[bucket]

    def known(self, bucket: str) -> Capabilities:
        """Return what answers have shown of a bucket so far."""
        return self._known.get(bucket) or Capabilities()

    def learn(self, bucket: str, known: Capabilities) -> None:
        """Remember what an answer has shown of a bucket."""
        self._known[bucket] = known

    async def _find_region(self, bucket: str, attempt: int) -> str:
        request = Request("head_bucket", S3Uri(bucket), on_bucket=True)
        try:
            answer = await self._exchange(request, "")
        except SDK_ERRORS as error:
            region = region_hint(error)
            failure = self._failed(error, request, attempt)
            if isinstance(failure, NotFound):
                said = replace(failure.answer, code="NoSuchBucket")
                note = "the bucket does not exist; create it, or name another bucket"
                raise BucketMissing(request.uri, said, note) from error
            # Forbidden or moved is an answer: the region stands in the header, and whether the
            # role may list says nothing of whether it may write.
            if region or isinstance(failure, AccessDenied):
                return region
            raise failure from error
        headers = answer["ResponseMetadata"].get("HTTPHeaders", {})
        return str(answer.get("BucketRegion") or headers.get("x-amz-bucket-region", ""))

    async def _exchange(self, request: Request, region: str) -> Mapping[str, Any]:
        client = await self._clients.client("s3", region)
        names = {"Bucket": request.uri.bucket}
        if not request.on_bucket:
            names["Key"] = request.uri.key
        with within(request.limit_seconds, request.uri, writing=request.writing):
            answer = await getattr(client, request.operation)(**names, **request.parameters)
        self.limit.succeeded()
        self._progress()
        return dict(answer)

    def _failed(self, error: Exception, request: Request, attempt: int) -> Exception:
        if (own := request.unsent()) is not None:
            return own
        failure = translate(error, request.uri, writing=request.writing, attempts=attempt)
        if isinstance(failure, Throttled | ServerError | OutcomeUnknown | Unreachable):
            self.limit.throttled(anyio.current_time())
        if isinstance(failure, CredentialsExpired) or failure.code in _UNKNOWN_KEYS:
            self._clients.renew()
        return failure
