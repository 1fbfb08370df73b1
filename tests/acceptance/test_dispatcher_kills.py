import itertools
import os
import random
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from daemons.dispatcher.job import STEPS
from shared.handshake.layout import JobFolder
from tests.support.daemon import Daemon, Nursery
from tests.support.dispatcher_ground import DispatcherGround
from tests.support.dispatcher_nursery import open_dispatcher_nursery
from tests.support.dispatching import BUCKET, LAYOUT, chunk_text
from tests.support.soak import repetitions
from tests.support.strict_s3.faults import Do, Fault, Stage
from tests.support.strict_s3.history import MutationKind
from tests.support.strict_s3.protocol import Call
from tests.support.strict_s3.server import StrictS3

KILLS = repetitions(100, 1000)
ROUND = 8
"""Lives before one runs to its end."""
OLD_DAY = "2024-05-06"
REQUESTS = (
    ("ListObjectsV2", "*"),
    ("HeadObject", "*"),
    ("PutObject", "*.parquet"),
    ("PutObject", "*/cid.txt"),
)
DOOMS: tuple[tuple[str, str, Stage | None], ...] = (
    *((step, "", None) for step in ("listed", *STEPS)),
    *(
        (operation, key, stage)
        for operation, key in REQUESTS
        for stage in (Stage.ARRIVAL, Stage.BEFORE_COMMIT, Stage.AFTER_COMMIT)
    ),
)


@pytest.mark.timeout(3600)
def test_whenever_it_is_killed_each_cid_is_sent_once(tmp_path: Path) -> None:
    """The real client, real folders, real SIGKILLs; each next life finishes what is left."""
    with open_dispatcher_nursery() as nursery, ThreadPoolExecutor(2) as pool:
        # A life is mostly start-up: two at a time keep two cores busy.
        played = [pool.submit(play, tmp_path / str(seed), nursery, seed) for seed in range(2)]
        ends = played[0].result() + played[1].result()

    assert ends.total() >= KILLS
    assert len(ends) == len(DOOMS), ends


def play(folder: Path, nursery: Nursery, seed: int) -> "Counter[str]":
    """Live and die half of the times; returns how often each way."""
    with StrictS3([BUCKET]) as s3:
        ground = DispatcherGround(folder, s3, nursery)
        try:
            return live_and_die(ground, random.Random(seed))  # noqa: S311 - repeatable on purpose
        finally:
            ground.close()


def live_and_die(ground: DispatcherGround, chance: random.Random) -> "Counter[str]":
    """Begin lives that end early, and look at what each leaves."""
    ends: Counter[str] = Counter()
    for number, doom in enumerate(itertools.cycle(DOOMS), 1):
        if ends.total() >= KILLS / 2:
            break
        lay_out(ground, number, chance)
        daemon = start(ground, *doom)
        ended = daemon.wait()
        assert ended in {0, -signal.SIGKILL}, daemon.tail()
        if ended < 0:
            ends[" ".join(str(part) for part in doom)] += 1
        look(ground)
        if number % ROUND == 0:
            finish(ground)
    finish(ground)
    return ends


def lay_out(ground: DispatcherGround, number: int, chance: random.Random) -> None:
    """Add a new chunk, one that was begun long ago, and one that is answered."""
    new, begun, answered = (f"{3 * number + place:05d}" for place in range(3))
    for cid in (new, begun, answered):
        ground.chunk(cid)
    ground.answer(answered)
    body = chance.choice([b"half", chunk_text(begun)])
    ground.s3.seed(BUCKET, {LAYOUT.seed(JobFolder(OLD_DAY, begun)).key: body})


def start(ground: DispatcherGround, name: str, key: str, stage: Stage | None) -> Daemon:
    """Start a life that ends at a step, or while S3 has a request in hand."""
    ground.s3.faults.clear()
    if stage is None:
        return ground.start("--once", step=name)
    started: list[Daemon] = []

    def kill(_call: Call) -> None:
        with suppress(ProcessLookupError):
            os.kill(started[0].pid, signal.SIGKILL)

    # Its process id is known long before it has asked who it is. Not the first request alone: one
    # that is refused by its precondition is never carried out.
    fault = Fault(Do(kill, stage), operation=name, key=key)
    started.append(ground.start("--once"))
    ground.s3.faults.add(fault)
    return started[0]


def look(ground: DispatcherGround) -> None:
    """Whatever has just died: no marker without its seeds, nothing recorded that was not sent."""
    jobs = ground.jobs()
    for folder, files in jobs.items():
        if "cid.txt" in files:
            assert files["cid.txt"] == f"{folder.cid}\n".encode()
            assert files[f"part-{folder.cid}.parquet"] == chunk_text(folder.cid)
    assert len({folder.cid for folder in jobs}) == len(jobs), "a CID has two folders"
    assert set(ground.recorded()) <= set(ground.complete())


def finish(ground: DispatcherGround) -> None:
    """Let one life run to its end and check the effects."""
    ground.s3.faults.clear()
    daemon = ground.start("--once")
    assert daemon.wait() == 0, daemon.tail()
    look(ground)
    wanted = sorted(
        path.name[16:21]
        for path in ground.positions.glob("positions_chunk_*")
        if not (ground.positions / f"positions{path.name[16:21]}_closest.csv").exists()
    )
    assert sorted(ground.recorded()) == wanted
    assert ground.complete() == wanted
    assert ground.staged() == []
    put = Counter(
        mutation.key
        for mutation in ground.s3.mutations()
        if mutation.kind is not MutationKind.SEED and LAYOUT.job_of(mutation.key)
    )
    assert set(put.values()) == {1}, "an object was written twice"
