"""Downloads from a server on loopback: whole rasters under their names, or nothing."""

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from aiohttp.web import BaseRequest, Response, StreamResponse

from pipelines.glacier.step.errors import StepFailed
from pipelines.glacier.step.fetching import AT_ONCE, Download, open_fetcher
from pipelines.glacier.step.rasters import is_whole
from shared.retry import RetryPolicy
from tests.support.gate import Gate
from tests.support.glacier_scenes import Place, cog_bytes, pattern
from tests.support.glacier_stac import (
    Fault,
    StacServer,
    shortened,
    status,
    truncated,
    xml_page,
)

PATH = "/tiles/B08.tif"
QUICK = RetryPolicy(attempts=4, base_seconds=0.0)
PLACE = Place(32622, 600_000, 6_800_000, 100, 100)
CONTENT = cog_bytes(PLACE, pattern(PLACE))


@pytest.fixture(scope="module")
def server() -> Iterator[StacServer]:
    """The server, once for all tests."""
    with StacServer() as stac:
        yield stac


@pytest.fixture
def stac(server: StacServer) -> StacServer:
    """The server with one raster."""
    server.faults.clear()
    server.asked.clear()
    server.assets.clear()
    server.assets[PATH] = CONTENT
    return server


async def fetch(stac: StacServer, target: Path) -> bool:
    """Fetch the raster."""
    async with open_fetcher(QUICK) as fetcher:
        return await fetcher.fetch(Download(stac.href(PATH), target))


def names(folder: Path) -> list[str]:
    """Return what a folder holds, drafts included."""
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.mark.asyncio
async def test_raster_gets_its_name_when_it_is_whole(stac: StacServer, tmp_path: Path) -> None:
    """The folder is made, and nothing else stays in it."""
    target = tmp_path / "download" / "2024" / "a_B08.tif"

    assert await fetch(stac, target)

    assert target.read_bytes() == CONTENT
    assert names(target.parent) == ["a_B08.tif"]


@pytest.mark.asyncio
async def test_raster_that_is_there_is_not_fetched(stac: StacServer, tmp_path: Path) -> None:
    """A raw tile has hundreds of megabytes."""
    target = tmp_path / "a_B08.tif"
    target.write_bytes(CONTENT)

    assert not await fetch(stac, target)
    assert stac.asked == []


@pytest.mark.asyncio
@pytest.mark.parametrize("there", [b"<?xml?><Error/>", b"", CONTENT[:200], CONTENT[:-100]])
async def test_broken_raster_that_is_there_is_fetched_again(
    stac: StacServer, tmp_path: Path, there: bytes
) -> None:
    """Error pages that were stored as tiles used to stay for ever."""
    target = tmp_path / "a_B08.tif"
    target.write_bytes(there)

    assert await fetch(stac, target)
    assert target.read_bytes() == CONTENT


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "faults",
    [
        [status(503), status(429), status(500)],
        [truncated(100), truncated(1000)],
        [shortened(1000), shortened(0)],
    ],
    ids=["busy", "cut off", "short"],
)
async def test_what_may_pass_is_tried_again(
    stac: StacServer, tmp_path: Path, faults: list[Fault]
) -> None:
    """One bad minute of a store must not cost a scene."""
    stac.faults[PATH] = faults

    assert await fetch(stac, tmp_path / "a_B08.tif")
    assert (tmp_path / "a_B08.tif").read_bytes() == CONTENT


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("faults", "said", "requests"),
    [
        ([xml_page()], "no TIFF", 1),
        ([status(404)], "404", 1),
        ([status(403)], "403", 1),
        ([status(503)] * 5, "503.*4 attempts", 4),
        ([truncated(100)] * 5, "4 attempts", 4),
        ([shortened(1000)] * 5, "no whole TIFF", 4),
    ],
    ids=["a page", "gone", "denied", "always busy", "always cut off", "always short"],
)
async def test_what_does_not_pass_leaves_nothing(
    stac: StacServer, tmp_path: Path, faults: list[Fault], said: str, requests: int
) -> None:
    """Neither under its name nor under another."""
    stac.faults[PATH] = faults

    with pytest.raises(StepFailed, match=said):
        await fetch(stac, tmp_path / "a_B08.tif")

    assert names(tmp_path) == []
    assert len(stac.asked) == requests


@pytest.mark.asyncio
@pytest.mark.parametrize("url", ["file:///etc/passwd", "s3://b/k", "/etc/passwd", "http://a b/"])
async def test_only_the_web_is_fetched_from(tmp_path: Path, url: str) -> None:
    """The address comes from a catalogue."""
    async with open_fetcher(QUICK) as fetcher:
        with pytest.raises(StepFailed, match="only http"):
            await fetcher.fetch(Download(url, tmp_path / "a_B08.tif"))


@pytest.mark.asyncio
async def test_only_so_many_come_at_a_time(stac: StacServer, tmp_path: Path) -> None:
    """Catalogues shut out those who ask for everything at once."""
    gate = Gate()
    waiting = peak = 0

    async def held(_request: BaseRequest, _whole: bytes) -> StreamResponse:
        nonlocal waiting, peak
        waiting += 1
        peak = max(peak, waiting)
        await gate.enter()
        waiting -= 1
        return Response(body=CONTENT)

    stac.faults[PATH] = [held] * 9
    async with open_fetcher(QUICK) as fetcher, anyio.create_task_group() as tasks:
        for number in range(9):
            download = Download(stac.href(PATH), tmp_path / f"{number}.tif")
            tasks.start_soon(fetcher.fetch, download)
        await gate.reached(AT_ONCE)
        gate.open()

    assert peak == AT_ONCE
    assert all(is_whole(tmp_path / f"{number}.tif") for number in range(9))
