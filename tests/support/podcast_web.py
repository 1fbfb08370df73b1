"""A web on loopback that publishes podcasts as the real one does: late, elsewhere, and broken."""

import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from socket import AF_INET, AddressFamily

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.web import BaseRequest, Response, StreamResponse

from daemons.ingester.web.addresses import parse_networks
from daemons.ingester.web.fetch import Web, WebLimits, open_web
from shared.retry import RetryPolicy
from tests.support.gate import Gate
from tests.support.serving import Served, ServerThread

Page = Callable[[BaseRequest], Awaitable[StreamResponse]]

LIMITS = WebLimits(user_agent="test/1", allowed=parse_networks(["127.0.0.0/8"]))
AT_ONCE = RetryPolicy(attempts=3, base_seconds=0.0)
"""As often as in production, without the waiting."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that came."""

    path: str
    headers: Mapping[str, str]


@dataclass(slots=True)
class PodcastWeb(Served):
    """A server of pages: `with PodcastWeb() as web: web.pages["/feed"] = [answer(...)]`.

    Of several pages under a path, each is served once and the last for ever.
    """

    pages: dict[str, list[Page]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    _thread: ServerThread = field(init=False)

    def __post_init__(self) -> None:
        """Have a thread to serve in."""
        self._thread = ServerThread(self._answer, name="podcast-web")

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._thread.port

    def url(self, path: str) -> str:
        """Return the URL of a page."""
        return self._thread.url + path

    def put(self, path: str, *pages: Page) -> str:
        """Publish pages under a path and return its URL."""
        self.pages[path] = list(pages)
        return self.url(path)

    def asked(self, path: str) -> list[Mapping[str, str]]:
        """Return the headers of every request for a path."""
        return [each.headers for each in self.seen if each.path == path]

    async def _answer(self, request: BaseRequest) -> StreamResponse:
        self.seen.append(Seen(request.path, dict(request.headers)))
        pages = self.pages.get(request.path)
        if not pages:
            return Response(status=404, text="no such page")
        page = pages.pop(0) if len(pages) > 1 else pages[0]
        return await page(request)


def answer(body: bytes = b"", status: int = 200, **headers: str) -> Page:
    """Answer with these bytes; `_` in the name of a header stands for `-`."""

    async def page(_request: BaseRequest) -> StreamResponse:
        return Response(body=body, status=status, headers=_named(headers))

    return page


def redirect(target: str, status: int = 302) -> Page:
    """Send the client elsewhere."""
    return answer(b"moved", status, Location=target)


def broken_off(body: bytes, promised: int, gate: Gate | None = None, **headers: str) -> Page:
    """Promise more bytes than are sent, and hang up once the gate is open."""

    async def page(request: BaseRequest) -> StreamResponse:
        response = StreamResponse(headers=_named(headers))
        response.content_length = promised
        await response.prepare(request)
        await response.write(body)
        if gate is not None:
            await gate.enter()
        assert request.transport is not None
        request.transport.close()
        return response

    return page


def endless(piece: bytes, gate: Gate | None = None, **headers: str) -> Page:
    """Send a piece again and again without a length; wait at the gate after each."""

    async def page(request: BaseRequest) -> StreamResponse:
        response = StreamResponse(headers=_named(headers))
        await response.prepare(request)
        while True:
            await response.write(piece)
            if gate is not None:
                await gate.enter()

    return _until_hung_up(page)


def held(body: bytes, gate: Gate) -> Page:
    """Send the head of the answer, and its bytes once the gate is open."""

    async def page(request: BaseRequest) -> StreamResponse:
        response = StreamResponse()
        response.content_length = len(body)
        await response.prepare(request)
        await response.write(body[:1])
        await gate.enter()
        await response.write(body[1:])
        return response

    return _until_hung_up(page)


def silent(gate: Gate) -> Page:
    """Answer nothing until the gate is opened."""

    async def page(_request: BaseRequest) -> StreamResponse:
        await gate.enter()
        return Response(body=b"late")

    return page


def ranged(body: bytes, etag: str) -> Page:
    """Serve a file as a good server does: whole, or the part that If-Range allows."""

    async def page(request: BaseRequest) -> StreamResponse:
        asked = request.headers.get("Range", "")
        if not asked or request.headers.get("If-Range") != etag:
            return Response(body=body, headers={"ETag": etag})
        first = int(asked.removeprefix("bytes=").removesuffix("-"))
        span = f"bytes {first}-{len(body) - 1}/{len(body)}"
        return Response(
            body=body[first:], status=206, headers={"ETag": etag, "Content-Range": span}
        )

    return page


def gzip_bomb(size: int) -> Page:
    """Send zeros, packed a thousandfold."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(1024 * 1024)
    body = b"".join(packer.compress(zeros) for _ in range(size // len(zeros))) + packer.flush()
    return answer(body, Content_Encoding="gzip")


class FixedResolver(AbstractResolver):
    """Resolves names to the addresses that the test gives them."""

    def __init__(self, **addresses: str) -> None:
        """Know `name="address"`; `_` in a name stands for a dot."""
        self.addresses = {name.replace("_", "."): value for name, value in addresses.items()}

    async def resolve(
        self, host: str, port: int = 0, family: AddressFamily = AF_INET
    ) -> list[ResolveResult]:
        """Return the one address of a name."""
        if host not in self.addresses:
            raise OSError(f"{host!r} is not known")
        found = ResolveResult(
            hostname=host,
            host=self.addresses[host],
            port=port,
            family=AF_INET,
            proto=0,
            flags=0,
        )
        return [found]

    async def close(self) -> None:
        """Nothing is open."""


@asynccontextmanager
async def opened(
    limits: WebLimits = LIMITS, *, resolver: AbstractResolver | None = None
) -> AsyncIterator[Web]:
    """Open the client, without waiting between attempts."""
    async with open_web(limits, resolver=resolver, policy=AT_ONCE) as web:
        yield web


def _until_hung_up(page: Page) -> Page:
    async def watched(request: BaseRequest) -> StreamResponse:
        try:
            return await page(request)
        except ConnectionError:
            return Response()

    return watched


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
