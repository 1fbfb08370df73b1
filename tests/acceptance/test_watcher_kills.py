import random
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from shared.handshake.layout import closest_name
from shared.handshake.lease import LeaseState
from tests.support.daemon import Daemon, Nursery
from tests.support.ended_lives import End, EndedLives, play_two
from tests.support.soak import repetitions
from tests.support.strict_s3.faults import Stage
from tests.support.watcher_ground import WatcherGround, table
from tests.support.watcher_kill import STEPS
from tests.support.watching import BUCKET, LAYOUT

KILLS = repetitions(100, 1000)
REQUESTS = (
    ("PutObject", "*/leases/CID-*"),
    ("PutObject", "*/from-ec2/*"),
    ("GetObject", "*/from-prod/*"),
    ("ListObjectsV2", "*"),
)
ENDS = (
    *map(End, STEPS),
    *(
        End(operation, stage, key)
        for operation, key in REQUESTS
        for stage in (Stage.ARRIVAL, Stage.AFTER_COMMIT)
    ),
)


class Lives(EndedLives):
    """A watcher's lives, each with one more job."""

    ends = ENDS
    lives = 12

    def __init__(self, ground: WatcherGround, chance: random.Random) -> None:
        self.ground = ground
        self.chance = chance
        self.sent: list[str] = []

    def lay_out(self, number: int) -> None:
        """Send a job."""
        self.sent.append(f"{number:05d}")
        self.ground.send(self.sent[-1])

    def begin(self, end: End) -> Daemon:
        """Start a life that does one pass and may end before."""
        nth = self.chance.choice([1, 1, 2])
        start = partial(self.ground.start, "--once")
        return end.begin(self.ground.s3, lambda step: start(step=step), nth)

    def look(self) -> None:
        """Nothing partial, nothing other, nothing recorded too early."""
        held = self.ground.s3.objects(BUCKET)
        for key, body in held.items():
            if key.endswith("_closest.csv"):
                assert body in map(table, self.sent), key
        recorded = self.ground.recorded()
        assert sorted(set(recorded)) == sorted(recorded)
        for cid in recorded:
            lease = self.ground.lease(cid)
            assert lease is not None
            assert lease.runout is not None, f"{cid} is recorded before it is committed"
            assert LAYOUT.result(lease.runout, closest_name(cid)).key in held

    def finish(self) -> None:
        """Let one life run to its end and check the effects."""
        ground = self.ground
        ground.s3.faults.clear()
        ground.s3.wait_alone()
        daemon = ground.start("--once")
        assert daemon.wait() == 0, daemon.tail()
        assert sorted(ground.recorded()) == self.sent
        assert ground.left() == []
        results = ground.results()
        assert sorted(results) == self.sent
        for cid in self.sent:
            lease = ground.lease(cid)
            assert lease is not None
            assert (lease.state, [lease.runout]) == (LeaseState.COMMITTED, results[cid])


@pytest.mark.timeout(3600)
def test_whenever_it_is_killed_each_cid_has_one_committed_result(
    tmp_path: Path, nursery: Nursery
) -> None:
    """The real client, real steps, real SIGKILLs; each next life finishes what is left."""

    def play(seed: int) -> "Counter[str]":
        with WatcherGround.opened(tmp_path / str(seed), nursery) as ground:
            chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
            return Lives(ground, chance).play(KILLS // 2)

    met = play_two(play)

    assert met.total() >= KILLS
    assert len(met) == len(ENDS), met
