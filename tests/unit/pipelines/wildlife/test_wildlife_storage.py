"""A bucket and a folder behave the same to a run."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from pipelines.wildlife.document.places import Place, locate, parse_place
from pipelines.wildlife.errors import InvalidInput
from pipelines.wildlife.layout import Kind
from pipelines.wildlife.listing import find_pictures
from pipelines.wildlife.storage.bucket import BucketStorage
from pipelines.wildlife.storage.folder import FolderStorage
from pipelines.wildlife.storage.lines import BadLine, read_records, write_records
from pipelines.wildlife.storage.mixed import MixedStorage
from pipelines.wildlife.storage.protocol import Missing, Storage, Unusable
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import MemoryBuckets
from shared.s3.uri import S3Uri

_NUMBERS: TypeAdapter[int] = TypeAdapter(int)
_ODD_NAMES = ["a b.jpg", "cam01/ø%2F.JPG", "cam01/x#?.jpg", "z.jpg"]


@pytest.fixture(params=["bucket", "folder"])
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Storage, Place]]:
    """A storage, and a place in it."""
    if request.param == "folder":
        yield FolderStorage(), parse_place(f"file://{tmp_path}/in put/")
    else:
        store = MemoryStore(MemoryBuckets("bucket"))
        yield BucketStorage(store), parse_place("s3://bucket/in put/")


@pytest.mark.asyncio
async def test_what_was_written_is_listed_in_byte_order_and_read(
    ground: tuple[Storage, Place],
) -> None:
    """Names come back through their URIs, whatever is in them."""
    storage, place = ground
    for name in reversed(_ODD_NAMES):
        await storage.write(place.join(name), name.encode(), kind=Kind.CROP)

    entries = [entry async for entry in storage.walk(place)]

    assert [entry.relative for entry in entries] == sorted(_ODD_NAMES, key=str.encode)
    for entry in entries:
        body = entry.relative.encode()
        assert await storage.read(entry.uri) == body
        assert await storage.read(entry.uri, start=2, length=3) == body[2:5]
        assert await storage.read(entry.uri, start=1000, length=3) == b""
        assert b"".join([piece async for piece in storage.stream(entry.uri)]) == body
        stat = await storage.stat(entry.uri)
        assert (stat.size, stat.etag) == (entry.size, entry.etag) == (len(body), entry.etag)


@pytest.mark.asyncio
async def test_what_is_not_there_is_missing(ground: tuple[Storage, Place]) -> None:
    """A state tells a missing object from a failing store."""
    storage, place = ground
    with pytest.raises(Missing):
        await storage.read(place.join("nothing"))
    with pytest.raises(Missing):
        await storage.stat(place.join("nothing"))


@pytest.mark.asyncio
async def test_records_come_back_and_a_bad_one_is_named(ground: tuple[Storage, Place]) -> None:
    """A manifest that was damaged ends a state with the line's number."""
    storage, place = ground
    uri = place.join("numbers.jsonl")

    assert await write_records(storage, uri, _NUMBERS, range(3)) == 3
    assert [number async for number in read_records(storage, uri, _NUMBERS)] == [0, 1, 2]

    await storage.write(uri, b"1\n\n2\nx\n", kind=Kind.MANIFEST)
    with pytest.raises(BadLine, match="line 3"):
        [number async for number in read_records(storage, uri, _NUMBERS)]


@pytest.mark.asyncio
async def test_objects_have_the_tags_of_their_kind() -> None:
    """The bucket's lifecycle rules go by them."""
    store = MemoryStore(MemoryBuckets("bucket"))
    await BucketStorage(store).write("s3://bucket/out/x.jpg", b"x", kind=Kind.CROP)

    tags = await store.tags(S3Uri("bucket", "out/x.jpg"))

    assert tags == {"Project": "WildlifePipeline", "kind": "crop"}


@pytest.mark.asyncio
async def test_a_link_in_the_input_is_not_followed(tmp_path: Path) -> None:
    """A card's content must not name files outside of it."""
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "secret.jpg").write_bytes(b"x")
    (folder / "link.jpg").symlink_to(tmp_path / "secret.jpg")

    entries = [entry async for entry in FolderStorage().walk(parse_place(f"file://{folder}/"))]

    assert entries == []


@pytest.mark.asyncio
async def test_a_uri_of_another_scheme_is_refused(tmp_path: Path) -> None:
    """A payload from outside must not make a function read its disk."""
    storage = MixedStorage({"s3": BucketStorage(MemoryStore(MemoryBuckets("bucket")))})
    with pytest.raises(Unusable, match="out of reach"):
        await storage.read(f"file://{tmp_path}/x")
    with pytest.raises(ValueError, match="neither"):
        locate("http://somewhere/x")


@pytest.mark.asyncio
async def test_a_name_that_is_too_long_for_the_disk_is_not_there(tmp_path: Path) -> None:
    """A picture may have the longest name that there is, and what lies beside it a longer one."""
    with pytest.raises(Missing):
        await FolderStorage().stat(f"file://{tmp_path}/{'x' * 240}.jpg.detections.json")


@pytest.mark.asyncio
async def test_a_folder_that_cannot_be_listed_ends_the_listing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures must not be left out of a run without a word."""
    (tmp_path / "locked").mkdir()
    scan = os.scandir

    def refuse(path: bytes) -> "Iterator[os.DirEntry[bytes]]":
        if path.endswith(b"locked"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    with monkeypatch.context() as patch:
        patch.setattr("os.scandir", refuse)
        with pytest.raises(Unusable, match=r"locked.*permission denied"):
            [entry async for entry in FolderStorage().walk(parse_place(f"file://{tmp_path}/"))]


@pytest.mark.asyncio
async def test_every_folder_that_is_no_camera_is_named(tmp_path: Path) -> None:
    """Who renames folders renames them all before trying again."""
    for name in ("100 MEDIA", "cam01", "Åsen"):
        (tmp_path / name).mkdir()
        for number in range(2):
            (tmp_path / name / f"{number}.jpg").touch()

    with pytest.raises(InvalidInput) as caught:
        await find_pictures(FolderStorage(), parse_place(f"file://{tmp_path}/"), 100)

    lines = str(caught.value).splitlines()
    assert ["100 MEDIA" in lines[0], "Åsen" in lines[1], len(lines)] == [True, True, 2]
