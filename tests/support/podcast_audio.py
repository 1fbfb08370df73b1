"""An episode's audio, the place it is downloaded to, and what earlier downloads left there."""

import random
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from daemons.ingester.web.audio import Downloaded, download_audio, partial_name
from daemons.ingester.web.errors import WebError
from daemons.ingester.web.fetch import Web, WebLimits
from daemons.ingester.web.partial import Partial
from tests.support.podcast_web import LIMITS, opened

MUSIC = b"ID3\x04" + random.Random(7).randbytes(300_000)  # noqa: S311 - music, not a secret
OTHER = b"ID3\x03" + random.Random(8).randbytes(200_000)  # noqa: S311 - the same
HEAD = 120_000
"""How much of the music an earlier attempt has brought."""
ETAG = '"music-1"'


@dataclass(slots=True)
class Place:
    """Where a download works and ends."""

    root: Path

    @property
    def target(self) -> Path:
        """Return the place in the archive."""
        return self.root / "s3" / "audio" / "hard-fork" / "2024-07-25_A--1721921400000.mp3"

    @property
    def work(self) -> Path:
        """Return the folder of unfinished files."""
        return self.root / "work"

    def left_over(self) -> list[str]:
        """Return the kinds of files in the work folder."""
        return sorted(path.suffix for path in self.work.iterdir())

    async def fetch(self, web: Web, url: str) -> Downloaded:
        """Download to the target."""
        return await download_audio(web, url, self.target, self.work)

    async def refused(self, url: str, limits: WebLimits = LIMITS) -> WebError:
        """Download what cannot be downloaded and return why; nothing may have the name."""
        async with opened(limits) as web:
            with pytest.raises(WebError) as caught:
                await self.fetch(web, url)
        assert not self.target.exists()
        return caught.value


def leave_behind(
    place: Place, url: str, durable: bytes, *, total: int, behind: bytes = b""
) -> None:
    """Leave what a killed process leaves: bytes, a note, and bytes after the note."""
    partial = Partial(place.work, partial_name(url, place.target))
    partial.open()
    partial.restart(ETAG, total)
    partial.append(durable)
    partial.checkpoint()
    partial.append(behind)
    # The process is gone: nothing is noted any more, but the bytes may have reached the disk.
    partial.let_go()


async def until_written(place: Place) -> None:
    """Wait until bytes have reached the work folder."""
    with anyio.fail_after(20):
        while not any(path.stat().st_size for path in place.work.glob("*.part")):
            await anyio.lowlevel.checkpoint()
