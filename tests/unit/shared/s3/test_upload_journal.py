import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from shared.s3.journal import FileJournal, parse_record
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import MemoryBuckets
from shared.s3.pinned import open_pinned
from shared.s3.store import OpenUpload
from shared.s3.uri import S3Uri

STARTED_AT = datetime(2024, 11, 3, 10, 25, 30, tzinfo=UTC)


def upload(key: str = "a.bin", upload_id: str = "id-1") -> OpenUpload:
    """Describe an upload to the usual bucket."""
    return OpenUpload(S3Uri("colony-shots", key), upload_id, STARTED_AT)


def names(folder: Path) -> list[str]:
    """List what is in the folder."""
    return sorted(path.name for path in folder.iterdir())


def spoil(folder: Path) -> None:
    """Put files beside the one record that are none."""
    (whole,) = folder.iterdir()
    (folder / "torn.json").write_bytes(whole.read_bytes()[:30])
    (folder / "copied.json").write_bytes(whole.read_bytes())
    (folder / "empty.json").touch()
    (folder / "binary.json").write_bytes(b"\xff\xfe\x00")
    (folder / "deep.json").write_bytes(b"[" * 16_000)
    (folder / "folder.json").mkdir()
    (folder / ".half.tmp").write_bytes(b"{")


@pytest.mark.asyncio
async def test_leftovers_are_what_was_opened_and_not_closed(tmp_path: Path) -> None:
    """A restart aborts exactly the uploads that a crash left, of any key there can be."""
    odd = ["a//b", "..", "two\nlines", "\N{FIRE}", "x" * 1024, "/etc/passwd"]
    before = FileJournal(tmp_path / "uploads")
    for key in odd:
        await before.opened(upload(key))
    await before.opened(upload("a//b", "id-2"))
    await before.closed(upload("a//b"))
    await before.closed(upload("never opened"))

    found = await FileJournal(tmp_path / "uploads").leftovers()

    expected = [*(upload(key) for key in odd[1:]), upload("a//b", "id-2")]
    assert sorted(found, key=repr) == sorted(expected, key=repr)


@pytest.mark.asyncio
async def test_new_machine_has_no_leftovers(tmp_path: Path) -> None:
    """The folder does not exist before the first large file."""
    assert list(await FileJournal(tmp_path / "uploads").leftovers()) == []


@pytest.mark.asyncio
async def test_upload_without_a_time_is_recorded(tmp_path: Path) -> None:
    """Not every store says when an upload began."""
    journal = FileJournal(tmp_path)
    unknown = OpenUpload(S3Uri("colony-shots", "a"), "id-1")

    await journal.opened(unknown)

    assert list(await journal.leftovers()) == [unknown]


@pytest.mark.asyncio
async def test_torn_and_foreign_files_are_reported_and_left(tmp_path: Path) -> None:
    """A power cut or a curious person must not stop the daemon from starting."""
    journal = FileJournal(tmp_path)
    await journal.opened(upload())
    spoil(tmp_path)
    before = names(tmp_path)

    with capture_logs() as logs:
        found = await journal.leftovers()

    assert list(found) == [upload()]
    skipped = [entry["path"].rpartition("/")[2] for entry in logs]
    assert skipped == ["binary.json", "copied.json", "deep.json", "empty.json", "torn.json"]
    assert {entry["event"] for entry in logs} == {"journal_record_skipped"}
    assert names(tmp_path) == before


@pytest.mark.asyncio
async def test_record_that_cannot_be_written_stops_the_upload(tmp_path: Path) -> None:
    """Parts that nobody remembers would be paid for after a crash."""
    (tmp_path / "uploads").write_bytes(b"a file where the folder should be")

    with pytest.raises(OSError, match="uploads"):
        await FileJournal(tmp_path / "uploads").opened(upload())


@pytest.mark.asyncio
async def test_store_keeps_the_journal_up_to_date(tmp_path: Path) -> None:
    """The engine and the journal agree on when an upload begins and ends."""
    (tmp_path / "large.bin").write_bytes(bytes(3000))
    source = open_pinned(str(tmp_path / "large.bin"))
    journal = FileJournal(tmp_path / "uploads")
    buckets = MemoryBuckets("colony-shots")
    store = MemoryStore(buckets, journal=journal, threshold=1000, part_size=1000)

    await store.put_file(S3Uri("colony-shots", "a.bin"), source)
    os.close(source.descriptor)

    assert names(tmp_path / "uploads") == []
    left = buckets.begin(S3Uri("colony-shots", "b.bin"))
    await journal.opened(left)
    for leftover in await journal.leftovers():
        await store.abort(leftover)
    assert list(buckets.uploads(S3Uri("colony-shots"))) == []
    assert list(await journal.leftovers()) == []


@pytest.mark.parametrize(
    "record",
    [
        [],
        7,
        {"version": 2},
        {"version": 1, "bucket": "b"},
        {"version": 1, "bucket": 7, "key": "k", "upload_id": "u", "started_at": None},
        {"version": 1, "bucket": "b", "key": "", "upload_id": "u", "started_at": None},
        {"version": 1, "bucket": "b", "key": "k", "upload_id": "u", "started_at": "yesterday"},
        {"version": 1, "bucket": "b", "key": "k", "upload_id": "u", "started_at": 7},
    ],
)
def test_what_is_no_record_is_refused(record: object) -> None:
    """Aborting by a wrong id could end somebody else's upload."""
    with pytest.raises(ValueError, match=r"."):
        parse_record(json.dumps(record).encode())


@given(st.binary(max_size=200))
def test_no_bytes_do_worse_than_a_value_error(text: bytes) -> None:
    """The reader skips on exactly this error."""
    with pytest.raises(ValueError, match=r"."):
        parse_record(text)
