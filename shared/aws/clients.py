"""AWS clients, opened once per region and closed together; nothing else creates one.

Retries are switched off in the SDK and below it: `shared.retry` is the one place that tries again.
The checksum that botocore would append as a trailer is switched off too: the S3 engine sends its
own as a header, which stores other than AWS understand as well.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp
import anyio
from aiobotocore.config import AioConfig
from aiobotocore.credentials import AioCredentialResolver, AioInstanceMetadataProvider
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import AioSession
from aiobotocore.utils import AioInstanceMetadataFetcher
from botocore.handlers import add_expect_header

from shared.aws.answers import AnswerParsers
from shared.aws.credentials import CredentialSource, Keys, SourceProvider
from shared.aws.errors import SDK_ERRORS, translate
from shared.aws.models import ServiceModels
from shared.errors import PermanentError
from shared.s3.uri import S3Uri

_USER_AGENT = "towpath"
"""Fixed, because botocore would put its own together anew for every request: 13 % of the CPU."""
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_CONNECT_SECONDS = 10.0
_METADATA_SECONDS = 2.0
_RENEW_SECONDS = 60.0
_RESENDING = "_retry_connection"
_BEFORE_CALL = "before-call.s3"


class ServiceClient(Protocol):
    """An open client of one AWS service: operations in snake case, keyword arguments, a mapping."""

    def __getattr__(self, operation: str) -> Callable[..., Awaitable[dict[str, Any]]]: ...


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """How to reach AWS and as whom."""

    aws_region: str
    profile: str | None = None
    endpoint_url: str | None = None
    """Another service that speaks S3; also taken from AWS_ENDPOINT_URL by the SDK."""
    instance_role: bool = False
    """Act as the EC2 instance's role and nobody else; AWS_PROFILE is not looked at."""
    credentials: CredentialSource | None = None
    """Who gives the keys, in place of everything the SDK would look at."""
    connections: int = 256
    """Open connections at most, per region."""
    read_seconds: float = 60.0
    """How long an answer may keep us waiting for its next byte; a function may compute longer."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a request needs that goes out without a client."""

    endpoint_url: str
    aws_region: str
    keys: Keys


class ClientPool:
    """Clients by service and region. Made by `open_clients`, closed when its block ends."""

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._stack = AsyncExitStack()
        self._retired: list[AsyncExitStack] = []
        self._source = _provider(settings, refused="")
        self._session = _session(settings, self._source)
        self._clients: dict[tuple[str, str], ServiceClient] = {}
        self._opening = anyio.Lock()
        self._renewed_at = -_RENEW_SECONDS

    async def client(self, service: str, aws_region: str = "") -> ServiceClient:
        """Return the open client of a service in a region, opening it the first time."""
        where = (service, aws_region or self._settings.aws_region)
        if found := self._clients.get(where):
            return found
        async with self._opening:
            if found := self._clients.get(where):
                return found
            # Requests of the generation before may still be under way, older ones are over.
            while len(self._retired) > 1:
                await self._retired.pop(0).aclose()
            opened = await self._stack.enter_async_context(self._create(*where))
            self._clients[where] = opened
            return opened

    async def caller_identity(self) -> Mapping[str, str]:
        """Ask STS who we are: keys `Arn`, `Account` and `UserId`; raises `shared.s3.errors`."""
        try:
            answer = await (await self.client("sts")).get_caller_identity()
        except SDK_ERRORS as error:
            raise translate(error, S3Uri("GetCallerIdentity"), writing=False) from error
        return {name: str(answer.get(name, "")) for name in ("Arn", "Account", "UserId")}

    async def access(self, service: str, aws_region: str = "") -> Access | None:
        """Return where a service is and the keys of now; None where there are none to sign with."""
        client: Any = await self.client(service, aws_region)
        found = await self._session.get_credentials()
        if found is None:
            return None
        now = await found.get_frozen_credentials()
        keys = Keys(now.access_key, now.secret_key, now.token or "")
        return Access(client.meta.endpoint_url, client.meta.region_name, keys)

    def renew(self) -> bool:
        """Look the credentials up again, for clients opened from now on; at most once a minute.

        For keys that were replaced in a file, which the SDK does not refresh by itself, and for
        those of a source that a service has refused.
        """
        now = time.monotonic()
        if now - self._renewed_at < _RENEW_SECONDS:
            return False
        self._renewed_at = now
        refused = "" if self._source is None else self._source.in_use
        self._source = _provider(self._settings, refused=refused)
        self._session = _session(self._settings, self._source)
        self._clients.clear()
        self._retired.append(self._stack)
        self._stack = AsyncExitStack()
        return True

    async def aclose(self) -> None:
        """Close every client that was ever opened."""
        self._clients.clear()
        for stack in (*self._retired, self._stack):
            await stack.aclose()

    def _create(self, service: str, aws_region: str) -> AbstractAsyncContextManager[ServiceClient]:
        config = AioConfig(
            retries={"total_max_attempts": 1, "mode": "standard"},
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=self._settings.read_seconds,
            max_pool_connections=self._settings.connections,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            tcp_keepalive=True,
            user_agent=_USER_AGENT,
            s3=self._s3_settings(),
            http_session_cls=OneSend,
        )
        context: AbstractAsyncContextManager[ServiceClient] = self._session.create_client(
            service,
            region_name=aws_region,
            endpoint_url=self._settings.endpoint_url,
            config=config,
        )
        return context

    def _s3_settings(self) -> Mapping[str, object]:
        """Whether to sign the body: not where TLS, or this machine's own loopback, carries it.

        Every body has a checksum that S3 verifies; an SHA-256 on top costs more than all the rest.
        """
        url = self._settings.endpoint_url
        if url is None:
            return {"payload_signing_enabled": False}
        parts = urlsplit(url)
        safe = parts.scheme == "https" or parts.hostname in _LOOPBACK
        return {"addressing_style": "path", "payload_signing_enabled": not safe}


class OneSend(AIOHTTPSession):  # type: ignore[misc]  # aiobotocore ships no types
    """Sends every request once.

    aiohttp counts PUT and DELETE as idempotent and sends one again when its connection breaks. With
    a precondition it is not: where the first request was carried out and its answer lost, the
    second is refused, and our own object looks like somebody else's.
    """

    async def _get_session(self, proxy_url: str | None) -> aiohttp.ClientSession:
        session: aiohttp.ClientSession = await super()._get_session(proxy_url)
        setattr(session, _RESENDING, False)
        return session


def require_one_send() -> None:
    """Make sure that aiohttp can be told not to send again: there is no public way.

    Raises:
        PermanentError: it cannot; lost answers would be misread.
    """
    if _RESENDING not in aiohttp.ClientSession.ATTRS:
        raise PermanentError(
            f"aiohttp {aiohttp.__version__!r} has no {_RESENDING!r} and would repeat writes by "
            "itself; install the version that the requirements pin"
        )


@asynccontextmanager
async def open_clients(settings: ClientSettings) -> AsyncIterator[ClientPool]:
    """Open a pool of clients for the length of a block."""
    require_one_send()
    pool = ClientPool(settings)
    try:
        yield pool
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(_CONNECT_SECONDS):
            await pool.aclose()


@cache
def _loader() -> ServiceModels:
    """Keep the service models, the bulk of a session, for every session of this process."""
    return ServiceModels()


def _provider(settings: ClientSettings, *, refused: str) -> SourceProvider | None:
    if settings.credentials is None:
        return None
    return SourceProvider(settings.credentials, refused=refused)


def _session(settings: ClientSettings, source: SourceProvider | None) -> AioSession:
    if source is not None:
        session = _session_of(source)
    elif settings.instance_role:
        session = _role_session()
    else:
        session = AioSession(profile=settings.profile)
    session.register_component("data_loader", _loader())
    session.register_component("response_parser_factory", AnswerParsers())
    # A store that never says "100 Continue" would be waited for until the time limit.
    session.unregister(_BEFORE_CALL, add_expect_header)
    return session


def _session_of(source: SourceProvider) -> AioSession:
    session = _session_without_profile()
    session.register_component("credential_provider", AioCredentialResolver([source]))
    return session


def _session_without_profile() -> AioSession:
    # A variable without names to look up is one the environment cannot set.
    return AioSession(session_vars={"profile": (None, None, None, None)})


def _role_session() -> AioSession:
    session = _session_without_profile()
    endpoint = session.get_config_variable("ec2_metadata_service_endpoint")
    fetcher = AioInstanceMetadataFetcher(
        timeout=_METADATA_SECONDS,
        num_attempts=2,
        config={"ec2_metadata_service_endpoint": endpoint, "ec2_metadata_v1_disabled": True},
    )
    provider = AioInstanceMetadataProvider(iam_role_fetcher=fetcher)
    session.register_component("credential_provider", AioCredentialResolver([provider]))
    return session
