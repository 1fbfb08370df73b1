"""For tests of commands: shell text that is run, processes that are watched."""

import os
import select
import sys
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from shared.commands import CommandLimits, CommandOutcome, run_command

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can do that")
LIMITS = CommandLimits(time_seconds=30, term_seconds=5)


async def run_shell(text: str, *args: str, limits: CommandLimits = LIMITS) -> CommandOutcome:
    """Run a few lines of shell, for what a shell is good at."""
    return await run_command(["sh", "-c", text, "sh", *args], limits=limits)


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_bytes() if sys.platform == "linux" else b""
    except (ProcessLookupError, FileNotFoundError):
        return False
    return b") Z " not in state


async def wait_until_gone(pid: int) -> None:
    """Wait for the end of a process that is nobody's child here."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        ended = await to_thread.run_sync(lambda: select.select([descriptor], [], [], 15)[0])
    finally:
        os.close(descriptor)
    assert ended, "it still runs"


async def cancelled_run(pids: Path, text: str, limits: CommandLimits) -> int:
    """Run shell text that writes a process id into the pipe, cancel it then; returns the id."""
    found: list[int] = []
    with anyio.fail_after(25):
        async with anyio.create_task_group() as tasks:

            async def run() -> None:
                await run_shell(text, str(pids), limits=limits)
                raise AssertionError("cancellation was swallowed")

            tasks.start_soon(run)
            found.append(int(await to_thread.run_sync(pids.read_text)))
            tasks.cancel_scope.cancel()
    return found[0]
