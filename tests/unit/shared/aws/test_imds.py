import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from structlog.testing import capture_logs

from shared.aws.imds import (
    Imds,
    MetadataUnavailable,
    SpotNotice,
    open_imds,
    parse_spot_notice,
    watch_spot_notice,
)

NOTICE = SpotNotice("terminate", datetime(2024, 11, 3, 10, 25, 30, tzinfo=UTC))
NOTICE_TEXT = json.dumps({"action": "terminate", "time": "2024-11-03T10:25:30Z"})


@dataclass
class Metadata:
    """A metadata service of a handful of paths that notes what it was asked."""

    pages: dict[str, str] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    seen: list[str] = field(default_factory=list)
    status: int = 0
    """Answer everything with this status, 0 to answer properly."""
    token_body: str = ""
    url: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        """Answer as version 2 does: nothing without a token."""
        path = request.path.removeprefix("/latest/")
        self.seen.append(f"{request.method} {path}")
        if self.status:
            return web.Response(status=self.status)
        if request.method == "PUT":
            assert request.headers["X-aws-ec2-metadata-token-ttl-seconds"] == "21600"
            self.tokens.append(f"token-{len(self.tokens) + 1}")
            return web.Response(text=self.token_body or self.tokens[-1])
        token = request.headers.get("X-aws-ec2-metadata-token", "")
        if token not in self.tokens or token in self.refused:
            return web.Response(status=401)
        if path not in self.pages:
            return web.Response(status=404)
        return web.Response(body=self.pages[path].encode(errors="surrogateescape"))


@dataclass
class Clock:
    """A clock that stands until it is moved."""

    now: float = 1000.0

    def read(self) -> float:
        """Say what time it is."""
        return self.now


@pytest_asyncio.fixture
async def metadata() -> AsyncIterator[Metadata]:
    """Serve an instance's metadata on loopback."""
    service = Metadata(
        {
            "meta-data/instance-id": "i-0123456789abcdef0",
            "meta-data/placement/region": "eu-west-1",
            "meta-data/iam/security-credentials/": "colony-role",
        }
    )
    app = web.Application()
    app.router.add_route("*", "/latest/{path:.*}", service.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    service.url = f"http://{host}:{port}"
    yield service
    await runner.cleanup()


@pytest_asyncio.fixture
async def imds(metadata: Metadata) -> AsyncIterator[Imds]:
    """Open a client as the environment would have it."""
    async with open_imds({"AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url + "/"}) as opened:
        assert opened is not None
        yield opened


@pytest.mark.asyncio
async def test_facts_are_read_with_one_token(imds: Imds, metadata: Metadata) -> None:
    """A token for each question would double the traffic of a watch that runs for months."""
    assert await imds.instance_id() == "i-0123456789abcdef0"
    assert await imds.aws_region() == "eu-west-1"
    assert await imds.role_name() == "colony-role"
    assert await imds.spot_notice() is None

    assert metadata.seen[0] == "PUT api/token"
    assert len(metadata.tokens) == 1


@pytest.mark.asyncio
async def test_absent_facts_are_empty(imds: Imds, metadata: Metadata) -> None:
    """An instance without a role answers 404."""
    metadata.pages.clear()

    assert await imds.role_name() == ""
    assert await imds.instance_id() == ""
    assert await imds.aws_region() == ""


@pytest.mark.asyncio
async def test_token_is_renewed_before_it_expires(metadata: Metadata) -> None:
    """A request with an expired token fails, at the worst when the spot notice is there."""
    clock = Clock()
    async with aiohttp.ClientSession() as session:
        imds = Imds(session, metadata.url, clock.read)
        await imds.instance_id()
        clock.now += 21_600 - 301
        await imds.instance_id()
        assert len(metadata.tokens) == 1

        clock.now += 2
        await imds.instance_id()

    assert len(metadata.tokens) == 2


@pytest.mark.asyncio
async def test_refused_token_is_replaced_once(imds: Imds, metadata: Metadata) -> None:
    """A hibernated instance wakes with a token that is no longer known."""
    await imds.instance_id()
    metadata.refused.add("token-1")

    assert await imds.instance_id() == "i-0123456789abcdef0"

    metadata.refused.add("token-2")
    metadata.refused.add("token-3")
    with pytest.raises(MetadataUnavailable, match="401"):
        await imds.instance_id()
    assert len(metadata.tokens) == 3


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [302, 400, 403, 500, 503])
async def test_odd_status_is_no_answer(imds: Imds, metadata: Metadata, status: int) -> None:
    """Whoever answers so is not the metadata service, or not well."""
    metadata.status = status

    with pytest.raises(MetadataUnavailable, match=str(status)):
        await imds.instance_id()


@pytest.mark.asyncio
@pytest.mark.parametrize("body", ["<html>log in</html>", "a b", "x" * 2000, "\N{FIRE}"])
async def test_what_is_no_token_is_no_answer(imds: Imds, metadata: Metadata, body: str) -> None:
    """A hotel's network answers 200 to everything; its page must not become a header."""
    metadata.token_body = body

    with pytest.raises(MetadataUnavailable, match="instead of a token"):
        await imds.instance_id()


@pytest.mark.asyncio
@pytest.mark.parametrize("body", ["x" * 70_000, "caf\udce9"])
async def test_monstrous_answer_is_no_answer(imds: Imds, metadata: Metadata, body: str) -> None:
    """Neither memory nor a decoder may suffer from whoever sits on that address."""
    metadata.pages["meta-data/instance-id"] = body

    with pytest.raises(MetadataUnavailable):
        await imds.instance_id()


@pytest.mark.asyncio
async def test_nobody_listening_is_no_answer(unused_tcp_port: int) -> None:
    """On a laptop the question must end at once."""
    endpoint = f"http://127.0.0.1:{unused_tcp_port}"
    async with open_imds({"AWS_EC2_METADATA_SERVICE_ENDPOINT": endpoint}) as imds:
        assert imds is not None
        with pytest.raises(MetadataUnavailable, match="no metadata service"):
            await imds.instance_id()


@pytest.mark.asyncio
@pytest.mark.parametrize("value", ["true", "TRUE", " True "])
async def test_switched_off_means_not_asked(value: str) -> None:
    """People switch it off where the link-local address hangs."""
    async with open_imds({"AWS_EC2_METADATA_DISABLED": value}) as imds:
        assert imds is None


@pytest.mark.asyncio
async def test_proxy_is_never_used(
    imds: Imds, metadata: Metadata, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    """A proxy would answer with its own machine's identity, or hang."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_tcp_port}")

    assert await imds.instance_id() == "i-0123456789abcdef0"


@pytest.mark.asyncio
async def test_spot_notice_is_read(imds: Imds, metadata: Metadata) -> None:
    """Two minutes are left: everything on disk must go now."""
    metadata.pages["meta-data/spot/instance-action"] = NOTICE_TEXT

    assert await imds.spot_notice() == NOTICE


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "7", '{"action": "stop", "time": "soon"}', '{"action": "stop"}', "[" * 9999],
)
def test_unreadable_notice_is_no_answer(text: str) -> None:
    """A garbled answer is asked for again, it must not end the watch."""
    with pytest.raises(MetadataUnavailable, match="spot notice"):
        parse_spot_notice(text)


def test_time_without_a_zone_is_utc() -> None:
    """EC2 speaks UTC; a naive time could not be compared with now."""
    assert parse_spot_notice('{"action": "stop", "time": "2024-11-03T10:25:30"}').at == NOTICE.at


@pytest.mark.asyncio
async def test_watch_returns_the_notice_when_it_comes(imds: Imds, metadata: Metadata) -> None:
    """The watch asks every five seconds, no sooner."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            metadata.pages["meta-data/spot/instance-action"] = NOTICE_TEXT

    assert await watch_spot_notice(imds, sleep=sleep) == NOTICE

    assert slept == [5.0, 5.0, 5.0]


@pytest.mark.asyncio
async def test_watch_survives_an_outage_and_says_so_once(imds: Imds, metadata: Metadata) -> None:
    """The metadata service may be away for hours; neither the watch nor the log may suffer."""
    slept: list[float] = []
    metadata.status = 503

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 20:
            metadata.status = 0
        if len(slept) == 21:
            metadata.pages["meta-data/spot/instance-action"] = NOTICE_TEXT

    with capture_logs() as logs:
        assert await watch_spot_notice(imds, sleep=sleep) == NOTICE

    assert slept == [10.0, 20.0, *[30.0] * 18, 5.0]
    assert [entry["event"] for entry in logs] == ["metadata_lost", "metadata_regained"]
    assert logs[1]["failures"] == 20
