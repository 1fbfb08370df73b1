"""Hosts that strangers write: what no name can be costs its own URL and nothing else."""

from socket import AF_INET, AddressFamily

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from daemons.ingester.web.errors import WebRefused
from tests.support.podcast_web import opened

SECRET = "s3cret"


class Encoding(AbstractResolver):
    """Does what a loop does before it asks anybody: names go through the codec of names."""

    async def resolve(
        self, host: str, port: int = 0, family: AddressFamily = AF_INET
    ) -> list[ResolveResult]:
        """Break where the codec does; else there is no address."""
        del port, family
        host.encode("idna")
        return []

    async def close(self) -> None:
        """Nothing is open."""


class Broken(Encoding):
    """Raises what nobody foresaw."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def resolve(
        self, host: str, port: int = 0, family: AddressFamily = AF_INET
    ) -> list[ResolveResult]:
        """Raise it."""
        del host, port, family
        raise self._error


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "host",
    ["a..b", "...", f"{'a' * 70}.com", f"{'a.' * 900}{'b' * 64}"],
    ids=["empty label", "nothing but dots", "long label", "long name"],
)
async def test_a_name_that_no_host_can_have_is_refused(host: str) -> None:
    """One such link in one feed must not end the run of all sites, and no second try helps."""
    async with opened(resolver=Encoding()) as web:
        with pytest.raises(WebRefused, match="is no name of a host") as caught:
            await web.feed(f"http://{host}/x")

    assert caught.value.attempts == 1
    assert len(str(caught.value)) < 1000


@pytest.mark.asyncio
async def test_whatever_a_url_breaks_is_an_error_of_that_url() -> None:
    """In words that repeat nothing of it: its query may be a password."""
    url = f"http://a.example/feed?token={SECRET}"

    async with opened(resolver=Broken(ValueError(f"cannot parse {url}"))) as web:
        with pytest.raises(WebRefused, match="cannot be asked for") as caught:
            await web.feed(url)

    assert SECRET not in str(caught.value)


@pytest.mark.asyncio
async def test_a_mistake_of_whoever_reads_is_not_blamed_on_the_url() -> None:
    """Only what a stranger's URL can break is turned into an error of the URL."""
    async with opened(resolver=Broken(KeyError("ours"))) as web:
        with pytest.raises(KeyError):
            await web.feed("http://a.example/feed")
