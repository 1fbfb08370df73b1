import anyio
import pytest

from daemons.watcher.halts import WatcherHalted
from shared.errors import ExitStatus, TransientError
from shared.handshake.claims import probe_conditional_writes
from shared.handshake.layout import JobFolder
from shared.handshake.lease import LeaseState
from shared.s3.errors import ObjectError, Unreachable
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import MemoryBuckets, Preconditions, Verb
from shared.s3.uri import S3Uri
from tests.support.watching import BUCKET, DAY, LAYOUT, Clock, Ec2, went_wrong

pytestmark = pytest.mark.asyncio
CID = "00042"


async def test_nothing_to_do_is_said_and_costs_one_request(ec2: Ec2) -> None:
    """A watcher may be idle for weeks."""
    counts = await ec2.one_pass()

    assert counts.fields()["state"] == "IDLE"
    assert ec2.requests.verbs(BUCKET) == [Verb.LIST]


async def test_a_job_without_its_marker_waits(ec2: Ec2) -> None:
    """The scripts took half a seed; the marker comes last."""
    ec2.send(CID, marker=False)
    watcher = ec2.watcher()

    first = await ec2.one_pass(watcher)
    ec2.send(CID)
    second = await ec2.one_pass(watcher)

    assert (first.unfinished, first.processed) == (1, 0)
    assert (second.unfinished, second.processed) == (0, 1)


async def test_a_job_that_sorts_before_what_was_seen_is_found(ec2: Ec2) -> None:
    """A chunk that comes later in the day may have a smaller number."""
    ec2.send("00500")
    watcher = ec2.watcher()
    await ec2.one_pass(watcher)
    ec2.send("00001")

    assert (await ec2.one_pass(watcher)).processed == 1


async def test_later_looks_do_not_list_former_days(ec2: Ec2) -> None:
    """A year of jobs must not be listed every half a minute."""
    ec2.send(*(f"{number:05d}" for number in range(1200)), day="2026-02-01")
    ec2.ledger_file.write_text("".join(f"{number:05d}\n" for number in range(1200)))
    ec2.send("90000", day="2026-03-02")
    watcher = ec2.watcher()
    await ec2.one_pass(watcher)
    ec2.requests.seen.clear()

    await ec2.one_pass(watcher)

    assert ec2.requests.verbs(BUCKET) == [Verb.LIST]


async def test_cids_are_taken_in_order(ec2: Ec2) -> None:
    """People see progress from the front."""
    ec2.send("00003", "00001", "00002")

    await ec2.one_pass()

    assert [cid for cid, step in ec2.steps.ran if step == "sidecar"] == ["00001", "00002", "00003"]


async def test_what_others_have_committed_is_only_recorded(ec2: Ec2) -> None:
    """A ledger that was lost costs a look at each CID, and no computing."""
    ec2.send(CID)
    await ec2.one_pass()
    ec2.ledger_file.unlink()
    ec2.steps.ran.clear()

    counts = await ec2.one_pass()

    assert (counts.recorded, counts.processed) == (1, 0)
    assert ec2.recorded() == [CID]
    assert ec2.steps.ran == []


async def test_a_lease_is_taken_over_when_nobody_has_heard_of_its_owner(
    ec2: Ec2, clock: Clock
) -> None:
    """Only the observer's own clock decides, and only after a whole time to live."""
    ec2.send(CID)
    other = Ec2(ec2.root / "b", ec2.buckets, instance="b" * 32, process="process-2")
    assert await other.book().claim(CID, JobFolder(DAY, CID), None) is not None
    watcher = ec2.watcher()

    waiting = [(await ec2.one_pass(watcher)).waiting]
    clock.now += 99.0
    waiting.append((await ec2.one_pass(watcher)).waiting)
    clock.now += 2.0
    taken = await ec2.one_pass(watcher)

    assert waiting == [1, 1]
    assert taken.processed == 1
    lease = ec2.lease(CID)
    assert lease is not None
    assert (lease.state, lease.generation) == (LeaseState.COMMITTED, 2)


async def test_a_lease_whose_heart_beats_is_left_alone(ec2: Ec2, clock: Clock) -> None:
    """However long the job takes."""
    ec2.send(CID)
    other = Ec2(ec2.root / "b", ec2.buckets, instance="b" * 32, process="process-2")
    claim = await other.book().claim(CID, JobFolder(DAY, CID), None)
    assert claim is not None
    watcher = ec2.watcher()

    for _ in range(10):
        assert (await ec2.one_pass(watcher)).waiting == 1
        clock.now += 60.0
        await claim.renew()


async def test_a_former_life_in_the_same_folder_is_not_waited_for(ec2: Ec2) -> None:
    """The lock on the work folder proves that it is dead."""
    ec2.send(CID)
    ec2.workspace.begin(CID)
    assert await ec2.book().claim(CID, JobFolder(DAY, CID), None) is not None
    ec2.process = "process-2"

    counts = await ec2.one_pass()

    assert counts.processed == 1
    assert ec2.left() == []


async def test_a_parked_cid_is_tried_again_when_it_is_put_back(ec2: Ec2) -> None:
    """One command; no restart, no waiting."""
    ec2.attempts = 1
    ec2.send(CID)
    ec2.steps.behaviours[CID] = lambda step, _place: went_wrong(step)
    watcher = ec2.watcher()
    await ec2.one_pass(watcher)
    ec2.requests.seen.clear()
    idle = [await ec2.one_pass(watcher) for _ in range(3)]
    reads = [uri for verb, uri in ec2.requests.seen if verb is Verb.GET]
    del ec2.steps.behaviours[CID]

    assert await ec2.book().put_back(CID)
    counts = await ec2.one_pass(watcher)

    assert [one.set_aside for one in idle] == [1, 1, 1]
    assert len(reads) <= 1
    assert counts.processed == 1


async def test_a_crash_of_putting_back_is_noticed_in_time(ec2: Ec2) -> None:
    """The lease is released and the report still there: the next full look reads the lease."""
    ec2.attempts = 1
    ec2.send(CID)
    ec2.steps.behaviours[CID] = lambda step, _place: went_wrong(step)
    watcher = ec2.watcher()
    await ec2.one_pass(watcher)
    report = ec2.held(LAYOUT.failure(CID))
    assert report is not None
    await ec2.one_pass(watcher)
    del ec2.steps.behaviours[CID]
    await ec2.book().put_back(CID)
    ec2.buckets.put(LAYOUT.failure(CID), report)

    processed = [(await ec2.one_pass(watcher)).processed for _ in range(20)]

    assert sum(processed) == 1


async def test_a_damaged_lease_stops_only_its_own_cid(ec2: Ec2) -> None:
    """Something else lies where a lease belongs; a person must look, the rest goes on."""
    ec2.send(CID, "00043")
    ec2.buckets.put(LAYOUT.lease(CID), b"not json")

    counts = await ec2.one_pass()

    assert counts.processed == 1
    assert ec2.recorded() == ["00043"]
    assert ec2.held(LAYOUT.lease(CID)) == b"not json"


async def test_of_two_jobs_for_one_cid_the_last_counts(ec2: Ec2) -> None:
    """The scripts could send a CID again; it is computed once, from what was sent last."""
    ec2.send(CID, day="2026-02-01", seeds=b"old")
    ec2.send(CID, day="2026-02-02", seeds=b"new")

    assert (await ec2.one_pass()).processed == 1
    pulled = [uri.key for verb, uri in ec2.requests.seen if verb is Verb.GET]
    assert any("2026-02-02" in key for key in pulled)
    assert not any("2026-02-01" in key for key in pulled)


async def test_s3_that_is_away_ends_the_pass_and_loses_nothing(ec2: Ec2) -> None:
    """A pass ends by the first request that fails; the next one begins where it was."""
    ec2.send(CID)
    watcher = ec2.watcher()

    def away(_verb: Verb, uri: S3Uri) -> ObjectError | None:
        return Unreachable(uri)

    ec2.requests.fault = away
    with pytest.raises(Unreachable) as caught:
        await ec2.one_pass(watcher)
    asked = len(ec2.requests.seen)
    ec2.requests.fault = lambda _verb, _uri: None
    counts = await ec2.one_pass(watcher)

    assert caught.value.status is ExitStatus.UNREACHABLE
    assert asked == 1
    assert counts.processed == 1


@pytest.mark.parametrize("how", [Preconditions.IGNORED, Preconditions.REFUSED])
async def test_a_store_without_fences_is_found_out(how: Preconditions) -> None:
    """Two watchers would both own everything there."""
    store = MemoryStore(MemoryBuckets(BUCKET, preconditions=how))

    assert not await probe_conditional_writes(store, LAYOUT, "probe")


async def test_draining_claims_nothing_until_it_is_over(ec2: Ec2) -> None:
    """A spot notice that comes to nothing must not stop the watcher for good."""
    ec2.send(CID)
    watcher = ec2.watcher()

    watcher.drain(draining=True)
    drained = await ec2.one_pass(watcher)
    watcher.drain(draining=False)
    after = await ec2.one_pass(watcher)

    assert (drained.processed, after.processed) == (0, 1)


@pytest.mark.parametrize(
    ("tail", "status"),
    [
        ("botocore.exceptions.NoCredentialsError: Unable to locate credentials", 3),
        ("cp: error writing: No space left on device", 7),
        ("steps.py: error: unrecognized arguments: --optical", 2),
    ],
)
async def test_what_is_around_a_job_parks_nothing(ec2: Ec2, tail: str, status: int) -> None:
    """A catalogue that is away for a night must not park a thousand CIDs."""
    ec2.attempts = 1
    ec2.send(CID)
    ec2.steps.behaviours[CID] = lambda step, _place: went_wrong(step, tail=tail)

    for _ in range(4):
        with pytest.raises(WatcherHalted) as raised:
            await ec2.one_pass()
        assert raised.value.status == status

    lease = ec2.lease(CID)
    assert lease is not None
    assert (lease.state, lease.attempts) == (LeaseState.RELEASED, 0)
    del ec2.steps.behaviours[CID]
    assert (await ec2.one_pass()).processed == 1


async def test_a_cid_that_halts_lets_the_others_go_first(ec2: Ec2, clock: Clock) -> None:
    """A job that blames the network holds nobody up, and is found out by the others' success."""
    ec2.attempts = 2
    ec2.send("00001", "00002", "00003")
    ec2.steps.behaviours["00001"] = lambda step, _place: went_wrong(step, 6)
    watcher = ec2.watcher()
    halted = 0

    for _ in range(6):
        try:
            await ec2.one_pass(watcher)
        except TransientError:
            halted += 1
        clock.now += 1000.0

    ran = [cid for cid, step in ec2.steps.ran if step == "sidecar"]
    assert ran == ["00001", "00002", "00003", "00001", "00001", "00001"]
    assert halted == 2
    lease = ec2.lease("00001")
    assert lease is not None
    assert lease.state is LeaseState.PARKED


async def test_two_machines_share_the_work(ec2: Ec2) -> None:
    """Each job is done by exactly one of them, and recorded by both."""
    cids = [f"{number:05d}" for number in range(20)]
    ec2.send(*cids)
    other = Ec2(ec2.root / "b", ec2.buckets, instance="b" * 32, process="process-2")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ec2.one_pass)
        tasks.start_soon(other.one_pass)
    for machine in (ec2, other):
        await machine.one_pass()

    assert len([key for key in ec2.keys("from-ec2/") if key.endswith("manifest.json")]) == 20
    assert sorted(ec2.recorded()) == sorted(other.recorded()) == cids
