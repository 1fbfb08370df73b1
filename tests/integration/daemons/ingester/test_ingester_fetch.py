import math
from dataclasses import replace
from socket import AF_INET, AddressFamily
from types import SimpleNamespace

import aiohttp
import anyio
import pytest
from aiohttp.abc import ResolveResult

from daemons.ingester.web import fetch
from daemons.ingester.web.errors import WebError, WebRefused, WebUnavailable
from daemons.ingester.web.fetch import FetchedFeed, NotModified, WebLimits, default_user_agent
from daemons.ingester.web.headers import Validators
from tests.support.gate import Gate
from tests.support.podcast_web import (
    LIMITS,
    FixedResolver,
    Page,
    PodcastWeb,
    answer,
    broken_off,
    endless,
    gzip_bomb,
    opened,
    redirect,
    silent,
)

METADATA = "http://169.254.169.254/latest/meta-data/"
FEED = b"<rss><channel/></rss>"


async def refused(url: str, limits: WebLimits = LIMITS) -> WebError:
    """Fetch a feed that cannot be fetched and return why."""
    async with opened(limits) as web:
        with pytest.raises(WebError) as caught:
            await web.feed(url)
    return caught.value


@pytest.mark.asyncio
async def test_feed_comes_exactly_as_it_was_sent(site: PodcastWeb) -> None:
    """The archive holds the bytes; charset and validators are beside them."""
    body = FEED + "ä".encode("latin-1")
    url = site.put(
        "/feed",
        answer(body, Content_Type="text/xml; charset=ISO-8859-1", ETag='"1"', Last_Modified="now"),
    )

    async with opened() as web:
        found = await web.feed(url)

    assert found == FetchedFeed(body, "ISO-8859-1", Validators('"1"', "now"))
    (asked,) = site.asked("/feed")
    assert asked["User-Agent"] == "test/1"
    assert "If-None-Match" not in asked
    assert default_user_agent().startswith("browse-dot-show-ingest/")


@pytest.mark.asyncio
async def test_unchanged_feed_is_not_sent_again(site: PodcastWeb) -> None:
    """Twenty sites a day, each feed some megabytes: both sides are glad."""
    url = site.put("/feed", answer(b"", 304))

    async with opened() as web:
        assert await web.feed(url, Validators('"1"')) == NotModified()
        with pytest.raises(WebRefused, match="answered 304"):
            await web.feed(url)

    assert site.asked("/feed")[0]["If-None-Match"] == '"1"'


@pytest.mark.asyncio
async def test_packed_feed_is_unpacked(site: PodcastWeb) -> None:
    """A feed packs to a tenth."""
    url = site.put("/feed", gzip_bomb(1024 * 1024))

    async with opened() as web:
        found = await web.feed(url)

    assert isinstance(found, FetchedFeed)
    assert found.body == bytes(1024 * 1024)


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_ten_redirects_are_followed_and_no_more(site: PodcastWeb, status: int) -> None:
    """Counting services stand in a row before the file; a circle has no end."""
    for number in range(11):
        site.put(f"/{number}", redirect(f"/{number + 1}", status))
    site.put("/11", answer(FEED))

    async with opened() as web:
        found = await web.feed(site.url("/1"))
        with pytest.raises(WebRefused, match="redirects too often"):
            await web.feed(site.url("/0"))

    assert isinstance(found, FetchedFeed)
    assert len(site.asked("/0")) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("hops", [0, 1, 3])
async def test_metadata_address_is_never_asked(site: PodcastWeb, hops: int) -> None:
    """A redirect, at any hop, must not read this machine's credentials; the guard of the tests
    would note the attempt.
    """
    urls = [site.url(f"/{number}") for number in range(hops)] + [METADATA]
    for number in range(hops):
        site.put(f"/{number}", redirect(urls[number + 1]))

    error = await refused(urls[0])

    assert isinstance(error, WebRefused)
    assert "it is a link-local address" in str(error)
    assert error.attempts == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "target",
    [
        "http://[fd00:ec2::254]/",
        "http://[::ffff:169.254.169.254]/",
        "http://10.0.0.1/",
        "http://192.168.1.1:8080/",
        "http://0.0.0.0/",
        "http://[::1]/",
        "http://2852039166/",
        "http://0251.0376.0251.0376/",
        "http://169.254.43518/",
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "http://",
        "gopher:x",
    ],
)
async def test_redirects_to_other_places_are_refused(site: PodcastWeb, target: str) -> None:
    """Odd notations of an address, and things that are not HTTP, lead nowhere."""
    url = site.put("/feed", redirect(target))

    error = await refused(url)

    assert isinstance(error, WebRefused)
    assert len(site.asked("/feed")) == 1


@pytest.mark.asyncio
async def test_a_name_is_judged_by_its_address(site: PodcastWeb) -> None:
    """A stranger's name may stand for any address, today for this one and tomorrow for that."""
    site.put("/feed", answer(FEED))
    site.put("/away", redirect(f"http://evil.example:{site.port}/feed"))
    resolver = FixedResolver(good_example="127.0.0.1", evil_example="169.254.169.254")

    async with opened(resolver=resolver) as web:
        good = await web.feed(f"http://good.example:{site.port}/feed")
        with pytest.raises(WebRefused, match=r"'evil\.example' is at 169\.254\.169\.254"):
            await web.feed(f"http://good.example:{site.port}/away")
        resolver.addresses["fickle.example"] = "10.0.0.1"
        with pytest.raises(WebRefused, match="private"):
            await web.feed(f"http://fickle.example:{site.port}/feed")

    assert isinstance(good, FetchedFeed)


@pytest.mark.asyncio
async def test_loopback_is_refused_unless_configured(site: PodcastWeb) -> None:
    """Whoever listens on this machine trusts those who are on it."""
    url = site.put("/feed", answer(FEED))

    error = await refused(url, replace(LIMITS, allowed=()))

    assert "loopback" in str(error)
    assert site.seen == []


@pytest.mark.asyncio
@pytest.mark.parametrize(("status", "attempts"), [(404, 1), (403, 1), (410, 1), (429, 3), (503, 3)])
async def test_statuses_decide_about_another_try(
    site: PodcastWeb, status: int, attempts: int
) -> None:
    """What is gone stays gone; what is overloaded is asked three times in all."""
    url = site.put("/feed", answer(b"no", status))

    error = await refused(url)

    assert (error.http_status, error.attempts) == (status, attempts)
    assert len(site.asked("/feed")) == attempts
    assert isinstance(error, WebUnavailable) == (attempts > 1)


@pytest.mark.asyncio
async def test_a_server_that_recovers_is_served(site: PodcastWeb) -> None:
    """A restart behind a load balancer takes a second."""
    url = site.put("/feed", answer(b"", 503), broken_off(FEED[:5], 100), answer(FEED))

    async with opened() as web:
        found = await web.feed(url)

    assert isinstance(found, FetchedFeed)
    assert found.body == FEED


@pytest.mark.asyncio
async def test_a_long_pause_that_is_asked_for_ends_the_attempts(site: PodcastWeb) -> None:
    """Coming back sooner would be impolite, waiting an hour would hold up the site."""
    url = site.put("/feed", answer(b"", 429, Retry_After="3600"))

    error = await refused(url)

    assert error.attempts == 1
    assert error.retry_after == 3600


@pytest.mark.asyncio
async def test_feed_of_the_wrong_length_is_not_taken(site: PodcastWeb) -> None:
    """Half a feed looks like a feed whose old episodes are gone."""
    url = site.put("/feed", broken_off(FEED, 2 * len(FEED)))

    error = await refused(url)

    assert isinstance(error, WebUnavailable)
    assert "broke off" in str(error)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "page",
    [
        answer(bytes(70_000)),
        endless(bytes(4096)),
        gzip_bomb(64 * 1024 * 1024),
        broken_off(b"x", 2 * 1024**3),
    ],
    ids=["length", "endless", "bomb", "two gigabytes"],
)
async def test_feed_that_is_too_large_is_left(site: PodcastWeb, page: Page) -> None:
    """Memory is bounded by our number, whatever a stranger sends or promises."""
    url = site.put("/feed", page)

    error = await refused(url, replace(LIMITS, feed_bytes=65_536))

    assert isinstance(error, WebRefused)
    assert "larger than 65536 bytes" in str(error)
    assert len(site.asked("/feed")) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "limits",
    [replace(LIMITS, read_seconds=0.1), replace(LIMITS, answer_seconds=0.1)],
    ids=["silence", "no answer"],
)
async def test_silence_has_an_end(site: PodcastWeb, limits: WebLimits) -> None:
    """A server that takes the request and says nothing holds up its own feed alone."""
    gate = Gate()
    url = site.put("/feed", silent(gate))

    error = await refused(url, limits)
    gate.open()

    assert isinstance(error, WebUnavailable)
    assert "took too long" in str(error)
    assert error.attempts == 3


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "page",
    [
        silent(Gate()),
        answer(b"", 404),
        broken_off(b"", 5),
        redirect("file:///x?token=hunter2"),
        redirect("http://10.0.0.1/?token=hunter2"),
        answer(b"", X="a" * 10_000),
    ],
    ids=["silence", "missing", "broken", "no http", "private", "headers"],
)
async def test_no_message_has_the_token_of_a_private_feed(site: PodcastWeb, page: Page) -> None:
    """Summaries are mailed and logs are kept; the query is the listener's password."""
    url = site.put("/feed", page) + "?token=hunter2"

    error = await refused(url, replace(LIMITS, read_seconds=0.1))

    assert "hunter2" not in str(error)
    assert "/feed?..." in str(error)


@pytest.mark.asyncio
async def test_a_trickle_has_an_end(site: PodcastWeb) -> None:
    """A byte now and then keeps every other limit quiet."""
    gate = Gate()
    url = site.put("/feed", endless(b" ", gate))

    error = await refused(url, replace(LIMITS, feed_seconds=0.1))
    gate.open()

    assert isinstance(error, WebUnavailable)


@pytest.mark.asyncio
async def test_nobody_listening_is_tried_again() -> None:
    """A refused connection may be a restart."""
    with PodcastWeb() as gone:
        url = gone.url("/feed")

    error = await refused(url)

    assert isinstance(error, WebUnavailable)
    assert error.attempts == 3


@pytest.mark.asyncio
async def test_a_name_that_does_not_exist_is_an_error_of_its_feed() -> None:
    """A show that ended takes its domain along."""
    async with opened(resolver=FixedResolver()) as web:
        with pytest.raises(WebUnavailable, match="cannot be reached"):
            await web.feed("http://gone.example/feed")


@pytest.mark.asyncio
async def test_waiting_for_a_place_is_not_the_servers_silence() -> None:
    """Others may be long downloads; the limit counts from when there is a place."""
    trace = fetch._waiting_is_free()
    begins, ends = (
        aiohttp.TraceConnectionQueuedStartParams(),
        aiohttp.TraceConnectionQueuedEndParams(),
    )

    async with aiohttp.ClientSession() as session:
        with anyio.fail_after(5.0) as scope:
            context = SimpleNamespace(trace_request_ctx=fetch._Clock(scope, 5.0))
            await trace.on_connection_queued_start[0](session, context, begins)
            while_waiting = scope.deadline
            await trace.on_connection_queued_end[0](session, context, ends)

        assert while_waiting == math.inf
        assert scope.deadline <= anyio.current_time() + 5.0


class NoAddresses(FixedResolver):
    """Knows every name and no address of it."""

    async def resolve(
        self, host: str, port: int = 0, family: AddressFamily = AF_INET
    ) -> list[ResolveResult]:
        """Return nothing, as a resolver may for a name with records of another kind."""
        del host, port, family
        return []


@pytest.mark.asyncio
async def test_a_name_without_an_address_is_an_error_of_its_feed() -> None:
    """It must not become an assertion somewhere in a library."""
    async with opened(resolver=NoAddresses()) as web:
        with pytest.raises(WebUnavailable, match="has no address"):
            await web.feed("http://gone.example/feed")


@pytest.mark.asyncio
@pytest.mark.parametrize("url", ["", "no url", "http://", "ftp://a.example/x", "http://[/x"])
async def test_what_is_no_url_is_refused(url: str) -> None:
    """Configuration and manifests hold such; nothing is asked."""
    assert isinstance(await refused(url), WebRefused)
