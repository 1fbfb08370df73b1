import itertools
import os
import random
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from daemons.collector.job import STEPS
from shared.handshake.layout import Runout
from tests.support.collecting import (
    BUCKET,
    LATER,
    STAMP,
    Objects,
    contents,
    names,
    ours,
    runout_files,
)
from tests.support.collector_ground import CollectorGround
from tests.support.collector_nursery import open_collector_nursery
from tests.support.daemon import Daemon, Nursery
from tests.support.soak import repetitions
from tests.support.strict_s3.faults import Do, Fault, Stage
from tests.support.strict_s3.history import MutationKind
from tests.support.strict_s3.protocol import Call
from tests.support.strict_s3.server import StrictS3

KILLS = repetitions(100, 1000)
ROUND = 10
"""Lives before one runs to its end."""
DOOMS: tuple[tuple[str, Stage | None], ...] = (
    *((step, None) for step in STEPS),
    *(
        (operation, stage)
        for operation in ("ListObjectsV2", "GetObject", "HeadObject", "PutObject")
        for stage in (Stage.ARRIVAL, Stage.AFTER_COMMIT)
    ),
)


@pytest.mark.timeout(3600)
def test_whenever_it_is_killed_each_cid_is_collected_once(tmp_path: Path) -> None:
    """The real client, real folders, real SIGKILLs; each next life finishes what is left."""
    with open_collector_nursery() as nursery, ThreadPoolExecutor(2) as pool:
        # A life is mostly start-up: two at a time keep two cores busy.
        played = [pool.submit(play, tmp_path / str(seed), nursery, seed) for seed in range(2)]
        ends = played[0].result() + played[1].result()

    assert ends.total() >= KILLS
    assert len(ends) == len(DOOMS), ends


def play(folder: Path, nursery: Nursery, seed: int) -> "Counter[str]":
    """Live and die half of the times; returns how often each way."""
    with StrictS3([BUCKET]) as s3:
        ground = CollectorGround(folder, s3, nursery)
        try:
            return live_and_die(ground, random.Random(seed))  # noqa: S311 - repeatable on purpose
        finally:
            ground.close()


def live_and_die(ground: CollectorGround, chance: random.Random) -> "Counter[str]":
    """Begin lives that end early, and look at what each leaves."""
    expected: dict[str, bytes] = {}
    ends: Counter[str] = Counter()
    for number, doom in enumerate(itertools.cycle(DOOMS), 1):
        if ends.total() >= KILLS / 2:
            break
        expected.update(lay_out(ground, number, chance))
        daemon = start(ground, *doom)
        ended = daemon.wait()
        assert ended in {0, 4, -signal.SIGKILL}, daemon.tail()
        if ended < 0:
            ends[f"{doom[0]} {doom[1].value if doom[1] else ''}".strip()] += 1
        look(ground, expected)
        if number % ROUND == 0:
            finish(ground, expected)
    finish(ground, expected)
    return ends


def lay_out(ground: CollectorGround, number: int, chance: random.Random) -> Objects:
    """Add a result of a watcher and one of the scripts; returns what they come to."""
    mine, theirs = f"{2 * number:05d}", f"{2 * number + 1:05d}"
    files = {cid: contents(cid, chance.randrange(4)) for cid in (mine, theirs)}
    ground.lay(runout_files(Runout(STAMP, theirs), files[theirs]))
    ground.lay(ours(Runout(STAMP, mine), files[mine]))
    if chance.random() < 0.3:
        ground.lay(runout_files(Runout(LATER, theirs), contents(theirs, 5, shift=1.0)))
    return {**files[mine], **files[theirs]}


def start(ground: CollectorGround, name: str, stage: Stage | None) -> Daemon:
    """Start a life that ends at a step, or while S3 has a request in hand."""
    ground.s3.faults.clear()
    if stage is None:
        return ground.start("--once", step=name)
    started: list[Daemon] = []

    def kill(_call: Call) -> None:
        os.kill(started[0].pid, signal.SIGKILL)

    # Its process id is known long before its interpreter has asked who it is.
    fault = Fault(Do(kill, stage), operation=name, nth=1)
    started.append(ground.start("--once"))
    ground.s3.faults.add(fault)
    return started[0]


def look(ground: CollectorGround, expected: Objects) -> None:
    """Whatever has just died: nothing partial, nothing other, nothing recorded too early."""
    visible = {n: body for n, body in ground.merged().items() if not n.startswith(".")}
    assert visible.items() <= expected.items()
    assert set(names(ground.recorded())) <= visible.keys()


def finish(ground: CollectorGround, expected: Objects) -> None:
    """Let one life run to its end and check the effects."""
    ground.s3.faults.clear()
    daemon = ground.start("--once")
    assert daemon.wait() in {0, 4}, daemon.tail()
    assert ground.merged() == expected
    recorded = ground.recorded()
    assert sorted(set(recorded)) == sorted(recorded)
    assert names(recorded) == sorted(expected)
    changed = [m for m in ground.s3.mutations() if m.kind is not MutationKind.SEED]
    assert {mutation.key for mutation in changed} <= {"vasco/handshake/status/collector.json"}
