"""Run one client as a process of its own and read what it cost from the kernel. Linux only."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_KIB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildRun:
    """What a finished child cost, the children that it waited for included.

    `peak_rss_bytes` is the largest single process; the kernel counts the moment of the fork too,
    so it is never below what this process itself had in use.
    """

    exit_status: int
    timed_out: bool
    wall_seconds: float
    cpu_seconds: float
    peak_rss_bytes: int


def run_child(
    argv: Sequence[str], *, env: Mapping[str, str], folder: Path, log: Path, limit_seconds: float
) -> ChildRun:
    """Run `argv` in `folder` to its end, output in `log`; its group is killed at the limit."""
    with log.open("wb") as output:
        started = time.monotonic()
        child = subprocess.Popen(
            argv,
            env=dict(env),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        timed_out = True
        try:
            timed_out = not _ended_within(child.pid, limit_seconds)
        finally:
            # Also when the wait itself was interrupted: the child is in a session of its own and
            # would run on. It is not reaped yet, so the number still names it and its group.
            if timed_out:
                os.killpg(child.pid, signal.SIGKILL)
        _, status, usage = os.wait4(child.pid, 0)
        wall_seconds = time.monotonic() - started
    # The child is reaped behind Popen's back, which would otherwise warn that it still runs.
    child.returncode = os.waitstatus_to_exitcode(status)
    return ChildRun(
        exit_status=child.returncode,
        timed_out=timed_out,
        wall_seconds=wall_seconds,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_rss_bytes=usage.ru_maxrss * _KIB,
    )


def _ended_within(pid: int, limit_seconds: float) -> bool:
    descriptor = os.pidfd_open(pid)
    try:
        ready, _, _ = select.select([descriptor], [], [], limit_seconds)
    finally:
        os.close(descriptor)
    return bool(ready)
