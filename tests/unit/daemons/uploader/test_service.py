from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
import structlog

from daemons.uploader.job import Ending, FileJobs, Found, Result
from shared.fswatch.items import (
    Candidates,
    FlushFinished,
    FoundBy,
    RootMissing,
    StillChanging,
    WatchItem,
)
from shared.fswatch.stability import FileIdentity, LocalFile
from shared.lifecycle import Control
from shared.removal import Removal
from shared.s3.errors import (
    Throttled,
)
from shared.s3.memory_buckets import Verb
from shared.s3.store import Evidence
from shared.s3.uri import S3Uri
from shared.systemd import Notifier
from tests.support.soak import repetitions
from tests.support.uploading import BUCKET, Place, Script, finished

pytestmark = pytest.mark.asyncio

Logs = list[Any]


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


class HeldJobs(FileJobs):
    """Jobs that take as long as the test wants, and count how many are under way."""

    def __init__(self, place: Place) -> None:
        base = place.jobs()
        super().__init__(base._store, base._root, base._rules, clock=base._clock)
        self.began = 0
        self.inside = 0
        self.most = 0
        self.first = anyio.Event()
        self.go = anyio.Event()

    async def run(self, found: Found) -> Result:
        """Wait to be let go."""
        self.began += 1
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.first.set()
        await self.go.wait()
        self.inside -= 1
        return Result(found, Ending.UPLOADED, Evidence.ANSWERED, Removal.REMOVED)


def many(files: int) -> list[WatchItem]:
    """Candidates that need not exist."""
    return [
        Candidates(
            BUCKET,
            tuple(
                LocalFile(f"{BUCKET}/{number}", FileIdentity(1, number, 1, 1))
                for number in range(start, min(start + 1000, files))
            ),
            FoundBy.EVENT,
        )
        for start in range(0, files, 1000)
    ]


async def test_what_is_under_way_is_bounded_whatever_waits(place: Place) -> None:
    """A hundred thousand files behind a slow store cost no more tasks than a thousand."""
    files = repetitions(6000, 100_000)
    place.files_in_flight = 16
    jobs = HeldJobs(place)
    service = place.uploader(jobs)
    taken = 0

    async def source() -> AsyncIterator[WatchItem]:
        nonlocal taken
        for item in many(files):
            taken += 1
            yield item

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(service.run_once, source())
            await jobs.first.wait()
            await anyio.wait_all_tasks_blocked()
            assert (jobs.inside, taken) == (16, 1), "the watch is held up"
            jobs.go.set()

    assert jobs.most == 16
    assert service.totals.uploaded == files
    assert service._in_flight == {}
    assert len(service.narrator.once._said) == 0


async def test_stopping_finishes_what_is_under_way_and_begins_nothing(place: Place) -> None:
    """The grace time is for what has begun."""
    place.files_in_flight = 4
    jobs = HeldJobs(place)
    service, script = place.uploader(jobs), Script(many(100))
    control = Control(Notifier({}))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(service.run, script, control)
            await jobs.first.wait()
            await anyio.wait_all_tasks_blocked()
            control.stopping.set()
            await anyio.wait_all_tasks_blocked()
            assert jobs.inside == 4
            jobs.go.set()

    assert (jobs.began, service.totals.uploaded) == (4, 4)


async def test_cancelled_service_leaves_every_file(place: Place) -> None:
    """When the grace is over nothing unverified may have been removed."""
    reached = anyio.Event()
    for number in range(10):
        place.write(f"{BUCKET}/{number}")

    async def hang(verb: Verb, uri: S3Uri) -> None:
        reached.set()
        await anyio.sleep_forever()

    place.requests.before = hang  # type: ignore[method-assign] # a fault that waits
    service = place.uploader()
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(service.run_once, place.scan())
            await reached.wait()
            tasks.cancel_scope.cancel()

    assert len(place.left()) == 10
    assert service._in_flight == {}


async def test_file_is_not_taken_twice_at_once(place: Place) -> None:
    """A scan and an event may tell of the same file."""
    jobs = HeldJobs(place)
    service, script = place.uploader(jobs), Script([*many(3), *many(3)])
    control = Control(Notifier({}))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(service.run, script, control)
            await script.told.wait()
            jobs.go.set()
            control.stopping.set()

    assert jobs.began == 3


async def test_end_of_a_scan_is_one_line_with_all_counts(place: Place) -> None:
    """Found, uploaded, already there, skipped, failed, bytes."""
    place.write(f"{BUCKET}/a")
    script = Script([item async for item in place.scan()])
    service, control = place.uploader(), Control(Notifier({}))

    with anyio.fail_after(20), structlog.testing.capture_logs() as logs:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(service.run, script, control)
            await script.told.wait()
            control.stopping.set()

    lines = events(logs, "pass_finished")
    assert lines[0]["found"] == lines[0]["uploaded"] == 1
    assert {"already_there", "skipped", "failed", "bytes"} <= set(lines[0])


async def test_watch_items_are_passed_on_to_the_operator(place: Place) -> None:
    """What is still changing, what a flush left behind, and a root that is not there."""
    script = Script(
        [
            RootMissing("/root", "it does not exist"),
            StillChanging("a"),
            FlushFinished(("b",)),
            finished(0),
        ]
    )
    service, control = place.uploader(), Control(Notifier({}))

    with anyio.fail_after(20), structlog.testing.capture_logs() as logs:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(service.run, script, control)
            await script.told.wait()
            control.stopping.set()

    assert lines_above(logs) == ["root_missing", "file_still_changing", "file_left_behind"]
    assert service.root_missing == "it does not exist"


async def test_age_of_the_oldest_file_kept_back_is_known(place: Place) -> None:
    """Silence is an alarm: the metric must show what does not move."""
    place.write(f"{BUCKET}/old")
    place.write(f"{BUCKET}/newer")
    place.requests.fault = lambda _, uri: Throttled(uri)
    service, seen = place.uploader(), []

    async def look(which: object, counts: object) -> None:
        seen.append(service.oldest_pending_ns)

    service._at_pass_end = look
    await place.one_pass(service)
    assert service.oldest_pending_ns == seen[0], "the next pass may last, and is reported too"
    place.requests.fault = lambda _verb, _uri: None
    for _ in range(2):
        await place.one_pass(service)

    assert seen[0] == 1_700_000_000 * 10**9
    assert seen[-1] is None
    with suppress(FileNotFoundError):
        assert place.left() == []
