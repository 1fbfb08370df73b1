from dataclasses import replace

import pytest

from shared.handshake.claims import LeaseBook, LeaseLost, LeaseUnreadable
from shared.handshake.fields import RECORD_BYTES_MAX
from shared.handshake.lease import Lease, LeaseState
from shared.s3.errors import (
    ObjectError,
    OutcomeUnknown,
    PreconditionFailed,
    Unreachable,
)
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import MemoryBuckets, Verb
from tests.support.lease_ground import LEASE, LOST_ANSWERS, REPORT, STEPS, Ground, lease_ground
from tests.support.leasing import (
    BUCKET,
    CID,
    JOB,
    LAYOUT,
    OTHER_RUNOUT,
    RUNOUT,
    book,
    lease,
    owner,
    report,
)


@pytest.fixture
def ground() -> Ground:
    """An empty bucket and two processes whose clocks are half a day apart."""
    return lease_ground()


@pytest.mark.asyncio
@pytest.mark.parametrize("end", ["commit", "release", "fail", "park"])
async def test_heartbeat_behind_the_end_is_silent(ground: Ground, end: str) -> None:
    """It woke up while the job was being committed; a released CID may be somebody else's."""
    claim = await ground.claimed()
    await STEPS[end](claim)
    told = ground.writes()

    await claim.renew()
    await STEPS[end](claim)

    assert ground.writes() == told


@pytest.mark.asyncio
@pytest.mark.parametrize("late", ["commit", "release", "fail", "park"])
async def test_claim_ends_once(ground: Ground, late: str) -> None:
    """A job that was given back cannot be committed, nor one that was committed given back."""
    claim = await ground.claimed()
    if late == "commit":
        await claim.release("stopping")
    else:
        await claim.commit(RUNOUT)
    told = len(ground.buckets.history())

    with pytest.raises(LeaseLost, match="the claim of CID 02104 has ended"):
        await STEPS[late](claim)

    assert len(ground.buckets.history()) == told


@pytest.mark.asyncio
async def test_only_one_result_is_ever_committed(ground: Ground) -> None:
    """The first commit may have arrived although its answer did not."""
    claim = await ground.claimed()
    ground.script.add("after", Verb.PUT, OutcomeUnknown)
    ground.script.add("before", Verb.GET, Unreachable)
    with pytest.raises(OutcomeUnknown):
        await claim.commit(RUNOUT)

    with pytest.raises(LeaseLost):
        await claim.commit(OTHER_RUNOUT)

    assert ground.lease().runout == RUNOUT


@pytest.mark.asyncio
async def test_forgotten_claim_of_the_same_process_is_a_new_generation(ground: Ground) -> None:
    """What is still under way of the old one must change nothing any more."""
    first = await ground.claimed()
    second = await ground.claimed()

    assert second.lease.generation == first.lease.generation + 1
    with pytest.raises(LeaseLost):
        await first.commit(RUNOUT)


@pytest.mark.parametrize(
    ("found", "ended"),
    [
        (lease(), True),
        (lease(owner=replace(owner("a"), process="another-life")), True),
        (lease(owner=replace(owner("a"), host="copy-of-the-disk")), False),
        (lease(owner=owner("b")), False),
        (lease(LeaseState.RELEASED), False),
        (lease(LeaseState.COMMITTED), False),
    ],
)
def test_owner_in_our_own_work_folder_has_ended(
    ground: Ground, found: Lease, *, ended: bool
) -> None:
    """After a crash the same machine goes on at once, without waiting for its own ghost."""
    assert ground.ours.has_ended(found) is ended


@pytest.mark.asyncio
@pytest.mark.parametrize("body", [b"", b"{}", b'{"schema": 2}', b" " * (RECORD_BYTES_MAX + 1)])
async def test_unreadable_lease_is_left_alone(ground: Ground, body: bytes) -> None:
    """It may be of a later version; whoever overwrites it may compute a CID again."""
    ground.lay(body)

    with pytest.raises(LeaseUnreadable, match="update this program, or remove the object"):
        await ground.ours.read(CID)
    assert await ground.ours.claim(CID, JOB, None) is None
    with pytest.raises(LeaseUnreadable):
        await ground.ours.put_back(CID)
    assert ground.writes() == 1


@pytest.mark.asyncio
async def test_report_is_there_before_the_lease_says_parked(ground: Ground) -> None:
    """Whoever sees a parked CID finds out why."""
    claim = await ground.claimed()

    await claim.park(report())

    order = [mutation.uri for mutation in ground.buckets.history()]
    assert order == [LEASE, LEASE, REPORT, LEASE]
    held = ground.buckets.look(REPORT)
    assert held is not None
    assert held.body == report().to_bytes()


@pytest.mark.asyncio
async def test_crash_between_report_and_parking_leaves_a_claim_that_expires(ground: Ground) -> None:
    """The next owner tries again, and its success ends the report."""
    claim = await ground.claimed()
    ground.script.add("after", Verb.PUT, Unreachable, uri=REPORT)
    with pytest.raises(Unreachable):
        await claim.park(report())

    theirs = await ground.taken_over()
    await theirs.commit(RUNOUT)
    await ground.theirs.forget_failure(CID)

    assert ground.lease().state is LeaseState.COMMITTED
    assert ground.buckets.look(REPORT) is None


@pytest.mark.asyncio
async def test_parked_cid_is_put_back(ground: Ground) -> None:
    """One command of a person, and every watcher may try it again."""
    await (await ground.claimed()).park(report())

    assert await ground.theirs.put_back(CID) is True

    assert ground.lease().state is LeaseState.RELEASED
    assert ground.lease().attempts == 0
    assert ground.buckets.look(REPORT) is None
    assert [mutation.uri for mutation in ground.buckets.history()][-2:] == [LEASE, REPORT]


@pytest.mark.asyncio
@pytest.mark.parametrize("state", [None, LeaseState.RELEASED, LeaseState.COMMITTED])
async def test_report_that_is_left_over_is_removed(
    ground: Ground, state: LeaseState | None
) -> None:
    """A crash between lease and report; the person says it again."""
    if state is not None:
        ground.lay(lease(state))
    ground.buckets.put(REPORT, report().to_bytes())

    assert await ground.ours.put_back(CID) is False

    assert ground.buckets.look(REPORT) is None
    assert ground.writes() == (state is not None)


@pytest.mark.asyncio
async def test_claimed_cid_keeps_its_report(ground: Ground) -> None:
    """Its owner may have written it a moment ago, and is about to park."""
    claim = await ground.claimed()
    await ground.ours.report_failure(report())

    assert await ground.theirs.put_back(CID) is False
    assert ground.buckets.look(REPORT) is not None
    await claim.park(report())


@pytest.mark.asyncio
async def test_put_back_by_two_people_happens_once(ground: Ground) -> None:
    """The second finds it released, or is refused."""
    await (await ground.claimed()).park(report())
    ground.script.add("before", Verb.PUT, PreconditionFailed)

    assert await ground.ours.put_back(CID) is False
    assert await ground.theirs.put_back(CID) is True
    assert await ground.ours.put_back(CID) is False


@pytest.mark.asyncio
@pytest.mark.parametrize("error", LOST_ANSWERS)
async def test_put_back_whose_answer_is_lost_is_done(
    ground: Ground, error: type[ObjectError]
) -> None:
    """The report must go as well, or no watcher looks again."""
    await (await ground.claimed()).park(report())
    ground.script.add("after", Verb.PUT, error)

    assert await ground.ours.put_back(CID) is True
    assert ground.buckets.look(REPORT) is None


@pytest.mark.asyncio
async def test_report_of_a_later_failure_is_not_removed(ground: Ground) -> None:
    """The CID was put back, tried and parked again while the first command was on its way."""
    ground.lay(lease(LeaseState.RELEASED))
    ground.buckets.put(REPORT, report(log_tail="old").to_bytes())
    ground.script.add("before", Verb.DELETE, PreconditionFailed, uri=REPORT)

    assert await ground.ours.put_back(CID) is False
    assert ground.buckets.look(REPORT) is not None


@pytest.mark.asyncio
async def test_only_watcher_works_without_conditional_writes() -> None:
    """A store that knows none can still be used by one."""
    buckets = MemoryBuckets(BUCKET)
    alone = LeaseBook(MemoryStore(buckets), LAYOUT, owner("a"), conditional=False)
    buckets.put(LEASE, lease(LeaseState.RELEASED).to_bytes())

    claim = await alone.claim(CID, JOB, None)
    assert claim is not None
    await claim.renew()
    await claim.commit(RUNOUT)

    found = await alone.read(CID)
    assert found is not None
    assert found.lease.runout == RUNOUT


@pytest.mark.asyncio
@pytest.mark.parametrize("hours", [-10_000, 0, 10_000])
async def test_clock_of_the_owner_changes_only_what_people_read(hours: float) -> None:
    """The same steps with clocks a year apart write the same leases."""
    buckets = MemoryBuckets(BUCKET)
    ours = book(MemoryStore(buckets), "a", hours=hours)

    claim = await ours.claim(CID, JOB, None)
    assert claim is not None
    await claim.renew()
    await claim.commit(RUNOUT)

    found = await ours.read(CID)
    assert found is not None
    timeless = replace(found.lease, since="")
    assert timeless == Lease(
        CID, LeaseState.COMMITTED, 1, 3, owner("a"), JOB, 0, since="", runout=RUNOUT
    )
