import os
from pathlib import Path

import anyio
import pytest

from shared.handshake.transfer import fetch_file, read_small, send_file
from shared.s3.errors import (
    ChecksumMismatch,
    NotFound,
    PreconditionFailed,
    SourceChanged,
    TooLarge,
    Unreachable,
)
from shared.s3.memory import Faults, MemoryDownload, MemoryStore
from shared.s3.memory_buckets import MemoryBuckets, Verb
from shared.s3.pinned import crc64nvme
from shared.s3.store import ABSENT, Download, PutOptions
from shared.s3.uri import S3Uri
from shared.s3.wire import encode_crc
from tests.support.leasing import BUCKET

WHERE = S3Uri(BUCKET, "a.csv")
BODY = b"row_id,ra\n1,2\n" * 200_000
CRC = encode_crc(crc64nvme(BODY))
LIMIT = len(BODY)


class Wrong(MemoryStore):
    """Delivers other bytes than it describes."""

    delivered: bytes

    def get(self, *args: object, **named: object) -> "Opened":  # type: ignore[override]
        """Open the object, and hand out something else."""
        return Opened(self, self.delivered)


class Opened:
    """A download with bytes of the test's own."""

    def __init__(self, store: MemoryStore, delivered: bytes) -> None:
        self._store = store
        self._delivered = delivered

    async def __aenter__(self) -> Download:
        return MemoryDownload(await self._store.head(WHERE), self._delivered)

    async def __aexit__(self, *_error: object) -> None:
        """Nothing is open."""


class Away(Faults):
    """The bucket is away."""

    async def before(self, verb: Verb, uri: S3Uri) -> None:
        """Refuse to read."""
        if verb is Verb.GET:
            raise Unreachable(uri)


def buckets_with(body: bytes = BODY, *, answers_checksums: bool = True) -> MemoryBuckets:
    """Return a bucket with the one object."""
    buckets = MemoryBuckets(BUCKET, answers_checksums=answers_checksums)
    buckets.put(WHERE, body, options=PutOptions(metadata={"towpath-owner": "a"}))
    return buckets


@pytest.mark.asyncio
@pytest.mark.parametrize("promised", ["", CRC])
@pytest.mark.parametrize("answers", [True, False])
async def test_file_is_what_s3_holds(tmp_path: Path, promised: str, *, answers: bool) -> None:
    """With whatever there is to compare by."""
    store = MemoryStore(buckets_with(answers_checksums=answers))
    target = tmp_path / "a.csv"
    target.write_bytes(b"older")

    fetched = await fetch_file(store, WHERE, target, limit=LIMIT, crc64nvme=promised)

    assert target.read_bytes() == BODY
    assert (fetched.path, fetched.crc64nvme) == (target, CRC)
    assert fetched.info.metadata == {"towpath-owner": "a"}
    assert os.listdir(tmp_path) == ["a.csv"]  # noqa: PTH208 - hidden files too


@pytest.mark.asyncio
async def test_empty_object_is_an_empty_file(tmp_path: Path) -> None:
    """A table without rows still has a header, but a marker may be empty."""
    await fetch_file(MemoryStore(buckets_with(b"")), WHERE, tmp_path / "a.csv", limit=0)

    assert (tmp_path / "a.csv").read_bytes() == b""


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("delivered", "answers", "promised"),
    [
        (BODY[:-1], True, ""),
        (BODY + b"x", True, ""),
        (b"x" + BODY[1:], True, ""),
        (b"x" + BODY[1:], False, ""),
        (b"x" + BODY[1:], False, CRC),
        (BODY, True, encode_crc(1)),
        (BODY, False, encode_crc(1)),
    ],
    ids=["short", "long", "crc", "md5", "promise", "other object", "other object, no checksum"],
)
async def test_wrong_bytes_never_become_a_file(
    tmp_path: Path, delivered: bytes, promised: str, *, answers: bool
) -> None:
    """An older file under the name stays; nothing is left beside it."""
    store = Wrong(buckets_with(answers_checksums=answers))
    store.delivered = delivered
    target = tmp_path / "a.csv"
    target.write_bytes(b"older")

    with pytest.raises(ChecksumMismatch):
        await fetch_file(store, WHERE, target, limit=LIMIT, crc64nvme=promised)

    assert target.read_bytes() == b"older"
    assert os.listdir(tmp_path) == ["a.csv"]  # noqa: PTH208 - hidden files too


@pytest.mark.asyncio
async def test_object_beyond_the_limit_is_not_fetched(tmp_path: Path) -> None:
    """A disk is filled quickly by somebody else's mistake."""
    store = MemoryStore(buckets_with())

    with pytest.raises(TooLarge, match=f"it has {LIMIT} bytes; allowed are {LIMIT - 1}"):
        await fetch_file(store, WHERE, tmp_path / "a.csv", limit=LIMIT - 1)
    with pytest.raises(TooLarge):
        await read_small(store, WHERE, limit=LIMIT - 1)

    assert os.listdir(tmp_path) == []  # noqa: PTH208 - hidden files too


@pytest.mark.asyncio
async def test_object_that_grows_beyond_the_limit_is_not_read_on() -> None:
    """The answer said it was small."""
    store = Wrong(buckets_with(b"small"))
    store.delivered = BODY

    with pytest.raises(TooLarge, match="more than 1000 bytes"):
        await read_small(store, WHERE, limit=1000)


@pytest.mark.asyncio
async def test_small_object_is_read_with_its_etag() -> None:
    """The ETag is what the next write is conditional on."""
    buckets = buckets_with(b"small")

    assert await read_small(MemoryStore(buckets), WHERE, limit=5) == (
        b"small",
        buckets.head(WHERE).etag,
    )


@pytest.mark.asyncio
async def test_trouble_leaves_nothing_behind(tmp_path: Path) -> None:
    """Downloads break off all day; their halves must not fill the inbox."""
    away = MemoryStore(buckets_with(), faults=Away())
    with pytest.raises(Unreachable):
        await fetch_file(away, WHERE, tmp_path / "a.csv", limit=LIMIT)
    with pytest.raises(NotFound):
        await fetch_file(
            MemoryStore(buckets_with()), S3Uri(BUCKET, "b"), tmp_path / "a.csv", limit=LIMIT
        )
    with anyio.CancelScope() as scope:
        scope.cancel()
        await fetch_file(MemoryStore(buckets_with()), WHERE, tmp_path / "a.csv", limit=LIMIT)

    assert os.listdir(tmp_path) == []  # noqa: PTH208 - hidden files too


@pytest.mark.asyncio
async def test_longest_name_can_be_fetched(tmp_path: Path) -> None:
    """The temporary name must not be longer than what the disk takes."""
    target = tmp_path / ("\N{FIRE}" * 63)

    await fetch_file(MemoryStore(buckets_with()), WHERE, target, limit=LIMIT)

    assert target.read_bytes() == BODY


@pytest.mark.asyncio
async def test_link_in_the_place_of_the_target_is_replaced(tmp_path: Path) -> None:
    """Written through, it would change a file somewhere else."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"mine")
    target = tmp_path / "a.csv"
    target.symlink_to(elsewhere)

    await fetch_file(MemoryStore(buckets_with()), WHERE, target, limit=LIMIT)

    assert elsewhere.read_bytes() == b"mine"
    assert not target.is_symlink()


@pytest.mark.asyncio
async def test_file_is_sent_as_it_is(tmp_path: Path) -> None:
    """With the precondition and what is stored beside it."""
    buckets = MemoryBuckets(BUCKET)
    store = MemoryStore(buckets)
    path = tmp_path / "a.csv"
    path.write_bytes(BODY)

    stored = await send_file(
        store, WHERE, path, when=ABSENT, options=PutOptions(metadata={"towpath-generation": "2"})
    )

    assert stored.size == len(BODY)
    assert buckets.head(WHERE).metadata == {"towpath-generation": "2"}
    with pytest.raises(PreconditionFailed):
        await send_file(store, WHERE, path, when=ABSENT)
    assert len(buckets.history()) == 1


@pytest.mark.asyncio
async def test_what_is_no_plain_file_is_not_sent(tmp_path: Path) -> None:
    """A link could show anything of the machine to everybody with read access."""
    link = tmp_path / "link"
    link.symlink_to("/etc/hostname")

    for path, refusal in ((link, OSError), (tmp_path, SourceChanged), (tmp_path / "gone", OSError)):
        with pytest.raises(refusal):
            await send_file(MemoryStore(MemoryBuckets(BUCKET)), WHERE, path)
