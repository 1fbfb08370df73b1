import itertools
import os
import random
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.handshake.layout import closest_name
from shared.handshake.lease import LeaseState
from tests.support.daemon import Daemon, Nursery
from tests.support.soak import repetitions
from tests.support.strict_s3.faults import Do, Fault, Stage
from tests.support.strict_s3.protocol import Call
from tests.support.strict_s3.server import StrictS3
from tests.support.watcher_ground import WatcherGround, table
from tests.support.watcher_kill import STEPS
from tests.support.watcher_nursery import open_watcher_nursery
from tests.support.watching import BUCKET, LAYOUT

KILLS = repetitions(100, 1000)
ROUND = 12
"""Lives before one runs to its end."""
REQUESTS = (
    ("PutObject", "*/leases/CID-*"),
    ("PutObject", "*/from-ec2/*"),
    ("GetObject", "*/from-prod/*"),
    ("ListObjectsV2", "*"),
)
DOOMS: tuple[tuple[str, str, Stage | None], ...] = (
    *((step, "", None) for step in STEPS),
    *(
        (operation, key, stage)
        for operation, key in REQUESTS
        for stage in (Stage.ARRIVAL, Stage.AFTER_COMMIT)
    ),
)


@pytest.mark.timeout(3600)
def test_whenever_it_is_killed_each_cid_has_one_committed_result(tmp_path: Path) -> None:
    """The real client, real steps, real SIGKILLs; each next life finishes what is left."""
    with open_watcher_nursery() as nursery, ThreadPoolExecutor(2) as pool:
        # A life is mostly start-up: two at a time keep two cores busy.
        played = [pool.submit(play, tmp_path / str(seed), nursery, seed) for seed in range(2)]
        ends = played[0].result() + played[1].result()

    assert ends.total() >= KILLS
    assert len(ends) == len(DOOMS), ends


def play(folder: Path, nursery: Nursery, seed: int) -> "Counter[str]":
    """Live and die half of the times; returns how often each way."""
    with StrictS3([BUCKET]) as s3:
        folder.mkdir()
        ground = WatcherGround(folder, s3, nursery)
        try:
            return live_and_die(ground, random.Random(seed))  # noqa: S311 - repeatable on purpose
        finally:
            ground.close()


def live_and_die(ground: WatcherGround, chance: random.Random) -> "Counter[str]":
    """Begin lives that end early, and look at what each leaves."""
    sent: list[str] = []
    ends: Counter[str] = Counter()
    for number, (name, key, stage) in enumerate(itertools.cycle(DOOMS), 1):
        if ends.total() >= KILLS / 2:
            break
        sent.append(f"{number:05d}")
        ground.send(sent[-1])
        daemon = start(ground, name, key, stage, chance.choice([1, 1, 2]))
        ended = daemon.wait()
        assert ended in {0, -signal.SIGKILL}, daemon.tail()
        if ended < 0:
            ends[f"{name} {key} {stage.value if stage else ''}".strip()] += 1
        look(ground, sent)
        if number % ROUND == 0:
            finish(ground, sent)
    finish(ground, sent)
    return ends


def start(ground: WatcherGround, name: str, key: str, stage: Stage | None, nth: int) -> Daemon:
    """Start a life that ends at a step, or while S3 has a request in hand."""
    ground.s3.faults.clear()
    if stage is None:
        return ground.start("--once", step=name)
    started: list[Daemon] = []

    def kill(_call: Call) -> None:
        os.kill(started[0].pid, signal.SIGKILL)

    # Its process id is known long before its interpreter has asked who it is.
    fault = Fault(Do(kill, stage), operation=name, key=key, nth=nth)
    started.append(ground.start("--once"))
    ground.s3.faults.add(fault)
    return started[0]


def look(ground: WatcherGround, sent: list[str]) -> None:
    """Whatever has just died: nothing partial, nothing other, nothing recorded too early."""
    held = ground.s3.objects(BUCKET)
    for key, body in held.items():
        if key.endswith("_closest.csv"):
            assert body in map(table, sent), key
    recorded = ground.recorded()
    assert sorted(set(recorded)) == sorted(recorded)
    for cid in recorded:
        lease = ground.lease(cid)
        assert lease is not None
        assert lease.runout is not None, f"{cid} is recorded before it is committed"
        assert LAYOUT.result(lease.runout, closest_name(cid)).key in held


def finish(ground: WatcherGround, sent: list[str]) -> None:
    """Let one life run to its end and check the effects."""
    ground.s3.faults.clear()
    daemon = ground.start("--once")
    assert daemon.wait() == 0, daemon.tail()
    assert sorted(ground.recorded()) == sent
    assert ground.left() == []
    results = ground.results()
    assert sorted(results) == sent
    for cid in sent:
        lease = ground.lease(cid)
        assert lease is not None
        assert (lease.state, [lease.runout]) == (LeaseState.COMMITTED, results[cid])
