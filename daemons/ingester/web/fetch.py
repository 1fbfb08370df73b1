"""Feeds and the way to anything on the web: bounded in time, bytes, redirects and addresses.

| what happens                                              | becomes                         |
|-----------------------------------------------------------|---------------------------------|
| no connection, no byte for a while, cut off, 408, 429, 5xx| WebUnavailable: tried again     |
| an address that is refused, at any hop                    | WebRefused                      |
| more redirects than allowed, to something that is not HTTP| WebRefused                      |
| a certificate that does not fit, any other status         | WebRefused                      |
| a URL, or a name of a host, that cannot be one            | WebRefused                      |
| more bytes than allowed, unpacked ones counted            | WebRefused                      |

No proxy of the environment is used: it would connect for us, to addresses that we never see.
"""

import math
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from types import SimpleNamespace

import aiohttp
import anyio
from aiohttp.abc import AbstractResolver

from daemons.ingester.web.addresses import Network
from daemons.ingester.web.connect import AddressRefused, open_connector
from daemons.ingester.web.errors import WebRefused, WebUnavailable
from daemons.ingester.web.headers import NO_VALIDATORS, Validators, retry_after_seconds
from shared.retry import RetryBudget, RetryPolicy, retrying

MEBIBYTE = 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_NOT_MODIFIED, _TIMED_OUT, _TOO_MANY, _SERVER_ERROR = 304, 408, 429, 500
_RETRIES = RetryPolicy(attempts=3, base_seconds=1.0)
_FEED_TYPES = "application/rss+xml, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.5"


def default_user_agent() -> str:
    """Return who we are to servers."""
    return f"browse-dot-show-ingest/{version('towpath')}"


@dataclass(frozen=True, slots=True)
class WebLimits:
    """What a request may cost."""

    user_agent: str
    allowed: tuple[Network, ...] = ()
    """Networks that may be reached although they are not public."""
    connect_seconds: float = 10.0
    """For a name to resolve, and again for the connection."""
    read_seconds: float = 60.0
    """Without a byte."""
    answer_seconds: float = 300.0
    """Until the answer's head is there, redirects included, waiting for a free place not."""
    redirects: int = 10
    per_host: int = 2
    """Connections to one host at a time."""
    feed_bytes: int = 64 * MEBIBYTE
    feed_seconds: float = 600.0
    """For the body of a feed."""
    audio_bytes: int = 4096 * MEBIBYTE
    slow_seconds: float = 600.0
    """Audio has no time limit, but in this time ..."""
    slow_bytes: int = MEBIBYTE
    """... so many bytes must come, or a trickle would hold a place for ever."""


@dataclass(frozen=True, slots=True)
class FetchedFeed:
    """A feed as it was sent."""

    body: bytes
    charset: str
    """Of the HTTP header, empty where it names none."""
    validators: Validators
    """For the next request, once this body is stored."""


@dataclass(frozen=True, slots=True)
class NotModified:
    """The feed is what it was when the validators were given out."""


class Web:
    """A session with limits; `open_web` makes one."""

    def __init__(
        self, session: aiohttp.ClientSession, limits: WebLimits, policy: RetryPolicy = _RETRIES
    ) -> None:
        self._session = session
        self.limits = limits
        self.policy = policy
        self.budget = RetryBudget()

    def apart(self) -> "Web":
        """Return the same web with retries of its own: one site's storm is no other's."""
        return Web(self._session, self.limits, self.policy)

    async def feed(
        self, url: str, validators: Validators = NO_VALIDATORS
    ) -> FetchedFeed | NotModified:
        """Fetch a feed, unless it has not changed.

        Pass validators only while the feed they belong to is still there.

        Raises:
            WebUnavailable, WebRefused: there is no feed now.
        """
        return await retrying(
            lambda _attempt: self._feed_once(url, validators),
            policy=self.policy,
            budget=self.budget,
        )

    @asynccontextmanager
    async def answer(
        self, url: str, headers: Mapping[str, str], *, unpack: bool
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask for a URL; what goes wrong while the answer is read is translated as well.

        Raises:
            WebUnavailable, WebRefused: see the table above; the status is the caller's to judge.
        """
        with _translated(url):
            async with await self._ask(url, headers, unpack=unpack) as answer:
                yield answer

    async def _ask(
        self, url: str, headers: Mapping[str, str], *, unpack: bool
    ) -> aiohttp.ClientResponse:
        with anyio.fail_after(self.limits.answer_seconds) as scope:
            try:
                return await self._session.get(
                    url.strip(),
                    headers=headers,
                    auto_decompress=unpack,
                    # aiohttp refuses the redirect that reaches the number; 0 would be no limit.
                    max_redirects=self.limits.redirects + 1,
                    trace_request_ctx=_Clock(scope, self.limits.answer_seconds),
                )
            except aiohttp.ClientError:
                raise
            except ValueError as error:
                # What a stranger's URL breaks on its way through other people's code. Around the
                # question alone: one that is raised while the answer is read is a mistake of ours.
                reason = f"is a URL that cannot be asked for ({type(error).__name__})"
                raise WebRefused(url, reason) from error

    async def _feed_once(self, url: str, validators: Validators) -> FetchedFeed | NotModified:
        asked = {"Accept": _FEED_TYPES, "Accept-Encoding": "gzip", **validators.headers()}
        async with self.answer(url, asked, unpack=True) as answer:
            if answer.status == _NOT_MODIFIED and validators.headers():
                return NotModified()
            check_status(url, answer)
            with anyio.fail_after(self.limits.feed_seconds):
                body = await self._read(url, answer)
        found = Validators(answer.headers.get("ETag", ""), answer.headers.get("Last-Modified", ""))
        return FetchedFeed(body, answer.charset or "", found)

    async def _read(self, url: str, answer: aiohttp.ClientResponse) -> bytes:
        most = self.limits.feed_bytes
        body = bytearray()
        if (answer.content_length or 0) <= most:
            async for piece in answer.content.iter_chunked(_CHUNK_BYTES):
                body += piece
                if len(body) > most:
                    break
            else:
                return bytes(body)
        raise WebRefused(url, f"is larger than {most} bytes; allow more if it is a feed")


@asynccontextmanager
async def open_web(
    limits: WebLimits,
    *,
    resolver: AbstractResolver | None = None,
    policy: RetryPolicy = _RETRIES,
) -> AsyncIterator[Web]:
    """Open a session that keeps to the limits; one serves all sites."""
    connector = open_connector(
        limits.allowed,
        per_host=limits.per_host,
        limit_seconds=limits.connect_seconds,
        resolver=resolver,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": limits.user_agent},
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=limits.connect_seconds, sock_read=limits.read_seconds
        ),
        trust_env=False,
        trace_configs=[_waiting_is_free()],
    ) as session:
        yield Web(session, limits, policy)


@dataclass(frozen=True, slots=True)
class _Clock:
    """The limit of one request's head, as the tracing of aiohttp reaches it."""

    scope: anyio.CancelScope
    seconds: float


def _waiting_is_free() -> aiohttp.TraceConfig:
    """Stop the clock while a request waits for its host's connections to become free.

    Those of others may be long downloads, which have limits of their own.
    """

    async def stop(
        _session: aiohttp.ClientSession, context: SimpleNamespace, _parameters: object
    ) -> None:
        context.trace_request_ctx.scope.deadline = math.inf

    async def start(
        _session: aiohttp.ClientSession, context: SimpleNamespace, _parameters: object
    ) -> None:
        clock = context.trace_request_ctx
        clock.scope.deadline = anyio.current_time() + clock.seconds

    trace = aiohttp.TraceConfig()
    trace.on_connection_queued_start.append(stop)
    trace.on_connection_queued_end.append(start)
    return trace


def check_status(url: str, answer: aiohttp.ClientResponse) -> None:
    """Let 200 pass.

    Raises:
        WebUnavailable: the server may answer better later.
        WebRefused: it will not.
    """
    status = answer.status
    if status == 200:  # noqa: PLR2004 - the one status that everybody knows
        return
    if status in (_TIMED_OUT, _TOO_MANY) or status >= _SERVER_ERROR:
        wait = retry_after_seconds(answer.headers.get("Retry-After", ""))
        raise WebUnavailable(url, f"answered {status}", status=status, retry_after=wait)
    raise WebRefused(url, f"answered {status}", status=status)


@contextmanager
def _translated(url: str) -> Iterator[None]:
    """Turn what aiohttp raises into the suite's words; what our own disk raises stays."""
    try:
        yield
    except (aiohttp.ClientError, TimeoutError) as error:
        if reason := _why_refused(error):
            raise WebRefused(url, reason) from error
        raise WebUnavailable(url, _why_unavailable(error)) from error


def _why_refused(error: Exception) -> str:
    """Say what would be no better the next time; empty for anything else."""
    if isinstance(error, aiohttp.TooManyRedirects):
        return "redirects too often"
    if isinstance(error, (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError)):
        return "leads to something that is no URL of the web"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"has a certificate that does not fit: {_line(str(error))}"
    if isinstance(error, aiohttp.ClientConnectorError):
        refused = isinstance(error.os_error, AddressRefused)
        return f"is not fetched: {error.os_error}" if refused else ""
    return ""


def _why_unavailable(error: Exception) -> str:
    """Say what happened, never in words that have a whole URL: its query may be a password."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot be reached: {_line(str(error.os_error))}"
    if isinstance(error, TimeoutError):
        return f"took too long ({type(error).__name__})"
    if isinstance(error, aiohttp.ClientResponseError):
        return f"answered with something that is no HTTP: {_line(error.message)}"
    return f"broke off: {_line(str(error)) or type(error).__name__}"


def _line(words: str) -> str:
    """Return an error's words as one line, a stranger's bytes among them made harmless."""
    return ascii(" ".join(words.split())[:200])[1:-1]
