"""Kill the watcher's work at every failpoint, on two machines in turn, and check what is left.

    python -m tests.support.watcher_kill --kills 500 --seed 1

Each life does some passes as the daemon does after its start, its clock moved on between them.
After some lives that end early, one on each machine runs to its end.
"""

import random
import sys
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from daemons.watcher.publish import producer
from shared.handshake.layout import Runout
from shared.handshake.lease import LeaseState
from shared.handshake.manifest import parse_manifest
from shared.s3.memory_buckets import MemoryBuckets
from shared.s3.uri import S3Uri
from tests.support import kill
from tests.support.kill import Counts, Doom
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
_LEASE_SECONDS = 1000.0
_PASSES = 2
_PASSES_LAST = 4


class Fatal(kill.Fatal):
    """The same by the part of the hand-shake that a request is about."""

    def name_of(self, request: Any) -> str:
        """Return what failpoints call a request."""
        verb, arguments, _ = request
        place = arguments[0].key.removeprefix(f"{LAYOUT.prefix}/").partition("/")[0]
        return f"{_VERBS.get(verb, verb)} {place}"


class Round(kill.Round):
    """One round's two machines and their bucket."""

    def __init__(self, base: Path, number: int, chance: random.Random) -> None:
        super().__init__(base, number, chance)
        self._buckets = MemoryBuckets(BUCKET)
        self.machines = {name: Ec2(base / name, self._buckets, instance=name * 32) for name in "ab"}
        self.machine = ""
        """Where the next life is lived."""
        self.good: list[str] = []
        self.committed: dict[str, Runout] = {}
        self._lives = 0
        self._passes = _PASSES
        self.machines["a"].send(POISON)

    @property
    def buckets(self) -> MemoryBuckets:
        """What the parent holds."""
        return self._buckets

    def lives(self) -> Iterator[Doom | None]:
        """Live some lives, nearly all of which are ended; then each machine runs to its end."""
        for number in range(_LIVES):
            self._send()
            failpoint = FAILPOINTS[(self.number * _LIVES + number) % len(FAILPOINTS)]
            doom = Doom(failpoint, self.chance.choice([1, 1, 1, 2]))
            yield self._on(self.chance.choice("ab"), doom)
        self._passes = _PASSES_LAST
        for machine in "ab":
            yield self._on(machine, None)

    def _on(self, machine: str, doom: Doom | None) -> Doom | None:
        self.machine = machine
        self._lives += 1
        return doom

    async def work(self, buckets: MemoryBuckets, counts: Counts) -> None:
        """Do what the daemon does: some passes, between which every lease could have ended."""
        kill.no_threads()
        now = 0.0
        ec2 = Ec2(
            self.machines[self.machine].root,
            buckets,
            steps=FakeSteps({POISON: lambda step, _place: went_wrong(step)}),
            step=counts.step,
            instance=self.machine * 32,
            process=f"process-{self._lives}",
            lease_seconds=_LEASE_SECONDS,
            attempts=ATTEMPTS,
            clock=lambda: now,
        )
        watcher = ec2.watcher()
        for _ in range(self._passes):
            await watcher.run_once()
            now += 2 * _LEASE_SECONDS

    def fatal(self, connection: Connection, pid: int, doom: Doom | None) -> kill.Fatal:
        """Return the parent's end of the pipe."""
        return Fatal(connection, pid, doom)

    def story_of(self, doom: Doom) -> str:
        """Say how a life ended, and where."""
        return f"{self.machine} {super().story_of(doom)}"

    def _send(self) -> None:
        """Send one more job that will go well."""
        self.good.append(f"{len(self.good) * 2 + 1:05d}")
        self.machines["a"].send(self.good[-1])

    def broken(self) -> Sequence[str]:
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

    def unfinished(self) -> Sequence[str]:
        """Say what is missing, left or repeated once each machine has run to its end."""
        found = list(self.broken())
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


if __name__ == "__main__":
    sys.exit(kill.main(Round, __doc__ or "", sys.argv[1:], producer))
