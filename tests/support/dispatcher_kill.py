"""Kill the dispatcher's work at every failpoint, restart it, and check what is left each time.

    python -m tests.support.dispatcher_kill --kills 500 --seed 1

Each life does one pass as the daemon does after its start, on the day after the life before. One
may also end with a request still on its way, that is carried out during the next life. Now and then
the ledger's last line is torn. After some lives that end early one runs to its end.
"""

import os
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from daemons.dispatcher.job import STEPS
from daemons.dispatcher.opening import watch_options
from daemons.dispatcher.settings import Settings
from shared.handshake.layout import JobFolder
from shared.s3.errors import ObjectError
from shared.s3.memory_buckets import MemoryBuckets
from tests.support import kill
from tests.support.dispatching import LAYOUT, Project, chunk_text, day_after, ended, seed_of
from tests.support.kill import Counts, Doom

_REQUESTS = ("page", "put", "head")
LATE = "late put"
FAILPOINTS = (
    "listed",
    *STEPS,
    *(f"{moment} {verb}" for verb in _REQUESTS for moment in ("asked", "done")),
    LATE,
)
_LIVES_MAX = 8
_OLD_DAY = "2024-05-06"
NEW = ("00001", "00004")
BEGUN, COMPLETE, ANSWERED, BAD = "00002", "00003", "00005", "00006"
SENT_IN_THE_END = sorted((*NEW, BEGUN, COMPLETE))


class Fatal(kill.Fatal):
    """The parent's end of the pipe, which also carries out what was on its way."""

    def __init__(
        self, connection: Connection, pid: int, doom: Doom | None, played: "Round"
    ) -> None:
        super().__init__(connection, pid, doom)
        self._played = played

    def recv(self) -> Any:
        """Receive a request; killed with it on the way, it is carried out in the next life."""
        request = super().recv()
        if request[0] == "put" and self.counts.meets(LATE):
            self._played.late.append(request)
            self.end()
        return request

    def send(self, reply: Any) -> None:
        """Send the answer; what was on its way arrives after the bucket was listed."""
        if self.request == "page":
            self._played.carry_out()
        super().send(reply)


class Round(kill.Round):
    """One round's folders and bucket."""

    def __init__(self, base: Path, number: int, chance: random.Random) -> None:
        super().__init__(base, number, chance)
        self.project = Project(base)
        self.late: list[Any] = []
        """Requests of killed lives that are still on their way."""
        # Never closed: what a life has open at its end is left to the system, as by a kill.
        self._open = ExitStack()
        self._lay_out()
        self._seeded = len(self.project.written())

    @property
    def buckets(self) -> MemoryBuckets:
        """What the parent holds."""
        return self.project.buckets

    def lives(self) -> Iterator[Doom | None]:
        """End lives anywhere until one is not ended."""
        for number in range(_LIVES_MAX):
            # The first life comes by every failpoint, so none is met seldom.
            first = FAILPOINTS[self.number % len(FAILPOINTS)]
            chosen = self.chance.choice(FAILPOINTS) if number else first
            yield Doom(chosen, self.chance.choice([1, 1, 1, 2, 3]))
            if not self.was_killed:
                break
            day_after(self.project)
            self.notes["torn"] += self._tear()
        else:
            yield None
        self.carry_out()

    async def work(self, buckets: MemoryBuckets, counts: Counts) -> None:
        """Do what the daemon does from its start to the end of its first pass."""
        kill.no_threads()
        self.project.buckets = buckets
        await self.project.life(self._open, counts.step).once()

    def fatal(self, connection: Connection, pid: int, doom: Doom | None) -> kill.Fatal:
        """Return the parent's end of the pipe."""
        return Fatal(connection, pid, doom, self)

    def carry_out(self) -> None:
        """Let what was on its way arrive."""
        while self.late:
            verb, arguments, named = self.late.pop()
            with suppress(ObjectError):
                getattr(self.buckets, verb)(*arguments, **named)

    def _tear(self) -> bool:
        """Tear the ledger's last line now and then, as a power cut does."""
        ledger = self.project.ledger_file
        if self.chance.random() > 0.2 or not ledger.exists():
            return False
        size = ledger.stat().st_size
        if not size or not ledger.read_bytes().endswith(b"\n"):
            return False
        os.truncate(ledger, size - self.chance.randrange(1, 5))
        return True

    def _lay_out(self) -> None:
        """A chunk of every kind: new, begun, complete, answered, bad."""
        project = self.project
        for cid in (*NEW, BEGUN, COMPLETE, ANSWERED, BAD):
            project.chunk(cid)
        project.answer(ANSWERED)
        old = self.chance.choice([b"half of the seeds", seed_of(chunk_text(BEGUN)), None])
        if old is None:
            project.put(f"from-prod/{JobFolder(_OLD_DAY, BEGUN)}/notes.txt", b"x")
        else:
            project.put_job(BEGUN, _OLD_DAY, seed=old, marker=False)
        project.put_job(COMPLETE, _OLD_DAY, seed=seed_of(chunk_text(COMPLETE)), marker=True)
        project.step.ends = {BAD: ended(2, "line 7: bad")}

    def broken(self) -> Sequence[str]:
        """Say which promise does not hold at this very moment, whoever has just died."""
        found: list[str] = []
        project = self.project
        folders: dict[str, set[str]] = {}
        for key in project.below():
            folder, _, rest = key.partition("/")
            cid = folder[-5:]
            folders.setdefault(cid, set()).add(folder)
            if rest == "cid.txt":
                job = JobFolder(folder[10:20], cid)
                if project.body(LAYOUT.seed(job)) != seed_of(chunk_text(cid)):
                    found.append(f"CID {cid} has a marker and not its seeds")
                if project.body(LAYOUT.marker(job)) != f"{cid}\n".encode():
                    found.append(f"the marker of CID {cid} says something else")
        found += [
            f"CID {cid} has {len(all_)} folders"
            for cid, all_ in folders.items()
            if all_ - {next(iter(all_))}
        ]
        found += [f"CID {cid} was sent" for cid in (ANSWERED, BAD) if cid in folders]
        complete = {key[-13:-8] for key in project.below() if key.endswith("/cid.txt")}
        whole = [line for line in project.recorded() if len(line) == 5]
        found += [f"CID {cid} is recorded and not sent" for cid in set(whole) - complete]
        return found

    def unfinished(self) -> Sequence[str]:
        """Say what is missing when a life has run to its end."""
        project = self.project
        found = list(self.broken())
        recorded = sorted({line for line in project.recorded() if len(line) == 5})
        if recorded != SENT_IN_THE_END:
            found.append(f"the ledger holds {recorded}")
        if project.staged():
            found.append(f"left in staging: {project.staged()}")
        written = Counter((m.uri.key, m.crc64nvme) for m in project.written()[self._seeded :])
        found += [f"written {n} times: {key}" for (key, _), n in written.items() if n > 1]
        quarantined = [path.name for path in (project.state / "quarantine").iterdir()]
        if quarantined != [f"CID-{BAD}.json"]:
            found.append(f"in quarantine: {quarantined}")
        return found


def _prepare() -> None:
    watch_options(Settings(bucket="warm")).rules.skips("p")


if __name__ == "__main__":
    sys.exit(kill.main(Round, __doc__ or "", sys.argv[1:], _prepare))
