"""Kill the uploader's work at every failpoint, restart it, and check what is left.

    python -m tests.support.kill --kills 2000 --seed 1

The parent holds the in-memory S3 and never has a loop or a thread. Each life is a forked child that
puts back what a crash left, scans, and runs the jobs of a small tree; it ends itself by SIGKILL at
a step of the file's way, or is killed by the parent before or after a request was carried out and
before the answer left. After some lives that end early one runs to its end, and the effect check
follows. A JSON summary goes to stdout.
"""

import argparse
import gc
import importlib
import json
import mimetypes
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

import anyio
from anyio import to_thread

from daemons.uploader.job import FileJobs, Found, JobRules
from shared.fswatch.names import SkipRules
from shared.fswatch.scan import scan_tree
from shared.removal import HIDDEN_FOLDER, restore_tree, tidy
from shared.s3.journal import FileJournal
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import MemoryBuckets, Mutation, StoredObject
from shared.s3.pinned import crc64nvme, open_folder
from shared.s3.store import NO_OPTIONS, Evidence
from shared.s3.uri import S3Uri
from shared.s3.wire import encode_crc
from tests.support.effects import Digest, Remote, Written, check_effects, digest_of
from tests.support.piped_buckets import PipedBuckets, serve

BUCKET = "colony-shots"
PART = 1000
_MOMENTS = ("asked", "done")
_REMOVAL = ("acknowledged", "hide", "compare", "unlink", "unlinked")
_ASK = ("asked head", "done head")
_PUT = ("send", "asked put", "done put")
_PARTS = tuple(f"{moment} {verb}" for verb in ("begin", "part", "complete") for moment in _MOMENTS)
WAYS: Mapping[str, Sequence[str]] = {
    "new.bin": ("pinned", *_PUT, *_REMOVAL),
    "same.bin": ("pinned", *_ASK, *_REMOVAL),
    "stats/other.bin": ("pinned", *_ASK, *_PUT, *_REMOVAL),
    "large.bin": ("pinned", *_ASK, "send", *_PARTS, *_REMOVAL),
}
"""The failpoints that a file comes by: new, in S3 already, to be replaced, sent in parts."""
FAILPOINTS = tuple(sorted({failpoint for way in WAYS.values() for failpoint in way}))
_LIVES_MAX = 8
_SETTLED_AT = 1_700_000_000


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


class Fatal:
    """The parent's end of the pipe, which may end the child's life at a request."""

    def __init__(self, connection: Connection, pid: int, counts: Counts) -> None:
        self._connection = connection
        self._pid = pid
        self._counts = counts
        self._verb = ""

    def recv(self) -> Any:
        """Receive a request; killed here, it is never carried out."""
        request = self._connection.recv()
        self._verb = request[0]
        self._end_at(f"asked {self._verb}")
        return request

    def send(self, reply: Any) -> None:
        """Send the answer; killed here, the child never learns of the effect."""
        self._end_at(f"done {self._verb}")
        self._connection.send(reply)

    def _end_at(self, failpoint: str) -> None:
        if self._counts.meets(failpoint):
            os.kill(self._pid, signal.SIGKILL)
            raise ConnectionResetError


@dataclass(slots=True)
class Ground:
    """One round's tree and buckets."""

    base: Path
    buckets: MemoryBuckets = field(default_factory=partial(MemoryBuckets, BUCKET))
    produced: dict[str, list[bytes]] = field(default_factory=dict)
    seeded: int = 0

    @property
    def root(self) -> Path:
        """The uploader's root."""
        return self.base / "root"

    def lay_out(self, keys: Sequence[str], chance: random.Random) -> None:
        """Write files settled long ago, and what S3 held before."""
        for key in keys:
            content = chance.randbytes(40)
            if key == "large.bin":
                content = chance.randbytes(2 * PART + chance.choice([0, 300]))
            if key == "same.bin":
                self._seed(key, content)
            elif key == "stats/other.bin" or (key == "large.bin" and chance.random() < 0.5):
                self._seed(key, content[::-1])
            self._write(key, content)
        self.seeded = len(self.buckets.history())

    def ahead(self) -> Sequence[str]:
        """The failpoints that the files still on disk come by in the next life."""
        found: list[str] = []
        for key, series in self.produced.items():
            path = self.root / BUCKET / key
            if path.exists() or (path.parent / HIDDEN_FOLDER / path.name).exists():
                held = self._held(key)
                delivered = held is not None and held.body == series[-1]
                found += WAYS["same.bin"] if delivered else WAYS[key]
        return found

    def faults(self) -> list[str]:
        """Check the effects once all is done."""
        history = self.buckets.history()[self.seeded :]
        names = {(encode_crc(crc64nvme(c)), len(c)): c for s in self.produced.values() for c in s}
        remote = Remote(
            {key: held.body for key in self.produced if (held := self._held(key))},
            [_written(mutation, names) for mutation in history],
        )
        found = [f"left on disk: {path}" for path in self.root.rglob("*") if path.is_file()]
        found += [f"left on disk: {path}" for path in self.root.rglob(HIDDEN_FOLDER)]
        found += [
            f"parts left: {upload.upload_id}"
            for upload in self.buckets.uploads(S3Uri(BUCKET))
            if self.buckets._upload(upload).parts
        ]
        try:
            check_effects(self.produced, remote, self.root / BUCKET)
        except AssertionError as error:
            found.append(str(error))
        return found

    def _held(self, key: str) -> StoredObject | None:
        return self.buckets.look(S3Uri(BUCKET, key))

    def _seed(self, key: str, content: bytes) -> None:
        self.buckets.put(S3Uri(BUCKET, key), content)
        self.produced.setdefault(key, []).append(content)

    def _write(self, key: str, content: bytes) -> None:
        path = self.root / BUCKET / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (_SETTLED_AT, _SETTLED_AT))
        series = self.produced.setdefault(key, [])
        if content not in series:
            series.append(content)


def _written(mutation: Mutation, names: Mapping[tuple[str, int], bytes]) -> Written:
    content = names.get((mutation.crc64nvme, mutation.size))
    unknown = Digest(mutation.size, mutation.crc64nvme)
    return Written(mutation.uri.key, unknown if content is None else digest_of(content))


def live(ground: Ground, doom: Doom | None) -> bool:
    """Fork one life; says whether it was killed."""
    here, there = Pipe()
    pid = os.fork()
    if pid == 0:
        here.close()
        _be_the_child(ground, there, doom)
    there.close()
    try:
        serve(ground.buckets, cast("Connection", Fatal(here, pid, Counts(doom))))
    finally:
        here.close()
        _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return True
    if status != 0:
        raise RuntimeError(f"a life ended with the wait status {status}; see its traceback")
    return False


def _be_the_child(ground: Ground, connection: Connection, doom: Doom | None) -> None:
    try:
        worker = partial(_work, ground, connection, doom)
        anyio.run(worker, backend="asyncio", backend_options={"use_uvloop": True})
    except BaseException:  # noqa: BLE001 - a forked child must not go on as the parent
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(1)


async def _work(ground: Ground, connection: Connection, doom: Doom | None) -> None:
    """Do what the daemon does from its start to an empty tree."""
    counts = Counts(doom)

    def step(name: str) -> None:
        if counts.meets(name):
            os.kill(os.getpid(), signal.SIGKILL)

    # Threads are what a short life spends its time on.
    to_thread.current_default_thread_limiter().total_tokens = 1
    journal = FileJournal(ground.base / "state")
    store = MemoryStore(
        PipedBuckets.over(connection), journal=journal, threshold=2 * PART, part_size=PART
    )
    for upload in await journal.leftovers():
        await store.abort(upload)
    list(restore_tree(ground.root))
    rules = JobRules(Evidence.ETAG_MD5, 2 * PART, NO_OPTIONS)
    jobs = FileJobs(store, ground.root, rules, clock=time.monotonic, step=step)
    async with anyio.create_task_group() as tasks:
        for batch in scan_tree(ground.root, SkipRules()):
            for file in batch.files:
                uri = S3Uri(BUCKET, file.path.partition("/")[2])
                tasks.start_soon(jobs.run, Found(file, uri, ask_first=True))
    for folder in (ground.root / BUCKET).rglob(HIDDEN_FOLDER):
        _tidy(folder.parent)
    # Here and not after the loop is closed, which takes as long as all the rest.
    os._exit(0)


def _tidy(folder: Path) -> None:
    descriptor = open_folder(folder, [])
    try:
        tidy(descriptor)
    finally:
        os.close(descriptor)


@dataclass(slots=True)
class Summary:
    """What all the rounds came to."""

    rounds: int = 0
    by_failpoint: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        """Lives that ended early."""
        return self.by_failpoint.total()


def run_rounds(kills: int, seed: int, base: Path) -> Summary:
    """Play rounds until so many lives were ended, or ten things went wrong."""
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    summary = Summary()
    while summary.kills < kills and len(summary.faults) < 10:
        failpoint = FAILPOINTS[summary.rounds % len(FAILPOINTS)]
        ways = [key for key, way in WAYS.items() if failpoint in way]
        keys = sorted({chance.choice(ways), chance.choice(list(WAYS))})
        ground = Ground(base / str(summary.rounds))
        ground.lay_out(keys, chance)
        ended = _play(ground, failpoint, chance)
        summary.by_failpoint.update(doom.failpoint for doom in ended)
        summary.faults += [f"round {summary.rounds} {ended}: {one}" for one in ground.faults()]
        summary.rounds += 1
        shutil.rmtree(ground.base)
    return summary


def _play(ground: Ground, failpoint: str, chance: random.Random) -> Sequence[Doom]:
    """Live until a life is not ended early; returns how the others ended."""
    ended: list[Doom] = []
    for _ in range(_LIVES_MAX):
        doom = Doom(failpoint, chance.choice([1, 1, 1, 2]))
        if not live(ground, doom):
            return ended
        ended.append(doom)
        failpoints = ground.ahead()
        if not failpoints:
            break
        failpoint = chance.choice(failpoints)
    if live(ground, None):
        raise RuntimeError("a life without a doom was killed")
    return ended


def main(argv: Sequence[str]) -> int:
    """Run and print the summary; 1 when anything was lost, repeated or left."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(argv)
    # Loaded before the first fork, or every child would load them again.
    importlib.import_module("anyio._backends._asyncio")
    importlib.import_module("uvloop")
    SkipRules().skips("")
    mimetypes.guess_type("a.bin")
    gc.freeze()
    began = time.monotonic()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as base:
        summary = run_rounds(chosen.kills, chosen.seed, Path(base))
    seconds = time.monotonic() - began
    report = {
        "kills": summary.kills,
        "rounds": summary.rounds,
        "by_failpoint": dict(sorted(summary.by_failpoint.items())),
        "faults": summary.faults,
        "seconds": round(seconds, 1),
        "milliseconds_per_kill": round(seconds * 1000 / max(1, summary.kills), 2),
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    return 1 if summary.faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
