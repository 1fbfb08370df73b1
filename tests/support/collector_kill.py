"""Kill the collector's work at every failpoint, restart it, and check what is left each time.

    python -m tests.support.collector_kill --kills 500 --seed 1

Each life does one pass as the daemon does after its start. After some lives that end early one runs
to its end.
"""

import random
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from daemons.collector.central import sweep
from daemons.collector.job import STEPS
from shared.handshake.layout import Runout, closest_name
from shared.s3.memory_buckets import MemoryBuckets
from tests.support import kill
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
from tests.support.kill import Counts, Doom

_REQUESTS = ("list", "get", "head", "tags", "set_tags")
FAILPOINTS = (
    *STEPS,
    *(f"{moment} {verb}" for verb in _REQUESTS for moment in ("asked", "done")),
)
_VERBS = {"page": "list"}
_LIVES_MAX = 12
CIDS = ("00001", "00002", "00003")


class Fatal(kill.Fatal):
    """The same under the names that the requests have in S3."""

    def name_of(self, request: Any) -> str:
        """Return what failpoints call a request."""
        verb = super().name_of(request)
        return _VERBS.get(verb, verb)


class Round(kill.Round):
    """One round's folders and bucket, and what must be there in the end."""

    def __init__(self, base: Path, number: int, chance: random.Random) -> None:
        super().__init__(base, number, chance)
        self.prod = Prod(base)
        self.expected: dict[str, bytes] = {}
        self.tagged: set[str] = set()
        """The keys that must have the tag in the end."""
        self._lay_out()
        self._seeded = len(self.buckets.history())

    @property
    def buckets(self) -> MemoryBuckets:
        """What the parent holds."""
        return self.prod.buckets

    def lives(self) -> Iterator[Doom | None]:
        """End lives anywhere until one is not ended, and then live once more."""
        failpoint = FAILPOINTS[self.number % len(FAILPOINTS)]
        for _ in range(_LIVES_MAX):
            yield Doom(failpoint, self.chance.choice([1, 1, 2, 3]))
            if not self.was_killed:
                break
            failpoint = self.chance.choice(FAILPOINTS)
        yield None

    async def work(self, buckets: MemoryBuckets, counts: Counts) -> None:
        """Do what the daemon does from its start to the end of a pass."""
        kill.one_thread()
        prod = Prod(self.base, buckets, step=counts.step, in_flight=2, tag_seconds=30.0)
        if prod.central.is_dir():
            sweep(prod.central)
        await prod.collector().run_once()

    def fatal(self, connection: Connection, pid: int, doom: Doom | None) -> kill.Fatal:
        """Return the parent's end of the pipe."""
        return Fatal(connection, pid, doom)

    def _lay_out(self) -> None:
        """A result of a watcher, two of the scripts, and second results, equal and other."""
        chance = self.chance
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

    def broken(self) -> Sequence[str]:
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

    def unfinished(self) -> Sequence[str]:
        """Say what is missing, left or repeated once a life has run to its end."""
        found = list(self.broken())
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
        if len(self.buckets.history()) != self._seeded:
            found.append("the bucket was changed")
        left = [path.name for path in self.prod.inbox.rglob(".*")]
        return found + [f"left in the inbox: {name}" for name in left]


if __name__ == "__main__":
    sys.exit(kill.main(Round, __doc__ or "", sys.argv[1:]))
