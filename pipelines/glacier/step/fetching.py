"""Downloads of scenes: whole files that are rasters, or nothing under their name.

| the answer                                         | becomes                               |
|----------------------------------------------------|---------------------------------------|
| no connection, silence, cut off, 429, 5xx          | tried again, three times at most      |
| 200 and a TIFF that lacks some of its blocks       | the same                              |
| 200 and a whole TIFF                               | the file, durable, then its name      |
| 200 and anything else (a page of HTML, XML)        | StepFailed                            |
| 200 and a TIFF that says of itself what none has   | StepFailed                            |
| any other status, too many redirects, no such host | StepFailed                            |

What lies there already is left alone if it is a whole TIFF, and is fetched again if not.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import aiohttp
import anyio
from anyio.to_thread import run_sync

from pipelines.glacier.step.drafts import draft_of
from pipelines.glacier.step.errors import SourceUnavailable, StepFailed
from pipelines.glacier.step.rasters import MAGICS, is_received, is_whole
from shared.files import make_folders
from shared.retry import RetryBudget, RetryPolicy, retrying

AT_ONCE = 4
RETRIES = RetryPolicy(attempts=4, base_seconds=1.0, ceiling_seconds=60.0)
_CHUNK_BYTES = 1 << 20
_CONNECT_SECONDS, _SILENCE_SECONDS = 15.0, 60.0
_LEAST_RATE = 20_000.0
"""Bytes a second: what comes slower than that, over all, is given up."""
_SLACK_SECONDS = 120.0
_BYTES_MAX = 4 << 30
"""A tile of 10,980 by 10,980 pixels has 241 million bytes."""
_OK, _TOO_MANY, _SERVER_ERROR = 200, 429, 500


@dataclass(frozen=True, slots=True)
class Download:
    """One file to be had."""

    url: str
    target: Path


class Fetcher:
    """Fetches files, so many at a time; `open_fetcher` makes one."""

    def __init__(self, session: aiohttp.ClientSession, policy: RetryPolicy) -> None:
        self._session = session
        self._policy = policy
        self._budget = RetryBudget()
        self._slot = anyio.CapacityLimiter(AT_ONCE)

    async def fetch(self, download: Download) -> bool:
        """Have the file; tell whether it had to be fetched.

        Raises:
            StepFailed: there is no such raster, or it could not be had.
        """
        if await run_sync(is_whole, download.target):
            return False
        check_url(download.url)
        await run_sync(make_folders, download.target.parent)
        try:
            await retrying(
                lambda _attempt: self._fetch_once(download),
                policy=self._policy,
                budget=self._budget,
                slot=self._slot,
            )
        except SourceUnavailable as error:
            notes = "".join(f"; {note}" for note in getattr(error, "__notes__", ()))
            raise StepFailed(f"{error}{notes}") from error
        return True

    async def _fetch_once(self, download: Download) -> None:
        with _translated(download.url):
            async with self._session.get(download.url, max_redirects=5) as answer:
                _check_status(download.url, answer)
                with draft_of(download.target) as draft:
                    await _receive(download.url, answer, draft)


@asynccontextmanager
async def open_fetcher(policy: RetryPolicy = RETRIES) -> AsyncIterator[Fetcher]:
    """Open connections for the length of a block; proxies of the environment are used."""
    timeout = aiohttp.ClientTimeout(
        total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS
    )
    # Compressed on the way, a file would not be as long as the server says it is.
    headers = {"Accept-Encoding": "identity", "User-Agent": "towpath-glacier"}
    async with aiohttp.ClientSession(
        timeout=timeout, headers=headers, auto_decompress=False, trust_env=True
    ) as session:
        yield Fetcher(session, policy)


def check_url(url: str) -> None:
    """Refuse what does not lead to the web; StepFailed."""
    if not url.startswith(("http://", "https://")) or not url.isprintable() or " " in url:
        raise StepFailed(f"asset {url[:200]!r} is not fetched; only http:// and https:// are")


async def _receive(url: str, answer: aiohttp.ClientResponse, draft: Path) -> None:
    """Write the body; it must be a TIFF and as long as it was announced."""
    announced = answer.content_length
    if announced is not None and announced > _BYTES_MAX:
        raise StepFailed(f"{_bare(url)!r} has {announced} bytes, more than {_BYTES_MAX}")
    begun = anyio.current_time()
    received = 0
    async with await anyio.open_file(draft, "xb") as stream:
        async for piece in answer.content.iter_chunked(_CHUNK_BYTES):
            if not received and piece[:4] not in MAGICS:
                # All it may be is a short first piece; a page of text shows in its first letter.
                await _refuse_page(url, answer, piece)
            received += len(piece)
            _check_pace(url, received, anyio.current_time() - begun)
            await stream.write(piece)
    if announced is not None and received != announced:
        raise SourceUnavailable(f"{_bare(url)!r} ended after {received} of {announced} bytes")
    if not await run_sync(is_received, draft):
        raise SourceUnavailable(f"{_bare(url)!r} is no whole TIFF; it has {received} bytes")


async def _refuse_page(url: str, answer: aiohttp.ClientResponse, piece: bytes) -> None:
    if len(piece) >= len(MAGICS[0]) or answer.content.at_eof():
        kind = answer.headers.get("Content-Type", "")[:80]
        raise StepFailed(
            f"{_bare(url)!r} is no TIFF; it is {kind!r} and begins with {piece[:40]!r}"
        )


def _check_pace(url: str, received: int, seconds: float) -> None:
    if received > _BYTES_MAX:
        raise StepFailed(f"{_bare(url)!r} has more than {_BYTES_MAX} bytes")
    if seconds > _SLACK_SECONDS + received / _LEAST_RATE:
        raise SourceUnavailable(f"{_bare(url)!r} comes too slowly: {received} bytes so far")


def _check_status(url: str, answer: aiohttp.ClientResponse) -> None:
    if answer.status == _OK:
        return
    said = f"{_bare(url)!r} is answered with {answer.status} {answer.reason!r}"
    if answer.status == _TOO_MANY or answer.status >= _SERVER_ERROR:
        raise SourceUnavailable(said, retry_after=_retry_after(answer.headers.get("Retry-After")))
    raise StepFailed(said)


def _retry_after(text: str | None) -> float:
    """Return the seconds that a header asks for, written as a number or as a date."""
    if text is None:
        return 0.0
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return 0.0
    return max(0.0, (until - datetime.now(UTC)).total_seconds()) if until.tzinfo else 0.0


@contextmanager
def _translated(url: str) -> Iterator[None]:
    """Turn what aiohttp raises into the step's words; what our own disk raises stays."""
    try:
        yield
    except (aiohttp.InvalidURL, aiohttp.TooManyRedirects) as error:
        raise StepFailed(f"{_bare(url)!r} is not fetched: {type(error).__name__}") from error
    except (aiohttp.ClientError, TimeoutError) as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise SourceUnavailable(f"{_bare(url)!r} did not come: {said}") from error


def _bare(url: str) -> str:
    """Leave out the query: it may be a signature."""
    return url.partition("?")[0][:300]
