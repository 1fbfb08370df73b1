"""What the report reads besides the rows: small things that may be missing or odd."""

import json
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from pipelines.wildlife import layout
from pipelines.wildlife.report import reading
from pipelines.wildlife.report.reading import read_crops, read_places, read_summary, read_zone
from pipelines.wildlife.storage.bucket import BucketStorage
from pipelines.wildlife.tables.columns import Column, Kind
from pipelines.wildlife.tables.spool import SpoolFailed, open_spool
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import MemoryBuckets

_URI = "s3://bucket/out/thing"


@pytest.fixture
def storage() -> BucketStorage:
    """An empty bucket."""
    return BucketStorage(MemoryStore(MemoryBuckets("bucket")))


async def _put(storage: BucketStorage, body: bytes, uri: str = _URI) -> None:
    await storage.write(uri, body, kind=layout.Kind.MANIFEST)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("zones", "expected"),
    [
        (["Europe/Oslo", "+02:00", "Europe/Stockholm", "Europe/Oslo"], "Europe/Oslo"),
        (["+02:00", "+02:00", "Europe/Oslo"], "Europe/Oslo"),
        (["Europe/Oslo", "Europe/Stockholm"], "Europe/Oslo"),
        (["", "../../etc/passwd", "no/zone", "/etc/localtime"], "UTC"),
        ([], "UTC"),
    ],
)
async def test_hours_are_those_of_most_pictures(
    storage: BucketStorage, zones: list[str], expected: str
) -> None:
    """An offset is no zone: with the summer's every winter sighting would be an hour off."""
    await _put(storage, b"".join(json.dumps({"timezone": name}).encode() + b"\n" for name in zones))

    zone = await read_zone(storage, _URI)

    assert str(zone) == expected
    assert not isinstance(zone, ZoneInfo) or zone.key == expected


@pytest.mark.asyncio
async def test_what_is_not_there_is_left_out(storage: BucketStorage) -> None:
    """None of these is worth a run that ends without its report."""
    assert await read_summary(storage, _URI) is None
    assert await read_places(storage, _URI) == {}
    assert str(await read_zone(storage, _URI)) == "UTC"
    assert await read_crops(storage, [_URI], below="s3://bucket/out/", bytes_max=9) == {}


@pytest.mark.asyncio
async def test_places_that_are_too_many_to_draw_are_left_out(
    storage: BucketStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page has the places of the rows in any case."""
    body = b'{"type": "FeatureCollection", "features": []}'
    await _put(storage, body)

    assert await read_places(storage, _URI) == json.loads(body)
    monkeypatch.setattr(reading, "_PLACES_BYTES_MAX", len(body) - 1)
    assert await read_places(storage, _URI) == {}
    monkeypatch.undo()
    await _put(storage, b"[]")
    assert await read_places(storage, _URI) == {}


@pytest.mark.asyncio
async def test_a_crop_that_is_too_large_is_left_out(storage: BucketStorage) -> None:
    """What would not be shown is not held, either."""
    crops = {f"s3://bucket/out/{size}.jpg": b"x" * size for size in (8, 9, 10)}
    for uri, body in crops.items():
        await _put(storage, body, uri)

    found = await read_crops(storage, crops, below="s3://bucket/out/", bytes_max=9)

    assert sorted(map(len, found.values())) == [8, 9]
    assert await read_crops(storage, crops, below="s3://bucket/out2/", bytes_max=9) == {}


def test_a_spool_leaves_nothing_and_says_what_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is named as the place where it happened, and the place is cleared."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    with pytest.raises(SpoolFailed, match=f"{tmp_path}.*is full"):
        _overfill()

    assert list(tmp_path.iterdir()) == []


def _overfill() -> None:
    with open_spool() as spool:
        spool.create("n", [Column("n", Kind.TEXT, nullable=False)])
        spool.run("PRAGMA max_page_count = 3")
        spool.add("n", [("x" * 9000,)])


def test_the_first_of_a_key_stays() -> None:
    """A manifest with a line twice counts it once, the same each time."""
    columns = [Column("id", Kind.TEXT, nullable=False), Column("n", Kind.INT64, nullable=False)]
    with open_spool() as spool:
        spool.create("things", columns, key="id")

        spool.add("things", [("a", 1), ("b", 2), ("a", 3)])

        assert [tuple(row) for row in spool.rows("SELECT * FROM things ORDER BY id")] == [
            ("a", 1),
            ("b", 2),
        ]
