import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from shared.fswatch.items import (
    WatchItem,
)
from shared.s3.errors import (
    InvalidKey,
)
from shared.s3.pinned import open_pinned
from tests.support.uploading import BUCKET, Place

pytestmark = pytest.mark.asyncio

Logs = list[Any]
OPEN = "daemons.uploader.job.open_pinned"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Make an empty root with two buckets behind it."""
    return Place(tmp_path)


def events(logs: Logs, event: str) -> Logs:
    """Pick out the lines of one event."""
    return [line for line in logs if line["event"] == event]


def lines_above(logs: Logs, *levels: str) -> list[str]:
    """The events that an operator is shown as trouble."""
    return [line["event"] for line in logs if line["log_level"] in (levels or ("warning", "error"))]


async def test_unreadable_file_is_parked_until_it_changes(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One error for that file, the others go on, and mending it is enough."""
    place.write(f"{BUCKET}/bad")
    place.write(f"{BUCKET}/good")

    def refuse(path: str, *, directory: int | None = None) -> object:
        if path == "bad":
            raise PermissionError(errno.EACCES, "Permission denied")
        return open_pinned(path, directory=directory)

    monkeypatch.setattr(OPEN, refuse)
    service = place.uploader()
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            counts = await place.one_pass(service)
            assert counts.parked == 1

    assert lines_above(logs) == ["file_parked"]
    assert "Permission denied" in events(logs, "file_parked")[0]["reason"]
    assert place.left() == [f"{BUCKET}/bad"]

    monkeypatch.undo()
    await place.one_pass(service)
    assert place.left() == [f"{BUCKET}/bad"], "nothing has changed yet"
    os.utime(place.root / BUCKET / "bad", (1, 1))
    await place.one_pass(service)
    assert place.left() == []


async def test_parked_file_is_tried_again_on_request(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is mended changes no file."""
    place.write(f"{BUCKET}/bad")

    def refuse(path: str, *, directory: int | None = None) -> object:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(OPEN, refuse)
    service = place.uploader()
    await place.one_pass(service)
    monkeypatch.undo()

    assert service.parked.release_all() == 1
    await place.one_pass(service)

    assert place.left() == []


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC])
async def test_trouble_of_the_machine_parks_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The file cannot help it that there are no descriptors left."""
    place.write(f"{BUCKET}/a")

    def refuse(path: str, *, directory: int | None = None) -> object:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(OPEN, refuse)
        service = place.uploader()
        counts = await place.one_pass(service)

    assert (counts.failed, counts.parked, len(service.parked)) == (1, 0, 0)
    await place.one_pass(service)
    assert place.left() == []


async def test_impossible_keys_are_parked_once_each(place: Place) -> None:
    """A name that is not UTF-8, and one the store refuses; both stay in the status."""
    place.write(f"{BUCKET}/" + os.fsdecode(b"bad\xff"))
    place.write(f"{BUCKET}/refused")
    place.write(f"{BUCKET}/good")
    place.requests.fault = lambda _, uri: InvalidKey(uri) if uri.key == "refused" else None
    service = place.uploader()

    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            await place.one_pass(service)

    assert place.held("good") == b"content"
    assert len(service.parked) == 2
    assert len(events(logs, "file_parked")) == 2


async def test_folder_that_is_no_bucket_is_said_once(place: Place) -> None:
    """One error a folder, not one a file, and its files stay."""
    for number in range(50):
        place.write(f"my_results/{number}")
    place.write("in-the-root")
    place.write("also-in-the-root")
    service = place.uploader()

    with structlog.testing.capture_logs() as logs:
        passes = [await place.one_pass(service) for _ in range(3)]

    assert sorted(lines_above(logs)) == ["files_without_bucket", "folder_unusable"]
    assert [(counts.skipped, counts.failed) for counts in passes] == [(52, 0)] * 3
    assert len(place.left()) == 52
    assert place.requests.seen == []


async def test_links_and_pipes_are_left_alone(place: Place) -> None:
    """Neither followed nor uploaded; one warning each."""
    target = place.write(f"{BUCKET}/a")
    (place.root / BUCKET / "link").symlink_to(target)
    os.mkfifo(place.root / BUCKET / "pipe")

    with structlog.testing.capture_logs() as logs:
        counts = await place.one_pass(place.uploader())

    assert [line["path"] for line in events(logs, "file_skipped")] == [
        f"{BUCKET}/link",
        f"{BUCKET}/pipe",
    ]
    assert counts.skipped == 2
    assert len(place.left()) == 2


async def test_file_that_vanished_or_changed_is_no_trouble(place: Place) -> None:
    """Between the scan and the job, writers go on."""
    gone, changed = place.write(f"{BUCKET}/gone"), place.write(f"{BUCKET}/changed")
    items = [item async for item in place.scan()]
    gone.unlink()
    changed.write_bytes(b"newer")

    async def told() -> AsyncIterator[WatchItem]:
        for item in items:
            yield item

    with structlog.testing.capture_logs() as logs:
        counts = await place.uploader().run_once(told())

    assert lines_above(logs, "info", "warning", "error") == []
    assert len(events(logs, "file_left")) == 2
    assert counts.failed == 0
    assert place.left() == [f"{BUCKET}/changed"]


async def test_file_that_is_held_open_is_sent_and_stays(place: Place) -> None:
    """Its newest content is in S3, it is warned about once, and it goes once it is closed."""
    path = place.write(f"{BUCKET}/log", b"one")
    service = place.uploader()
    with structlog.testing.capture_logs() as logs, path.open("ab") as held:
        for content in (b"one", b"one, two"):
            for _ in range(2):
                await place.one_pass(service)
            assert place.held("log") == content
            held.write(b", two")
            held.flush()

    assert lines_above(logs) == ["file_held_open"]
    assert len(place.buckets.history()) == 2
    await place.one_pass(service)
    assert place.held("log") == b"one, two, two"
    assert place.left() == []


async def test_read_only_disk_keeps_the_file_and_the_daemon(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Delivered, not removed, said once; and nothing is sent again."""
    place.write(f"{BUCKET}/a")
    service = place.uploader()

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with structlog.testing.capture_logs() as logs, monkeypatch.context() as patch:
        for call in ("mkdir", "rename", "rmdir"):
            patch.setattr(os, call, refuse)
        for _ in range(3):
            await place.one_pass(service)

    assert lines_above(logs) == ["file_not_removed"]
    assert len(place.buckets.history()) == 1
    assert service.last_pass.unremovable == 1
    assert service.last_success_at is None, "a disk that fills up is no success"
    await place.one_pass(service)
    assert place.left() == []
    assert service.last_pass.unremovable == 0
    assert service.last_success_at is not None
