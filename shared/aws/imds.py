"""The instance metadata service of EC2, version 2 only: who this machine is, and when it must go.

Its one rule: an answer comes within two seconds or not at all, and never through a proxy. Off EC2
nobody listens on the link-local address, and a start must not hang on that.
"""

import json
import os
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import aiohttp
import anyio
import structlog
from structlog.typing import FilteringBoundLogger

from shared.errors import TransientError

log: FilteringBoundLogger = structlog.get_logger()

DEFAULT_ENDPOINT = "http://169.254.169.254"
"""The link-local address of the service (Amazon EC2 User Guide, "Access instance metadata")."""

_TIMEOUT = aiohttp.ClientTimeout(total=2.0, connect=1.0)
_TOKEN_SECONDS = 6 * 60 * 60
_TOKEN_MARGIN_SECONDS = 300.0
_LONGEST_ANSWER = 64 * 1024
_BACKOFF_CEILING_SECONDS = 30.0
_BACKOFF_DOUBLINGS = 8
_OK, _UNAUTHORIZED, _NOT_FOUND = 200, 401, 404
_TOKEN = re.compile(r"[!-~]{1,1024}")


class MetadataUnavailable(TransientError):
    """The metadata service gave no usable answer; off EC2 it never does."""


@dataclass(frozen=True, slots=True)
class SpotNotice:
    """EC2 is about to take the machine away."""

    action: str
    """`terminate`, `stop` or `hibernate`."""
    at: datetime


class Imds:
    """Asks the metadata service, with a token that is renewed before it expires."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        endpoint: str = DEFAULT_ENDPOINT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Use `session`, which stays its owner's to close; `clock` counts seconds."""
        self._session = session
        self._endpoint = endpoint.rstrip("/")
        self._clock = clock
        self._token = ""
        self._renew_at = 0.0

    async def instance_id(self) -> str:
        """Return the id of this instance, the empty string if it has none."""
        return await self._read("meta-data/instance-id") or ""

    async def aws_region(self) -> str:
        """Return the region this instance runs in."""
        return await self._read("meta-data/placement/region") or ""

    async def role_name(self) -> str:
        """Return the name of the instance's role, the empty string if it has none."""
        found = await self._read("meta-data/iam/security-credentials/") or ""
        return found.partition("\n")[0].strip()

    async def spot_notice(self) -> SpotNotice | None:
        """Return the notice that this spot instance is going to be interrupted, if there is one."""
        text = await self._read("meta-data/spot/instance-action")
        return None if text is None else parse_spot_notice(text)

    async def _read(self, path: str) -> str | None:
        """Return what stands under the path, None where nothing does.

        Raises:
            MetadataUnavailable: no answer, or none that makes sense.
        """
        status, text = await self._ask(path)
        if status == _UNAUTHORIZED:
            # The token is refused before its time: the instance was stopped, or moved.
            self._token = ""
            status, text = await self._ask(path)
        if status == _NOT_FOUND:
            return None
        if status != _OK:
            raise MetadataUnavailable(f"the metadata service answered {status} to {path!r}")
        return text

    async def _ask(self, path: str) -> tuple[int, str]:
        headers = {"X-aws-ec2-metadata-token": await self._fresh_token()}
        return await self._request("GET", path, headers)

    async def _fresh_token(self) -> str:
        if self._token and self._clock() < self._renew_at:
            return self._token
        asked_at = self._clock()
        headers = {"X-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_SECONDS)}
        status, text = await self._request("PUT", "api/token", headers)
        if status != _OK or not _TOKEN.fullmatch(text):
            raise MetadataUnavailable(f"the metadata service answered {status} instead of a token")
        self._token = text
        self._renew_at = asked_at + _TOKEN_SECONDS - _TOKEN_MARGIN_SECONDS
        return text

    async def _request(self, method: str, path: str, headers: Mapping[str, str]) -> tuple[int, str]:
        url = f"{self._endpoint}/latest/{path}"
        try:
            async with self._session.request(
                method, url, headers=headers, allow_redirects=False
            ) as answer:
                body = bytearray()
                async for piece in answer.content.iter_chunked(_LONGEST_ANSWER):
                    body += piece
                    if len(body) > _LONGEST_ANSWER:
                        raise MetadataUnavailable(f"{url!r} answers without end")
                return answer.status, body.decode()
        except (aiohttp.ClientError, OSError, ValueError) as error:
            shown = str(error) or type(error).__name__
            raise MetadataUnavailable(f"no metadata service at {url!r}: {shown}") from error


@asynccontextmanager
async def open_imds(environ: Mapping[str, str] = os.environ) -> AsyncIterator[Imds | None]:
    """Open the metadata service that the environment names; None where it is switched off.

    The variables are those of the AWS SDKs: AWS_EC2_METADATA_DISABLED and
    AWS_EC2_METADATA_SERVICE_ENDPOINT.
    """
    if environ.get("AWS_EC2_METADATA_DISABLED", "").strip().lower() == "true":
        yield None
        return
    endpoint = environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "").strip() or DEFAULT_ENDPOINT
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=2, force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=_TIMEOUT,
        trust_env=False,
    ) as session:
        yield Imds(session, endpoint)


async def watch_spot_notice(
    imds: Imds,
    *,
    every_seconds: float = 5.0,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
) -> SpotNotice:
    """Wait for the notice of an interruption and return it; EC2 gives it two minutes ahead.

    An outage of the metadata service slows the asking down and is logged once; it never ends it.
    """
    failures = 0
    while True:
        try:
            notice = await imds.spot_notice()
        except MetadataUnavailable as error:
            failures += 1
            if failures == 1:
                log.warning("metadata_lost", error=str(error))
        else:
            if notice is not None:
                return notice
            if failures:
                log.info("metadata_regained", failures=failures)
            failures = 0
        longest = max(every_seconds, _BACKOFF_CEILING_SECONDS)
        await sleep(min(longest, every_seconds * 2.0 ** min(failures, _BACKOFF_DOUBLINGS)))


def parse_spot_notice(text: str) -> SpotNotice:
    """Read the JSON of `spot/instance-action`.

    Raises:
        MetadataUnavailable: it is not what the Amazon EC2 User Guide describes.
    """
    try:
        said = json.loads(text)
        at = datetime.fromisoformat(said["time"])
        action = str(said["action"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise MetadataUnavailable(f"spot notice {text[:200]!r} cannot be read") from error
    return SpotNotice(action, at if at.tzinfo else at.replace(tzinfo=UTC))
