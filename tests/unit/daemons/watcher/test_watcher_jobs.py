from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from daemons.watcher.job import CidJobs
from daemons.watcher.outcome import Ending, Target
from daemons.watcher.plan import StepEnd
from daemons.watcher.workspace import JobPlace
from shared.handshake.failure import parse_failure
from shared.handshake.layout import JobFolder, Runout, closest_name, quality_name
from shared.handshake.lease import LeaseState
from shared.handshake.listing import list_jobs
from shared.s3.errors import AccessDenied, ObjectError, OutcomeUnknown, Unreachable
from shared.s3.memory_buckets import Verb
from shared.s3.uri import S3Uri
from tests.support.watching import (
    BUCKET,
    DAY,
    LAYOUT,
    NOON,
    STAMP,
    Ec2,
    manifest_of,
    result,
    went_wrong,
)

pytestmark = pytest.mark.asyncio
CID = "00042"
RUNOUT = Runout(STAMP, CID)
NEXT = Runout("2026-03-01-1208", CID)


@pytest.fixture
def ec2(tmp_path: Path) -> Ec2:
    """A machine, and a bucket with one job."""
    made = Ec2(tmp_path)
    made.send(CID)
    return made


async def target(ec2: Ec2) -> Target:
    """The one job, over whatever its lease is now."""
    jobs = [job async for job in list_jobs(ec2.store(), LAYOUT)]
    return Target(jobs[-1], await ec2.book().read(CID))


def whole_results(ec2: Ec2) -> list[str]:
    """The runouts that have a manifest."""
    return [key for key in ec2.keys("from-ec2/") if key.endswith("/manifest.json")]


async def test_a_short_job_costs_six_requests(ec2: Ec2) -> None:
    """Claim, seeds, two files, manifest, commit: a hundred thousand CIDs are paid one by one."""
    outcome = await ec2.attempt(CID)

    assert outcome.ending is Ending.PROCESSED
    asked = [(verb, uri.key.removeprefix(f"{LAYOUT.prefix}/")) for verb, uri in ec2.requests.seen]
    folder, lease = f"from-ec2/{RUNOUT}", f"leases/CID-{CID}.json"
    assert asked[-6:] == [
        (Verb.PUT, lease),
        (
            Verb.GET,
            f"from-prod/aws-seeds-{DAY}-CID-{CID}/optical_seeds/chunk_{CID}/part-{CID}.parquet",
        ),
        (Verb.PUT, f"{folder}/aws_compare_out/{quality_name(CID)}"),
        (Verb.PUT, f"{folder}/aws_compare_out/{closest_name(CID)}"),
        (Verb.PUT, f"{folder}/manifest.json"),
        (Verb.PUT, lease),
    ]


async def test_a_result_is_there_committed_and_recorded(ec2: Ec2) -> None:
    """What counts is in three places that agree, and nothing is left on the disk."""
    await ec2.attempt(CID)

    lease = ec2.lease(CID)
    assert lease is not None
    assert (lease.state, lease.runout) == (LeaseState.COMMITTED, RUNOUT)
    for name, body in result(CID).items():
        assert ec2.held(LAYOUT.result(RUNOUT, name)) == body
    assert ec2.recorded() == [CID]
    assert ec2.left() == []


async def test_a_taken_name_means_the_next_minute(ec2: Ec2) -> None:
    """Two owners never write into one runout."""
    ec2.lay_result(RUNOUT, {quality_name(CID): b"rows=9\n"})

    outcome = await ec2.attempt(CID)

    assert outcome.runout == NEXT
    assert ec2.held(LAYOUT.result(RUNOUT, quality_name(CID))) == b"rows=9\n"
    assert ec2.held(LAYOUT.result(RUNOUT, closest_name(CID))) is None


async def test_a_former_owners_result_is_adopted(ec2: Ec2) -> None:
    """Killed between manifest and commit: an hour's work is committed, not done again."""
    ec2.lay_result(RUNOUT, result(CID), manifest=manifest_of(CID, result(CID)))
    claim = await ec2.book().claim(CID, JobFolder(DAY, CID), None)
    assert claim is not None
    await claim.release("it was killed")

    outcome = await ec2.attempt(CID)

    assert (outcome.ending, outcome.runout) == (Ending.ADOPTED, RUNOUT)
    assert ec2.steps.ran == []
    assert ec2.recorded() == [CID]


@pytest.mark.parametrize("what", ["other bytes", "missing file", "other job", "no manifest at all"])
async def test_what_is_not_whole_is_not_adopted(ec2: Ec2, what: str) -> None:
    """A result counts for the very job that it was made from, and with every byte in place."""
    files = dict(result(CID))
    manifest = manifest_of(CID, files)
    if what == "other bytes":
        files[closest_name(CID)] = files[closest_name(CID)].replace(b"45", b"54")
    elif what == "missing file":
        del files[quality_name(CID)]
    elif what == "other job":
        manifest = replace(manifest, job=JobFolder("2026-02-27", CID))
    ec2.lay_result(RUNOUT, files, manifest=manifest)
    if what == "no manifest at all":
        ec2.buckets.put(LAYOUT.manifest(RUNOUT), b"{")
    claim = await ec2.book().claim(CID, JobFolder(DAY, CID), None)
    assert claim is not None
    await claim.release("it was killed")

    outcome = await ec2.attempt(CID)

    assert (outcome.ending, outcome.runout) == (Ending.PROCESSED, NEXT)


async def test_a_lost_lease_ends_the_step_and_pushes_nothing(ec2: Ec2) -> None:
    """Somebody else computes it now; a sleeper that wakes up must not be seen."""
    ec2.steps.hold = anyio.Event()
    ec2.lease_seconds = 0.2
    taken = ec2.lease

    async def take_over() -> None:
        with anyio.fail_after(10):
            while not ec2.steps.ran:
                await anyio.lowlevel.checkpoint()
        other = Ec2(ec2.root / "b", ec2.buckets, instance="b" * 32, process="process-2")
        seen = await other.book().read(CID)
        assert await other.book().claim(CID, JobFolder(DAY, CID), seen) is not None

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take_over)
        outcome = await ec2.attempt(CID)

    assert outcome.ending is Ending.LOST
    assert ec2.steps.cancelled == 1
    assert ec2.keys("from-ec2/") == []
    assert ec2.left() == []
    lease = taken(CID)
    assert lease is not None
    assert (lease.owner.process, lease.generation) == ("process-2", 2)


async def test_a_heartbeat_keeps_the_lease(ec2: Ec2) -> None:
    """A job of an hour under a lease of two minutes stays ours."""
    ec2.steps.hold = anyio.Event()
    ec2.lease_seconds = 0.2
    jobs = ec2.jobs()
    beats = 0

    async def count_beats() -> None:
        nonlocal beats
        beats += 1
        if beats == 3 and ec2.steps.hold is not None:
            ec2.steps.hold.set()

    jobs.at_beat = count_beats
    outcome = await ec2.attempt(CID, jobs)

    assert outcome.ending is Ending.PROCESSED
    lease = ec2.lease(CID)
    assert lease is not None
    assert lease.beat >= 5


async def test_leaving_gives_the_job_back_at_once(ec2: Ec2) -> None:
    """A spot instance has two minutes; nobody should wait for its lease to end."""
    ec2.steps.hold = anyio.Event()
    leave = anyio.Event()
    ec2.steps.at = lambda _cid, _step: leave.set()

    with anyio.fail_after(10):
        outcome = await ec2.jobs().attempt(await target(ec2), leave)

    assert outcome.ending is Ending.RELEASED
    lease = ec2.lease(CID)
    assert lease is not None
    assert (lease.state, lease.attempts) == (LeaseState.RELEASED, 0)
    assert ec2.left() == []


async def test_a_push_that_has_begun_is_finished(ec2: Ec2) -> None:
    """The computing is done; a few small writes are worth the grace."""
    leave = anyio.Event()

    def watch(name: str) -> None:
        if name == "pushed":
            leave.set()

    ec2.step = watch
    outcome = await ec2.jobs().attempt(await target(ec2), leave)

    assert outcome.ending is Ending.PROCESSED
    assert ec2.recorded() == [CID]


@pytest.mark.parametrize("number", range(1, 6))
async def test_a_lost_answer_makes_no_second_result(ec2: Ec2, number: int) -> None:
    """Whichever write was carried out without our knowing, it is found out, not repeated."""
    seen = 0

    def lose(verb: Verb, uri: S3Uri) -> ObjectError | None:
        nonlocal seen
        seen += verb is Verb.PUT
        return OutcomeUnknown(uri) if verb is Verb.PUT and seen == number else None

    ec2.requests.lost = lose
    watcher = ec2.watcher()
    watcher.jobs.patient = True

    counts = await ec2.one_pass(watcher)

    assert counts.processed == 1
    assert len(whole_results(ec2)) == 1
    assert len(ec2.keys("from-ec2/")) == 3
    assert ec2.recorded() == [CID]


@pytest.mark.parametrize("error", [Unreachable, AccessDenied])
async def test_a_computed_result_waits_for_s3(ec2: Ec2, error: type[ObjectError]) -> None:
    """What took an hour is pushed when the bucket is there again, and not computed anew."""
    refusals = iter(range(2))

    def refuse(verb: Verb, uri: S3Uri) -> ObjectError | None:
        if verb is Verb.PUT and "from-ec2" in uri.key and next(refusals, None) is not None:
            return error(uri)
        return None

    ec2.requests.fault = refuse
    jobs = ec2.jobs()
    jobs.patient = True

    outcome = await ec2.attempt(CID, jobs)

    assert outcome.ending is Ending.PROCESSED
    assert [step for _, step in ec2.steps.ran] == ["sidecar", "closest"]


async def test_a_job_is_parked_after_its_attempts(ec2: Ec2) -> None:
    """PROD sees what failed, how often, and what was said last."""
    ec2.steps.behaviours[CID] = lambda step, _place: went_wrong(step, 1, "Traceback\nBoom: 7\n")

    endings = [(await ec2.attempt(CID)).ending for _ in range(3)]

    assert endings == [Ending.FAILED, Ending.FAILED, Ending.PARKED]
    body = ec2.held(LAYOUT.failure(CID))
    assert body is not None
    report = parse_failure(body, CID)
    assert (report.step, report.attempts, report.exit_status) == ("sidecar", 3, 1)
    assert report.reason.endswith("Boom: 7")
    assert report.log_tail == "Traceback\nBoom: 7"
    assert ec2.recorded() == []


async def test_a_report_tells_when_it_failed_and_not_when_it_began(ec2: Ec2) -> None:
    """A person looks for that moment in the log of the machine, hours after the claim."""

    def fail_later(step: str, _place: JobPlace) -> StepEnd:
        ec2.moment += timedelta(hours=3)
        return went_wrong(step)

    ec2.attempts = 1
    ec2.steps.behaviours[CID] = fail_later
    await ec2.attempt(CID)

    body = ec2.held(LAYOUT.failure(CID))
    assert body is not None
    assert parse_failure(body, CID).failed_at == (NOON + timedelta(hours=3)).isoformat()


@pytest.mark.parametrize(
    "path",
    [
        "chunk_00042/../../../x.parquet",
        "chunk_00042//x.parquet",
        "chunk_00042/a\\b.parquet",
        "chunk_00042/./x.parquet",
        "chunk_00042/" + "x" * 300,
    ],
)
async def test_a_seed_that_leads_elsewhere_is_refused(ec2: Ec2, path: str) -> None:
    """Nothing outside the work folder is written, whatever a key says."""
    folder = JobFolder(DAY, CID)
    base = LAYOUT.seed(folder).key.partition("chunk_")[0]
    ec2.buckets.put(S3Uri(BUCKET, base + path), b"x")

    outcome = await ec2.attempt(CID)

    assert outcome.ending is Ending.FAILED
    assert ec2.steps.ran == []
    assert [p.name for p in ec2.root.rglob("*") if p.is_file()] == []


async def test_only_the_cids_own_seeds_are_pulled(ec2: Ec2) -> None:
    """Other chunks in the folder would match positions of other CIDs."""
    base = LAYOUT.seed(JobFolder(DAY, CID)).key.partition("chunk_")[0]
    ec2.buckets.put(S3Uri(BUCKET, f"{base}chunk_00043/part-00043.parquet"), b"other")
    ec2.buckets.put(S3Uri(BUCKET, f"{base}readme"), b"other")

    assert (await ec2.attempt(CID)).ending is Ending.PROCESSED
    pulled = [uri.key for verb, uri in ec2.requests.seen if verb is Verb.GET]
    assert [key for key in pulled if "from-prod" in key] == [LAYOUT.seed(JobFolder(DAY, CID)).key]


async def test_a_job_without_seeds_is_its_own_fault(ec2: Ec2) -> None:
    """A marker alone is nothing to compute from."""
    ec2.buckets.delete(LAYOUT.seed(JobFolder(DAY, CID)))

    outcome = await ec2.attempt(CID)

    assert outcome.ending is Ending.FAILED
    assert "no seeds" in outcome.reason


async def test_what_shares_the_ledger_is_not_claimed(ec2: Ec2) -> None:
    """A watcher on the same machine has done it; that costs no request at all."""
    jobs: CidJobs = ec2.jobs()
    chosen = await target(ec2)
    ec2.ledger().append(CID)
    asked = len(ec2.requests.seen)

    assert (await jobs.attempt(chosen, anyio.Event())).ending is Ending.RECORDED
    assert len(ec2.requests.seen) == asked
