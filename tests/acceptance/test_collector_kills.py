import random
from pathlib import Path

import pytest

from daemons.collector.job import STEPS
from shared.handshake.layout import Runout
from tests.support.collecting import (
    LATER,
    STAMP,
    Objects,
    contents,
    names,
    ours,
    runout_files,
)
from tests.support.collector_ground import CollectorGround
from tests.support.daemon import Nursery
from tests.support.ended_lives import End, EndedLives, play_grounds
from tests.support.soak import repetitions
from tests.support.strict_s3.faults import Stage
from tests.support.strict_s3.history import MutationKind

KILLS = repetitions(100, 1000)
ENDS = (
    *map(End, STEPS),
    *(
        End(operation, stage)
        for operation in ("ListObjectsV2", "GetObject", "HeadObject", "PutObject")
        for stage in (Stage.ARRIVAL, Stage.AFTER_COMMIT)
    ),
)


class Lives(EndedLives[CollectorGround]):
    """A collector's lives, each with two more results to bring home."""

    ends = ENDS
    lives = 10
    statuses = (0, 4)

    def __init__(self, ground: CollectorGround, chance: random.Random) -> None:
        super().__init__(ground, chance)
        self.expected: Objects = {}

    def lay_out(self, number: int) -> None:
        """Add a result of a watcher and one of the scripts, and now and then a second one."""
        mine, theirs = f"{2 * number:05d}", f"{2 * number + 1:05d}"
        files = {cid: contents(cid, self.chance.randrange(4)) for cid in (mine, theirs)}
        self.ground.lay(runout_files(Runout(STAMP, theirs), files[theirs]))
        self.ground.lay(ours(Runout(STAMP, mine), files[mine]))
        if self.chance.random() < 0.3:
            self.ground.lay(runout_files(Runout(LATER, theirs), contents(theirs, 5, shift=1.0)))
        self.expected |= {**files[mine], **files[theirs]}

    def look(self) -> None:
        """Nothing partial, nothing other, nothing recorded too early."""
        merged = self.ground.merged()
        visible = {name: body for name, body in merged.items() if not name.startswith(".")}
        assert visible.items() <= self.expected.items()
        assert set(names(self.ground.recorded())) <= visible.keys()

    def look_at_end(self) -> None:
        """Each result is in place and recorded once, and nothing was changed in the bucket."""
        ground = self.ground
        assert ground.merged() == self.expected
        recorded = ground.recorded()
        assert sorted(set(recorded)) == sorted(recorded)
        assert names(recorded) == sorted(self.expected)
        changed = [m for m in ground.s3.mutations() if m.kind is not MutationKind.SEED]
        assert {mutation.key for mutation in changed} <= {"vasco/handshake/status/collector.json"}


@pytest.mark.timeout(3600)
def test_whenever_it_is_killed_each_cid_is_collected_once(tmp_path: Path, nursery: Nursery) -> None:
    """The real client, real folders, real SIGKILLs; each next life finishes what is left."""
    met = play_grounds(Lives, CollectorGround, tmp_path, nursery, KILLS)

    assert met.total() >= KILLS
    assert len(met) == len(ENDS), met
