"""A provider over HTTP that is slow, wrong, angry, or no weather service at all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
from aiohttp.web import BaseRequest, Response, StreamResponse
from pydantic import TypeAdapter
from structlog.testing import capture_logs

from pipelines.wildlife.weather.bodies import Whole
from pipelines.wildlife.weather.client import (
    Counter,
    Fetched,
    Manner,
    ProviderClient,
    open_session,
)
from pipelines.wildlife.weather.errors import (
    WeatherError,
    WeatherNonsense,
    WeatherRefused,
    WeatherUnavailable,
)
from pipelines.wildlife.weather.pace import Pace
from tests.support.gate import Gate
from tests.support.podcast_web import (
    Page,
    PodcastWeb,
    answer,
    broken_off,
    endless,
    gzip_bomb,
    redirect,
    silent,
)
from tests.support.wildlife_weather import AT_ONCE, CONTACT

MEBIBYTE = 1024 * 1024
_ANYTHING: TypeAdapter[object] = TypeAdapter(object)
GOOD = answer(b'{"fine": 1}')


@dataclass(slots=True)
class _Asker:
    client: ProviderClient
    counter: Counter

    async def ask(self, url: str, **headers: str) -> Fetched[object] | None:
        return await self.client.fetch(
            url,
            lambda: Whole(_ANYTHING.validate_json, most=MEBIBYTE),
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )


@asynccontextmanager
async def _opened(manner: Manner = AT_ONCE) -> AsyncIterator[_Asker]:
    counter = Counter()
    async with open_session(CONTACT, manner) as session:
        client = ProviderClient("frost", session, counter, manner, no_such=(404, 412))
        yield _Asker(client, counter)


@pytest.mark.asyncio
async def test_every_question_says_who_asks() -> None:
    """Providers block who does not; packed answers save them traffic."""
    with PodcastWeb() as web:
        url = web.put("/x", GOOD)
        async with _opened() as asker:
            found = await asker.ask(f"{url}?a=b%20c%2Fd")

    (headers,) = web.asked("/x")
    assert found is not None
    assert found.body == {"fine": 1}
    assert headers["User-Agent"].startswith("towpath-wildlife/")
    assert headers["User-Agent"].endswith(f" {CONTACT}")
    assert headers["Accept-Encoding"] == "gzip"
    assert asker.counter.calls == 1


@pytest.mark.parametrize("fault", [answer(status=500), answer(status=503), answer(status=408)])
@pytest.mark.asyncio
async def test_a_failing_server_is_asked_three_times(fault: Page) -> None:
    """Once more may help; every request counts, answered or not."""
    with PodcastWeb() as web:
        healed, ill = web.put("/healed", fault, fault, GOOD), web.put("/ill", fault)
        async with _opened() as asker:
            assert await asker.ask(healed) is not None
            assert asker.counter.calls == 3
            with pytest.raises(WeatherUnavailable):
                await asker.ask(ill)

    assert asker.counter.calls == 6


@pytest.mark.asyncio
async def test_a_body_that_breaks_off_is_asked_for_again() -> None:
    """Half an answer is none."""
    with PodcastWeb() as web:
        url = web.put("/x", broken_off(b'{"fi', 100), GOOD)
        async with _opened() as asker:
            found = await asker.ask(url)

    assert found is not None
    assert asker.counter.calls == 2


@pytest.mark.asyncio
async def test_nobody_waits_for_a_silent_server_for_ever() -> None:
    """Each answer has a limit, which covers its body as well."""
    gate = Gate()
    manner = replace(AT_ONCE, answer_seconds=0.05)
    with PodcastWeb() as web:
        url, trickle = web.put("/x", silent(gate)), web.put("/t", endless(b" ", gate))
        async with _opened(manner) as asker:
            for each in (url, trickle):
                with pytest.raises(WeatherUnavailable, match="did not answer to the end"):
                    await asker.ask(each)
        gate.open()


@pytest.mark.asyncio
async def test_nobody_at_home_is_unavailable() -> None:
    """A network that is down is no reason to fail a run."""
    async with _opened() as asker:
        with pytest.raises(WeatherUnavailable, match="cannot be reached"):
            await asker.ask("http://127.0.0.1:9/x")
        with pytest.raises(WeatherNonsense):
            await asker.ask("http://")


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.asyncio
async def test_who_refuses_us_is_not_asked_again(status: int) -> None:
    """To go on would be the way to get blocked."""
    with PodcastWeb() as web:
        url = web.put("/x", answer(status=status))
        async with _opened() as asker:
            for _ in range(3):
                with pytest.raises(WeatherRefused):
                    await asker.ask(url)

    assert asker.counter.calls == 1


@pytest.mark.parametrize("status", [404, 412])
@pytest.mark.asyncio
async def test_no_such_data_is_an_answer(status: int) -> None:
    """Nothing is wrong with a provider that has nothing."""
    with PodcastWeb() as web:
        url = web.put("/x", answer(b"<html>", status=status))
        async with _opened() as asker:
            assert [await asker.ask(url) for _ in range(5)] == [None] * 5

    assert asker.counter.calls == 5


@pytest.mark.asyncio
async def test_too_many_requests_are_spaced_as_asked() -> None:
    """A wait that is bearable is waited; one that is not ends the questions to this provider."""
    with PodcastWeb() as web:
        soon = web.put("/soon", answer(status=429, Retry_After="0"), GOOD)
        late = web.put("/late", answer(status=429, Retry_After="3600"), GOOD)
        async with _opened() as asker:
            assert await asker.ask(soon) is not None
            assert asker.counter.calls == 2
            with pytest.raises(WeatherUnavailable, match="too many requests"):
                await asker.ask(late)
            with pytest.raises(WeatherNonsense, match="is left alone"):
                await asker.ask(soon)

    assert asker.counter.calls == 3


@pytest.mark.asyncio
async def test_too_many_requests_of_one_hold_back_all() -> None:
    """Others who ask the same provider would only make it worse."""
    held: list[float] = []

    class Held(Pace):
        def hold(self, seconds: float) -> None:
            held.append(seconds)

    with PodcastWeb() as web:
        url = web.put("/x", answer(status=429, Retry_After="7"))
        async with _opened(replace(AT_ONCE, pace=Held)) as asker:
            with pytest.raises(WeatherUnavailable):
                await asker.ask(url)

    assert held == [7]


@pytest.mark.asyncio
async def test_a_provider_that_fails_in_a_row_is_left_alone() -> None:
    """The time is better spent with the next one; one answer in between starts the count anew."""
    with PodcastWeb() as web:
        bad, good = web.put("/bad", answer(status=400)), web.put("/good", GOOD)
        async with _opened() as asker:
            for url in (bad, bad, good, bad, bad):
                if url == good:
                    assert await asker.ask(url)
                else:
                    with pytest.raises(WeatherNonsense, match="answered 400"):
                        await asker.ask(url)
            with pytest.raises(WeatherNonsense):
                await asker.ask(bad)
            with pytest.raises(WeatherNonsense, match="is left alone"):
                await asker.ask(good)

    assert asker.counter.calls == 6


@pytest.mark.parametrize(
    "page",
    [
        answer(b"<html>maintenance</html>"),
        answer(b""),
        answer(b"[" * 100_000),
        answer(b" " * (MEBIBYTE + 1)),
        answer(b"no gzip at all", Content_Encoding="gzip"),
        gzip_bomb(8 * MEBIBYTE),
        answer(status=304),
        answer(status=418),
    ],
)
@pytest.mark.asyncio
async def test_nonsense_is_named_and_bounded(page: Page) -> None:
    """Error pages, bombs and redirects are no weather, and none of them fails a run."""
    with PodcastWeb() as web:
        url = web.put("/x", page)
        async with _opened() as asker:
            with pytest.raises(WeatherError):
                await asker.ask(url)


@pytest.mark.asyncio
async def test_no_redirect_is_followed() -> None:
    """A key goes where it was meant to go, and nowhere else."""
    with PodcastWeb() as web:
        url = web.put("/x", redirect(web.put("/elsewhere", GOOD)))
        async with _opened() as asker:
            with pytest.raises(WeatherNonsense, match="answered 302"):
                await asker.ask(url)

    assert web.asked("/elsewhere") == []


@pytest.mark.asyncio
async def test_an_old_version_is_used_with_a_warning() -> None:
    """203 means that it goes away in about a month."""
    with PodcastWeb() as web, capture_logs() as logs:
        url = web.put("/x", answer(b"{}", status=203))
        async with _opened() as asker:
            found = await asker.ask(url)

    assert found is not None
    assert [each["event"] for each in logs] == ["weather_version_deprecated"]


@pytest.mark.asyncio
async def test_not_modified_is_an_answer_to_a_conditional_question_alone() -> None:
    """The text of the date goes back exactly as it came."""
    date = "Wed, 11 Jun 2025 11:58:12 GMT"

    async def page(request: BaseRequest) -> StreamResponse:
        same = request.headers.get("If-Modified-Since") == date
        return Response(status=304 if same else 200, text="1", headers={"Expires": "never"})

    with PodcastWeb() as web:
        url = web.put("/x", page)
        async with _opened() as asker:
            first, second = await asker.ask(url), await asker.ask(url, If_Modified_Since=date)

    assert first is not None
    assert second is not None
    assert (first.body, second.body) == (1, None)
    assert second.headers["Expires"] == "never"
