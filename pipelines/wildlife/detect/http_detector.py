"""The detector `http`: a service that is sent each picture and answers with detections.

| the service                                | what follows                                        |
|--------------------------------------------|-----------------------------------------------------|
| answers 200 with detections                | they are judged                                     |
| answers 200 with anything else             | this picture fails                                  |
| refuses the picture: 400, 413, 415, 422    | this picture fails                                  |
| is busy or ill: 408, 429, 5xx, no answer   | three attempts, then the job fails and is repeated  |
| anything else: 401, 403, 404, a redirect   | a mistake of the configuration                      |
"""

import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

import aiohttp
import anyio

from pipelines.wildlife.detect.answers import ANSWER_BYTES_MAX, BadAnswer, parse_answer
from pipelines.wildlife.detect.detector import Detector, Picture, PictureFailed
from pipelines.wildlife.detect.judging import RawDetection
from pipelines.wildlife.models.pictures import PictureLine
from shared.errors import TransientError, UsageError
from shared.retry import RetryBudget, RetryPolicy, retrying

_OK, _SERVER_ERROR = 200, 500
_REFUSED_PICTURE = frozenset({400, 413, 415, 422})
_AGAIN = frozenset({408, 429})
_CONNECT_SECONDS, _ANSWER_SECONDS = 10.0, 120.0
_PIECE_BYTES = 64 * 1024
_SECONDS = re.compile(r"[0-9]{1,6}")
_TYPES: Mapping[str, str] = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "TIFF": "image/tiff",
    "BMP": "image/bmp",
    "WEBP": "image/webp",
}


class DetectorUnavailable(TransientError):
    """The service has no answer now."""

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self._retry_after = retry_after

    @property
    def retry_after(self) -> float:
        """Seconds that the service asked us to wait."""
        return self._retry_after


@dataclass(frozen=True, slots=True)
class HttpDetector(Detector):
    """An address, and a session that carries the key."""

    url: str
    session: aiohttp.ClientSession = field(repr=False)
    policy: RetryPolicy
    budget: RetryBudget = field(default_factory=RetryBudget)

    @property
    def _shown(self) -> str:
        """The address without its query, which may hold a key."""
        return repr(self.url.partition("?")[0])

    async def revision(self, line: PictureLine) -> str:
        """Depend on nothing that could be asked for."""
        del line
        return ""

    async def detect(self, image: Picture) -> Sequence[RawDetection]:
        """Send a picture and read the answer."""
        picture = await image.read()
        body = await retrying(
            lambda _attempt: self._ask(picture, _TYPES[image.line.image_format]),
            policy=self.policy,
            budget=self.budget,
        )
        try:
            return parse_answer(body, (image.line.image_width, image.line.image_height))
        except BadAnswer as error:
            raise PictureFailed("bad_answer", str(error)) from error

    async def _ask(self, picture: bytes, content_type: str) -> bytes:
        with self._translated(), anyio.fail_after(_ANSWER_SECONDS):
            async with self.session.post(
                self.url,
                data=picture,
                headers={"Content-Type": content_type, "Accept": "application/json"},
                allow_redirects=False,
            ) as answer:
                self._check(answer)
                return await _read(answer)

    def _check(self, answer: aiohttp.ClientResponse) -> None:
        status = answer.status
        if status == _OK:
            return
        if status in _REFUSED_PICTURE:
            raise PictureFailed("refused", f"the detector answered {status}")
        if status in _AGAIN or status >= _SERVER_ERROR:
            asked = answer.headers.get("Retry-After", "").strip()
            seconds = float(asked) if _SECONDS.fullmatch(asked) else 0.0
            raise DetectorUnavailable(f"detector {self._shown} answered {status}", seconds)
        raise UsageError(f"detector {self._shown} answered {status}; mend model_uri or the key")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise DetectorUnavailable(
                f"detector {self._shown} took more than {_ANSWER_SECONDS:g} s"
            ) from error
        except aiohttp.ClientError as error:
            raise DetectorUnavailable(
                f"detector {self._shown} cannot be reached: {type(error).__name__}"
            ) from error


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in answer.content.iter_chunked(_PIECE_BYTES):
        body += piece
        if len(body) > ANSWER_BYTES_MAX:
            raise PictureFailed("bad_answer", f"it has more than {ANSWER_BYTES_MAX} bytes")
    return bytes(body)


@asynccontextmanager
async def open_http(
    url: str, key: str, *, connections: int, policy: RetryPolicy | None = None
) -> AsyncIterator[HttpDetector]:
    """Open a session with the service; UsageError for an address that would give the key away."""
    check_address(url, with_key=bool(key))
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Authorization": f"Bearer {key}"} if key else None,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
        trust_env=False,
    ) as session:
        yield HttpDetector(url, session, policy or RetryPolicy(attempts=3, base_seconds=1.0))


def check_address(url: str, *, with_key: bool) -> None:
    """UsageError unless this is an address; one that a key is sent to is encrypted, or here."""
    shown = url.partition("?")[0][:200]
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise UsageError(f"model_uri is {shown!r}: {error}; give https://host/path") from error
    if parts.scheme not in {"http", "https"} or not host or port == 0 or "@" in parts.netloc:
        raise UsageError(f"model_uri is {shown!r}; the detector http wants https://host/path")
    if with_key and parts.scheme == "http" and not _is_here(host):
        raise UsageError(f"model_uri is {shown!r}; a key is sent over https:// only")


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
