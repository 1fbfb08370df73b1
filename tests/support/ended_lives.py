"""Real daemons that are killed one after another, at a step of theirs or at a request in S3."""

import itertools
import os
import signal
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

from tests.support.daemon import Daemon
from tests.support.strict_s3.faults import Do, Fault, Stage
from tests.support.strict_s3.protocol import Call
from tests.support.strict_s3.server import StrictS3

Start = Callable[[str], Daemon]
"""Starts a daemon that ends itself at a step; at none when it is empty."""


@dataclass(frozen=True, slots=True)
class End:
    """Where a life ends: at a step, or while S3 has a request in hand."""

    name: str
    """Of the step, or of the operation."""
    stage: Stage | None = None
    key: str = "*"

    def __str__(self) -> str:
        """Return what it is counted by."""
        return f"{self.name} {self.key} {self.stage.value if self.stage else ''}".strip()

    def begin(self, s3: StrictS3, start: Start, nth: int | None = 1) -> Daemon:
        """Start a life that ends here: at the n-th such request, or at whichever comes so far."""
        s3.faults.clear()
        s3.wait_alone()
        if self.stage is None:
            return start(self.name)
        started: list[Daemon] = []

        def kill(_call: Call) -> None:
            with suppress(ProcessLookupError):
                os.kill(started[0].pid, signal.SIGKILL)

        # Its process id is known long before its interpreter has asked who it is.
        fault = Fault(Do(kill, self.stage), operation=self.name, key=self.key, nth=nth)
        started.append(start(""))
        s3.faults.add(fault)
        return started[0]


class EndedLives(ABC):
    """One ground where lives end early, each of which is looked at, and some run to their end."""

    ends: ClassVar[Sequence[End]]
    """Taken in turn."""
    lives: ClassVar[int]
    """Before one runs to its end."""
    statuses: ClassVar[Sequence[int]] = (0,)
    """With which a life ends that was not killed."""

    @abstractmethod
    def lay_out(self, number: int) -> None:
        """Add what the next life, the `number`-th, finds to do."""

    @abstractmethod
    def begin(self, end: End) -> Daemon:
        """Start a life that does one pass and may end before."""

    @abstractmethod
    def look(self) -> None:
        """Check what holds at any time, whoever has just died."""

    @abstractmethod
    def finish(self) -> None:
        """Let one life run to its end and check the effects."""

    def play(self, kills: int) -> "Counter[str]":
        """Live until so many lives were killed; returns how often each way."""
        met: Counter[str] = Counter()
        for number, end in enumerate(itertools.cycle(self.ends), 1):
            if met.total() >= kills:
                break
            self.lay_out(number)
            daemon = self.begin(end)
            status = daemon.wait()
            assert status in {*self.statuses, -signal.SIGKILL}, daemon.tail()
            if status < 0:
                met[str(end)] += 1
            self.look()
            if number % self.lives == 0:
                self.finish()
        self.finish()
        return met


def play_two(play: Callable[[int], "Counter[str]"]) -> "Counter[str]":
    """Play twice at a time, given a seed; a life is mostly start-up, and there are two cores."""
    with ThreadPoolExecutor(2) as pool:
        played = [pool.submit(play, seed) for seed in range(2)]
        return played[0].result() + played[1].result()
