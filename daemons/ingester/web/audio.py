"""The download of one episode's audio: streamed, checked, resumed where the server can, renamed.

| answer                                        | what is done                                     |
|-----------------------------------------------|--------------------------------------------------|
| 200                                           | from the beginning, whatever was there           |
| 206 that goes on exactly where we are         | goes on                                          |
| 206 of anything else, 416                     | what was there is thrown away; next attempt anew |
| HTML, XML, JSON, packed, empty, too large     | refused: nothing is left                         |
| broken off, or slower than any real server    | kept where it has a strong ETag, next attempt    |

A file appears under its name only when all its bytes are on the disk. They are stored as they
came, even where they are AAC in an `.mp3`: whoever reads them must look into them.
"""

import hashlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import anyio

from daemons.ingester.web.errors import WebRefused, WebUnavailable
from daemons.ingester.web.fetch import MEBIBYTE, Web, check_status
from daemons.ingester.web.headers import parse_content_range, strong_etag
from daemons.ingester.web.partial import Partial
from daemons.ingester.web.sniffing import HEAD_BYTES, disguise
from shared.retry import retrying

_WRITE_BYTES = MEBIBYTE
_CHECKPOINT_BYTES = 16 * MEBIBYTE
_CLEAN_UP_SECONDS = 10.0
_PARTIAL_CONTENT, _RANGE_REFUSED = 206, 416


@dataclass(frozen=True, slots=True)
class Downloaded:
    """An episode's audio is there."""

    size_bytes: int
    resumed_from: int = 0
    """How many bytes an earlier download had brought already."""
    was_there: bool = False
    """Somebody else's file had the name at the end; it stays."""


async def download_audio(
    web: Web,
    url: str,
    target: Path,
    work: Path,
    *,
    slot: AbstractAsyncContextManager[object] | None = None,
    on_bytes: Callable[[int], None] = lambda _count: None,
) -> Downloaded:
    """Download to `target`, by way of `work`, a folder on the same file system.

    `slot` bounds the downloads of a site; it is not held while waiting for the next attempt.
    `on_bytes` is told of everything that comes.

    Raises:
        WebUnavailable, WebRefused: there is no audio now; nothing has the target's name.
        OSError: the disk refuses.
    """
    download = _Download(web, url, target, work, on_bytes)

    return await retrying(
        lambda _attempt: download.once(), policy=web.policy, budget=web.budget, slot=slot
    )


def partial_name(url: str, target: Path) -> str:
    """Return what an unfinished download is called; the URL in it may hold a token."""
    text = f"{target}\0{url}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()[:32]


class _Download:
    """One URL on its way to one file."""

    def __init__(
        self, web: Web, url: str, target: Path, work: Path, on_bytes: Callable[[int], None]
    ) -> None:
        self._web = web
        self._on_bytes = on_bytes
        self._url = url
        self._target = target
        self._partial = Partial(work, partial_name(url, target))
        self._resumed_from = 0
        self._pending = bytearray()
        """Bytes that have come and are not written yet."""
        self._looked = False
        """Whether the first bytes were seen to be audio; before that, none is written."""

    async def once(self) -> Downloaded:
        """Make one attempt."""
        await anyio.to_thread.run_sync(self._partial.open)
        self._pending.clear()
        self._looked = self._partial.size > 0
        try:
            await self._receive()
            return await self._finish()
        except WebRefused:
            await _in_peace(self._partial.discard)
            raise
        finally:
            await _in_peace(self._keep)

    async def _receive(self) -> None:
        """Bring in what is missing."""
        asked = {"Accept": "audio/*, */*;q=0.5", "Accept-Encoding": "identity"}
        if self._partial.size:
            asked |= {"Range": f"bytes={self._partial.size}-", "If-Range": self._partial.etag}
        async with self._web.answer(self._url, asked, unpack=False) as answer:
            await self._begin(answer)
            packed = answer.headers.get("Content-Encoding", "identity").strip().lower()
            if packed not in ("", "identity"):
                raise WebRefused(self._url, f"was sent packed as {packed[:40]!r}, unasked")
            await self._stream(answer)

    async def _begin(self, answer: aiohttp.ClientResponse) -> None:
        """Decide from the answer's head whether it goes on or begins anew."""
        partial = self._partial
        if partial.size and answer.status in (_PARTIAL_CONTENT, _RANGE_REFUSED):
            if answer.status == _PARTIAL_CONTENT and self._continues(answer):
                self._resumed_from = partial.size
                return
            await anyio.to_thread.run_sync(partial.restart, "", None)
            raise WebUnavailable(
                self._url, "cannot be resumed; the next attempt begins anew", status=answer.status
            )
        check_status(self._url, answer)
        self._check_size(answer.content_length or 0)
        etag = strong_etag(answer.headers.get("ETag", ""))
        self._resumed_from, self._looked = 0, False
        await anyio.to_thread.run_sync(partial.restart, etag, answer.content_length)

    def _continues(self, answer: aiohttp.ClientResponse) -> bool:
        """Say whether a part is exactly what is missing of what we have."""
        partial = self._partial
        span = parse_content_range(answer.headers.get("Content-Range", ""))
        if span is None or span.first != partial.size:
            return False
        if answer.headers.get("ETag", partial.etag) != partial.etag:
            return False
        if span.total is None or span.last != span.total - 1:
            return False
        if answer.content_length not in (None, span.total - span.first):
            return False
        if partial.total not in (None, span.total):
            return False
        partial.total = span.total
        return True

    async def _stream(self, answer: aiohttp.ClientResponse) -> None:
        """Write what comes; the first bytes only once they look like audio."""
        durable = self._partial.size
        pace = _Pace(self._web.limits.slow_seconds, self._web.limits.slow_bytes)
        async for piece in answer.content.iter_any():
            self._pending += piece
            self._on_bytes(len(piece))
            self._check_size(self._partial.size + len(self._pending))
            pace.note(self._url, len(piece), anyio.current_time())
            if len(self._pending) >= HEAD_BYTES:
                self._look(answer)
            if len(self._pending) >= _WRITE_BYTES:
                await anyio.to_thread.run_sync(self._write)
            if self._partial.size - durable >= _CHECKPOINT_BYTES:
                await anyio.to_thread.run_sync(self._partial.checkpoint)
                durable = self._partial.size
        self._look(answer)
        await anyio.to_thread.run_sync(self._write)

    def _write(self) -> None:
        self._partial.append(self._pending)
        self._pending.clear()

    def _keep(self) -> None:
        """Leave behind what the next attempt can use, what was not written yet included."""
        if self._looked and self._partial.is_open and self._partial.etag:
            self._write()
        self._partial.keep()

    def _look(self, answer: aiohttp.ClientResponse) -> None:
        """Refuse what is no audio by its first bytes, once."""
        if self._looked:
            return
        label = answer.headers.get("Content-Type", "")
        if found := disguise(bytes(self._pending[:HEAD_BYTES]), label):
            raise WebRefused(self._url, f"answered with {found} instead of audio")
        self._looked = True

    def _check_size(self, size: int) -> None:
        most = self._web.limits.audio_bytes
        if size > most:
            raise WebRefused(self._url, f"is larger than {most} bytes")

    async def _finish(self) -> Downloaded:
        partial = self._partial
        size = partial.size
        if size == 0:
            raise WebRefused(self._url, "has no bytes")
        if partial.total not in (None, size):
            raise WebUnavailable(self._url, f"sent {size} bytes of {partial.total}")
        placed = await anyio.to_thread.run_sync(partial.finish, self._target)
        return Downloaded(size, self._resumed_from, was_there=not placed)


async def _in_peace(clean_up: Callable[[], None]) -> None:
    """Clean up even when the download was cancelled, but not for ever."""
    with anyio.move_on_after(_CLEAN_UP_SECONDS, shield=True):
        await anyio.to_thread.run_sync(clean_up)


class _Pace:
    """Notices a server that sends just enough to keep us waiting."""

    def __init__(self, seconds: float, least_bytes: int) -> None:
        self._seconds = seconds
        self._least_bytes = least_bytes
        self._since = anyio.current_time()
        self._count = 0

    def note(self, url: str, size: int, now: float) -> None:
        """Count bytes; WebUnavailable when too few came in the time."""
        self._count += size
        if now - self._since < self._seconds:
            return
        if self._count < self._least_bytes:
            raise WebUnavailable(url, f"sent {self._count} bytes in {self._seconds:g} s")
        self._since, self._count = now, 0
