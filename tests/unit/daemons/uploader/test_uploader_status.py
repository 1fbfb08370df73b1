import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog

from daemons.uploader.cli import state_folder
from daemons.uploader.opening import told_of
from daemons.uploader.report import PassCounts
from daemons.uploader.settings import Settings
from daemons.uploader.status import (
    RETRY_REQUEST,
    StatusWriter,
    render_status,
    request_retry,
)
from shared.errors import UsageError
from shared.s3.errors import AccessDenied
from shared.status import METRICS_NAME, read_status
from tests.support.uploading import BUCKET, Place

NOT_UTF8 = os.fsdecode(b"bad\xff")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Make a root."""
    return Place(tmp_path / "root")


def settings(place: Place) -> Settings:
    """Settings for that root."""
    return Settings(directory=place.root)


@pytest.mark.asyncio
async def test_status_tells_what_needs_a_person(place: Place, tmp_path: Path) -> None:
    """Parked files, unusable folders, refused buckets, and how old the oldest file is."""
    state = tmp_path / "state"
    place.write(f"{BUCKET}/a")
    place.write(f"{BUCKET}/{NOT_UTF8}")
    place.write("my_results/b")
    service = place.uploader()
    writer = StatusWriter(state, settings(place))

    async def at_pass_end(which: object, counts: PassCounts) -> None:
        writer.write(service)

    service._at_pass_end = at_pass_end
    place.requests.fault = lambda _, uri: AccessDenied(uri)
    await place.one_pass(service)
    status = read_status(state)

    assert status is not None
    text = render_status(status, status.written_at + timedelta(seconds=5))
    assert "written     5 s ago" in text
    assert "last sent   never" in text
    assert f"bucket      {BUCKET}: AccessDenied" in text
    assert "folder      folder 'my_results' cannot be a bucket" in text
    assert "not valid UTF-8" in text
    assert status.details["oldest_pending_at"] == "2023-11-14T22:13:20+00:00"
    metrics = (state / METRICS_NAME).read_text()
    assert 'towpath_buckets_refused{service="uploader"} 1' in metrics
    assert 'towpath_parked_files{service="uploader"} 1' in metrics
    assert str(text.encode()), "it can be printed whatever the names are"


@pytest.mark.asyncio
async def test_status_after_success(place: Place, tmp_path: Path) -> None:
    """Silence is an alarm: the last success is a point in time."""
    place.write(f"{BUCKET}/a", b"four")
    service = place.uploader()
    await place.one_pass(service)

    StatusWriter(tmp_path, settings(place)).write(service)

    status = read_status(tmp_path)
    assert status is not None
    text = render_status(status, status.written_at)
    assert "1 uploaded (4 bytes), 0 already there, 0 failures" in text
    assert "never" not in text
    metrics = (tmp_path / METRICS_NAME).read_text()
    assert 'towpath_files_uploaded_total{service="uploader"} 1' in metrics
    assert 'towpath_sent_bytes_total{service="uploader"} 4' in metrics


def test_files_that_cannot_be_removed_are_shown(place: Place, tmp_path: Path) -> None:
    """They are in S3, nothing fails, and the disk fills up."""
    service = place.uploader()
    service.last_pass = PassCounts(already_there=3, kept=3, unremovable=2)

    StatusWriter(tmp_path, settings(place)).write(service)

    status = read_status(tmp_path)
    assert status is not None
    assert "on disk     2 that are in S3 and cannot" in render_status(status, datetime.now(UTC))
    assert "2 on disk that cannot be removed" in told_of(service.last_pass)
    assert "on disk" not in told_of(PassCounts(uploaded=1))


@pytest.mark.asyncio
async def test_missing_root_is_shown(place: Place, tmp_path: Path) -> None:
    """The most usual mistake of all: another folder."""
    service = place.uploader()
    service.root_missing = "it does not exist"

    StatusWriter(tmp_path, settings(place)).write(service)

    status = read_status(tmp_path)
    assert status is not None
    assert "root        it does not exist" in render_status(status, datetime.now(UTC))


def test_state_folder_out_of_order_stops_no_upload(place: Place, tmp_path: Path) -> None:
    """A full disk must not end the daemon."""
    (tmp_path / "state").write_bytes(b"a file")

    with structlog.testing.capture_logs() as logs:
        StatusWriter(tmp_path / "state", settings(place)).write(place.uploader())

    assert [line["event"] for line in logs] == ["status_not_written"]


def test_request_to_retry_is_told_once(place: Place, tmp_path: Path) -> None:
    """It waits for the end of a pass, and may be made twice before that."""
    writer = StatusWriter(tmp_path / "state", settings(place))
    writer.write(place.uploader())
    assert not writer.retry_requested()

    for _ in range(2):
        request_retry(tmp_path / "state")

    assert writer.retry_requested()
    assert not writer.retry_requested()


def test_request_that_nobody_would_see_is_refused(tmp_path: Path) -> None:
    """It said "asked" about a folder in which no daemon had ever looked."""
    with pytest.raises(UsageError, match="no uploader has reported into"):
        request_retry(tmp_path / "state")

    assert not (tmp_path / "state").exists()


def test_request_does_not_follow_a_link_out_of_the_folder(place: Place, tmp_path: Path) -> None:
    """The folder may belong to the daemon's user, and root be the one who asks."""
    StatusWriter(tmp_path / "state", settings(place)).write(place.uploader())
    (tmp_path / "state" / RETRY_REQUEST).symlink_to(tmp_path / "elsewhere")

    request_retry(tmp_path / "state")

    assert not (tmp_path / "elsewhere").exists()


def test_each_root_has_a_state_folder_of_its_own(tmp_path: Path) -> None:
    """Two daemons on two roots must not mix their journals; systemd's word comes first."""
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    folders = {
        state_folder(Settings(directory=tmp_path / name / "s3"), environ) for name in ("a", "b")
    }

    assert len(folders) == 2
    mine = Settings(directory=tmp_path, state_directory=tmp_path / "mine")
    assert state_folder(mine, environ) == tmp_path / "mine"
    under_systemd = {**environ, "STATE_DIRECTORY": str(tmp_path / "unit")}
    assert state_folder(Settings(directory=tmp_path), under_systemd) == tmp_path / "unit"
