from pathlib import Path

import pytest

from daemons.watcher.outcome import Ending
from shared.handshake.layout import Runout, closest_name, quality_name
from shared.handshake.lease import LeaseState
from shared.s3.memory_buckets import Verb
from tests.support.watching import LAYOUT, STAMP, Ec2, result

pytestmark = pytest.mark.asyncio


@pytest.fixture
def ec2(tmp_path: Path) -> Ec2:
    """A machine and an empty bucket."""
    return Ec2(tmp_path)


async def test_a_short_job_costs_six_requests(ec2: Ec2) -> None:
    """Claim, seeds, two files, manifest, commit: a hundred thousand CIDs are paid one by one."""
    ec2.send("00042")
    jobs = ec2.jobs()
    outcome = await ec2.attempt("00042", jobs)

    assert outcome.ending is Ending.PROCESSED
    asked = [(verb, uri.key.removeprefix(f"{LAYOUT.prefix}/")) for verb, uri in ec2.requests.seen]
    runout = f"from-ec2/aws-closest-{STAMP}-CID-00042"
    assert asked[-6:] == [
        (Verb.PUT, "leases/CID-00042.json"),
        (
            Verb.GET,
            "from-prod/aws-seeds-2026-03-01-CID-00042/optical_seeds/chunk_00042/part-00042.parquet",
        ),
        (Verb.PUT, f"{runout}/aws_compare_out/{quality_name('00042')}"),
        (Verb.PUT, f"{runout}/aws_compare_out/{closest_name('00042')}"),
        (Verb.PUT, f"{runout}/manifest.json"),
        (Verb.PUT, "leases/CID-00042.json"),
    ]


async def test_a_result_is_there_committed_and_recorded(ec2: Ec2) -> None:
    """What counts is in three places that agree, and nothing is left on the disk."""
    ec2.send("00042")
    counts = await ec2.one_pass()

    assert counts.processed == 1
    lease = ec2.lease("00042")
    assert lease is not None
    assert (lease.state, lease.runout) == (LeaseState.COMMITTED, Runout(STAMP, "00042"))
    for name, body in result("00042").items():
        assert ec2.held(LAYOUT.result(Runout(STAMP, "00042"), name)) == body
    assert ec2.recorded() == ["00042"]
    assert ec2.left() == []
