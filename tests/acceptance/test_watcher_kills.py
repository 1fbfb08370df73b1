import random
from pathlib import Path

import pytest

from shared.handshake.layout import closest_name
from shared.handshake.lease import LeaseState
from tests.support.daemon import Nursery
from tests.support.ended_lives import End, EndedLives, play_grounds
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


class Lives(EndedLives[WatcherGround]):
    """A watcher's lives, each with one more job."""

    ends = ENDS
    lives = 12

    def __init__(self, ground: WatcherGround, chance: random.Random) -> None:
        super().__init__(ground, chance)
        self.sent: list[str] = []

    def lay_out(self, number: int) -> None:
        """Send a job."""
        self.sent.append(f"{number:05d}")
        self.ground.send(self.sent[-1])

    def nth(self) -> int | None:
        """Take a second request now and then."""
        return self.chance.choice([1, 1, 2])

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

    def look_at_end(self) -> None:
        """Each job has one committed result, is recorded once, and nothing is left."""
        ground = self.ground
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
    met = play_grounds(Lives, WatcherGround, tmp_path, nursery, KILLS)

    assert met.total() >= KILLS
    assert len(met) == len(ENDS), met
