import errno
from io import FileIO
from itertools import pairwise

import anyio
import pytest
from aiohttp.web import BaseRequest, StreamResponse

from daemons.ingester.web import audio
from daemons.ingester.web.audio import Downloaded, partial_name
from daemons.ingester.web.fetch import Web
from daemons.ingester.web.partial import Partial, remove_others
from tests.support.gate import Gate
from tests.support.podcast_audio import (
    ETAG,
    HEAD,
    MUSIC,
    OTHER,
    Place,
    leave_behind,
    until_written,
)
from tests.support.podcast_web import PodcastWeb, answer, broken_off, endless, opened, ranged


@pytest.mark.asyncio
async def test_broken_off_audio_is_resumed(
    site: PodcastWeb, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred megabytes over a poor line must not begin anew each time."""
    monkeypatch.setattr(audio, "_WRITE_BYTES", 1000)
    found = Downloaded(0)
    gate = Gate()
    url = site.put(
        "/1.mp3", broken_off(MUSIC[:HEAD], len(MUSIC), gate, ETag=ETAG), ranged(MUSIC, ETAG)
    )

    async def fetch(web: Web) -> None:
        nonlocal found
        found = await place.fetch(web, url)

    async with opened() as web, anyio.create_task_group() as tasks:
        tasks.start_soon(fetch, web)
        await until_written(place)
        gate.open()

    first, second = site.asked("/1.mp3")
    assert "Range" not in first
    assert second["If-Range"] == ETAG
    assert second["Range"] == f"bytes={found.resumed_from}-"
    assert 0 < found.resumed_from <= HEAD
    assert place.target.read_bytes() == MUSIC
    assert place.left_over() == []


@pytest.mark.asyncio
@pytest.mark.parametrize("etag", ["", 'W/"weak"', "bare"])
async def test_without_a_strong_etag_it_begins_anew(
    site: PodcastWeb, place: Place, etag: str
) -> None:
    """Nothing says that the second half belongs to the first."""
    url = site.put("/1.mp3", broken_off(MUSIC[:HEAD], len(MUSIC), ETag=etag), answer(MUSIC))

    async with opened() as web:
        found = await place.fetch(web, url)

    assert found == Downloaded(len(MUSIC))
    assert all("Range" not in asked for asked in site.asked("/1.mp3"))
    assert place.target.read_bytes() == MUSIC


@pytest.mark.asyncio
async def test_audio_that_changed_meanwhile_begins_anew(site: PodcastWeb, place: Place) -> None:
    """Advertisements are put in anew each day; halves of two days are no episode."""
    url = site.put(
        "/1.mp3", broken_off(MUSIC[:HEAD], len(MUSIC), ETag=ETAG), ranged(OTHER, '"music-2"')
    )

    async with opened() as web:
        found = await place.fetch(web, url)

    assert found == Downloaded(len(OTHER))
    assert place.target.read_bytes() == OTHER


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("span", "first", "etag"),
    [
        ("", HEAD, ETAG),
        ("bytes 0-9/10", HEAD, ETAG),
        (f"bytes {HEAD + 1}-{len(MUSIC) - 1}/{len(MUSIC)}", HEAD + 1, ETAG),
        (f"bytes {HEAD + 1}-{len(MUSIC) - 1}/{len(MUSIC)}", HEAD, ETAG),
        (f"bytes {HEAD}-{len(MUSIC) - 1}/*", HEAD, ETAG),
        (f"bytes {HEAD}-{len(MUSIC) - 2}/{len(MUSIC)}", HEAD, ETAG),
        (f"bytes {HEAD}-{len(MUSIC)}/{len(MUSIC) + 1}", HEAD - 1, ETAG),
        (f"bytes {HEAD}-{len(MUSIC) - 1}/{len(MUSIC)}", HEAD, '"music-2"'),
        (f"bytes {HEAD}-{len(MUSIC) - 1}/{len(MUSIC)}", HEAD + 1, ETAG),
    ],
)
async def test_a_part_that_does_not_fit_is_not_used(
    site: PodcastWeb, place: Place, span: str, first: int, etag: str
) -> None:
    """Bytes of another place would sit in the middle of the episode, unseen."""
    leave_behind(place, site.url("/1.mp3"), MUSIC[:HEAD], total=len(MUSIC))
    part = answer(MUSIC[first:], 206, Content_Range=span, ETag=etag)
    url = site.put("/1.mp3", part, answer(MUSIC))

    async with opened() as web:
        found = await place.fetch(web, url)

    assert found == Downloaded(len(MUSIC))
    assert [asked.get("Range") for asked in site.asked("/1.mp3")] == [f"bytes={HEAD}-", None]
    assert place.target.read_bytes() == MUSIC


@pytest.mark.asyncio
async def test_a_part_that_ends_early_is_gone_on_with(site: PodcastWeb, place: Place) -> None:
    """Without a length nothing but the range says how much there should have been."""
    leave_behind(place, site.url("/1.mp3"), MUSIC[:HEAD], total=len(MUSIC))

    async def half(request: BaseRequest) -> StreamResponse:
        span = f"bytes {HEAD}-{len(MUSIC) - 1}/{len(MUSIC)}"
        response = StreamResponse(status=206, headers={"Content-Range": span, "ETag": ETAG})
        await response.prepare(request)
        await response.write(MUSIC[HEAD : 2 * HEAD])
        return response

    url = site.put("/1.mp3", half, ranged(MUSIC, ETAG))

    async with opened() as web:
        found = await place.fetch(web, url)

    assert found == Downloaded(len(MUSIC), resumed_from=2 * HEAD)
    assert place.target.read_bytes() == MUSIC


def test_what_nobody_will_go_on_with_is_removed(place: Place) -> None:
    """The work folder must not grow with every episode that was once broken off."""
    assert remove_others(place.work, ()) == 0
    wanted, other = "http://a.example/1.mp3", "http://a.example/2.mp3"
    for url in (wanted, other):
        leave_behind(place, url, MUSIC[:HEAD], total=len(MUSIC))
    (place.work / "somebody.else").touch()

    assert remove_others(place.work, {partial_name(wanted, place.target)}) == 2
    assert place.left_over() == [".else", ".json", ".part"]


def test_after_a_refusing_disk_nothing_is_gone_on_with(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a piece may be there; glued to the next attempt it would be noise in the episode."""

    class Full(FileIO):
        def write(self, data: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    leave_behind(place, "http://a.example/1.mp3", MUSIC[:HEAD], total=len(MUSIC))
    partial = Partial(place.work, partial_name("http://a.example/1.mp3", place.target))
    partial.open()
    assert partial.size == HEAD
    partial.let_go()
    (part,) = place.work.glob("*.part")
    with Full(part, "r+b") as stream:
        monkeypatch.setattr(partial, "_stream", stream)
        with pytest.raises(OSError, match="No space"):
            partial.append(MUSIC)
        partial.keep()

    assert place.left_over() == []


@pytest.mark.asyncio
async def test_a_large_file_is_noted_on_the_way(
    site: PodcastWeb, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What SIGKILL leaves is worth as much as the last note says."""
    monkeypatch.setattr(audio, "_WRITE_BYTES", 1000)
    monkeypatch.setattr(audio, "_CHECKPOINT_BYTES", 20_000)
    noted: list[int] = []
    checkpoint = Partial.checkpoint

    def counted(self: Partial) -> None:
        checkpoint(self)
        noted.append(self.size)

    monkeypatch.setattr(Partial, "checkpoint", counted)
    url = site.put("/1.mp3", ranged(MUSIC, ETAG))

    async with opened() as web:
        await place.fetch(web, url)

    assert noted
    assert all(later - sooner >= 20_000 for sooner, later in pairwise(noted))
    assert place.target.read_bytes() == MUSIC


@pytest.mark.asyncio
async def test_a_range_that_is_refused_begins_anew(site: PodcastWeb, place: Place) -> None:
    """The file became shorter, or the server knows no ranges after all."""
    leave_behind(place, site.url("/1.mp3"), MUSIC[:HEAD], total=len(MUSIC))
    url = site.put("/1.mp3", answer(b"", 416), answer(OTHER))

    async with opened() as web:
        await place.fetch(web, url)

    assert place.target.read_bytes() == OTHER


@pytest.mark.asyncio
async def test_a_killed_download_goes_on_from_what_was_durable(
    site: PodcastWeb, place: Place
) -> None:
    """After a power cut the bytes behind the last checkpoint may be anything: they are cut off."""
    url = site.put("/1.mp3", ranged(MUSIC, ETAG))
    leave_behind(place, url, MUSIC[:HEAD], total=len(MUSIC), behind=b"\0" * len(MUSIC))

    async with opened() as web:
        found = await place.fetch(web, url)

    assert found == Downloaded(len(MUSIC), resumed_from=HEAD)
    assert place.target.read_bytes() == MUSIC


@pytest.mark.asyncio
async def test_a_file_shorter_than_its_note_begins_anew(site: PodcastWeb, place: Place) -> None:
    """The note survived, the bytes did not."""
    url = site.put("/1.mp3", ranged(MUSIC, ETAG))
    leave_behind(place, url, MUSIC[:HEAD], total=len(MUSIC))
    (part,) = place.work.glob("*.part")
    part.write_bytes(MUSIC[:10])

    async with opened() as web:
        assert await place.fetch(web, url) == Downloaded(len(MUSIC))

    assert place.target.read_bytes() == MUSIC


@pytest.mark.asyncio
async def test_a_failed_download_is_kept_for_the_next_run(site: PodcastWeb, place: Place) -> None:
    """Three attempts fail; tomorrow's run brings the rest."""
    leave_behind(place, site.url("/1.mp3"), MUSIC[:HEAD], total=len(MUSIC))
    url = site.put("/1.mp3", answer(b"", 503))

    error = await place.refused(url)
    assert (error.attempts, place.left_over()) == (3, [".json", ".part"])

    site.put("/1.mp3", ranged(MUSIC, ETAG))
    async with opened() as web:
        found = await place.fetch(web, url)
    assert found.resumed_from == HEAD
    assert place.target.read_bytes() == MUSIC
    assert place.left_over() == []


@pytest.mark.asyncio
async def test_a_cancelled_download_is_kept_too(
    site: PodcastWeb, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM in the middle of a file costs nothing that has arrived."""
    monkeypatch.setattr(audio, "_WRITE_BYTES", 1000)
    gate = Gate()
    url = site.put("/1.mp3", endless(MUSIC[:HEAD], gate, ETag=ETAG))

    async with opened() as web, anyio.create_task_group() as tasks:
        tasks.start_soon(place.fetch, web, url)
        await gate.reached()
        await until_written(place)
        tasks.cancel_scope.cancel()
    gate.open()

    assert place.left_over() == [".json", ".part"]
    assert not place.target.exists()
