import os
import shutil
import statistics
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from shared.fswatch.items import Candidates, Noticed, RootMissing, ScanFinished
from shared.fswatch.options import WatchOptions
from shared.fswatch.stability import StabilityRule
from shared.fswatch.watch import Watch
from tests.support.fswatch import next_item

BOUND_SECONDS = 30.0
# An hour between scans: what is found in these tests is found by events and what they lead to.
OPTIONS = WatchOptions(StabilityRule(timedelta(seconds=0.05)), interval_seconds=3600)

pytestmark = pytest.mark.asyncio


@asynccontextmanager
async def armed_watch(root: Path, options: WatchOptions = OPTIONS) -> AsyncIterator[Watch]:
    """A watch that has scanned once and listens to real events."""
    async with Watch(root, options) as watch:
        await next_item(watch, ScanFinished)
        while not watch.has_events:
            await next_item(watch, ScanFinished)
        yield watch


async def collect(watch: Watch, wanted: set[str]) -> set[str]:
    """Take items until every wanted path was handed over; what was, is returned."""
    found: set[str] = set()
    with anyio.move_on_after(BOUND_SECONDS):
        async for item in watch:
            if isinstance(item, Candidates):
                found.update(file.path for file in item.files)
            if wanted <= found:
                break
    return found


def write(path: Path, content: str = "x") -> None:
    """A file in a directory that may not exist yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


async def test_a_new_nested_directory_with_a_file_at_once_is_found(quick_path: Path) -> None:
    """Its file is there before anybody watches it: plain events lose nine of ten of these."""
    wanted = {f"b/{number}/x/y/file" for number in range(3000)}

    async with armed_watch(quick_path) as watch:

        def make_them() -> None:
            for path in sorted(wanted):
                write(quick_path / path)

        async with anyio.create_task_group() as group:
            group.start_soon(to_thread.run_sync, make_them)
            found = await collect(watch, wanted)

    assert found == wanted


async def test_a_quiet_file_comes_out_soon_after_it_has_settled(tmp_path: Path) -> None:
    """Latency is what a simulation on a spot instance pays with."""
    late_seconds = []

    async with armed_watch(tmp_path) as watch:
        for number in range(20):
            path = tmp_path / f"b/{number}"
            await to_thread.run_sync(write, path)
            await next_item(watch, Candidates)
            late_seconds.append(time.time() - path.stat().st_mtime - 0.05)

    # The machine may be busy with other tests, but not for most of twenty files.
    assert statistics.median(late_seconds) < 0.3


async def test_a_replaced_root_is_watched_anew(tmp_path: Path) -> None:
    """`rm -rf output && mkdir output` is how people clean up."""
    root = tmp_path / "root"
    write(root / "b/old")

    async with armed_watch(root) as watch:
        await to_thread.run_sync(shutil.rmtree, root)
        write(root / "b/new")
        assert "b/new" in await collect(watch, {"b/new"})
        while not watch.has_events:
            await next_item(watch, ScanFinished)
        write(root / "b/newer")
        assert "b/newer" in await collect(watch, {"b/newer"})


async def test_a_root_that_was_moved_away_is_not_watched_under_its_old_name(
    tmp_path: Path,
) -> None:
    """Events of a directory that is somewhere else now must not pass for files of the root."""
    root = tmp_path / "root"
    root.mkdir()

    async with armed_watch(root) as watch:
        root.rename(tmp_path / "away")
        write(tmp_path / "away/b/elsewhere")
        await next_item(watch, RootMissing)
        write(root / "b/here")
        found = await collect(watch, {"b/here"})

    assert found == {"b/here"}


async def test_a_name_that_is_not_utf8_does_not_end_the_events(tmp_path: Path) -> None:
    """One bad name ends the stream of events; it must not end the daemon's hearing."""
    (tmp_path / "b").mkdir()

    async with armed_watch(tmp_path) as watch:
        for number in range(3):
            bad = os.fsencode(tmp_path) + b"/b/bad\xff" + bytes([48 + number])
            os.close(os.open(bad, os.O_CREAT | os.O_WRONLY))
            noticed = await next_item(watch, Noticed)
            assert noticed.oddity.path == f"b/bad\udcff{number}"
            write(tmp_path / f"b/good{number}")
            assert f"b/good{number}" in await collect(watch, {f"b/good{number}"})


async def test_a_root_whose_name_is_not_utf8_is_watched(tmp_path: Path) -> None:
    """The root's name is no part of a key."""
    root = tmp_path / "caf\udce9"
    root.mkdir()

    async with armed_watch(root) as watch:
        write(root / "b/file")

        assert await collect(watch, {"b/file"}) == {"b/file"}


async def test_a_link_to_a_directory_is_not_followed_and_hides_no_events(tmp_path: Path) -> None:
    """`latest -> run_7` stands in many output trees, and `/` behind a link must cost nothing."""
    root = tmp_path / "root"
    write(root / "b/run_7/old")
    (root / "b/latest").symlink_to("run_7")
    (root / "b/everything").symlink_to("/")
    (root / "b/loop").symlink_to(root)

    async with armed_watch(root) as watch:
        assert watch_count() < 50
        write(root / "b/run_7/new")
        write(root / "b/run_8/x/new")
        write(root / "b/run_8/x/newer")
        wanted = {"b/run_7/new", "b/run_8/x/new", "b/run_8/x/newer"}
        found = await collect(watch, wanted)

    assert wanted <= found
    assert not any("latest" in path or "loop" in path for path in found)


def watch_count() -> int:
    """How many inotify watches this process holds."""
    if sys.platform != "linux":
        return 0
    entries = Path("/proc/self/fdinfo").iterdir()
    return sum(line.startswith("inotify wd") for entry in entries for line in _lines_of(entry))


def _lines_of(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except FileNotFoundError:  # the descriptor of the listing itself
        return []


async def test_a_flood_of_events_is_answered_by_one_scan(quick_path: Path) -> None:
    """While the loop stands still, more paths are touched than anybody wants to remember."""
    wanted = {f"b/{number}" for number in range(6000)}
    (quick_path / "b").mkdir()

    async with armed_watch(quick_path) as watch:
        for path in sorted(wanted):
            os.close(os.open(quick_path / path, os.O_CREAT | os.O_WRONLY))
        found = await collect(watch, wanted)

    assert found == wanted


async def test_pipes_and_links_in_a_busy_tree_are_noticed_and_left_alone(tmp_path: Path) -> None:
    """Opening a pipe would block a thread for good."""
    (tmp_path / "b").mkdir()

    async with armed_watch(tmp_path) as watch:
        os.mkfifo(tmp_path / "b/pipe")
        (tmp_path / "b/link").symlink_to("/etc/passwd")
        kinds = {(await next_item(watch, Noticed)).oddity.path for _ in range(2)}

    assert kinds == {"b/pipe", "b/link"}


async def test_leaving_the_watch_ends_its_thread_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM must not wait for the time-out of a library."""
    monkeypatch.setattr("shared.fswatch.events._TIMEOUT_MS", 10 * 1000 * int(BOUND_SECONDS))
    threads, watches = threading.active_count(), watch_count()
    async with armed_watch(tmp_path):
        left_at = time.monotonic()

    assert time.monotonic() - left_at < BOUND_SECONDS
    assert watch_count() <= watches
    assert threading.active_count() <= threads + 2
