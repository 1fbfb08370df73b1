"""Kill a daemon's work at its failpoints, restart it, and check what is left: the programme.

The parent holds the in-memory S3 and never has a loop or a thread. Each life is a forked child that
does what the daemon does after its start; it ends itself by SIGKILL at a step of its work, or is
killed by the parent before or after a request was carried out and before the answer left. What a
round consists of, which lives follow one another on it, and what must be true, is the daemon's own:
`tests.support.uploader_kill` and its like. A JSON summary goes to stdout.
"""

import argparse
import gc
import importlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn, cast

import anyio
import structlog
from anyio import to_thread

from shared.s3.memory_buckets import MemoryBuckets
from tests.support.piped_buckets import PipedBuckets, serve

_FAULTS_MAX = 10


@dataclass(frozen=True, slots=True)
class Doom:
    """Where a life ends: the n-th time that it comes by a failpoint."""

    failpoint: str
    occurrence: int


@dataclass(slots=True)
class Counts:
    """How often a life came by each failpoint."""

    doom: Doom | None
    seen: Counter[str] = field(default_factory=Counter)

    def meets(self, failpoint: str) -> bool:
        """Count a failpoint; True when this is where the life ends."""
        self.seen[failpoint] += 1
        return self.doom == Doom(failpoint, self.seen[failpoint])

    def step(self, name: str) -> None:
        """Count a step of this process's own work, and end it there."""
        if self.meets(name):
            os.kill(os.getpid(), signal.SIGKILL)


class Fatal:
    """The parent's end of the pipe, which may end the child's life at a request."""

    def __init__(self, connection: Connection, pid: int, doom: Doom | None) -> None:
        self.counts = Counts(doom)
        self.request = ""
        """What failpoints call the request in hand."""
        self._connection = connection
        self._pid = pid

    def name_of(self, request: Any) -> str:
        """Return what failpoints call a request."""
        return str(request[0])

    def recv(self) -> Any:
        """Receive a request; killed here, it is never carried out."""
        request = self._connection.recv()
        self.request = self.name_of(request)
        self._end_at(f"asked {self.request}")
        return request

    def send(self, reply: Any) -> None:
        """Send the answer; killed here, the child never learns of the effect."""
        self._end_at(f"done {self.request}")
        self._connection.send(reply)

    def end(self) -> NoReturn:
        """End the child's life."""
        os.kill(self._pid, signal.SIGKILL)
        raise ConnectionResetError

    def _end_at(self, failpoint: str) -> None:
        if self.counts.meets(failpoint):
            self.end()


class Round(ABC):
    """One daemon's folders and buckets, and the lives that it lives there."""

    def __init__(self, base: Path, number: int, chance: random.Random) -> None:
        self.base = base
        self.number = number
        self.chance = chance
        self.notes: Counter[str] = Counter()
        """What else the summary counts."""
        self.was_killed = False
        """How the last life ended."""

    @property
    @abstractmethod
    def buckets(self) -> MemoryBuckets:
        """What the parent holds."""

    @abstractmethod
    def lives(self) -> Iterator[Doom | None]:
        """Say one life after another where it ends; None: it runs to its end.

        What comes between two lives is done here too, and `was_killed` tells of the last one.
        """

    @abstractmethod
    async def work(self, buckets: MemoryBuckets, counts: Counts) -> None:
        """Do, in the child, what the daemon does."""

    def fatal(self, connection: Connection, pid: int, doom: Doom | None) -> Fatal:
        """Return the parent's end of the pipe."""
        return Fatal(connection, pid, doom)

    def story_of(self, doom: Doom) -> str:
        """Say how a life ended."""
        return f"{doom.failpoint} {doom.occurrence}"

    def broken(self) -> Sequence[str]:
        """Say which promise does not hold at this very moment, whoever has just died."""
        return ()

    @abstractmethod
    def unfinished(self) -> Sequence[str]:
        """Say what is missing, left or repeated once the last life has run to its end."""


MakeRound = Callable[[Path, int, random.Random], Round]
"""Makes a round in a folder, given its number and the dice."""


def one_thread() -> None:
    """Have one thread at the most: they are what a short life spends its time on."""
    to_thread.current_default_thread_limiter().total_tokens = 1


def no_threads() -> None:
    """Do in the loop what a thread would do; nobody else is here to be kept waiting."""
    to_thread.run_sync = _at_once  # type: ignore[assignment]  # the same but for its options


async def _at_once(call: Callable[..., Any], *arguments: Any, **_options: Any) -> Any:
    return call(*arguments)


def live(played: Round, doom: Doom | None) -> bool:
    """Fork one life; says whether it was killed."""
    here, there = Pipe()
    pid = os.fork()
    if pid == 0:
        here.close()
        _be_the_child(played, there, doom)
    there.close()
    try:
        serve(played.buckets, cast("Connection", played.fatal(here, pid, doom)))
    finally:
        here.close()
        _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return True
    if status != 0:
        raise RuntimeError(f"a life ended with the wait status {status}; see its traceback")
    return False


def _be_the_child(played: Round, connection: Connection, doom: Doom | None) -> None:
    try:
        worker = partial(_work, played, connection, doom)
        anyio.run(worker, backend="asyncio", backend_options={"use_uvloop": True})
    except BaseException:  # noqa: BLE001 - a forked child must not go on as the parent
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(1)


async def _work(played: Round, connection: Connection, doom: Doom | None) -> None:
    await played.work(PipedBuckets.over(connection), Counts(doom))
    # Here and not after the loop is closed, which takes as long as all the rest.
    os._exit(0)


@dataclass(slots=True)
class Summary:
    """What all the rounds came to."""

    rounds: int = 0
    by_failpoint: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        """Lives that ended early."""
        return self.by_failpoint.total()


def run_rounds(make: MakeRound, kills: int, seed: int, base: Path) -> Summary:
    """Play rounds until so many lives were ended, or ten things went wrong."""
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    summary = Summary()
    while summary.kills < kills and len(summary.faults) < _FAULTS_MAX:
        played = make(base / str(summary.rounds), summary.rounds, chance)
        _play(played, summary)
        summary.notes.update(played.notes)
        summary.rounds += 1
        shutil.rmtree(played.base)
    return summary


def _play(played: Round, summary: Summary) -> None:
    """Live all the lives of a round, and look at what each leaves that was ended."""
    ended: list[str] = []

    def blame(faults: Sequence[str]) -> None:
        summary.faults += [f"round {played.number} {ended}: {one}" for one in faults]

    for doom in played.lives():
        played.was_killed = live(played, doom)
        if not played.was_killed:
            continue
        if doom is None:
            raise RuntimeError("a life without a doom was killed")
        ended.append(played.story_of(doom))
        summary.by_failpoint[doom.failpoint] += 1
        blame(played.broken())
    blame(played.unfinished())


def main(
    make: MakeRound,
    about: str,
    argv: Sequence[str],
    prepare: Callable[[], object] = lambda: None,
) -> int:
    """Run and print the summary; 1 when anything was lost, repeated or left.

    `prepare` loads before the first fork what every child would load again.
    """
    parser = argparse.ArgumentParser(description=about.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(argv)
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    importlib.import_module("anyio._backends._asyncio")
    importlib.import_module("uvloop")
    prepare()
    gc.freeze()
    began = time.monotonic()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as base:
        summary = run_rounds(make, chosen.kills, chosen.seed, Path(base))
    seconds = time.monotonic() - began
    report = {
        "kills": summary.kills,
        "rounds": summary.rounds,
        **summary.notes,
        "by_failpoint": dict(sorted(summary.by_failpoint.items())),
        "faults": summary.faults,
        "seconds": round(seconds, 1),
        "milliseconds_per_kill": round(seconds * 1000 / max(1, summary.kills), 2),
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    return 1 if summary.faults else 0
