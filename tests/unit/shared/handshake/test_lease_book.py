from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

import pytest

from shared.handshake.claims import Claim, LeaseBook, LeaseLost, LeaseUnreadable
from shared.handshake.fields import RECORD_BYTES_MAX
from shared.handshake.lease import Lease, LeaseState, parse_lease
from shared.s3.errors import (
    AccessDenied,
    Conflict,
    NotFound,
    ObjectError,
    OutcomeUnknown,
    PreconditionFailed,
    ServerError,
    Throttled,
    Unreachable,
)
from shared.s3.memory import Faults, MemoryStore
from shared.s3.memory_buckets import MemoryBuckets, Verb
from shared.s3.uri import S3Uri
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

LEASE = LAYOUT.lease(CID)
REPORT = LAYOUT.failure(CID)


@dataclass
class Script(Faults):
    """Raises what the test has put on the list, once each."""

    to_come: list[tuple[str, Verb, S3Uri, type[ObjectError]]] = field(default_factory=list)

    def add(self, when: str, verb: Verb, error: type[ObjectError], *, uri: S3Uri = LEASE) -> None:
        """Let the next such request fail `before` or `after` it is carried out."""
        self.to_come.append((when, verb, uri, error))

    async def before(self, verb: Verb, uri: S3Uri) -> None:
        """Fail a request that will not be carried out."""
        self._strike("before", verb, uri)

    async def after_commit(self, verb: Verb, uri: S3Uri) -> None:
        """Fail a request that was carried out."""
        self._strike("after", verb, uri)

    def _strike(self, when: str, verb: Verb, uri: S3Uri) -> None:
        for entry in self.to_come:
            if entry[:3] == (when, verb, uri):
                self.to_come.remove(entry)
                raise entry[3](uri)


@dataclass
class Ground:
    """A bucket, one process with scripted trouble, and another without."""

    buckets: MemoryBuckets
    script: Script
    ours: LeaseBook
    theirs: LeaseBook

    def lease(self) -> Lease:
        """Return the lease as it stands."""
        held = self.buckets.look(LEASE)
        assert held is not None
        return parse_lease(held.body, CID)

    def writes(self, uri: S3Uri = LEASE) -> int:
        """Count the changes of an object so far."""
        return sum(mutation.uri == uri for mutation in self.buckets.history())

    def lay(self, found: Lease | bytes) -> None:
        """Put a lease there as somebody else would."""
        self.buckets.put(LEASE, found if isinstance(found, bytes) else found.to_bytes())

    async def claimed(self) -> Claim:
        """Claim the CID for our process."""
        claim = await self.ours.claim(CID, JOB, await self.ours.read(CID))
        assert claim is not None
        return claim

    async def taken_over(self) -> Claim:
        """Claim the CID for the other process, whoever has it."""
        claim = await self.theirs.claim(CID, JOB, await self.theirs.read(CID))
        assert claim is not None
        return claim


@pytest.fixture
def ground() -> Ground:
    """An empty bucket and two processes whose clocks are half a day apart."""
    buckets, script = MemoryBuckets(BUCKET), Script()
    ours = book(MemoryStore(buckets, faults=script), "a", hours=-6)
    return Ground(buckets, script, ours, book(MemoryStore(buckets), "b", hours=6))


STEPS: Mapping[str, Callable[[Claim], Awaitable[None]]] = {
    "renew": lambda claim: claim.renew(),
    "commit": lambda claim: claim.commit(RUNOUT),
    "release": lambda claim: claim.release("stopping"),
    "fail": lambda claim: claim.fail("no luck"),
    "park": lambda claim: claim.park(report()),
}
ENDS = {
    "renew": LeaseState.CLAIMED,
    "commit": LeaseState.COMMITTED,
    "release": LeaseState.RELEASED,
    "fail": LeaseState.RELEASED,
    "park": LeaseState.PARKED,
}
WRITES = {"park": 2}
"""Parking renews first."""


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


LOST_ANSWERS = [OutcomeUnknown, Unreachable, ServerError, Throttled, AccessDenied, Conflict]


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
