"""`towpath glacier status`: which records are read, and what is shown of them."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.glacier.job_record import JobRecord, SceneEntry
from pipelines.glacier.lines.storage import Storage
from pipelines.glacier.status.board import JobRow, again, region_of, row_of
from pipelines.glacier.status.command import main
from pipelines.glacier.status.lines import render_json, render_text
from pipelines.glacier.status.surveying import Which, survey
from pipelines.glacier.submit.records import SubmissionRecords
from shared.errors import UsageError
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import MemoryBuckets
from shared.s3.uri import S3Uri
from tests.support.glacier_plans import SUBMISSION_ID, entry_of, store_record, submission_of

_STORAGE = Storage("us-west-2", "bucket", "base")
_EVENT = {"region": "134_Arsuk", "date1": "2024-08-01", "date2": "2024-08-31"}
_NAME = "aws-sentinel2-20240801-134_Arsuk"


def _row(status: str, region: str = "134_Arsuk", **others: Any) -> JobRow:
    days = {"date1": "2024-08-01", "date2": "2024-08-31", **others}
    return JobRow(f"aws-sentinel2-20240801-{region}", "sentinel2", region, status, **days)


async def _survey(which: Which, names: Mapping[str, bytes]) -> list[JobRow]:
    buckets = MemoryBuckets(clock=lambda: datetime(2024, 9, 2, tzinfo=UTC))
    buckets.create("bucket")
    store = MemoryStore(buckets)
    for name in ("134_Arsuk", "001_alison"):
        job = f"aws-landsat-20240801-{name}"
        await store_record(store, job, entry_of("success", event={**_EVENT, "region": name}))
    for key, body in names.items():
        await store.put(S3Uri("bucket", f"base/{key}"), body)
    return await survey(store, _STORAGE, which)


def test_a_row_says_what_the_newest_submission_did() -> None:
    """An older one is history."""
    entry = entry_of(
        "partial",
        event=_EVENT,
        started_at="2024-09-01T10:00:00+00:00",
        ended_at="2024-09-01T10:13:05+00:00",
        scenes=(SceneEntry("a", "written"), SceneEntry("b", "pending"), SceneEntry("c", "pending")),
        peak_memory_bytes=3 * 2**30,
        error="no time\nleft",
        deliveries=2,
    )
    older = entry_of("success", submission_id="s0")
    record = JobRecord(_NAME, "sentinel2").with_entry(older).with_entry(entry)

    row = row_of(record, _NAME, "sentinel2")
    lines = render_text([row], repeat=False).splitlines()

    assert (row.region, row.date1, row.date2) == ("134_Arsuk", "2024-08-01", "2024-08-31")
    assert row.took == timedelta(minutes=13, seconds=5)
    assert lines[0].split() == ["job", "status", "began", "took", "scenes", "peak", "reason"]
    assert lines[1] == (
        f"{_NAME}  partial  2024-09-01 10:00  13 min 05 s  2 pending, 1 written  3.0 GiB"
        "  no time left"
    )
    assert lines[2] == "1 job: 1 partial"


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"region": "x; rm -rf", "date1": "$(reboot)", "date2": "2024-08-31"},
        {"region": ["a"], "date1": 7, "date2": None},
    ],
)
def test_what_a_record_says_is_never_pasted_unseen(event: Mapping[str, object]) -> None:
    """A line that people paste into a shell has regions and days in it, or is not there."""
    record = JobRecord(_NAME, "sentinel2").with_entry(entry_of("failed", event=event))

    row = row_of(record, _NAME, "sentinel2")

    assert row.region == "134_Arsuk"
    assert again([row]) == []
    assert render_text([row], repeat=True).endswith("1 job: 1 failed\n")


def test_a_record_without_a_submission_says_nothing() -> None:
    """It is none of ours, and must not look like a success."""
    row = row_of(JobRecord(_NAME, "sentinel2"), _NAME, "sentinel2")

    assert (row.status, row.region) == ("unreadable", "134_Arsuk")


@pytest.mark.asyncio
async def test_a_submission_sees_its_own_entry_alone() -> None:
    """Last month's run of the same job is no answer."""
    store = MemoryStore(MemoryBuckets("bucket"))
    job = "aws-landsat-20240801-000_x"
    records = SubmissionRecords(store, submission_of())
    seen = [await records.entry(job)]
    for submission_id in ("s0", SUBMISSION_ID):
        await store_record(store, job, entry_of("success", submission_id=submission_id))
        seen.append(await records.entry(job))

    assert seen == [None, None, entry_of("success")]
    assert records.place(job) == f"s3://bucket/base/landsat/_runs/{job}.json"


def test_times_that_are_none_are_not_told() -> None:
    """A record may come from anywhere."""
    for began, ended in [("2024-09-01", "soon"), ("2024-09-01T10:00:00", "2024-09-01T10:00+01:00")]:
        entry = entry_of("success", started_at=began, ended_at=ended)

        assert row_of(JobRecord(_NAME, "x").with_entry(entry), _NAME, "x").took is None


@pytest.mark.parametrize(
    ("took", "peak", "shown"),
    [
        (timedelta(seconds=12), 11 * 2**20, "12 s - 11 MiB"),
        (timedelta(minutes=61), 10 * 2**30, "61 min 00 s - 10.0 GiB"),
        (None, 0, " - - -"),
    ],
)
def test_times_and_memory_are_told_in_units(took: timedelta | None, peak: int, shown: str) -> None:
    """Nobody reads bytes."""
    row = _row("success", took=took, peak_memory_bytes=peak)

    line = render_text([row], repeat=False).splitlines()[1]

    assert " ".join(line.split()).endswith(shown)


def test_a_terminal_is_told_nothing() -> None:
    """An error may hold whatever a server has sent."""
    assert "\x1b" not in render_text([_row("failed", reason="\x1b[2Jgone")], repeat=False)


@pytest.mark.parametrize(
    ("name", "region"),
    [
        (_NAME, "134_Arsuk"),
        ("lambda-landsat-134_Arsuk", "134_Arsuk"),
        ("odd-", ""),
        ("aws-landsat-2024-é", ""),
    ],
)
def test_a_job_s_name_ends_in_its_region(name: str, region: str) -> None:
    """Records of both generations."""
    assert region_of(name) == region


def test_failed_jobs_can_be_sent_again_by_a_pasted_line() -> None:
    """One for each window: regions that failed in different months are different submissions."""
    rows = [
        _row("failed"),
        _row("success", "001_alison"),
        _row("partial", "002_x"),
        _row("failed", "002_x", date1="2024-09-01", date2="2024-09-30"),
        _row("running", "003_x"),
    ]

    lines = render_text(rows, repeat=True).splitlines()
    document = json.loads(render_json(rows, "s3://bucket/base/"))

    begin = "towpath glacier submit --satellite sentinel2"
    assert lines[-2:] == [
        f"{begin} --date1 2024-08-01 --date2 2024-08-31 --regions 002_x,134_Arsuk",
        f"{begin} --date1 2024-09-01 --date2 2024-09-30 --regions 002_x",
    ]
    assert document["failed"][0]["regions"] == ["002_x", "134_Arsuk"]
    assert document["counts"] == {"failed": 2, "partial": 1, "running": 1, "success": 1}
    assert document["jobs"][0]["status"] == "failed"


@pytest.mark.asyncio
async def test_every_record_has_a_row_and_nothing_else_has() -> None:
    """Logs, documents of submissions and results lie beside them."""
    rows = await _survey(
        Which(("sentinel2", "landsat")),
        {
            "landsat/_runs/aws-landsat-20240801-134_Arsuk.log": b"log",
            "landsat/_runs/submissions/s1.json": b"[]",
            "landsat/134_Arsuk/x.json": b"{}",
            f"sentinel2/_runs/{_NAME}.json": b"not a record",
        },
    )

    assert [(row.job_name, row.status) for row in rows] == [
        ("aws-landsat-20240801-001_alison", "success"),
        ("aws-landsat-20240801-134_Arsuk", "success"),
        (_NAME, "unreadable"),
    ]


@pytest.mark.parametrize(
    ("which", "regions"),
    [
        (Which(("landsat",), regions=frozenset({"001_alison"})), ["001_alison"]),
        (Which(("landsat",), jobs=frozenset({"aws-landsat-20240801-134_Arsuk"})), ["134_Arsuk"]),
        (Which(("landsat",), since=date(2024, 9, 2)), ["001_alison", "134_Arsuk"]),
        (Which(("landsat",), since=date(2024, 9, 3)), []),
        (Which(("sentinel2",)), []),
    ],
)
@pytest.mark.asyncio
async def test_only_what_is_asked_about_is_read(which: Which, regions: list[str]) -> None:
    """Of two thousand records a year, most are not."""
    assert [row.region for row in await _survey(which, {})] == regions


@pytest.mark.parametrize("flag", ["--regions", "--jobs"])
def test_a_list_that_names_nothing_is_not_all_jobs(flag: str, tmp_path: Path) -> None:
    """A variable of a script that is not set, for one; AWS is not asked."""
    with pytest.raises(UsageError, match=f"{flag} names nothing; give names"):
        main(["--project", str(tmp_path), flag, ""])
