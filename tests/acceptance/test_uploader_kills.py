import itertools
import os
import random
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.acceptance.ground import BUCKET, Ground
from tests.support.daemon import Daemon
from tests.support.soak import repetitions
from tests.support.strict_s3.faults import Do, Fault, Stage
from tests.support.strict_s3.protocol import Call
from tests.support.strict_s3.server import StrictS3

KILLS = repetitions(200, 2000)
LARGE_BYTES = 5 * 1024 * 1024
STEPS = ("pinned", "send", "acknowledged", "hide", "compare", "unlink", "unlinked")
SMALL = ("HeadObject", "PutObject", "ListObjectsV2")
LARGE = ("CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload")


class AtStep:
    """The daemon kills itself at a step of a file's way."""

    def __init__(self, step: str) -> None:
        self.step = step

    def __str__(self) -> str:
        return self.step

    def start(self, ground: Ground) -> Daemon:
        """Start it."""
        birth = replace(ground.birth("--multipart-from", "5", interval=60), step=self.step)
        daemon = Daemon(birth, ground.nursery.start)
        ground.daemons.append(daemon)
        return daemon


class AtRequest:
    """The daemon is killed while S3 has a request of it in hand."""

    def __init__(self, operation: str, stage: Stage) -> None:
        self.operation = operation
        self.stage = stage

    def __str__(self) -> str:
        return f"{self.operation} {self.stage.value}"

    def start(self, ground: Ground) -> Daemon:
        """Start it."""
        started: list[Daemon] = []

        def kill(_call: Call) -> None:
            os.kill(started[0].pid, signal.SIGKILL)

        ground.s3.faults.clear()
        fault = Fault(Do(kill, self.stage), operation=self.operation, nth=1)
        daemon = ground.start("--multipart-from", "5", interval=60)
        started.append(daemon)
        ground.s3.faults.add(fault)
        return daemon


DOOMS: tuple[AtStep | AtRequest, ...] = (
    *(AtStep(step) for step in STEPS),
    *(AtRequest(operation, stage) for operation in (*SMALL, *LARGE) for stage in Stage),
)


@pytest.mark.timeout(3600)
def test_whenever_it_is_killed_nothing_is_lost_and_nothing_sent_twice(ground: Ground) -> None:
    """The real client, the real watcher, real SIGKILLs; each next life finishes what is left."""
    with StrictS3([BUCKET]) as s3, ThreadPoolExecutor(2) as pool:
        # A life is mostly start-up: two at a time keep two cores busy.
        other = Ground(ground.folder / "other", s3, ground.nursery)
        (other.root / BUCKET).mkdir(parents=True)
        played = [pool.submit(play, place, seed) for seed, place in enumerate((ground, other))]
        ends = played[0].result() + played[1].result()

    assert ends.total() >= KILLS
    assert len(ends) >= len(DOOMS)
    assert ends["idle"] < ends.total() / 4, ends


def play(ground: Ground, seed: int) -> "Counter[str]":
    """Live and die half of the times; returns how often each way."""
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    numbers = itertools.count()
    ends: Counter[str] = Counter()
    while ends.total() < KILLS / 2:
        for doom in DOOMS:
            lay_out(ground, next(numbers), chance, doom)
            daemon = doom.start(ground)
            # Whoever does not meet its doom is killed when it has done everything.
            met = not outlived(daemon, ground)
            daemon.kill()
            ends[str(doom) if met else "idle"] += 1
        finish(ground)
    return ends


def lay_out(ground: Ground, number: int, chance: random.Random, doom: AtStep | AtRequest) -> None:
    """Add files of every way: new, there already, to be replaced, and in parts."""
    name = f"{number:04d}"
    ground.put(f"{name}-new.bin", chance.randbytes(40))
    same, old, new = chance.randbytes(60), chance.randbytes(60), chance.randbytes(60)
    ground.seed(f"{name}-same.bin", same)
    ground.put(f"{name}-same.bin", same)
    # What is produced twice may be written twice; this one was seeded and written once.
    ground.produced[BUCKET][f"{name}-same.bin"].pop()
    ground.seed(f"{name}-other.bin", old)
    ground.put(f"{name}-other.bin", new)
    if isinstance(doom, AtRequest) and doom.operation in LARGE:
        ground.put(f"{name}-large.bin", chance.randbytes(LARGE_BYTES + number))
    if isinstance(doom, AtRequest) and doom.operation == "ListObjectsV2":
        for inner in range(16):
            ground.put(f"{name}-many/{inner}.bin", chance.randbytes(20))


def outlived(daemon: Daemon, ground: Ground) -> bool:
    """Wait until a daemon has been killed (False) or has nothing left to do (True)."""
    try:
        daemon.wait_until(ground.is_empty)
    except AssertionError:
        assert daemon.wait() == -signal.SIGKILL, daemon.tail()
        return False
    return True


def finish(ground: Ground) -> None:
    """Let one life run to its end, check the effects, and begin anew."""
    ground.s3.faults.clear()
    daemon = ground.start("--multipart-from", "5", "--once")
    assert daemon.wait() == 0, daemon.tail()
    assert ground.left() == []
    assert not list((ground.root / BUCKET).rglob(".towpath-removing"))
    ground.check()
    unknown = [u for u in ground.s3.open_uploads() if u.parts]
    assert unknown == [], "an upload with parts was left open"
    ground.s3.reset()
    ground.produced.clear()
    ground.daemons.clear()
