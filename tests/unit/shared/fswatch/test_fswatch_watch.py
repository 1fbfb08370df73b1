import os
import shutil
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from shared.fswatch import follow
from shared.fswatch.items import (
    Candidates,
    FlushFinished,
    FoundBy,
    Noticed,
    RootMissing,
    ScanFinished,
    StillChanging,
    WatchItem,
)
from shared.fswatch.once import scan_once
from shared.fswatch.options import WatchOptions
from shared.fswatch.stability import StabilityRule
from shared.fswatch.watch import Watch
from tests.support.fswatch import FakeClock, FakeSource, make_file, next_item

OPTIONS = WatchOptions(StabilityRule(timedelta(seconds=2)))
FLUSH = StabilityRule(timedelta(seconds=1), equal_looks_only=True)

pytestmark = pytest.mark.asyncio


@asynccontextmanager
async def watching(
    root: Path,
    clock: FakeClock,
    source: FakeSource | None = None,
    options: WatchOptions = OPTIONS,
) -> AsyncIterator[Watch]:
    """A watch whose first scan has ended."""
    async with Watch(root, options, clock=clock, source=source or FakeSource()) as watch:
        await next_item(watch, ScanFinished)
        yield watch


async def test_the_first_scan_hands_over_what_has_settled(tmp_path: Path) -> None:
    """Files of the daemon's last life are marked, for they may be in S3 already."""
    clock = FakeClock()
    make_file(tmp_path / "b/old", clock, age_seconds=60)
    make_file(tmp_path / "b/young", clock, age_seconds=0.5)

    async with Watch(tmp_path, OPTIONS, clock=clock, source=FakeSource()) as watch:
        candidates = await next_item(watch, Candidates)
        finished = await next_item(watch, ScanFinished)

    assert [file.path for file in candidates.files] == ["b/old"]
    assert candidates.found_by is FoundBy.FIRST_SCAN
    assert (finished.number, finished.files_seen, finished.unsettled) == (1, 2, 1)


async def test_a_young_file_comes_out_the_moment_it_has_settled(tmp_path: Path) -> None:
    """One timer wakes for the earliest look, not a poll."""
    clock = FakeClock()
    make_file(tmp_path / "b/young", clock, age_seconds=0.5)

    async with watching(tmp_path, clock) as watch:
        assert watch.waiting_files == 1
        clock.advance(1.5)
        candidates = await next_item(watch, Candidates)

        assert [file.path for file in candidates.files] == ["b/young"]
        assert candidates.found_by is FoundBy.FIRST_SCAN
        assert watch.waiting_files == 0


async def test_an_event_brings_a_file_and_a_directory_its_whole_content(tmp_path: Path) -> None:
    """Files that were put into a new directory before it was watched have no event of their own."""
    clock, source = FakeClock(), FakeSource()

    async with watching(tmp_path, clock, source) as watch:
        make_file(tmp_path / "b/file", clock, age_seconds=9)
        make_file(tmp_path / "b/.hidden/file", clock, age_seconds=9)
        make_file(tmp_path / "c/d/e/file", clock, age_seconds=9)
        source.touched(["b/file", "b/.hidden", "b/gone", "c"])
        items = [await next_item(watch, Candidates) for _ in range(2)]

    assert [(item.directory, item.found_by) for item in items] == [
        ("b", FoundBy.EVENT),
        ("c/d/e", FoundBy.EVENT),
    ]


async def test_a_lost_event_costs_one_interval(tmp_path: Path) -> None:
    """The scan is the truth, and repeats what is still there."""
    clock = FakeClock()
    make_file(tmp_path / "b/first", clock, age_seconds=9)

    async with watching(tmp_path, clock) as watch:
        make_file(tmp_path / "b/unheard", clock, age_seconds=9)
        clock.advance(60)
        candidates = await next_item(watch, Candidates)

    assert [file.path for file in candidates.files] == ["b/first", "b/unheard"]
    assert candidates.found_by is FoundBy.SCAN


async def test_a_growing_file_is_told_once_and_comes_when_it_has_settled(tmp_path: Path) -> None:
    """However long it grows, one warning; and then its last content."""
    clock, source = FakeClock(), FakeSource()
    path = tmp_path / "b/log"
    make_file(path, clock, age_seconds=0.25)

    async with watching(tmp_path, clock, source) as watch:
        make_file(path, clock, age_seconds=-1.5, content=b"xx")
        source.touched(["b/log"])
        clock.advance(1.75)
        told = await watch.__anext__()
        # The last write was half a second before the look that has just been.
        await clock.everyone_sleeps()
        clock.advance(2)
        settled = await watch.__anext__()

    assert told == StillChanging("b/log")
    assert isinstance(settled, Candidates)
    assert settled.files[0].identity.size == 2


async def test_without_events_the_watch_scans_more_often(tmp_path: Path) -> None:
    """Where the machine has no inotify watch left, latency is the polling interval."""
    clock, source = FakeClock(), FakeSource(refusal="OS file watch limit reached")

    async with watching(tmp_path, clock, source) as watch:
        assert not watch.has_events
        make_file(tmp_path / "b/file", clock, age_seconds=9)
        clock.advance(5)
        assert (await next_item(watch, Candidates)).found_by is FoundBy.SCAN
        await next_item(watch, ScanFinished)
        source.refusal = ""
        clock.advance(60)
        await next_item(watch, ScanFinished)

        assert watch.has_events
        assert source.arms > 1


async def test_events_that_break_off_are_armed_again_and_followed_by_a_scan(tmp_path: Path) -> None:
    """What happened in between had no event."""
    clock, source = FakeClock(), FakeSource()

    async with watching(tmp_path, clock, source) as watch:
        source.break_off()
        await clock.everyone_sleeps()
        make_file(tmp_path / "b/unheard", clock, age_seconds=9)
        clock.advance(0.1)
        candidates = await next_item(watch, Candidates)

    assert [file.path for file in candidates.files] == ["b/unheard"]
    assert source.arms == 2


async def test_events_that_break_off_at_once_are_armed_ever_less_often(tmp_path: Path) -> None:
    """A writer of bad names must not keep the daemon busy with arming."""
    clock, source = FakeClock(), FakeSource(refusal="bad name")

    async with watching(tmp_path, clock, source):
        for _ in range(600):
            clock.advance(0.5)
            await clock.everyone_sleeps()

    assert source.arms <= 16


async def test_too_many_hints_become_one_scan(tmp_path: Path) -> None:
    """An overflow is answered by looking at everything."""
    clock, source = FakeClock(), FakeSource()

    async with watching(tmp_path, clock, source) as watch:
        make_file(tmp_path / "b/file", clock, age_seconds=9)
        source.touched([f"b/other{number}" for number in range(5000)])
        candidates = await next_item(watch, Candidates)

    assert candidates.found_by is FoundBy.SCAN


async def test_a_missing_root_is_told_once_and_waited_for(tmp_path: Path) -> None:
    """The coordinator may start after the daemon."""
    clock, source, root = FakeClock(), FakeSource(), tmp_path / "root"
    told: list[WatchItem] = []

    async with Watch(root, OPTIONS, clock=clock, source=source) as watch:
        told.append(await watch.__anext__())
        for _ in range(5):
            await clock.everyone_sleeps()
            clock.advance(1)
        assert source.arms == 0
        make_file(root / "b/file", clock, age_seconds=9)
        await clock.everyone_sleeps()
        clock.advance(1)
        told.append(await watch.__anext__())

    assert isinstance(told[0], RootMissing)
    assert told[0].reason == "no such file or directory"
    assert isinstance(told[1], Candidates)
    assert told[1].found_by is FoundBy.FIRST_SCAN


async def test_a_replaced_root_is_armed_and_scanned_anew(tmp_path: Path) -> None:
    """The events of the old directory say nothing of the new one."""
    clock, source, root = FakeClock(), FakeSource(), tmp_path / "root"
    make_file(root / "b/old", clock, age_seconds=9)

    async with watching(root, clock, source) as watch:
        shutil.rmtree(root)
        make_file(root / "b/new", clock, age_seconds=9)
        source.touched([""])
        candidates = await next_item(watch, Candidates)

    assert [file.path for file in candidates.files] == ["b/new"]
    assert candidates.found_by is FoundBy.FIRST_SCAN
    assert source.arms == 2


async def test_events_from_behind_a_link_arm_the_source_anew(tmp_path: Path) -> None:
    """A link to a directory was made or moved in: the tree has to be surveyed again."""
    clock, source = FakeClock(), FakeSource()
    make_file(tmp_path / "b/real/file", clock, age_seconds=9)

    async with watching(tmp_path, clock, source) as watch:
        (tmp_path / "b/link").symlink_to("real")
        source.touched(["b/link/file"])
        await clock.everyone_sleeps()
        assert source.arms == 1
        clock.advance(10)
        source.touched(["b/link/file"])
        await next_item(watch, ScanFinished)

    assert source.arms == 2


async def test_too_many_touched_directories_become_one_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is still to be looked into is bounded, like everything that waits."""
    monkeypatch.setattr(follow, "_MOST_BRANCHES", 10)
    clock, source = FakeClock(), FakeSource()

    async with watching(tmp_path, clock, source) as watch:
        for number in range(11):
            make_file(tmp_path / f"b{number}/file", clock, age_seconds=9)
        source.touched([f"b{number}" for number in range(11)])
        candidates = await next_item(watch, Candidates)

    assert candidates.found_by is FoundBy.SCAN


async def test_oddities_are_noticed_once(tmp_path: Path) -> None:
    """A link that lies there for months is one warning, not one a minute."""
    clock = FakeClock()
    (tmp_path / "link").symlink_to("nowhere")

    async with Watch(tmp_path, OPTIONS, clock=clock, source=FakeSource()) as watch:
        noticed = await next_item(watch, Noticed)
        await next_item(watch, ScanFinished)
        clock.advance(60)
        again = await watch.__anext__()

    assert noticed.oddity.path == "link"
    assert isinstance(again, ScanFinished)
    assert again.oddities == 1


async def test_a_slow_consumer_bounds_what_is_in_flight(tmp_path: Path) -> None:
    """A backlog of any size costs the buffer and a chunk, and the scan waits."""
    clock, source = FakeClock(), FakeSource()
    for number in range(300):
        make_file(tmp_path / f"b{number:03}/file", clock, age_seconds=9)
    options = WatchOptions(OPTIONS.stability, buffered_items=2)

    async with Watch(tmp_path, options, clock=clock, source=source) as watch:
        first = await next_item(watch, Candidates)
        for round_ in range(100):
            source.touched([f"b/{round_}/{number}" for number in range(100)])
            await anyio.lowlevel.checkpoint()
        statistics = watch._receive.statistics()
        assert statistics.current_buffer_used <= 2
        assert statistics.tasks_waiting_send <= 1
        rest = {file.path async for item in _until_scanned(watch) for file in item.files}

    assert len(rest | {file.path for file in first.files}) == 300


async def _until_scanned(watch: Watch) -> AsyncIterator[Candidates]:
    with anyio.fail_after(20):
        async for item in watch:
            if isinstance(item, ScanFinished):
                return
            if isinstance(item, Candidates):
                yield item


async def test_files_there_is_no_room_to_wait_for_come_with_a_later_scan(tmp_path: Path) -> None:
    """The bound on waiting files delays the rest, and loses none."""
    clock = FakeClock()
    for number in range(10):
        make_file(tmp_path / f"b/{number}", clock, age_seconds=0.5)
    options = WatchOptions(OPTIONS.stability, most_waiting=4)

    async with Watch(tmp_path, options, clock=clock, source=FakeSource()) as watch:
        first = await next_item(watch, ScanFinished)
        clock.advance(60)
        found = {file.path async for item in _until_scanned(watch) for file in item.files}

    assert (first.unsettled, first.overlooked) == (10, 6)
    assert len(found) == 10


async def test_a_scan_can_be_asked_for(tmp_path: Path) -> None:
    """An operator's request does not wait for the interval."""
    clock = FakeClock()

    async with watching(tmp_path, clock) as watch:
        watch.scan_now()
        finished = await next_item(watch, ScanFinished)

    assert finished.number == 2


async def test_a_flush_takes_two_equal_looks_and_names_what_still_changes(tmp_path: Path) -> None:
    """Two minutes before the machine vanishes, mtimes and intervals do not count."""
    clock = FakeClock()
    make_file(tmp_path / "b/young", clock, age_seconds=0.1)
    make_file(tmp_path / "b/growing", clock, age_seconds=0.1)
    make_file(tmp_path / "b/ahead", clock, age_seconds=-3000.5)
    options = WatchOptions(StabilityRule(timedelta(hours=1)))

    async with watching(tmp_path, clock, options=options) as watch:
        watch.flush(FLUSH)
        await next_item(watch, ScanFinished)
        await clock.everyone_sleeps()
        make_file(tmp_path / "b/growing", clock, age_seconds=0, content=b"xx")
        clock.advance(1)
        candidates = await next_item(watch, Candidates)
        finished = await next_item(watch, FlushFinished)

    assert [file.path for file in candidates.files] == ["b/ahead", "b/young"]
    assert finished.still_changing == ("b/growing",)


async def test_a_flush_waits_for_room_instead_of_leaving_files_behind(tmp_path: Path) -> None:
    """There is no next scan to leave them to."""
    clock = FakeClock()
    for number in range(450):
        make_file(tmp_path / f"b{number % 150}/{number}", clock, age_seconds=9)
    options = WatchOptions(OPTIONS.stability, most_waiting=400)
    found: set[str] = set()

    async with watching(tmp_path, clock, options=options) as watch:
        watch.flush(FLUSH)
        async with anyio.create_task_group() as group:

            async def let_time_pass() -> None:
                while True:
                    await clock.everyone_sleeps()
                    clock.advance(0.5)
                    await anyio.lowlevel.checkpoint()

            group.start_soon(let_time_pass)
            with anyio.fail_after(20):
                async for item in watch:
                    if isinstance(item, FlushFinished):
                        break
                    if isinstance(item, Candidates):
                        found.update(file.path for file in item.files)
            group.cancel_scope.cancel()

    assert len(found) == 450


async def test_a_flush_of_a_missing_root_ends_at_once(tmp_path: Path) -> None:
    """Nobody may wait for a report that never comes."""
    async with Watch(tmp_path / "gone", OPTIONS, clock=FakeClock(), source=FakeSource()) as watch:
        watch.flush(FLUSH)
        finished = await next_item(watch, FlushFinished)

    assert finished.still_changing == ()


async def test_stop_ends_the_iteration(tmp_path: Path) -> None:
    """The consumer finishes what it holds and leaves the loop by itself."""
    async with watching(tmp_path, FakeClock()) as watch:
        watch.stop()
        with anyio.fail_after(5):
            assert [item async for item in watch] == []


async def test_an_error_of_the_consumer_comes_out_as_it_is(tmp_path: Path) -> None:
    """Exit statuses hang on the type of the error; a group around it would hide it."""
    with pytest.raises(KeyError):
        async with watching(tmp_path, FakeClock()):
            raise KeyError


async def test_cancellation_closes_everything(tmp_path: Path) -> None:
    """A second signal cancels the daemon in the midst of a scan."""
    clock = FakeClock()
    for number in range(50):
        make_file(tmp_path / f"b{number}/file", clock, age_seconds=9)
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208 - a listing, no path is wanted

    with anyio.CancelScope() as scope:
        async with Watch(tmp_path, OPTIONS, clock=clock, source=FakeSource()) as watch:
            await next_item(watch, Candidates)
            scope.cancel()
            await next_item(watch, RootMissing)

    assert scope.cancelled_caught
    assert len(os.listdir("/dev/fd")) == before  # noqa: PTH208 - the same


async def test_scan_once_tells_everything_and_waits_for_nothing(tmp_path: Path) -> None:
    """`--plan` shows what is there now, an unsettled file included."""
    clock = FakeClock()
    make_file(tmp_path / "b/old", clock, age_seconds=9)
    make_file(tmp_path / "b/young", clock, age_seconds=0.5)
    (tmp_path / "b/link").symlink_to("old")

    async with aclosing(scan_once(tmp_path, OPTIONS, clock=clock)) as items:
        told = [item async for item in items]

    assert [type(item) for item in told] == [Noticed, StillChanging, Candidates, ScanFinished]
    async with aclosing(scan_once(tmp_path / "gone", OPTIONS, clock=clock)) as items:
        assert [type(item) async for item in items] == [RootMissing]
