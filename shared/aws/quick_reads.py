"""Small reads of many objects without the SDK, which costs nine times their processor time.

Rule: this answers in the usual case alone, and knows nothing of any other. Whatever is not exactly
the range that was asked for, a refusal, a redirect, a broken connection, is None; whoever asked
then asks the engine, which tries again, finds the region, and has a name for what is wrong.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from urllib.parse import urlsplit
from urllib.request import getproxies

import aiohttp
from yarl import URL

from shared.aws.clients import Access, ClientPool
from shared.aws.errors import SDK_ERRORS
from shared.aws.signature import encode_path, sign_get
from shared.s3.uri import S3Uri, key_fault

_TOTAL_SECONDS, _CONNECT_SECONDS = 30.0, 10.0
_FAILURES_MAX = 5
"""So many in a row, and the engine is asked at once from then on."""
_NOT_THERE = frozenset({404, 416})
_OK, _PARTIAL = 200, 206
_AMAZON = (".amazonaws.com", ".amazonaws.com.cn")
_PROXIES = frozenset({"http", "https", "all"})
_UNWANTED = ("Accept", "Accept-Encoding")
_HEADERS = {"User-Agent": "towpath"}


class QuickReads:
    """Reads of ranges. Made by `open_quick_reads`."""

    def __init__(self, clients: ClientPool, session: aiohttp.ClientSession) -> None:
        self._clients = clients
        self._session = session
        self._failures = 0

    def give_up(self) -> None:
        """Leave everything to the engine."""
        self._failures = _FAILURES_MAX

    async def read(self, uri: S3Uri, aws_region: str, *, start: int, length: int) -> bytes | None:
        """Return a range, less where the object ends before; None: ask the engine."""
        if self._failures >= _FAILURES_MAX or key_fault(uri.key) or _has_dots(uri.key):
            return None
        try:
            access = await self._clients.access("s3", aws_region)
            body = None if access is None else await self._get(access, uri, start, length)
        except (aiohttp.ClientError, TimeoutError, OSError, *SDK_ERRORS):
            body = None
        if body is None:
            self._failures += 1
            return None
        self._failures = 0
        return body or None

    async def _get(self, access: Access, uri: S3Uri, start: int, length: int) -> bytes | None:
        """Send one request; an empty answer stands for an object or a range that is not there."""
        base, host, path = _address(access.endpoint_url, uri)
        headers = sign_get(
            host,
            path,
            f"bytes={start}-{start + length - 1}",
            keys=access.keys,
            aws_region=access.aws_region,
            now=datetime.now(UTC),
        )
        url = URL(f"{base}{path}", encoded=True)
        async with self._session.get(url, headers=headers, allow_redirects=False) as answer:
            if answer.status in _NOT_THERE:
                return b""
            if not _is_range(answer, start, length):
                return None
            return await answer.read()


@asynccontextmanager
async def open_quick_reads(clients: ClientPool, connections: int) -> AsyncIterator[QuickReads]:
    """Open connections for quick reads; behind a proxy there are none, as the SDK knows its way."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections),
        timeout=aiohttp.ClientTimeout(total=_TOTAL_SECONDS, connect=_CONNECT_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=_HEADERS,
        auto_decompress=False,
        skip_auto_headers=_UNWANTED,
    ) as session:
        reads = QuickReads(clients, session)
        if _PROXIES & getproxies().keys():
            reads.give_up()
        yield reads


def _address(endpoint_url: str, uri: S3Uri) -> tuple[str, str, str]:
    """Return the origin, the host and the path of an object, as the SDK addresses it."""
    parts = urlsplit(endpoint_url)
    host, key = parts.netloc, encode_path(f"/{uri.key}")
    # A bucket with dots would not match the certificate.
    if (parts.hostname or "").endswith(_AMAZON) and "." not in uri.bucket:
        host = f"{uri.bucket}.{host}"
        return f"{parts.scheme}://{host}", host, key
    path = f"{parts.path.rstrip('/')}/{uri.bucket}{key}"
    return f"{parts.scheme}://{host}", host, path


def _has_dots(key: str) -> bool:
    """Tell whether something on the way may take parts of a key for folders."""
    return any(part in {".", ".."} for part in key.split("/"))


def _is_range(answer: aiohttp.ClientResponse, start: int, length: int) -> bool:
    """Tell whether an answer is the range, its length said before and no more than was asked."""
    size = answer.content_length
    if size is None or not 0 < size <= length or "Content-Encoding" in answer.headers:
        return False
    if answer.status == _PARTIAL:
        return answer.headers.get("Content-Range", "").startswith(f"bytes {start}-")
    # Some stores answer with the whole where the range is the whole.
    return answer.status == _OK and start == 0
