"""`python -m bench.wildlife_reader`: one way to read the notes of all pictures of a bucket.

`head` is the state Stage0Exif as a run has it, manifest and all. `whole` is what a script does:
fetch each file and give it to Pillow, here with the same engine and as many requests at once.
"""

import argparse
import io
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import anyio
import anyio.to_thread
import uvloop
from PIL import Image

from bench.trees import BUCKET
from pipelines.wildlife.document.places import Place, parse_place
from pipelines.wildlife.layout import Kind
from pipelines.wildlife.listing import pictures_below
from pipelines.wildlife.settings import RunSettings
from pipelines.wildlife.states import guard_budget, stage0_exif
from pipelines.wildlife.states.world import World
from pipelines.wildlife.storage.opening import open_storage
from pipelines.wildlife.storage.protocol import Entry, Storage
from shared.engine import EngineOptions
from shared.log import configure_logging

SOURCE, TARGET, CLOCKS = (f"s3://{BUCKET}/{name}/" for name in ("in", "out", "clocks"))
_MOST = 50_000
_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825


class _Counting(Storage):
    """A storage that counts what is read of pictures."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.bytes = 0

    def walk(self, place: Place) -> AsyncIterator[Entry]:
        return self._storage.walk(place)

    async def stat(self, uri: str) -> Entry:
        return await self._storage.stat(uri)

    async def read(self, uri: str, *, start: int = 0, length: int | None = None) -> bytes:
        body = await self._storage.read(uri, start=start, length=length)
        self.bytes += len(body)
        return body

    def stream(self, uri: str) -> AsyncIterator[bytes]:
        return self._storage.stream(uri)

    async def write(self, uri: str, body: bytes, *, kind: Kind) -> None:
        await self._storage.write(uri, body, kind=kind)

    async def write_file(self, uri: str, source: Path, *, kind: Kind) -> None:
        await self._storage.write_file(uri, source, kind=kind)


def main(argv: Sequence[str] | None = None) -> int:
    """Read them, and print what it took as one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.wildlife_reader", description=__doc__)
    parser.add_argument("way", choices=("head", "whole"))
    options = parser.parse_args(argv)
    configure_logging("wildlife")
    print(json.dumps(uvloop.run(_read(options.way))))
    return 0


async def _read(way: str) -> dict[str, object]:
    settings = RunSettings(clocks_uri=CLOCKS)
    engine = EngineOptions(
        aws_region=settings.aws_region,
        profile=settings.profile,
        endpoint_url=settings.endpoint_url,
        in_flight=settings.requests_in_flight,
    )
    async with open_storage([SOURCE, TARGET], engine) as opened:
        storage = _Counting(opened)
        began = time.monotonic()
        if way == "head":
            pictures = await _heads(storage, settings)
        else:
            pictures = await _wholes(storage, settings.requests_in_flight)
        seconds = time.monotonic() - began
    return {"pictures": pictures, "bytes": storage.bytes, "seconds": round(seconds, 3)}


async def _heads(storage: Storage, settings: RunSettings) -> int:
    world = World(storage=storage, settings=settings, now=lambda: datetime(2026, 7, 1, tzinfo=UTC))
    document = {
        "input_uri": SOURCE,
        "output_uri": TARGET,
        "budget_dkk": 10_000,
        "max_images": _MOST,
    }
    event = await stage0_exif.run(await guard_budget.run(document, world), world)
    return int(event["stage0_results"]["processed_images"])


async def _wholes(storage: Storage, at_once: int) -> int:
    limiter = anyio.CapacityLimiter(at_once)
    found: list[object] = []

    async def read(entry: Entry) -> None:
        async with limiter:
            body = await storage.read(entry.uri)
            found.append(await anyio.to_thread.run_sync(_notes, body))

    async with anyio.create_task_group() as group:
        async for entry in pictures_below(storage, parse_place(SOURCE)):
            group.start_soon(read, entry)
    return len(found)


def _notes(body: bytes) -> object:
    with Image.open(io.BytesIO(body)) as image:
        exif = image.getexif()
        return image.size, dict(exif), exif.get_ifd(_EXIF_IFD), exif.get_ifd(_GPS_IFD)


if __name__ == "__main__":
    sys.exit(main())
