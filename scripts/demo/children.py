"""The processes of a demonstration: each in a group of its own, none outlives its block."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
from anyio.abc import Process

from scripts.demo.stage import PROJECT, within

_END_SECONDS = 10.0
_PASSED_ON = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "PATH", "TMPDIR", "TZ")
"""Nothing else of the person's environment reaches a child: no AWS profile, no proxy."""


class Child:
    """One process that was started."""

    def __init__(self, name: str, process: Process) -> None:
        self.name = name
        self.process = process

    @property
    def pid(self) -> int:
        """Its process id, which is also its group's."""
        return self.process.pid

    @property
    def running(self) -> bool:
        """Whether it has not been seen to end."""
        return self.process.returncode is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the whole group; to one that is gone, nothing."""
        if self.running:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    async def ended(self, seconds: float) -> int:
        """Wait for its end and return its status, negative for a signal."""
        with within(seconds, f"the end of the {self.name}"):
            return await self.process.wait()


class Children:
    """Starts processes; made by `open_children`."""

    def __init__(self) -> None:
        self._started: list[Child] = []

    async def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        environ: Mapping[str, str] | None = None,
        piped: bool = False,
    ) -> Child:
        """Start a command, stderr into `log`; `piped`: its stdout is ours to read."""
        passed = {key: os.environ[key] for key in _PASSED_ON if key in os.environ}
        leash = [sys.executable, "-m", "scripts.demo.leash", str(os.getpid())]
        with log.open("ab") as stream:
            process = await anyio.open_process(
                [*leash, *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else stream,
                stderr=stream,
                cwd=PROJECT,
                env={**passed, **(environ or {})},
                start_new_session=True,
            )
        child = Child(name, process)
        self._started.append(child)
        return child

    async def end_all(self) -> None:
        """End whatever still runs: asked first, then made to."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            running = [child for child in self._started if child.running]
            for child in running:
                child.send(number)
            with anyio.move_on_after(_END_SECONDS):
                for child in running:
                    await child.process.wait()


@asynccontextmanager
async def open_children() -> AsyncIterator[Children]:
    """Start processes that end with this block."""
    children = Children()
    try:
        yield children
    finally:
        with anyio.CancelScope(shield=True):
            await children.end_all()
