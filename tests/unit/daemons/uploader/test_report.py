from dataclasses import replace
from datetime import UTC, datetime
from errno import EACCES, EIO

import pytest
import structlog

from daemons.uploader.job import Ending, Found, Result
from daemons.uploader.report import Narrator, Once, PassCounts
from shared.fswatch.stability import FileIdentity, LocalFile
from shared.removal import Removal
from shared.s3.errors import AccessDenied, Answer, InvalidKey
from shared.s3.store import Evidence, ObjectInfo
from shared.s3.uri import S3Uri

URI = S3Uri("colony-shots", "a.png")
FOUND = Found(LocalFile("colony-shots/a.png", FileIdentity(1, 2, 7, 3)), URI, ask_first=False)
UPLOADED = Result(FOUND, Ending.UPLOADED, Evidence.ANSWERED, Removal.REMOVED, seconds=0.25)
NAMED = {"bucket": "colony-shots", "key": "a.png"}


def tell(*results: Result) -> tuple[Narrator, list[dict[str, object]]]:
    """Tell of results; returns what was logged."""
    narrator = Narrator()
    with structlog.testing.capture_logs() as logs:
        for result in results:
            narrator.told(result)
    return narrator, [dict(line) for line in logs]


def test_uploaded_file_is_one_line() -> None:
    """Bucket, key, bytes and seconds, at the level that operators read."""
    narrator, logs = tell(UPLOADED)

    assert logs == [
        {
            "event": "file_uploaded",
            "log_level": "info",
            **NAMED,
            "size_bytes": 7,
            "duration_seconds": 0.25,
            "evidence": "ANSWERED",
        }
    ]
    assert narrator.counts == PassCounts(uploaded=1, removed=1, bytes=7)


def test_replaced_object_is_named() -> None:
    """Content that is replaced must be possible to find again."""
    old = ObjectInfo(URI, 9, "old-etag", datetime(2024, 11, 3, tzinfo=UTC), version="v1")

    _, logs = tell(replace(UPLOADED, replaced=old))

    assert (
        logs[0].items()
        >= {
            "replaced_etag": "old-etag",
            "replaced_version": "v1",
            "replaced_size_bytes": 9,
        }.items()
    )


def test_file_already_there_is_told() -> None:
    """No second upload, and the proof is named."""
    narrator, logs = tell(Result(FOUND, Ending.ALREADY_THERE, Evidence.READ_BACK, Removal.REMOVED))

    assert [(line["event"], line["log_level"]) for line in logs] == [("file_already_there", "info")]
    assert narrator.counts == PassCounts(already_there=1, removed=1)


@pytest.mark.parametrize("ending", [Ending.CHANGED, Ending.VANISHED])
def test_file_that_moved_on_is_no_error(ending: Ending) -> None:
    """Writers do that all day."""
    narrator, logs = tell(Result(FOUND, ending))

    assert [line["log_level"] for line in logs] == ["debug"]
    assert narrator.counts == PassCounts()


def test_failure_carries_the_services_own_words() -> None:
    """Code, message and request id are what a support case needs."""
    error = InvalidKey(URI, Answer("KeyTooLongError", "too long", 400, "request-1"))

    narrator, logs = tell(Result(FOUND, Ending.FAILED, error=error))

    assert logs == [
        {
            "event": "file_failed",
            "log_level": "error",
            **NAMED,
            "code": "KeyTooLongError",
            "reason": str(error),
            "request_id": "request-1",
        }
    ]
    assert narrator.counts == PassCounts(failed=1)


def test_failure_of_the_disk_carries_its_kind() -> None:
    """There is no request to name."""
    _, logs = tell(Result(FOUND, Ending.FAILED, error=OSError(EIO, "Input/output error")))

    assert (logs[0]["code"], logs[0]["request_id"]) == ("OSError", "")


@pytest.mark.parametrize(
    ("removal", "error", "event"),
    [
        (Removal.HELD_OPEN, None, "file_held_open"),
        (Removal.IN_THE_WAY, None, "file_not_removed"),
        (None, PermissionError(EACCES, "Permission denied"), "file_not_removed"),
        (None, None, "file_unproven"),
    ],
)
def test_file_that_stays_is_warned_about_once(
    removal: Removal | None, error: OSError | None, event: str
) -> None:
    """A log that stays open for months must not fill the journal, and it must not go unsaid."""
    stays = replace(UPLOADED, ending=Ending.ALREADY_THERE, removal=removal, error=error)

    narrator, logs = tell(stays, stays, stays)

    assert [line for line in logs if line["log_level"] == "warning"] == [
        {"log_level": "warning", "reason": logs[1]["reason"], "event": event, **NAMED}
    ]
    assert narrator.counts.kept == 3
    assert narrator.counts.unremovable == (0 if removal is Removal.HELD_OPEN else 3)


def test_warning_is_news_again_after_the_file_was_removed() -> None:
    """The next file of that name is another story."""
    stays = replace(UPLOADED, removal=Removal.HELD_OPEN)

    _, logs = tell(stays, UPLOADED, stays)

    assert [line["event"] for line in logs].count("file_held_open") == 2


@pytest.mark.parametrize("removal", [Removal.CHANGED, Removal.GONE])
def test_file_that_changed_before_its_removal_is_no_warning(removal: Removal) -> None:
    """It is simply a new file."""
    _, logs = tell(replace(UPLOADED, removal=removal))

    assert [line["log_level"] for line in logs] == ["info", "debug"]


def test_counts_add_up() -> None:
    """The totals of the status are the sum of the passes."""
    narrator, _ = tell(UPLOADED, UPLOADED, Result(FOUND, Ending.FAILED, error=AccessDenied(URI)))
    total = PassCounts(uploaded=1)

    counts = narrator.take_counts()
    total.add(counts)

    assert total == PassCounts(uploaded=3, removed=2, failed=1, bytes=14)
    assert narrator.counts == PassCounts()
    assert counts.fields()["uploaded"] == 2


def test_what_was_said_is_forgotten_beyond_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does not grow with the number of files that ever failed; the oldest goes first."""
    monkeypatch.setattr("daemons.uploader.report._SAID_MAX", 2)
    once = Once()

    assert [once.first("event", name) for name in "abcab"] == [True, True, True, True, True]
    assert not once.first("event", "b")
