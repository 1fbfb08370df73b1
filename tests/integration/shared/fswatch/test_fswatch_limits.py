import os
import shutil
import signal
import sys
from pathlib import Path

import anyio
import pytest
from anyio import to_thread
from anyio.abc import Process

pytestmark = pytest.mark.asyncio

# Watches the root in its first argument and says what it has found; a child, because it is to be
# stopped, or has limits of its own.
CHILD = """
import sys
from datetime import timedelta
from pathlib import Path

import anyio

from shared.fswatch.items import Candidates, ScanFinished
from shared.fswatch.options import WatchOptions
from shared.fswatch.stability import StabilityRule
from shared.fswatch.watch import Watch

root, limit, wanted, interval = sys.argv[1:]
if limit:
    Path("/proc/sys/user", limit).write_text("3" if "watches" in limit else "0")

async def main():
    options = WatchOptions(
        StabilityRule(timedelta(0)), interval_seconds=float(interval), polling_seconds=0.3
    )
    found = set()
    async with Watch(Path(root), options) as watch:
        async for item in watch:
            if isinstance(item, Candidates):
                found.update(file.path for file in item.files)
            if isinstance(item, ScanFinished) and item.number == 1:
                print("scanned", len(found), flush=True)
            if len(found) >= int(wanted):
                print("found", "events" if watch.has_events else "polling", flush=True)
                return

anyio.run(main)
"""


async def line_of(process: Process) -> str:
    """The next line that the child prints."""
    assert process.stdout is not None
    line = b""
    with anyio.fail_after(60):
        while not line.endswith(b"\n"):
            line += await process.stdout.receive(1)
    return line.decode().strip()


async def has_user_namespaces() -> bool:
    """Whether a child can have limits of its own."""
    if shutil.which("unshare") is None:
        return False
    return (await anyio.run_process(["unshare", "-Ur", "true"], check=False)).returncode == 0


def make_files(root: Path, count: int) -> None:
    """That many empty files in ten directories, quickly."""
    for number in range(10):
        directory = os.open(root / f"{number}", os.O_RDONLY)
        for name in range(count // 10):
            os.close(os.open(f"{name}", os.O_CREAT | os.O_WRONLY, dir_fd=directory))
        os.close(directory)


async def test_an_overflowing_queue_of_the_kernel_costs_one_interval(quick_path: Path) -> None:
    """A stopped process reads no events, and the kernel drops what its queue cannot hold."""
    for number in range(10):
        (quick_path / f"{number}").mkdir()
    command = [sys.executable, "-c", CHILD, str(quick_path), "", "30000", "5"]

    async with await anyio.open_process(command, stderr=None) as child:
        assert await line_of(child) == "scanned 0"
        child.send_signal(signal.SIGSTOP)
        await to_thread.run_sync(make_files, quick_path, 30_000)
        child.send_signal(signal.SIGCONT)

        with anyio.fail_after(30):
            assert await line_of(child) == "found events"


@pytest.mark.parametrize("limit", ["max_inotify_watches", "max_inotify_instances"])
async def test_a_reached_limit_is_answered_by_polling(tmp_path: Path, limit: str) -> None:
    """Other programs use up watches too; files are found all the same, only later."""
    if not await has_user_namespaces():
        pytest.skip("needs user namespaces: a limit of its own without touching the machine's")
    for number in range(10):
        (tmp_path / f"{number}").mkdir()
    watching = [sys.executable, "-c", CHILD, str(tmp_path), limit, "20", "3600"]

    async with await anyio.open_process(["unshare", "-Ur", *watching], stderr=None) as child:
        lines = [await line_of(child)]
        while not lines[-1].startswith("scanned"):
            lines.append(await line_of(child))
        await to_thread.run_sync(make_files, tmp_path, 20)
        while not lines[-1].startswith("found"):
            lines.append(await line_of(child))

    assert lines[-1] == "found polling"
    assert any("events_unavailable" in line for line in lines)
