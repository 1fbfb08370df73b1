import pytest

from shared.handshake.claims import LeaseLost
from shared.handshake.lease import LeaseState
from shared.s3.errors import (
    AccessDenied,
    Conflict,
    NotFound,
    ObjectError,
    OutcomeUnknown,
    PreconditionFailed,
    Throttled,
    Unreachable,
)
from shared.s3.memory_buckets import Verb
from tests.support.lease_ground import (
    ENDS,
    LEASE,
    LOST_ANSWERS,
    STEPS,
    WRITES,
    Ground,
    lease_ground,
)
from tests.support.leasing import (
    CID,
    JOB,
    RUNOUT,
    lease,
    owner,
)


@pytest.fixture
def ground() -> Ground:
    """An empty bucket and two processes whose clocks are half a day apart."""
    return lease_ground()


@pytest.mark.asyncio
@pytest.mark.parametrize("step", STEPS)
async def test_step_is_one_write_on_top_of_the_last(ground: Ground, step: str) -> None:
    """The happy way of a CID costs a claim and a commit, and nothing else."""
    claim = await ground.claimed()

    await STEPS[step](claim)

    assert ground.lease() == claim.lease
    assert claim.lease.state is ENDS[step]
    assert ground.writes() == 1 + WRITES.get(step, 1)


@pytest.mark.asyncio
async def test_second_claimer_gets_nothing(ground: Ground) -> None:
    """Both found the job at the same moment."""
    seen = await ground.theirs.read(CID)
    await ground.claimed()

    assert await ground.theirs.claim(CID, JOB, seen) is None
    assert ground.lease().owner == owner("a")


@pytest.mark.asyncio
async def test_takeover_of_an_old_look_gets_nothing(ground: Ground) -> None:
    """Between the look and the claim the owner showed that it lives."""
    claim = await ground.claimed()
    seen = await ground.theirs.read(CID)
    await claim.renew()

    assert await ground.theirs.claim(CID, JOB, seen) is None


@pytest.mark.asyncio
async def test_claim_of_a_lease_that_is_gone_gets_nothing(ground: Ground) -> None:
    """A person removed it; the next look finds a CID without owner."""
    await ground.claimed()
    seen = await ground.theirs.read(CID)
    ground.buckets.delete(LEASE)

    assert await ground.theirs.claim(CID, JOB, seen) is None
    assert await ground.theirs.read(CID) is None


@pytest.mark.asyncio
@pytest.mark.parametrize("state", [LeaseState.COMMITTED, LeaseState.PARKED])
async def test_what_has_ended_is_not_claimed(ground: Ground, state: LeaseState) -> None:
    """A caller's mistake must not undo a commit."""
    ground.lay(lease(state))

    assert await ground.ours.claim(CID, JOB, await ground.ours.read(CID)) is None
    assert ground.writes() == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("error", [*LOST_ANSWERS, PreconditionFailed])
@pytest.mark.parametrize("step", STEPS)
async def test_step_whose_answer_is_lost_was_made_once(
    ground: Ground, step: str, error: type[ObjectError]
) -> None:
    """Whatever the answer said: the lease says what happened."""
    claim = await ground.claimed()
    ground.script.add("after", Verb.PUT, error)

    await STEPS[step](claim)

    assert ground.script.to_come == []
    assert ground.lease() == claim.lease
    assert claim.lease.state is ENDS[step]
    assert ground.writes() == 1 + WRITES.get(step, 1)


@pytest.mark.asyncio
async def test_lost_race_for_a_cid_costs_one_request(ground: Ground) -> None:
    """Many watchers lose many races; what they lost they read when they look again."""
    await ground.taken_over()
    ground.script.add("before", Verb.GET, Unreachable)

    assert await ground.ours.claim(CID, JOB, None) is None
    assert len(ground.script.to_come) == 1


@pytest.mark.asyncio
async def test_claim_that_was_carried_out_and_refused_is_found_at_the_next_look(
    ground: Ground,
) -> None:
    """Something on the way sent it twice; our own instance's lease need not expire."""
    ground.script.add("after", Verb.PUT, PreconditionFailed)

    assert await ground.ours.claim(CID, JOB, None) is None
    seen = await ground.ours.read(CID)
    assert seen is not None
    assert ground.ours.has_ended(seen.lease)
    assert (await ground.claimed()).lease.generation == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("error", LOST_ANSWERS)
async def test_claim_whose_answer_is_lost_is_ours(ground: Ground, error: type[ObjectError]) -> None:
    """Nobody else would touch the CID until it expired."""
    ground.script.add("after", Verb.PUT, error)

    claim = await ground.claimed()

    assert claim.lease == ground.lease()
    assert ground.writes() == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("error", [OutcomeUnknown, Unreachable, Throttled, AccessDenied])
@pytest.mark.parametrize("step", STEPS)
async def test_step_that_was_not_made_can_be_called_again(
    ground: Ground, step: str, error: type[ObjectError]
) -> None:
    """A heartbeat that failed is no reason to lose the work of an hour."""
    claim = await ground.claimed()
    ground.script.add("before", Verb.PUT, error)

    with pytest.raises(error):
        await STEPS[step](claim)
    await STEPS[step](claim)

    assert ground.lease() == claim.lease
    assert claim.lease.state is ENDS[step]


@pytest.mark.asyncio
@pytest.mark.parametrize("made", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
async def test_step_that_cannot_be_read_back_is_called_again_and_happens_once(
    ground: Ground, step: str, made: str
) -> None:
    """S3 was away for longer than one request; nobody knows what it did before."""
    claim = await ground.claimed()
    ground.script.add(made, Verb.PUT, OutcomeUnknown)
    ground.script.add("before", Verb.GET, Unreachable)

    with pytest.raises(OutcomeUnknown):
        await STEPS[step](claim)
    await STEPS[step](claim)

    assert ground.script.to_come == []
    assert ground.lease() == claim.lease
    assert claim.lease.state is ENDS[step]
    assert claim.lease.attempts == (step in {"fail", "park"})


@pytest.mark.asyncio
@pytest.mark.parametrize("refusal", [NotFound, Conflict])
async def test_refusal_that_cannot_be_read_back_is_unknown(
    ground: Ground, refusal: type[ObjectError]
) -> None:
    """A daemon outlives what is unknown; a refusal for good would end it."""
    ground.script.add("before", Verb.PUT, refusal)
    ground.script.add("before", Verb.GET, Unreachable)

    with pytest.raises(OutcomeUnknown, match="it cannot be read back"):
        await ground.ours.claim(CID, JOB, None)

    assert (await ground.claimed()).lease == ground.lease()


@pytest.mark.asyncio
async def test_conflict_is_tried_again_at_once(ground: Ground) -> None:
    """S3 answers 409 when two writes meet; ours was refused, and nobody else's was there."""
    claim = await ground.claimed()
    ground.script.add("before", Verb.PUT, Conflict)

    await claim.commit(RUNOUT)

    assert ground.lease().runout == RUNOUT


@pytest.mark.asyncio
async def test_endless_conflict_is_a_lost_lease(ground: Ground) -> None:
    """Three refusals with our own lease in place: no bucket that can be relied upon."""
    claim = await ground.claimed()
    for _ in range(3):
        ground.script.add("before", Verb.PUT, Conflict)

    with pytest.raises(LeaseLost):
        await claim.commit(RUNOUT)


@pytest.mark.asyncio
async def test_claim_that_met_a_conflict_is_left_to_the_next_look(ground: Ground) -> None:
    """The other writer is about to have it."""
    ground.script.add("before", Verb.PUT, Conflict)

    assert await ground.ours.claim(CID, JOB, None) is None


@pytest.mark.asyncio
@pytest.mark.parametrize("step", ["commit", "release", "fail", "park"])
async def test_step_goes_on_top_of_a_heartbeat_that_was_given_up(ground: Ground, step: str) -> None:
    """The heartbeat was cancelled with the job, and arrived all the same."""
    claim = await ground.claimed()
    ground.script.add("after", Verb.PUT, OutcomeUnknown)
    ground.script.add("before", Verb.GET, Unreachable)
    with pytest.raises(OutcomeUnknown):
        await claim.renew()

    await STEPS[step](claim)

    assert claim.lease.state is ENDS[step]
    assert ground.lease() == claim.lease


@pytest.mark.asyncio
@pytest.mark.parametrize("end", [None, "commit", "release", "fail", "park"])
@pytest.mark.parametrize("step", STEPS)
async def test_fenced_owner_changes_nothing(ground: Ground, step: str, end: str | None) -> None:
    """It slept beyond its time to live; whatever the next owner has done by now stays."""
    claim = await ground.claimed()
    theirs = await ground.taken_over()
    if end is not None:
        await STEPS[end](theirs)
    told = len(ground.buckets.history())

    with pytest.raises(LeaseLost, match="another owner than generation 1"):
        await STEPS[step](claim)

    assert len(ground.buckets.history()) == told
    assert ground.lease() == theirs.lease


@pytest.mark.asyncio
@pytest.mark.parametrize("step", STEPS)
async def test_owner_whose_lease_is_gone_changes_nothing(ground: Ground, step: str) -> None:
    """A person removed it; to lay it down again would undo what the person wanted."""
    claim = await ground.claimed()
    ground.buckets.delete(LEASE)

    with pytest.raises(LeaseLost):
        await STEPS[step](claim)

    assert ground.buckets.look(LEASE) is None


@pytest.mark.asyncio
async def test_owner_whose_lease_is_overwritten_with_anything_has_lost_it(ground: Ground) -> None:
    """Nobody can say whose it is."""
    claim = await ground.claimed()
    ground.lay(b"scribbled")

    with pytest.raises(LeaseLost):
        await claim.commit(RUNOUT)

    held = ground.buckets.look(LEASE)
    assert held is not None
    assert held.body == b"scribbled"
