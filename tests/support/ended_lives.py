"""Real daemons that are killed one after another, at a step of theirs or at a request in S3."""

import itertools
import os
import random
import signal
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from tests.support.daemon import Daemon, Nursery
from tests.support.service_ground import ServiceGround
from tests.support.strict_s3.faults import Do, Fault, Stage
from tests.support.strict_s3.protocol import Call
from tests.support.strict_s3.server import StrictS3

Start = Callable[[str], Daemon]
"""Starts a daemon that ends itself at a step; at none when it is empty."""
G = TypeVar("G", bound=ServiceGround)


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


class EndedLives(ABC, Generic[G]):
    """One ground where lives end early, each of which is looked at, and some run to their end."""

    ends: ClassVar[Sequence[End]]
    """Taken in turn."""
    lives: ClassVar[int]
    """Before one runs to its end."""
    statuses: ClassVar[Sequence[int]] = (0,)
    """With which a life ends that was not killed."""

    def __init__(self, ground: G, chance: random.Random) -> None:
        self.ground = ground
        self.chance = chance

    @abstractmethod
    def lay_out(self, number: int) -> None:
        """Add what the next life, the `number`-th, finds to do."""

    @abstractmethod
    def look(self) -> None:
        """Check what holds at any time, whoever has just died."""

    @abstractmethod
    def look_at_end(self) -> None:
        """Check the effects of a life that ran to its end."""

    def nth(self) -> int | None:
        """Say which of the requests that match is the next life's last; None: any that comes."""
        return 1

    def play(self, kills: int) -> "Counter[str]":
        """Live until so many lives were killed; returns how often each way."""
        met: Counter[str] = Counter()
        for number, end in enumerate(itertools.cycle(self.ends), 1):
            if met.total() >= kills:
                break
            self.lay_out(number)
            if self._end(end.begin(self.ground.s3, self._start, self.nth())) < 0:
                met[str(end)] += 1
            self.look()
            if number % self.lives == 0:
                self._live_on()
        self._live_on()
        return met

    def _live_on(self) -> None:
        """Let one life run to its end and check the effects."""
        self.ground.s3.faults.clear()
        self.ground.s3.wait_alone()
        assert self._end(self._start()) >= 0, "nobody was to end this one"
        self.look()
        self.look_at_end()

    def _start(self, step: str = "") -> Daemon:
        return self.ground.start("--once", step=step)

    def _end(self, daemon: Daemon) -> int:
        """Wait for the end of a life, killed or of itself."""
        status = daemon.wait()
        assert status in {*self.statuses, -signal.SIGKILL}, daemon.tail()
        return status


def play_grounds(
    lives: type[EndedLives[G]], grounds: type[G], folder: Path, nursery: Nursery, kills: int
) -> "Counter[str]":
    """Live on two grounds of a kind until so many were killed; returns how often each way."""

    def play(seed: int) -> "Counter[str]":
        with grounds.opened(folder / str(seed), nursery) as ground:
            chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
            return lives(ground, chance).play(kills // 2)

    return play_two(play)


def play_two(play: Callable[[int], "Counter[str]"]) -> "Counter[str]":
    """Play twice at a time, given a seed; a life is mostly start-up, and there are two cores."""
    with ThreadPoolExecutor(2) as pool:
        played = [pool.submit(play, seed) for seed in range(2)]
        return played[0].result() + played[1].result()
