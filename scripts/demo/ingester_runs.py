"""Runs of the real ingester, each a process of its own with a log of its own."""

import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread

from scripts.demo.children import Child, Children
from scripts.demo.ingester_board import Tail
from scripts.demo.stage import DemoFailed, within
from tests.support.ingest_world import IngestWorld

_NO_CACHE = "PYTHONDONTWRITEBYTECODE"
"""Tests leave no compiled modules behind; here each run would compile everything anew."""
_TICK_SECONDS = 0.03
_RUN_SECONDS = 120.0
_KILLED_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that is over."""

    status: int
    tail: Tail
    summary: Mapping[str, Any]
    """What it wrote as JSON; empty where it wrote nothing."""


class Runs:
    """Starts runs one after the other."""

    def __init__(self, folder: Path, world: IngestWorld, children: Children) -> None:
        self._folder = folder
        self._world = world
        self._children = children
        self._config = folder / "ingester.toml"
        # A file of its own, so that no other one on this machine is read.
        self._config.touch()

    async def run(
        self,
        name: str,
        *argv: str,
        show: Callable[[Tail], None] = lambda _tail: None,
        strike_at: Callable[[Tail], bool] = lambda _tail: False,
    ) -> Ended:
        """Do a run, shown as it goes on; once `strike_at` is true it is ended by SIGKILL.

        Raises:
            DemoFailed: it does not end, or ends without a summary for people.
        """
        log = self._folder / f"{name}.log"
        birth = self._world.birth("--config", str(self._config), *argv)
        child = await self._children.start(
            f"{name} run",
            [sys.executable, "-m", "daemons.ingester", *birth.argv],
            log=log,
            environ={name: birth.environ[name] for name in birth.environ if name != _NO_CACHE},
        )
        tail = Tail(log)
        with within(_RUN_SECONDS, f"the end of the {name} run; see {log}"):
            while not await self._has_ended(child):
                await to_thread.run_sync(tail.news)
                show(tail)
                if strike_at(tail):
                    child.send(signal.SIGKILL)
        status = await child.ended(_KILLED_SECONDS)
        await to_thread.run_sync(tail.news)
        show(tail)
        if status != -signal.SIGKILL and not tail.said:
            raise DemoFailed(f"the {name} run ended with exit status {status} at once; see {log}")
        return Ended(status, tail, await to_thread.run_sync(self._world.take_summary))

    async def _has_ended(self, child: Child) -> bool:
        """Wait for a moment; say whether the end has come."""
        with anyio.move_on_after(_TICK_SECONDS):
            await child.process.wait()
        return not child.running
