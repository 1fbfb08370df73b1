"""The state as a run calls it: pictures in, manifest, errors and payload out."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from pydantic import TypeAdapter

from pipelines.wildlife.document.places import Place, parse_place
from pipelines.wildlife.layout import PICTURE_ERRORS, PICTURES, Kind
from pipelines.wildlife.models.pictures import PictureErrorLine, PictureLine
from pipelines.wildlife.settings import RunSettings
from pipelines.wildlife.stage0.image.head import HEAD_BYTES
from pipelines.wildlife.states import guard_budget, stage0_exif
from pipelines.wildlife.states.running import run_state
from pipelines.wildlife.states.world import Event, World
from pipelines.wildlife.storage.bucket import BucketStorage
from pipelines.wildlife.storage.folder import FolderStorage
from pipelines.wildlife.storage.lines import read_records
from pipelines.wildlife.storage.protocol import Missing, Storage
from shared.s3.errors import AccessDenied, ServerError
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import MemoryBuckets
from shared.s3.uri import S3Uri
from tests.support.wildlife_pictures import Exif, make_picture

_LINES = TypeAdapter(PictureLine)
_ERRORS = TypeAdapter(PictureErrorLine)
_NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)


class _Counting(BucketStorage):
    """A bucket that notes what is read of it, and fails for names that say so."""

    def __init__(self) -> None:
        super().__init__(MemoryStore(MemoryBuckets("bucket")))
        self.reads: list[tuple[str, int, int | None]] = []

    async def read(self, uri: str, *, start: int = 0, length: int | None = None) -> bytes:
        self.reads.append((uri, start, length))
        key = S3Uri("bucket", uri)
        if "gone" in uri:
            raise Missing(f"{uri!r} is not there")
        if "denied" in uri:
            raise AccessDenied(key)
        if "storm" in uri:
            raise ServerError(key)
        if "shrunk" in uri:
            return b"\xff\xd8"
        return await super().read(uri, start=start, length=length)


def _world(storage: Storage, *, clocks: str = "", local: bool = False) -> World:
    return World(
        storage=storage,
        settings=RunSettings(clocks_uri=clocks, requests_in_flight=4),
        local=local,
        now=lambda: _NOW,
    )


async def _lay(storage: Storage, place: Place, files: Mapping[str, bytes]) -> None:
    for name, body in files.items():
        await storage.write(place.join(name), body, kind=Kind.FRAME)


async def _run(world: World, root: str, **said: object) -> Event:
    document = {
        "input_uri": f"{root}/in/",
        "output_uri": f"{root}/out/",
        "budget_dkk": 25,
        **said,
    }
    return await run_state("Stage0Exif", await guard_budget.run(document, world), world)


async def _lines(storage: Storage, root: str) -> list[PictureLine]:
    uri = f"{root}/out/{PICTURES}"
    return [line async for line in read_records(storage, uri, _LINES)]


async def _errors(storage: Storage, root: str) -> dict[str, str]:
    uri = f"{root}/out/{PICTURE_ERRORS}"
    found = [line async for line in read_records(storage, uri, _ERRORS)]
    return {line.image_uri.rpartition("/")[2]: line.error for line in found}


def _picture(time: str, **said: object) -> bytes:
    return make_picture(exif=Exif(original=time, **said), size=(32, 24))  # type: ignore[arg-type]  # a test's words


_CARD = {
    "cam02/IMG_0002.JPG": _picture("2026:06:01 06:00:00"),
    "cam01/IMG_0002.JPG": _picture("2026:06:01 05:00:00", position=(59.5, 18.0)),
    "cam01/IMG_0001.JPG": _picture("2026:06:01 05:00:00"),
    "cam01/deeper/IMG_0003.JPG": _picture("2026:06:01 04:00:00"),
}
_HOSTILE = {
    "cam03/empty.jpg": b"",
    "cam03/text.jpg": b"this is no picture",
    "cam03/cut.jpg": _picture("2026:06:01 05:00:00")[:700],
}
_TABLE = b"camera_id,location,timezone,offset_seconds,clock_drift_ppm,notes\ncam02,,,7200,,\n"


@pytest.mark.asyncio
async def test_a_card_becomes_a_manifest(tmp_path: Path) -> None:
    """Sorted by time and name, whatever the order of the files; bad ones cost a line each."""
    storage, root = FolderStorage(), f"file://{tmp_path}"
    await _lay(storage, parse_place(f"{root}/in/"), {**_CARD, **_HOSTILE})
    await _lay(storage, parse_place(f"{root}/clocks/"), {"time_corrections.csv": _TABLE})
    shown: list[tuple[int, int]] = []
    world = replace(
        _world(storage, clocks=f"{root}/clocks/", local=True),
        progress=lambda done, total: shown.append((done, total)),
    )

    with structlog.testing.capture_logs() as logs:
        event = await _run(world, root)

    lines = await _lines(storage, root)
    assert [line.image_uri.removeprefix(f"{root}/in/") for line in lines] == [
        "cam01/deeper/IMG_0003.JPG",
        "cam02/IMG_0002.JPG",
        "cam01/IMG_0001.JPG",
        "cam01/IMG_0002.JPG",
    ]
    assert await _errors(storage, root) == {
        "empty.jpg": "empty",
        "text.jpg": "not_a_picture",
        "cut.jpg": "truncated",
    }
    assert event["stage0_results"] == {
        "output_uri": f"{root}/out/stage0/",
        "processed_images": 4,
        "exif_errors": 3,
        "time_corrections": 1,
        "images_skipped": 0,
        "cameras": 2,
    }
    assert event["budget_dkk"] == 25
    assert event["warnings"] == ["large_clock_offset: csv:cam02"]
    assert sorted(shown) == [(done, 7) for done in range(1, 8)]
    (audit,) = [entry for entry in logs if entry["event"] == "clock_corrected"]
    assert (audit["old_time"], audit["new_time"]) == (
        "2026-06-01T04:00:00Z",
        "2026-06-01T02:00:00Z",
    )
    assert (audit["rule_id"], audit["camera_id"]) == ("csv:cam02", "cam02")


@pytest.mark.asyncio
async def test_a_run_takes_the_first_pictures_and_says_how_many_it_leaves() -> None:
    """The guard has counted the same ones."""
    storage = _Counting()
    await _lay(storage, parse_place("s3://bucket/in/"), _CARD)

    event = await _run(_world(storage), "s3://bucket", max_images=3)

    assert event["stage0_results"]["processed_images"] == 3
    assert event["stage0_results"]["images_skipped"] == 1
    names = {line.image_uri for line in await _lines(storage, "s3://bucket")}
    assert "s3://bucket/in/cam02/IMG_0002.JPG" not in names


@pytest.mark.asyncio
async def test_of_a_picture_only_the_head_is_read() -> None:
    """A card of pictures is gigabytes, what cameras note of them is megabytes."""
    storage = _Counting()
    large = _picture("2026:06:01 05:00:00") + bytes(1_000_000) + b"\xff\xd9"
    await _lay(storage, parse_place("s3://bucket/in/"), {"cam01/x.jpg": large})

    await _run(_world(storage), "s3://bucket")

    uri = "s3://bucket/in/cam01/x.jpg"
    assert [read for read in storage.reads if read[0] == uri] == [(uri, 0, HEAD_BYTES)]


@pytest.mark.asyncio
async def test_the_same_pictures_make_the_same_bytes() -> None:
    """A state that is tried again must not look like another run."""
    storage = _Counting()
    await _lay(storage, parse_place("s3://bucket/in/"), {**_CARD, **_HOSTILE})
    uris = [f"s3://bucket/out/{name}" for name in (PICTURES, PICTURE_ERRORS)]

    found = []
    for _ in range(2):
        await _run(_world(storage), "s3://bucket")
        found.append([await storage.read(uri) for uri in uris])

    assert found[0] == found[1]
    first = json.loads(found[0][0].splitlines()[0])
    assert first["timestamp_utc"] == "2026-06-01T02:00:00Z"
    assert first["rule_id"] is None


@pytest.mark.asyncio
async def test_objects_that_nobody_can_read_cost_a_line_each() -> None:
    """One that was archived, or removed meanwhile, delays no other."""
    storage = _Counting()
    lost = {f"cam01/{name}.jpg": bytes(100) for name in ("gone", "denied", "shrunk")}
    files = {**lost, **_CARD}
    await _lay(storage, parse_place("s3://bucket/in/"), files)

    event = await _run(_world(storage), "s3://bucket")

    assert event["stage0_results"]["processed_images"] == 4
    assert await _errors(storage, "s3://bucket") == {
        "gone.jpg": "missing",
        "denied.jpg": "unreadable",
        "shrunk.jpg": "truncated",
    }


@pytest.mark.asyncio
async def test_a_failing_store_ends_the_state_by_its_own_name() -> None:
    """It is tried again as a whole; pictures are not to blame."""
    storage = _Counting()
    await _lay(storage, parse_place("s3://bucket/in/"), {"cam01/storm.jpg": b"x", **_CARD})

    with pytest.raises(ServerError):
        await _run(_world(storage), "s3://bucket")


@pytest.mark.asyncio
async def test_a_run_without_a_readable_picture_fails_and_says_why() -> None:
    """Whoever formatted the wrong card finds a line for each file."""
    storage = _Counting()
    await _lay(storage, parse_place("s3://bucket/in/"), _HOSTILE)

    with pytest.raises(stage0_exif.NothingReadable, match="none of 3 pictures"):
        await _run(_world(storage), "s3://bucket")

    assert len(await _errors(storage, "s3://bucket")) == 3
