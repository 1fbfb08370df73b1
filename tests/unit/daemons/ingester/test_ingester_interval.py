import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemons.ingester.archive.folders import Folder
from daemons.ingester.runs.interval import (
    INTERVAL_NAME,
    Interval,
    load_interval,
    save_interval,
)
from daemons.ingester.settings import Settings
from tests.support.run_results import AT, failed_run, good_run, partial_run

DAY = timedelta(hours=24)
KNOWN = Interval(AT, AT, 0, {"hardfork": AT, "naddpod": AT})


@pytest.mark.parametrize(
    ("wanted", "hours_later", "due_in_hours"),
    [
        (("hardfork",), 1, 23),
        (("hardfork", "naddpod"), 23.5, 0.5),
        (("hardfork",), 24, 0),
        (("hardfork", "new-site"), 1, 0),
        ((), 1, 0),
        (("hardfork",), -1, 0),
    ],
    ids=str,
)
def test_a_run_is_due_when_one_of_its_sites_is(
    wanted: tuple[str, ...], hours_later: float, due_in_hours: float
) -> None:
    """A subset run by hand, a new site and a clock that was set back must not put a run off."""
    now = AT + timedelta(hours=hours_later)

    assert KNOWN.due_at(wanted, DAY, now) - now == timedelta(hours=due_in_hours)


def test_nothing_known_means_that_a_run_is_due() -> None:
    """The file only saves work."""
    assert Interval().due_at(["hardfork"], DAY, AT) == AT


def test_a_complete_run_counts_although_items_failed() -> None:
    """One episode that is gone for ever must not start the whole run anew each time."""
    before = Interval(failures=3)

    after = before.ended(partial_run())

    assert after == Interval(AT, AT, 0, {"hardfork": AT})


def test_a_run_that_failed_changes_no_success() -> None:
    """The sites that were well in it go along with the others next time."""
    later = AT + DAY

    after = replace(KNOWN, failures=1).ended(failed_run(at=later))

    assert after == replace(KNOWN, last_attempt_at=later, failures=2)


def test_a_run_that_somebody_interrupted_is_no_failure() -> None:
    """Nobody is to be called because a machine was shut down."""
    result = replace(failed_run(at=AT + DAY), interrupted=True)

    assert replace(KNOWN, failures=1).ended(result) == replace(
        KNOWN, last_attempt_at=AT + DAY, failures=1
    )


def test_a_confined_run_does_not_put_off_the_whole_one() -> None:
    """Nothing of it may have reached S3; those that are confined like it need not be repeated."""
    later = AT + timedelta(hours=30)

    after = replace(KNOWN, failures=2).ended(good_run(at=later), "--local-only")

    assert (after.last_success_at, after.last_attempt_at, after.failures) == (AT, later, 0)
    assert after.due_at(["hardfork"], DAY, later) == later
    assert after.due_at(["hardfork"], DAY, later, "--skip-s3-sync") == later
    assert after.due_at(["hardfork"], DAY, later, "--local-only") == later + DAY


def test_a_whole_run_puts_off_every_confined_one() -> None:
    """It has done all that they would."""
    assert KNOWN.due_at(["hardfork"], DAY, AT, "--max-episodes=3") == AT + DAY


def test_times_that_decide_nothing_any_more_are_forgotten() -> None:
    """Every `--only-episode` leaves one, and the file is read each time."""
    old = Interval().ended(good_run(), "--only-episode=a")

    after = old.ended(good_run("naddpod", at=AT + timedelta(days=400)))

    assert set(after.sites) == {"naddpod"}


@pytest.mark.parametrize(
    ("options", "confined_by"),
    [
        ({}, ""),
        ({"skip_consistency_check": True, "transcribe_limit": 5, "sites": "a"}, ""),
        ({"local_only": True}, "--local-only"),
        (
            {"skip_s3_sync": True, "skip_pre_sync": True, "skip_rss_retrieval": True},
            "--skip-pre-sync --skip-rss-retrieval --skip-s3-sync",
        ),
        ({"skip_audio_processing": True}, "--skip-audio-processing"),
        ({"skip_search_entries": True}, "--skip-search-entries"),
        ({"skip_cloud_indexing": True}, "--skip-cloud-indexing"),
        ({"skip_cloudfront_invalidation": True}, "--skip-cloudfront-invalidation"),
        ({"sync_folders": "rss, audio,rss"}, "--sync-folders=audio,rss"),
        ({"sync_folders": ",".join(folder.value for folder in Folder)}, ""),
        ({"max_episodes": 3, "only_episode": "E 1"}, "--max-episodes=3 --only-episode=E 1"),
    ],
    ids=str,
)
def test_a_run_is_confined_by_what_leaves_work_undone(
    options: dict[str, object], confined_by: str
) -> None:
    """The next one would otherwise end at once, and the work wait another day."""
    assert Settings.model_validate(options).confined_by == confined_by


def test_a_run_that_could_not_begin_is_a_failure() -> None:
    """A drive that is not mounted is what the hook is for."""
    assert Interval().refused(AT) == Interval(None, AT, 1)


def test_what_is_written_is_read_again_under_the_old_names(tmp_path: Path) -> None:
    """Guards of others read the three values."""
    save_interval(tmp_path, replace(KNOWN, failures=2))

    document = json.loads((tmp_path / INTERVAL_NAME).read_text())
    assert document["lastSuccessTimestamp"] == 1795248003412
    assert document["lastAttemptTimestamp"] == 1795248003412
    assert document["consecutiveFailures"] == 2
    assert load_interval(tmp_path) == replace(KNOWN, failures=2)
    assert load_interval(tmp_path).last_success_at == datetime(
        2026, 11, 21, 8, 0, 3, 412_000, tzinfo=UTC
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"lastSuccessTimestamp": "x", "lastAttemptTimestamp": 1, "consecutiveFailures": 0}',
        '{"lastSuccessTimestamp": 1e300, "lastAttemptTimestamp": 1, "consecutiveFailures": 0}',
        '{"lastSuccessTimestamp": -5, "lastAttemptTimestamp": 1, "consecutiveFailures": 0}',
        '{"lastSuccessTimestamp": true, "lastAttemptTimestamp": 1, "consecutiveFailures": 0}',
        '{"lastSuccessTimestamp": 1, "lastAttemptTimestamp": 1, "consecutiveFailures": []}',
        '{"lastSuccessTimestamp":1,"lastAttemptTimestamp":1,"consecutiveFailures":0,"siteSuccessTimestamps":[]}',
        "[" * 100_000,
    ],
    ids=lambda text: text[:30],
)
def test_a_file_that_makes_no_sense_is_none(tmp_path: Path, text: str) -> None:
    """A run too many is better than none for ever."""
    (tmp_path / INTERVAL_NAME).write_text(text)

    assert load_interval(tmp_path) == Interval()
