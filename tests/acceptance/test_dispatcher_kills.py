from collections import Counter
from pathlib import Path

import pytest

from daemons.dispatcher.job import STEPS
from shared.handshake.layout import JobFolder
from tests.support.daemon import Nursery
from tests.support.dispatcher_ground import DispatcherGround
from tests.support.dispatching import BUCKET, LAYOUT, chunk_text
from tests.support.ended_lives import End, EndedLives, play_grounds
from tests.support.soak import repetitions
from tests.support.strict_s3.faults import Stage
from tests.support.strict_s3.history import MutationKind

KILLS = repetitions(100, 1000)
OLD_DAY = "2024-05-06"
REQUESTS = (
    ("ListObjectsV2", "*"),
    ("HeadObject", "*"),
    ("PutObject", "*.parquet"),
    ("PutObject", "*/cid.txt"),
)
ENDS = (
    *map(End, ("listed", *STEPS)),
    *(
        End(operation, stage, key)
        for operation, key in REQUESTS
        for stage in (Stage.ARRIVAL, Stage.BEFORE_COMMIT, Stage.AFTER_COMMIT)
    ),
)


class Lives(EndedLives[DispatcherGround]):
    """A dispatcher's lives, each with three more chunks."""

    ends = ENDS
    lives = 8

    def lay_out(self, number: int) -> None:
        """Add a new chunk, one that was begun long ago, and one that is answered."""
        new, begun, answered = (f"{3 * number + place:05d}" for place in range(3))
        for cid in (new, begun, answered):
            self.ground.chunk(cid)
        self.ground.answer(answered)
        body = self.chance.choice([b"half", chunk_text(begun)])
        self.ground.s3.seed(BUCKET, {LAYOUT.seed(JobFolder(OLD_DAY, begun)).key: body})

    def nth(self) -> int | None:
        """Take any request: one that its precondition refuses is never carried out."""
        return None

    def look(self) -> None:
        """No marker without its seeds, nothing recorded that was not sent."""
        jobs = self.ground.jobs()
        for folder, files in jobs.items():
            if "cid.txt" in files:
                assert files["cid.txt"] == f"{folder.cid}\n".encode()
                assert files[f"part-{folder.cid}.parquet"] == chunk_text(folder.cid)
        assert len({folder.cid for folder in jobs}) == len(jobs), "a CID has two folders"
        assert set(self.ground.recorded()) <= set(self.ground.complete())

    def look_at_end(self) -> None:
        """Each CID without an answer is sent and recorded once, and nothing is left."""
        ground = self.ground
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


@pytest.mark.timeout(3600)
def test_whenever_it_is_killed_each_cid_is_sent_once(tmp_path: Path, nursery: Nursery) -> None:
    """The real client, real folders, real SIGKILLs; each next life finishes what is left."""
    met = play_grounds(Lives, DispatcherGround, tmp_path, nursery, KILLS)

    assert met.total() >= KILLS
    assert len(met) == len(ENDS), met
