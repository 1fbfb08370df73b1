from pathlib import Path

import pytest

from tests.support.daemon import Nursery
from tests.support.racing import BUCKET, Herd
from tests.support.soak import repetitions
from tests.support.strict_s3.server import StrictS3

JOBS = repetitions(60, 1000)
POLL_SECONDS = repetitions(1, 10)
"""Long enough to list all jobs several times over, on a busy machine."""
WATCHERS = 8
ROOTS = 4


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("skewed", [False, True], ids=["clocks agree", "clocks hours apart"])
def test_eight_watchers_commit_each_job_once(
    tmp_path: Path, nursery: Nursery, *, skewed: bool
) -> None:
    """Killed, stopped beyond the lease time and woken at random: nothing twice, nothing lost."""
    cids = [f"{number:05d}" for number in range(1, JOBS + 1)]
    with StrictS3([BUCKET]) as s3:
        herd = Herd(tmp_path, s3, nursery, seed=JOBS, poll_seconds=POLL_SECONDS, skewed=skewed)
        try:
            herd.send(cids)
            herd.start(WATCHERS, ROOTS)
            herd.race(JOBS, limit_seconds=60 + JOBS)
            herd.end(cids)
        finally:
            herd.close()

    committed = herd.history.model.committed
    assert sorted(committed) == cids
    assert herd.history.takeovers > 0, "nobody was taken over: this race proves nothing"
    assert herd.deeds["kill"] > 0
    assert herd.deeds["wake"] > 0
