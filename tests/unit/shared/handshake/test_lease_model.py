import pytest

from shared.handshake.lease import Lease, LeaseState
from tests.support.lease_model import LeaseModel
from tests.support.lease_world import World
from tests.support.leasing import lease, owner
from tests.support.soak import repetitions

CIDS = [f"{number:05d}" for number in range(10)]
POISON = {"00003", "00007"}
SEEDS = range(repetitions(30, 1000))


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", SEEDS)
async def test_whatever_happens_each_cid_is_committed_once(seed: int) -> None:
    """Crashes, sleepers, lost answers, late requests, clocks days apart: the model holds."""
    world = World(seed, hosts=5, cids=CIDS, poison=POISON)
    async with world.open():
        for _ in range(30):
            await world.run(60)
            await world.put_back(world.dice.choice(CIDS))
            if world.is_done:
                break
        await world.come_to_rest(60_000)

    assert set(world.model.committed) == set(CIDS) - POISON
    assert world.recorded.items() <= world.model.committed.items()
    assert world.crashes + world.sleeps > 0


@pytest.mark.parametrize(
    "after",
    [
        lease(LeaseState.COMMITTED, beat=17),
        lease(LeaseState.COMMITTED, beat=19),
        lease(LeaseState.COMMITTED, beat=18, owner=owner("b")),
        lease(LeaseState.COMMITTED, beat=18, generation=4),
        lease(LeaseState.CLAIMED, beat=18, generation=5),
        lease(LeaseState.CLAIMED, beat=18, attempts=2),
        lease(LeaseState.PARKED, beat=18, attempts=1),
    ],
)
def test_model_refuses_what_must_not_be(after: Lease) -> None:
    """A model that agrees with everything proves nothing."""
    model = LeaseModel(lambda _runout: True, leases={after.cid: lease()})

    with pytest.raises(AssertionError, match="may not follow"):
        model.write(after)


def test_model_refuses_a_second_commit_and_half_a_result() -> None:
    """The two rules that matter most."""
    committed = lease(LeaseState.COMMITTED, beat=18)
    half = LeaseModel(lambda _runout: False, leases={committed.cid: lease()})
    twice = LeaseModel(lambda _runout: True, leases={committed.cid: committed})

    with pytest.raises(AssertionError, match="not whole"):
        half.write(committed)
    with pytest.raises(AssertionError, match="may not follow"):
        twice.write(lease(LeaseState.COMMITTED, beat=19))
    with pytest.raises(AssertionError, match="was removed"):
        twice.remove(committed.cid)
