"""Kill the watcher's work at every failpoint, on two machines in turn, and check what is left.

    python -m tests.support.watcher_kill --kills 500 --seed 1

The parent holds the in-memory S3 and never has a loop or a thread. Each life is a forked child that
does some passes as the daemon does after its start, its clock moved on between them; it ends itself
by SIGKILL at a step of a CID's way, or is killed by the parent before or after a request was
carried out. After some lives that end early, one on each machine runs to its end. A JSON summary
goes to stdout.
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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

import anyio
import structlog
from anyio import to_thread

from daemons.watcher.publish import producer
from shared.handshake.layout import Runout
from shared.handshake.lease import LeaseState
from shared.handshake.manifest import parse_manifest
from shared.s3.memory_buckets import MemoryBuckets
from shared.s3.uri import S3Uri
from tests.support.kill import Counts, Doom
from tests.support.piped_buckets import PipedBuckets, serve
from tests.support.watching import BUCKET, LAYOUT, Ec2, FakeSteps, result, went_wrong

STEPS = (
    "claimed",
    "pulled",
    "sidecar",
    "closest",
    "checked",
    "pushed",
    "published",
    "committed",
    "recorded",
    "cleared",
)
_REQUESTS = (
    "get leases",
    "get from-prod",
    "list from-prod",
    "list from-ec2",
    "list failed",
    "put leases",
    "put from-ec2",
    "put failed",
    "get from-ec2",
    "delete failed",
)
# The last ones come by when there is a former result to look at.
_PAIRS = tuple(f"{moment} {request}" for request in _REQUESTS for moment in ("asked", "done"))
FAILPOINTS = (
    *STEPS,
    *_PAIRS[:-4],
    *(name for last in _PAIRS[-4:] for name in ("published", last)),
)
POISON = "00002"
ATTEMPTS = 2
_VERBS = {"page": "list"}
_LIVES = 15
_FAULTS_MAX = 10
_LEASE_SECONDS = 1000.0
_PASSES = 2
_PASSES_LAST = 4


class FatalRequests:
    """The parent's end of the pipe, which may end the child's life at a request."""

    def __init__(self, connection: Connection, pid: int, counts: Counts) -> None:
        self._connection = connection
        self._pid = pid
        self._counts = counts
        self._request = ""

    def recv(self) -> Any:
        """Receive a request; killed here, it is never carried out."""
        request = self._connection.recv()
        verb, arguments, _ = request
        place = arguments[0].key.removeprefix(f"{LAYOUT.prefix}/").partition("/")[0]
        self._request = f"{_VERBS.get(verb, verb)} {place}"
        self._end_at("asked")
        return request

    def send(self, reply: Any) -> None:
        """Send the answer; killed here, the child never learns of the effect."""
        self._end_at("done")
        self._connection.send(reply)

    def _end_at(self, moment: str) -> None:
        if self._counts.meets(f"{moment} {self._request}"):
            os.kill(self._pid, signal.SIGKILL)
            raise ConnectionResetError


@dataclass
class Round:
    """One round's two machines and their bucket."""

    base: Path
    buckets: MemoryBuckets = field(default_factory=partial(MemoryBuckets, BUCKET))
    machines: Mapping[str, Ec2] = field(init=False)
    good: list[str] = field(init=False)
    committed: dict[str, Runout] = field(default_factory=dict)
    lives: int = 0

    def __post_init__(self) -> None:
        self.machines = {
            name: Ec2(self.base / name, self.buckets, instance=name * 32) for name in "ab"
        }
        self.good: list[str] = []
        self.machines["a"].send(POISON)

    def send(self) -> None:
        """Send one more job that will go well."""
        self.good.append(f"{len(self.good) * 2 + 1:05d}")
        self.machines["a"].send(self.good[-1])

    def broken(self) -> list[str]:
        """Say which promise does not hold at this very moment, whoever has just died."""
        found: list[str] = []
        for key in self.machines["a"].keys("from-ec2/"):
            name = key.rpartition("/")[2]
            cid = key.partition("-CID-")[2][:5]
            if name == "manifest.json":
                continue
            if (
                self.machines["a"].held(S3Uri(BUCKET, LAYOUT.runouts.key + key))
                != result(cid)[name]
            ):
                found.append(f"{key} holds something else")
        for cid in (*self.good, POISON):
            found += self._broken(cid)
        return found

    def _broken(self, cid: str) -> list[str]:
        machine = self.machines["a"]
        lease = machine.lease(cid)
        if lease is None or lease.runout is None:
            early = [name for name, m in self.machines.items() if cid in m.recorded()]
            return [f"{cid} is recorded on {name} before it is committed" for name in early]
        if self.committed.setdefault(cid, lease.runout) != lease.runout:
            return [f"{cid} was committed to {self.committed[cid]} and then to {lease.runout}"]
        body = machine.held(LAYOUT.manifest(lease.runout))
        if body is None:
            return [f"{cid} is committed to {lease.runout}, which has no manifest"]
        manifest = parse_manifest(body, cid)
        missing = [
            file.name
            for file in manifest.files
            if machine.held(LAYOUT.result(lease.runout, file.name)) is None
        ]
        return [f"{cid} is committed without {name}" for name in missing]

    def unfinished(self) -> list[str]:
        """Say what is missing, left or repeated once each machine has run to its end."""
        found = self.broken()
        machine = self.machines["a"]
        manifests = [key for key in machine.keys("from-ec2/") if key.endswith("/manifest.json")]
        runouts = sorted(key.partition("-CID-")[2][:5] for key in manifests)
        if runouts != self.good:
            found.append(f"whole results are {manifests}")
        if sorted(self.committed) != self.good:
            found.append(f"committed are {sorted(self.committed)}")
        lease = machine.lease(POISON)
        if lease is None or (lease.state, lease.attempts) != (LeaseState.PARKED, ATTEMPTS):
            found.append(f"the poison is {lease}")
        if machine.keys("failed/") != [f"CID-{POISON}.json"]:
            found.append(f"reports are {machine.keys('failed/')}")
        for name, one in self.machines.items():
            if sorted(one.recorded()) != self.good:
                found.append(f"the ledger of {name} holds {one.recorded()}")
            if one.left():
                found.append(f"the work folder of {name} holds {one.left()}")
        return found


def live(place: Round, machine: str, doom: Doom | None) -> bool:
    """Fork one life; says whether it was killed."""
    place.lives += 1
    here, there = Pipe()
    pid = os.fork()
    if pid == 0:
        here.close()
        _be_the_child(place, machine, there, doom)
    there.close()
    try:
        serve(place.buckets, cast("Connection", FatalRequests(here, pid, Counts(doom))))
    finally:
        here.close()
        _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return True
    if status != 0:
        raise RuntimeError(f"a life ended with the wait status {status}; see its traceback")
    return False


def _be_the_child(place: Round, machine: str, connection: Connection, doom: Doom | None) -> None:
    try:
        worker = partial(_work, place, machine, connection, doom)
        anyio.run(worker, backend="asyncio", backend_options={"use_uvloop": True})
    except BaseException:  # noqa: BLE001 - a forked child must not go on as the parent
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(1)


async def _work(place: Round, machine: str, connection: Connection, doom: Doom | None) -> None:
    """Do what the daemon does: some passes, between which every lease could have ended."""
    counts = Counts(doom)

    def step(name: str) -> None:
        if counts.meets(name):
            os.kill(os.getpid(), signal.SIGKILL)

    # Threads are what a short life spends its time on; killed in one or not is all the same.
    to_thread.run_sync = _at_once  # type: ignore[assignment]
    now = 0.0
    ec2 = Ec2(
        place.machines[machine].root,
        PipedBuckets.over(connection),
        steps=FakeSteps({POISON: lambda step, _place: went_wrong(step)}),
        step=step,
        instance=machine * 32,
        process=f"process-{place.lives}",
        lease_seconds=_LEASE_SECONDS,
        attempts=ATTEMPTS,
        clock=lambda: now,
    )
    watcher = ec2.watcher()
    for _ in range(_PASSES if doom else _PASSES_LAST):
        await watcher.run_once()
        now += 2 * _LEASE_SECONDS
    # Here and not after the loop is closed, which takes as long as all the rest.
    os._exit(0)


async def _at_once(call: Callable[..., Any], *arguments: Any, **_options: Any) -> Any:
    """Do in the loop what would be done in a thread."""
    return call(*arguments)


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
        place = Round(base / str(summary.rounds))
        _play(place, chance, summary)
        summary.rounds += 1
        shutil.rmtree(place.base)
    return summary


def _play(place: Round, chance: random.Random, summary: Summary) -> None:
    """Live some lives, nearly all of which are ended; then each machine runs to its end."""
    ended: list[str] = []
    for number in range(_LIVES):
        place.send()
        failpoint = FAILPOINTS[(summary.rounds * _LIVES + number) % len(FAILPOINTS)]
        doom = Doom(failpoint, chance.choice([1, 1, 1, 2]))
        machine = chance.choice("ab")
        if not live(place, machine, doom):
            continue
        ended.append(f"{machine} {doom.failpoint} {doom.occurrence}")
        summary.by_failpoint[failpoint] += 1
        summary.faults += [f"{summary.rounds} {ended}: {one}" for one in place.broken()]
    for machine in "ab":
        if live(place, machine, None):
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
    producer()
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
