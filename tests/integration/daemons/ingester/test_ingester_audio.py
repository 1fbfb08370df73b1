import stat
from dataclasses import replace

import anyio
import pytest

from daemons.ingester.web.audio import Downloaded, download_audio
from daemons.ingester.web.errors import WebRefused, WebUnavailable
from tests.support.gate import Gate
from tests.support.podcast_audio import MUSIC, Place
from tests.support.podcast_web import (
    LIMITS,
    Page,
    PodcastWeb,
    answer,
    broken_off,
    endless,
    gzip_bomb,
    held,
    opened,
    redirect,
)


@pytest.mark.asyncio
@pytest.mark.parametrize("label", ["audio/mpeg", "text/html", ""])
async def test_audio_arrives_whole(site: PodcastWeb, place: Place, label: str) -> None:
    """By way of redirects, whatever the label says, and nothing is left in the work folder."""
    site.put("/1.mp3", answer(MUSIC, Content_Type=label))
    url = site.put("/count", redirect("/1.mp3"))

    async with opened() as web:
        found = await place.fetch(web, url)

    assert found == Downloaded(len(MUSIC))
    assert place.target.read_bytes() == MUSIC
    assert stat.S_IMODE(place.target.stat().st_mode) == 0o644
    assert place.left_over() == []
    assert site.asked("/1.mp3")[0]["Accept-Encoding"] == "identity"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (answer(b"<html>Sorry</html>"), "an HTML or XML page instead of audio"),
        (answer(b'{"error": "expired"}', Content_Type="audio/mpeg"), "a JSON document instead"),
        (answer(b"Sorry", Content_Type="text/plain"), "text labelled 'text/plain' instead"),
        (endless(b"<html>" + b" " * 4096), "an HTML or XML page instead of audio"),
        (answer(b""), "has no bytes"),
        (answer(b"", 404), "answered 404"),
        (answer(b"", 204), "answered 204"),
        (answer(MUSIC, 206, Content_Range="bytes 0-9/10"), "answered 206"),
        (gzip_bomb(1024 * 1024), "packed as 'gzip', unasked"),
        (broken_off(MUSIC, 5 * 1024**3), "larger than 1000000 bytes"),
        (endless(MUSIC), "larger than 1000000 bytes"),
        (redirect("http://169.254.169.254/"), "link-local"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_is_no_audio_is_refused_at_once(
    site: PodcastWeb, place: Place, page: Page, reason: str
) -> None:
    """An error page under the name of an episode would count as finished for ever."""
    url = site.put("/1.mp3", page)

    error = await place.refused(url, replace(LIMITS, audio_bytes=1_000_000))

    assert isinstance(error, WebRefused)
    assert reason in str(error)
    assert len(site.asked("/1.mp3")) == 1
    assert place.left_over() == []


@pytest.mark.asyncio
async def test_a_line_that_goes_silent_is_left(site: PodcastWeb, place: Place) -> None:
    """A minute without a byte, here a tenth of a second."""
    gate = Gate()
    url = site.put("/1.mp3", endless(MUSIC[:2000], gate))

    error = await place.refused(url, replace(LIMITS, read_seconds=0.1))
    gate.open()

    assert isinstance(error, WebUnavailable)
    assert "took too long" in str(error)


@pytest.mark.asyncio
async def test_a_trickle_is_left(site: PodcastWeb, place: Place) -> None:
    """There is no time limit for audio, but a server that sends next to nothing is none."""
    url = site.put("/1.mp3", endless(MUSIC[:100]))

    error = await place.refused(url, replace(LIMITS, slow_seconds=0.02, slow_bytes=10**9))

    assert isinstance(error, WebUnavailable)
    assert "bytes in 0.02 s" in str(error)


@pytest.mark.asyncio
async def test_what_has_the_name_already_stays(site: PodcastWeb, place: Place) -> None:
    """A file of bytes is somebody's; a file of none is what a crash of the original left."""
    url = site.put("/1.mp3", answer(MUSIC))
    place.target.parent.mkdir(parents=True)
    place.target.write_bytes(b"theirs")

    async with opened() as web:
        assert (await place.fetch(web, url)).was_there
        assert place.target.read_bytes() == b"theirs"

        place.target.write_bytes(b"")
        assert not (await place.fetch(web, url)).was_there
    assert place.target.read_bytes() == MUSIC
    assert place.left_over() == []


@pytest.mark.asyncio
async def test_two_downloads_a_host(site: PodcastWeb, place: Place) -> None:
    """A small publisher's server is somebody's; the third download waits for a place."""
    gate = Gate()
    urls = [site.put(f"/{number}.mp3", held(MUSIC, gate)) for number in range(3)]

    async with opened(replace(LIMITS, per_host=2)) as web, anyio.create_task_group() as tasks:
        for number, url in enumerate(urls):
            target = place.target.with_name(f"{number}.mp3")
            tasks.start_soon(download_audio, web, url, target, place.work)
        await gate.reached(2)
        with anyio.move_on_after(0.2):
            await gate.reached(3)
        assert gate.arrivals == 2
        gate.open()

    assert gate.arrivals == 3
    assert len(site.seen) == 3
    assert len(list(place.target.parent.iterdir())) == 3


@pytest.mark.asyncio
async def test_waiting_for_the_next_attempt_holds_no_slot(site: PodcastWeb, place: Place) -> None:
    """A site's three places are for downloads, not for pauses."""
    url = site.put("/1.mp3", answer(b"", 503), answer(MUSIC))
    slot = anyio.CapacityLimiter(1)

    async with opened() as web:
        await download_audio(web, url, place.target, place.work, slot=slot)

    assert slot.borrowed_tokens == 0
    assert place.target.read_bytes() == MUSIC


@pytest.mark.asyncio
async def test_a_disk_that_refuses_is_no_fault_of_the_server(
    site: PodcastWeb, place: Place
) -> None:
    """A full disk must stop the phase, not be tried again against every server."""
    url = site.put("/1.mp3", answer(MUSIC))
    place.work.write_bytes(b"a file where the folder should be")

    async with opened() as web:
        with pytest.raises(OSError, match=r"work"):
            await place.fetch(web, url)

    assert site.seen == []
