import itertools
import random
import signal
from collections import Counter
from functools import partial

import pytest

from tests.acceptance.ground import BUCKET, Ground
from tests.support.daemon import Daemon
from tests.support.ended_lives import End, play_two
from tests.support.soak import repetitions
from tests.support.strict_s3.faults import Stage
from tests.support.strict_s3.server import StrictS3

KILLS = repetitions(200, 2000)
LARGE_BYTES = 5 * 1024 * 1024
STEPS = ("pinned", "send", "acknowledged", "hide", "compare", "unlink", "unlinked")
SMALL = ("HeadObject", "PutObject", "ListObjectsV2")
LARGE = ("CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload")


ENDS = (
    *map(End, STEPS),
    *(End(operation, stage) for operation in (*SMALL, *LARGE) for stage in Stage),
)


@pytest.mark.timeout(3600)
def test_whenever_it_is_killed_nothing_is_lost_and_nothing_sent_twice(ground: Ground) -> None:
    """The real client, the real watcher, real SIGKILLs; each next life finishes what is left."""
    with StrictS3([BUCKET]) as s3:
        other = Ground(ground.folder / "other", s3, ground.nursery)
        (other.root / BUCKET).mkdir(parents=True)
        places = (ground, other)
        met = play_two(lambda seed: play(places[seed], seed))

    assert met.total() >= KILLS
    assert len(met) >= len(ENDS)
    assert met["idle"] < met.total() / 4, met


def play(ground: Ground, seed: int) -> "Counter[str]":
    """Live and die half of the times; returns how often each way."""
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    numbers = itertools.count()
    start = partial(ground.start, "--multipart-from", "5", interval=60)
    met: Counter[str] = Counter()
    while met.total() < KILLS / 2:
        for end in ENDS:
            lay_out(ground, next(numbers), chance, end)
            daemon = end.begin(ground.s3, lambda step: start(step=step))
            # Whoever does not meet its end is killed when it has done everything.
            is_met = not outlived(daemon, ground)
            daemon.kill()
            met[str(end) if is_met else "idle"] += 1
        finish(ground)
    return met


def lay_out(ground: Ground, number: int, chance: random.Random, end: End) -> None:
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
    if end.name in LARGE:
        ground.put(f"{name}-large.bin", chance.randbytes(LARGE_BYTES + number))
    if end.name == "ListObjectsV2":
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
    ground.s3.wait_alone()
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
