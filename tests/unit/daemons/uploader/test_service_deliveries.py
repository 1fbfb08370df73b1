from pathlib import Path
from typing import Any

import pytest
import structlog

from shared.fswatch.items import (
    FoundBy,
)
from shared.s3.memory_buckets import MemoryBuckets, Verb
from shared.s3.store import Evidence
from shared.s3.uri import S3Uri
from tests.support.uploading import BUCKET, OTHER, Place

pytestmark = pytest.mark.asyncio

Logs = list[Any]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Make an empty root with two buckets behind it."""
    return Place(tmp_path)


def events(logs: Logs, event: str) -> Logs:
    """Pick out the lines of one event."""
    return [line for line in logs if line["event"] == event]


async def test_files_arrive_and_leave(place: Place) -> None:
    """The whole purpose, and no trace of it on disk."""
    place.write(f"{BUCKET}/images/a.png", b"a")
    place.write(f"{BUCKET}/images/deep/b.png", b"b")
    place.write(f"{OTHER}/c", b"")

    counts = await place.one_pass(place.uploader())

    assert place.held("images/a.png") == b"a"
    assert place.held("images/deep/b.png") == b"b"
    assert place.held("c", OTHER) == b""
    assert (counts.found, counts.uploaded, counts.removed, counts.bytes) == (3, 3, 3, 2)
    assert sorted(path.name for path in place.root.rglob("*")) == [
        BUCKET, OTHER, "deep", "images",
    ]  # fmt: skip


async def test_new_small_file_costs_one_request(place: Place) -> None:
    """At twenty milliseconds a round trip, a second one halves the rate."""
    for number in range(20):
        place.write(f"{BUCKET}/{number}")

    await place.one_pass(place.uploader())

    assert place.requests.verbs() == [Verb.PUT] * 20


async def test_first_scan_lists_instead_of_asking(place: Place) -> None:
    """After a crash with a hundred files to go, most may be there already."""
    for number in range(100):
        content = str(number).encode()
        place.write(f"{BUCKET}/x/{number:03d}", content)
        if number % 2:
            place.buckets.put(S3Uri(BUCKET, f"x/{number:03d}"), content)

    counts = await place.one_pass(place.uploader(), FoundBy.FIRST_SCAN)

    assert (counts.uploaded, counts.already_there, counts.removed) == (50, 50, 100)
    assert sorted(place.requests.verbs()) == [Verb.LIST] + [Verb.PUT] * 50
    assert place.left() == []


@pytest.mark.parametrize("found_by", [FoundBy.FIRST_SCAN, FoundBy.EVENT])
async def test_same_content_is_not_sent_again(place: Place, found_by: FoundBy) -> None:
    """A crash between the upload and the removal must not show."""
    place.write(f"{BUCKET}/a")
    place.buckets.put(S3Uri(BUCKET, "a"), b"content")

    counts = await place.one_pass(place.uploader(), found_by)

    assert (counts.uploaded, counts.already_there, counts.removed) == (0, 1, 1)
    assert len(place.buckets.history()) == 1
    assert place.left() == []


@pytest.mark.parametrize("found_by", [FoundBy.FIRST_SCAN, FoundBy.EVENT])
async def test_same_size_with_other_content_is_sent(place: Place, found_by: FoundBy) -> None:
    """What the old script dropped; and the line names what was replaced."""
    place.write(f"{BUCKET}/a", b"new content")
    old = place.buckets.put(S3Uri(BUCKET, "a"), b"old content")

    with structlog.testing.capture_logs() as logs:
        await place.one_pass(place.uploader(), found_by)

    assert place.held("a") == b"new content"
    [line] = events(logs, "file_uploaded")
    assert line["replaced_etag"] == old.etag
    assert line["replaced_size_bytes"] == 11
    assert line["replaced_version"] == old.version
    assert place.left() == []


async def test_size_is_enough_where_it_was_asked_for(place: Place) -> None:
    """The old rule, for stores that expose nothing else."""
    place.weakest = Evidence.SIZE
    place.write(f"{BUCKET}/a", b"new content")
    place.buckets.put(S3Uri(BUCKET, "a"), b"old content")

    counts = await place.one_pass(place.uploader(), FoundBy.FIRST_SCAN)

    assert (counts.already_there, counts.removed) == (1, 1)
    assert place.held("a") == b"old content"


async def test_weak_evidence_removes_nothing(place: Place) -> None:
    """The setting asks for more than this store answers; said once, and no second upload."""
    place.weakest = Evidence.READ_BACK
    place.buckets = MemoryBuckets(BUCKET, answers_checksums=False)
    place.write(f"{BUCKET}/a")
    service = place.uploader()

    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            await place.one_pass(service)

    assert place.left() == [f"{BUCKET}/a"]
    assert len(place.buckets.history()) == 1
    assert len(events(logs, "file_unproven")) == 1


async def test_object_that_changes_under_our_eyes_is_not_overwritten_blindly(place: Place) -> None:
    """A replacement is made of exactly the object that was looked at."""
    place.write(f"{BUCKET}/a", b"ours")
    uri = S3Uri(BUCKET, "a")
    place.buckets.put(uri, b"first")
    others = [b"second", b"third"]

    def interfere(verb: Verb, _uri: S3Uri) -> None:
        if verb is Verb.PUT and others and len(place.requests.seen) > 1:
            place.buckets.put(uri, others.pop(0))

    place.requests.fault = interfere

    with structlog.testing.capture_logs() as logs:
        await place.one_pass(place.uploader())

    assert place.held("a") == b"ours"
    [line] = events(logs, "file_uploaded")
    assert line["replaced_size_bytes"] == len(b"third")


async def test_object_that_is_deleted_under_our_eyes_is_made_anew(place: Place) -> None:
    """S3 answers 404 to a condition on what is gone."""
    place.write(f"{BUCKET}/a", b"ours")
    place.buckets.put(S3Uri(BUCKET, "a"), b"theirs")

    def interfere(verb: Verb, uri: S3Uri) -> None:
        if verb is Verb.PUT and len(place.requests.seen) > 1:
            place.buckets.delete(uri)

    place.requests.fault = interfere

    counts = await place.one_pass(place.uploader())

    assert (counts.uploaded, counts.failed) == (1, 0)
    assert place.left() == []
