"""Kill the dispatcher's work at every failpoint, restart it, and check what is left each time.

    python -m tests.support.dispatcher_kill --kills 500 --seed 1

The parent holds the in-memory S3 and never has a loop or a thread. Each life is a forked child that
does one pass as the daemon does after its start, on the day after the life before; it ends itself
by SIGKILL at a step of a CID's way, or is killed by the parent before or after a request was
carried out, or with a request still on its way that is carried out during the next life. Now and
then the ledger's last line is torn. After some lives that end early one runs to its end. A JSON
summary goes to stdout.
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
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

import anyio
import structlog
from anyio import to_thread

from daemons.dispatcher.job import STEPS
from daemons.dispatcher.opening import watch_options
from daemons.dispatcher.settings import Settings
from shared.handshake.layout import JobFolder
from shared.s3.errors import ObjectError
from tests.support.dispatching import LAYOUT, Project, chunk_text, day_after, ended, seed_of
from tests.support.kill import Counts, Doom, Fatal
from tests.support.piped_buckets import PipedBuckets, serve

_REQUESTS = ("page", "put", "head")
LATE = "late put"
FAILPOINTS = (
    "listed",
    *STEPS,
    *(f"{moment} {verb}" for verb in _REQUESTS for moment in ("asked", "done")),
    LATE,
)
_LIVES_MAX = 8
_FAULTS_MAX = 10
_OLD_DAY = "2024-05-06"
NEW = ("00001", "00004")
BEGUN, COMPLETE, ANSWERED, BAD = "00002", "00003", "00005", "00006"
SENT_IN_THE_END = sorted((*NEW, BEGUN, COMPLETE))


@dataclass
class Round:
    """One round's folders and bucket."""

    project: Project
    late: list[Any] = field(default_factory=list)
    """Requests of killed lives that are still on their way."""
    seeded: int = 0

    def lay_out(self, chance: random.Random) -> None:
        """A chunk of every kind: new, begun, complete, answered, bad."""
        project = self.project
        for cid in (*NEW, BEGUN, COMPLETE, ANSWERED, BAD):
            project.chunk(cid)
        project.answer(ANSWERED)
        old = chance.choice([b"half of the seeds", seed_of(chunk_text(BEGUN)), None])
        if old is None:
            project.put(f"from-prod/{JobFolder(_OLD_DAY, BEGUN)}/notes.txt", b"x")
        else:
            project.put_job(BEGUN, _OLD_DAY, seed=old, marker=False)
        project.put_job(COMPLETE, _OLD_DAY, seed=seed_of(chunk_text(COMPLETE)), marker=True)
        project.step.ends = {BAD: ended(2, "line 7: bad")}
        self.seeded = len(project.written())

    def broken(self) -> list[str]:
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

    def unfinished(self) -> list[str]:
        """Say what is missing when a life has run to its end."""
        project = self.project
        found = []
        recorded = sorted({line for line in project.recorded() if len(line) == 5})
        if recorded != SENT_IN_THE_END:
            found.append(f"the ledger holds {recorded}")
        if project.staged():
            found.append(f"left in staging: {project.staged()}")
        written = Counter((m.uri.key, m.crc64nvme) for m in project.written()[self.seeded :])
        found += [f"written {n} times: {key}" for (key, _), n in written.items() if n > 1]
        quarantined = [path.name for path in (project.state / "quarantine").iterdir()]
        if quarantined != [f"CID-{BAD}.json"]:
            found.append(f"in quarantine: {quarantined}")
        return found


class FatalRequests(Fatal):
    """The parent's end of the pipe, which also carries out what was on its way."""

    def __init__(self, connection: Connection, pid: int, counts: Counts, played: Round) -> None:
        super().__init__(connection, pid, counts)
        self._played = played

    def recv(self) -> Any:
        """Receive a request; killed with it on the way, it is carried out in the next life."""
        request = super().recv()
        if request[0] == "put" and self._counts.meets(LATE):
            self._played.late.append(request)
            os.kill(self._pid, signal.SIGKILL)
            raise ConnectionResetError
        return request

    def send(self, reply: Any) -> None:
        """Send the answer; what was on its way arrives after the bucket was listed."""
        if self._verb == "page":
            carry_out(self._played)
        super().send(reply)


def carry_out(played: Round) -> None:
    """Let what was on its way arrive."""
    while played.late:
        verb, arguments, named = played.late.pop()
        with suppress(ObjectError):
            getattr(played.project.buckets, verb)(*arguments, **named)


def live(played: Round, doom: Doom | None) -> bool:
    """Fork one life; says whether it was killed."""
    here, there = Pipe()
    pid = os.fork()
    if pid == 0:
        here.close()
        _be_the_child(played.project, there, doom)
    there.close()
    try:
        parent = FatalRequests(here, pid, Counts(doom), played)
        serve(played.project.buckets, cast("Connection", parent))
    finally:
        here.close()
        _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return True
    if status != 0:
        raise RuntimeError(f"a life ended with the wait status {status}; see its traceback")
    return False


def _be_the_child(project: Project, connection: Connection, doom: Doom | None) -> None:
    try:
        worker = partial(_work, project, connection, doom)
        anyio.run(worker, backend="asyncio", backend_options={"use_uvloop": True})
    except BaseException:  # noqa: BLE001 - a forked child must not go on as the parent
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(1)


async def _at_once(call: Callable[..., object], *arguments: object, **_options: object) -> object:
    """Do at once what a thread would do."""
    return call(*arguments)


async def _work(project: Project, connection: Connection, doom: Doom | None) -> None:
    """Do what the daemon does from its start to the end of its first pass."""
    counts = Counts(doom)

    def step(name: str) -> None:
        if counts.meets(name):
            os.kill(os.getpid(), signal.SIGKILL)

    # Threads are what a short life spends its time on, and nobody else is here to be kept waiting.
    to_thread.run_sync = _at_once  # type: ignore[assignment]  # the same but for its options
    project.buckets = PipedBuckets.over(connection)
    with ExitStack() as stack:
        await project.life(stack, step).once()
        # Here and not after the loop is closed, which takes as long as all the rest.
        os._exit(0)


@dataclass(slots=True)
class Summary:
    """What all the rounds came to."""

    rounds: int = 0
    by_failpoint: Counter[str] = field(default_factory=Counter)
    torn: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        """Lives that ended early."""
        return self.by_failpoint.total()


def run_rounds(kills: int, seed: int, base: Path) -> Summary:
    """Play rounds until so many lives were ended, or ten things went wrong."""
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    summary = Summary()
    while summary.kills < kills and len(summary.faults) < _FAULTS_MAX:
        played = Round(Project(base / str(summary.rounds)))
        played.lay_out(chance)
        ended_at = _play(played, summary, chance)
        summary.by_failpoint.update(doom.failpoint for doom in ended_at)
        summary.rounds += 1
        shutil.rmtree(played.project.base)
    return summary


def _play(played: Round, summary: Summary, chance: random.Random) -> Sequence[Doom]:
    """Live until a life is not ended early; returns how the others ended."""
    ended_at: list[Doom] = []
    for number in range(_LIVES_MAX):
        # The first life comes by every failpoint, so none is met seldom.
        first = FAILPOINTS[summary.rounds % len(FAILPOINTS)]
        chosen = chance.choice(FAILPOINTS) if number else first
        doom = Doom(chosen, chance.choice([1, 1, 1, 2, 3]))
        if not live(played, doom):
            break
        ended_at.append(doom)
        _check(played, summary, ended_at, played.broken())
        day_after(played.project)
        summary.torn += _tear(played.project, chance)
    else:
        if live(played, None):
            raise RuntimeError("a life without a doom was killed")
    carry_out(played)
    _check(played, summary, ended_at, [*played.broken(), *played.unfinished()])
    return ended_at


def _check(
    played: Round, summary: Summary, ended_at: Sequence[Doom], faults: Sequence[str]
) -> None:
    ways = [f"{doom.failpoint} {doom.occurrence}" for doom in ended_at]
    summary.faults += [f"round {summary.rounds} {ways}: {one}" for one in faults]


def _tear(project: Project, chance: random.Random) -> bool:
    """Tear the ledger's last line now and then, as a power cut does."""
    if chance.random() > 0.2 or not project.ledger_file.exists():
        return False
    size = project.ledger_file.stat().st_size
    if not size or not project.ledger_file.read_bytes().endswith(b"\n"):
        return False
    os.truncate(project.ledger_file, size - chance.randrange(1, 5))
    return True


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
    watch_options(Settings(bucket="warm")).rules.skips("p")
    gc.freeze()
    began = time.monotonic()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as base:
        summary = run_rounds(chosen.kills, chosen.seed, Path(base))
    seconds = time.monotonic() - began
    report = {
        "kills": summary.kills,
        "rounds": summary.rounds,
        "torn": summary.torn,
        "by_failpoint": dict(sorted(summary.by_failpoint.items())),
        "faults": summary.faults,
        "seconds": round(seconds, 1),
        "milliseconds_per_kill": round(seconds * 1000 / max(1, summary.kills), 2),
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    return 1 if summary.faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
