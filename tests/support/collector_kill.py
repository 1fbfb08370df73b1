"""Kill the collector's work at every failpoint, restart it, and check what is left each time.

    python -m tests.support.collector_kill --kills 500 --seed 1

The parent holds the in-memory S3 and never has a loop or a thread. Each life is a forked child that
does one pass as the daemon does after its start; it ends itself by SIGKILL at a step of a runout's
way, or is killed by the parent before or after a request was carried out. After some lives that end
early one runs to its end. A JSON summary goes to stdout.
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
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

import anyio
import structlog
from anyio import to_thread

from daemons.collector.central import sweep
from daemons.collector.job import STEPS
from shared.handshake.layout import Runout, closest_name
from tests.support.collecting import (
    LATER,
    LAYOUT,
    STAMP,
    Prod,
    contents,
    manifest_of,
    names,
    ours,
    runout_files,
)
from tests.support.kill import Counts, Doom, Fatal
from tests.support.piped_buckets import PipedBuckets, serve

_REQUESTS = ("list", "get", "head", "tags", "set_tags")
FAILPOINTS = (
    *STEPS,
    *(f"{moment} {verb}" for verb in _REQUESTS for moment in ("asked", "done")),
)
_VERBS = {"page": "list"}
_LIVES_MAX = 12
_FAULTS_MAX = 10
CIDS = ("00001", "00002", "00003")


class FatalRequests(Fatal):
    """The same under the names that the requests have in S3."""

    def _end_at(self, failpoint: str) -> None:
        moment, verb = failpoint.split()
        super()._end_at(f"{moment} {_VERBS.get(verb, verb)}")


@dataclass
class Round:
    """One round's folders and bucket, and what must be there in the end."""

    prod: Prod
    expected: dict[str, bytes] = field(default_factory=dict)
    tagged: set[str] = field(default_factory=set)
    """The keys that must have the tag in the end."""
    seeded: int = 0

    def lay_out(self, chance: random.Random) -> None:
        """A result of a watcher, two of the scripts, and second results, equal and other."""
        for cid in CIDS:
            first, second = Runout(STAMP, cid), Runout(LATER, cid)
            files = contents(cid, chance.randrange(4))
            self.expected.update(files)
            by_watcher = cid == CIDS[0] or chance.random() < 0.3
            lay = partial(self.prod.lay, by_watcher=by_watcher)
            objects = ours(first, files) if by_watcher else runout_files(first, files)
            if by_watcher:
                job = manifest_of(first, files).job
                objects |= {LAYOUT.seed(job).key: b"seeds", LAYOUT.marker(job).key: b"CID\n"}
            lay(objects)
            self.tagged |= objects.keys() - {LAYOUT.lease(cid).key}
            if cid == CIDS[1]:
                self.prod.lay(runout_files(second, contents(cid, 3, shift=1.0)))
            if cid == CIDS[2]:
                self.prod.lay(runout_files(second, files))
        self.seeded = len(self.prod.buckets.history())

    def broken(self) -> list[str]:
        """Say which promise does not hold at this very moment, whoever has just died."""
        merged = {n: b for n, b in self.prod.merged().items() if not n.startswith(".")}
        recorded = names(self.prod.recorded())
        tables = [cid for cid in CIDS if closest_name(cid) in merged]
        pulled = [path for path in self.prod.inbox.rglob("*.csv") if path.is_file()]
        return [
            *(f"central {n} is wrong" for n, b in merged.items() if self.expected.get(n) != b),
            *(f"{name} is recorded and not merged" for name in recorded if name not in merged),
            *(f"a table is there before {name}" for name in names(tables) if name not in merged),
            *(f"partial: {one}" for one in pulled if not one.read_bytes().endswith(b"\n")),
        ]

    def unfinished(self) -> list[str]:
        """Say what is missing, left or repeated once a life has run to its end."""
        found = self.broken()
        if self.prod.merged() != self.expected:
            found.append(f"the central folder holds {sorted(self.prod.merged())}")
        if sorted(self.prod.recorded()) != list(CIDS):
            found.append(f"the ledger holds {self.prod.recorded()}")
        other = Runout(LATER, CIDS[1])
        if self.prod.pulled(other) != names([CIDS[1]]):
            found.append("the other result is not kept in the inbox")
        tags = self.prod.tags()
        found += [f"{key} has no tag" for key in sorted(self.tagged - tags.keys())]
        found += [f"{key} has a tag" for key in tags if str(other) in key or "/leases/" in key]
        if len(self.prod.buckets.history()) != self.seeded:
            found.append("the bucket was changed")
        left = [path.name for path in self.prod.inbox.rglob(".*")]
        return found + [f"left in the inbox: {name}" for name in left]


def live(place: Round, doom: Doom | None) -> bool:
    """Fork one life; says whether it was killed."""
    here, there = Pipe()
    pid = os.fork()
    if pid == 0:
        here.close()
        _be_the_child(place, there, doom)
    there.close()
    try:
        serve(place.prod.buckets, cast("Connection", FatalRequests(here, pid, Counts(doom))))
    finally:
        here.close()
        _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return True
    if status != 0:
        raise RuntimeError(f"a life ended with the wait status {status}; see its traceback")
    return False


def _be_the_child(place: Round, connection: Connection, doom: Doom | None) -> None:
    try:
        worker = partial(_work, place, connection, doom)
        anyio.run(worker, backend="asyncio", backend_options={"use_uvloop": True})
    except BaseException:  # noqa: BLE001 - a forked child must not go on as the parent
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(1)


async def _work(place: Round, connection: Connection, doom: Doom | None) -> None:
    """Do what the daemon does from its start to the end of a pass."""
    counts = Counts(doom)

    def step(name: str) -> None:
        if counts.meets(name):
            os.kill(os.getpid(), signal.SIGKILL)

    # Threads are what a short life spends its time on.
    to_thread.current_default_thread_limiter().total_tokens = 1
    buckets = PipedBuckets.over(connection)
    prod = Prod(place.prod.root, buckets, step=step, in_flight=2, tag_seconds=30.0)
    if prod.central.is_dir():
        sweep(prod.central)
    await prod.collector().run_once()
    # Here and not after the loop is closed, which takes as long as all the rest.
    os._exit(0)


@dataclass(slots=True)
class Summary:
    """What all the rounds came to."""

    rounds: int = 0
    by_failpoint: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def run_rounds(kills: int, seed: int, base: Path) -> Summary:
    """Play rounds until so many lives were ended, or ten things went wrong."""
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    summary = Summary()
    while summary.by_failpoint.total() < kills and len(summary.faults) < _FAULTS_MAX:
        place = Round(Prod(base / str(summary.rounds)))
        place.lay_out(chance)
        _play(place, chance, summary)
        summary.rounds += 1
        shutil.rmtree(place.prod.root)
    return summary


def _play(place: Round, chance: random.Random, summary: Summary) -> None:
    """Live until a life is not ended early."""
    failpoint = FAILPOINTS[summary.rounds % len(FAILPOINTS)]
    ended: list[Doom] = []
    for _ in range(_LIVES_MAX):
        doom = Doom(failpoint, chance.choice([1, 1, 2, 3]))
        if not live(place, doom):
            break
        ended.append(doom)
        summary.by_failpoint[failpoint] += 1
        summary.faults += [f"{summary.rounds} {ended}: {one}" for one in place.broken()]
        failpoint = chance.choice(FAILPOINTS)
    if live(place, None):
        raise RuntimeError("a life without a doom was killed")
    summary.faults += [f"{summary.rounds} {ended}: {one}" for one in place.unfinished()]


def main(argv: Sequence[str]) -> int:
    """Run and print the summary; 1 when anything was lost, repeated or left."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(argv)
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    # Loaded before the first fork, or every child would load them again.
    importlib.import_module("anyio._backends._asyncio")
    importlib.import_module("uvloop")
    gc.freeze()
    began = time.monotonic()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as base:
        summary = run_rounds(chosen.kills, chosen.seed, Path(base))
    kills = summary.by_failpoint.total()
    seconds = time.monotonic() - began
    report = {
        "kills": kills,
        "rounds": summary.rounds,
        "by_failpoint": dict(sorted(summary.by_failpoint.items())),
        "faults": summary.faults,
        "seconds": round(seconds, 1),
        "milliseconds_per_kill": round(seconds * 1000 / max(1, kills), 2),
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    return 1 if summary.faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
