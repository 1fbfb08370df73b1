"""Acting in the sites' accounts: one session of a role for each site, kept alive while it is used.

The automation user may do nothing but assume the roles. Each site's session is opened with exactly
one AssumeRole, which is where a missing or refused role shows; later ones happen only when less
than five minutes remain, or when a service calls the keys expired. Nothing secret is in a message.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import anyio
import structlog
from structlog.typing import FilteringBoundLogger

from daemons.ingester.account.functions import FUNCTION_SECONDS, Distributions, Functions
from daemons.ingester.account.roles import (
    GRANTED_FUNCTIONS,
    SiteScope,
    role_arn,
    session_name,
    session_policy,
)
from daemons.ingester.project.credentials import FILE_NAME, AutomationKeys
from daemons.ingester.project.mappings import SiteMapping
from daemons.ingester.syncing.transfer import SYNC_POLICY
from shared.aws.clients import ClientPool, ClientSettings, open_clients
from shared.aws.credentials import RENEW_SECONDS, FixedKeys, Keys
from shared.aws.errors import SDK_ERRORS, translate
from shared.errors import ExitStatus, PermanentError, TransientError
from shared.retry import RetryBudget, RetryPolicy, retrying
from shared.s3.client import EngineSettings, S3Client
from shared.s3.errors import CredentialsExpired, ObjectError
from shared.s3.store import ObjectStore
from shared.s3.uri import S3Uri

log: FilteringBoundLogger = structlog.get_logger()

SESSION_SECONDS = 3600
"""How long the keys of a role live; roles allow that unless somebody says otherwise."""
_CALL_SECONDS = 30.0
_PAUSE_SECONDS = 30.0
"""So long after STS has failed it is not asked again, whoever needs keys."""
_IN_FLIGHT = 32
_CONTROL_CONNECTIONS = 4
_SPARE = timedelta(seconds=60)
"""Keys with so much time left serve on while STS gives no answer."""
_KEYS_FAILED, _KEYS_ADVICE = f"the keys of {FILE_NAME} cannot be used", "replace them"
_KEY_FAULTS = frozenset(
    {
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "MissingAuthenticationToken",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
"""What STS says of the keys of whoever asks, whatever is asked."""
_MILLISECOND = 1000

Result = TypeVar("Result")


class RoleRefused(PermanentError):
    """The role of a site cannot be assumed: not there, not for us, or not with these keys."""

    status = ExitStatus.USAGE


class RoleUnavailable(TransientError):
    """STS gave no usable answer, also when it was asked again."""


@dataclass(frozen=True, slots=True)
class SiteAccount:
    """What a site's session may use."""

    store: ObjectStore
    functions: Functions
    distributions: Distributions


@dataclass(frozen=True, slots=True)
class _Reach:
    """How AWS is reached."""

    endpoint_url: str | None
    """Of S3 and nothing else."""
    progress: Callable[[], None]
    policy: RetryPolicy
    now: Callable[[], datetime]


class Central:
    """The automation user. Made by `open_central`."""

    def __init__(self, clients: ClientPool, keys: AutomationKeys, reach: _Reach) -> None:
        self._clients = clients
        self._keys = keys
        self._reach = reach
        self._budget = RetryBudget()

    async def check(self) -> str:
        """Return the ARN that the keys belong to.

        Raises:
            RoleRefused, RoleUnavailable: they are refused, or STS cannot be asked.
        """

        async def ask() -> str:
            client = await self._clients.client("sts")
            return str((await client.get_caller_identity())["Arn"])

        return await self._repeat(_KEYS_FAILED, _KEYS_ADVICE, ask)

    @asynccontextmanager
    async def site(
        self,
        site_id: str,
        mapping: SiteMapping,
        *,
        step: str = "run",
        functions: tuple[str, ...] = GRANTED_FUNCTIONS,
    ) -> AsyncIterator[SiteAccount]:
        """Act for one site for the length of a block.

        Args:
            site_id: the site.
            mapping: where it lives.
            step: what is done, for the name of the session in the account's trail.
            functions: those it may invoke, without the site's name.

        Raises:
            RoleRefused, RoleUnavailable: before the block is entered.
        """
        scope = SiteScope(
            site_id,
            mapping.account_id,
            mapping.bucket_name,
            self._keys.aws_region,
            mapping.cloudfront_id,
            functions,
        )
        source = RoleKeys(lambda: self._assume(scope, step), now=self._reach.now)
        await source.fetch(refused="")
        data = ClientSettings(
            self._keys.aws_region,
            endpoint_url=self._reach.endpoint_url,
            credentials=source,
            connections=_IN_FLIGHT,
        )
        control = ClientSettings(
            self._keys.aws_region,
            credentials=source,
            connections=_CONTROL_CONNECTIONS,
            read_seconds=FUNCTION_SECONDS,
        )
        bounds = EngineSettings(
            in_flight=_IN_FLIGHT,
            parts=False,
            find_regions=False,
            policy=self._reach.policy,
            progress=self._reach.progress,
        )
        async with open_clients(data) as objects, open_clients(control) as services:
            yield SiteAccount(
                S3Client(objects, bounds, None),
                Functions(services, self._reach.policy),
                Distributions(services, self._reach.policy),
            )

    async def _assume(self, scope: SiteScope, step: str) -> Keys:
        role = role_arn(scope.account_id)
        epoch_ms = int(self._reach.now().timestamp() * _MILLISECOND)

        async def ask() -> Keys:
            client = await self._clients.client("sts")
            answer = await client.assume_role(
                RoleArn=role,
                RoleSessionName=session_name(step, scope.site_id, epoch_ms),
                DurationSeconds=SESSION_SECONDS,
                Policy=session_policy(scope),
            )
            given = answer["Credentials"]
            return Keys(
                given["AccessKeyId"],
                given["SecretAccessKey"],
                given["SessionToken"],
                given["Expiration"],
            )

        advice = "create it with the site that makes it for this account, or correct the mapping"
        keys = await self._repeat(f"role {role!r} cannot be assumed", advice, ask)
        log.debug("role_assumed", site=scope.site_id, role=role)
        return keys

    async def _repeat(
        self, failed: str, advice: str, ask: Callable[[], Awaitable[Result]]
    ) -> Result:
        async def attempt(_number: int) -> Result:
            try:
                with anyio.fail_after(_CALL_SECONDS):
                    return await ask()
            except SDK_ERRORS as error:
                found = translate(error, S3Uri("sts"), writing=False)
                raise _translated(failed, advice, found) from error
            except TimeoutError as error:
                raise RoleUnavailable(f"{failed}: no answer within {_CALL_SECONDS:g} s") from error

        return await retrying(attempt, policy=self._reach.policy, budget=self._budget)


class RoleKeys:
    """The keys of one site's session: a `CredentialSource` that asks STS when it has to."""

    def __init__(
        self,
        assume: Callable[[], Awaitable[Keys]],
        *,
        now: Callable[[], datetime],
        clock: Callable[[], float] = anyio.current_time,
    ) -> None:
        self._assume = assume
        self._now = now
        self._clock = clock
        self._asking = anyio.Lock()
        self._keys: Keys | None = None
        self._failure: RoleRefused | RoleUnavailable | None = None
        self._failed_at = 0.0

    async def fetch(self, *, refused: str) -> Keys:
        """Return keys that are good for a while, and not the refused ones.

        Raises:
            RoleRefused, RoleUnavailable: there are none.
        """
        async with self._asking:
            if (held := self._held(refused, timedelta(seconds=RENEW_SECONDS))) is not None:
                return held
            try:
                self._keys = await self._renewed()
            except RoleUnavailable as error:
                if (held := self._held(refused, _SPARE)) is None:
                    raise
                log.warning("role_not_renewed", reason=str(error))
                return held
            return self._keys

    def _held(self, refused: str, left: timedelta) -> Keys | None:
        """Return the keys there are if they will do for so long."""
        keys = self._keys
        if keys is None or keys.access_key_id == refused or keys.expires_at is None:
            return None
        return keys if keys.expires_at - self._now() >= left else None

    async def _renewed(self) -> Keys:
        if self._failure is not None and self._clock() - self._failed_at < _PAUSE_SECONDS:
            raise type(self._failure)(str(self._failure))
        try:
            keys = await self._assume()
        except (RoleRefused, RoleUnavailable) as error:
            self._failure, self._failed_at = error, self._clock()
            raise
        self._failure = None
        return keys


@asynccontextmanager
async def open_central(
    keys: AutomationKeys,
    *,
    endpoint_url: str | None = None,
    progress: Callable[[], None] = lambda: None,
    policy: RetryPolicy = SYNC_POLICY,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> AsyncIterator[Central]:
    """Act as the automation user for the length of a block; nothing is asked before the first use.

    Args:
        keys: the user's.
        endpoint_url: another service that speaks S3. It is for S3 and nothing else; the SDK's own
            variables, `AWS_ENDPOINT_URL_STS` and the like, are looked at besides.
        progress: called when a transfer gets on.
        policy: how often a call, a file included, is tried.
        now: what time it is.
    """
    fixed = FixedKeys(Keys(keys.access_key_id, keys.secret_access_key))
    chosen = ClientSettings(keys.aws_region, credentials=fixed, connections=_CONTROL_CONNECTIONS)
    async with open_clients(chosen) as clients:
        yield Central(clients, keys, _Reach(endpoint_url, progress, policy, now))


def _translated(failed: str, advice: str, found: ObjectError) -> RoleRefused | RoleUnavailable:
    said = " ".join(part for part in (found.code, found.answer.message) if part)
    # Long-lived keys do not expire: those that do are not the ones that were meant.
    if isinstance(found, CredentialsExpired) or found.code in _KEY_FAULTS:
        return RoleRefused(f"{_KEYS_FAILED}: {said}; {_KEYS_ADVICE}")
    if isinstance(found, TransientError):
        return RoleUnavailable(f"{failed}: {said}")
    return RoleRefused(f"{failed}: {said}; {advice}")
